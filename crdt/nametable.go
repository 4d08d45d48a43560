package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// namesOf returns ids sorted, each once, as a state writes them ahead of what refers to them by place.
func namesOf(ids []vclock.ReplicaID) replicaTable {
	slices.SortFunc(ids, vclock.ReplicaID.Compare)
	return slices.Compact(ids)
}

func writeNames(w *wire.Writer, ids replicaTable) {
	w.Array(len(ids))
	for _, id := range ids {
		writeReplica(w, id)
	}
}

// nameReader reads references to replicas, and knows which of them were used.
type nameReader struct {
	ids  replicaTable
	used []bool
}

// readNames reads what writeNames wrote.
func readNames(r *wire.Reader) nameReader {
	n := r.Array()
	ids := make(replicaTable, 0, min(n, r.Left()/leastReplica))
	for i := range n {
		id := readAnyReplica(r)
		if r.Err() != nil {
			break
		}
		if i > 0 && id.Compare(ids[i-1]) <= 0 {
			r.Fail("replicas out of order")
		}
		ids = append(ids, id)
	}
	return nameReader{ids, make([]bool, len(ids))}
}

// read reads a reference.
func (t *nameReader) read(r *wire.Reader) (id vclock.ReplicaID) {
	i := r.Uint()
	if r.Err() != nil {
		return id
	}
	if i >= uint64(len(t.ids)) {
		r.Fail("no such replica")
		return id
	}
	t.used[i] = true
	return t.ids[i]
}

// readWriter reads a reference to one who writes, which the zero replica does not.
func (t *nameReader) readWriter(r *wire.Reader) vclock.ReplicaID {
	id := t.read(r)
	if id.IsZero() {
		r.Fail("the zero replica writes nothing")
	}
	return id
}

// close refuses replicas that nothing refers to.
func (t *nameReader) close(r *wire.Reader) {
	if slices.Contains(t.used, false) {
		r.Fail("replica that nothing refers to")
	}
}
