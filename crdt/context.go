package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// replicaTable is the sorted list of the replicas that a state speaks of. On the wire dots name a replica by
// its place in it.
type replicaTable []vclock.ReplicaID

func (t replicaTable) index(r vclock.ReplicaID) uint64 {
	i, _ := slices.BinarySearchFunc(t, r, vclock.ReplicaID.Compare)
	return uint64(i)
}

func tableOf(c *vclock.Context) (t replicaTable) {
	for s := range c.All() {
		if len(t) == 0 || t[len(t)-1] != s.Replica {
			t = append(t, s.Replica)
		}
	}
	return t
}

// writeContext writes for each replica its identity and its runs of events, each as the number of events
// between it and the run before and the number of events that follow its first. It returns the replica table
// that a reader will have.
func writeContext(w *wire.Writer, c *vclock.Context) replicaTable {
	table := tableOf(c)
	w.Array(len(table))
	for _, id := range table {
		runs := 0
		for range c.SpansOf(id) {
			runs++
		}
		w.Array(1 + 2*runs)
		writeReplica(w, id)
		end := uint64(0)
		for s := range c.SpansOf(id) {
			w.Uint(s.Lo - end - 1)
			w.Uint(s.Hi - s.Lo)
			end = s.Hi
		}
	}
	return table
}

// leastReplica is how many bytes an identity takes. What a head claims is paid for by what follows it.
const leastReplica = 18

// readContext reads what writeContext wrote. Runs that overlap, meet or overflow are refused.
func readContext(r *wire.Reader) (vclock.Context, replicaTable) {
	var c vclock.Context
	n := r.Array()
	table := make(replicaTable, 0, min(n, r.Left()/leastReplica))
	var id vclock.ReplicaID
	for range n {
		values := r.Array()
		if values < 3 || values%2 == 0 {
			r.Fail("incomplete run of events")
		}
		id = readReplica(r, id)
		readRuns(r, &c, id, values/2)
		if r.Err() != nil {
			break
		}
		table = append(table, id)
	}
	return c, table
}

func readRuns(r *wire.Reader, c *vclock.Context, id vclock.ReplicaID, runs int) {
	end := uint64(0)
	for i := range runs {
		gap, more := r.Uint(), r.Uint()
		lo := end + gap + 1
		hi := lo + more
		if r.Err() != nil {
			return
		}
		if gap == 0 && i > 0 || lo <= end || hi < lo {
			r.Fail("runs of events overlap")
			return
		}
		c.AddSpan(vclock.Span{Replica: id, Lo: lo, Hi: hi})
		end = hi
	}
}

func writeDot(w *wire.Writer, table replicaTable, d vclock.Dot) {
	w.Uint(table.index(d.Replica))
	w.Uint(d.Seq)
}

// readDot reads a dot that must come after prev and be in the context that the table came with.
func readDot(r *wire.Reader, c *vclock.Context, table replicaTable, prev vclock.Dot) vclock.Dot {
	i, seq := r.Uint(), r.Uint()
	if r.Err() != nil {
		return prev
	}
	if i >= uint64(len(table)) {
		r.Fail("no such replica")
		return prev
	}
	d := vclock.Dot{Replica: table[i], Seq: seq}
	if d.Compare(prev) <= 0 {
		r.Fail("dots out of order")
	} else if !c.Has(d) {
		r.Fail("dot outside of the context")
	}
	return d
}
