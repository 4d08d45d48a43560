package store

import (
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// An era is where a store stands in the chain of records. It is replaced, never changed.
type era struct {
	at       stamp
	chain    []*record // the last ones, oldest first, of which the last leads to at
	promised uint64    // the id of the proposal that was prepared last on top of at; 0 if none
	tenure   uint32    // how often the store was emptied
	writer   vclock.ReplicaID
	arrivals *arrivals // nil unless a record is being applied, or the store emptied
}

// position is the index in the chain of the first record after a generation, and whether the chain goes back to it.
func (a *era) position(from stamp) (int, bool) {
	if from == a.at {
		return len(a.chain), true
	}
	i := slices.IndexFunc(a.chain, func(r *record) bool { return r.on(from) })
	return max(i, 0), i >= 0
}

// promises reports whether a generation is the one that this store is going to be of next, as far as it knows.
func (a *era) promises(s stamp) bool {
	return a.promised != 0 && s == stamp{a.at.number + 1, a.promised}
}

// admits reports whether states of a generation may be merged, if they are lifted.
func (a *era) admits(s stamp) bool {
	if a.at.isZero() {
		return s == genesis
	}
	_, known := a.position(s)
	return known || a.promises(s)
}

// since visits the residues of a key in the records after a generation.
func (a *era) since(from stamp, key string) (found [][]byte) {
	i, known := a.position(from)
	if !known {
		return nil
	}
	for _, r := range a.chain[i:] {
		if value, ok := r.residue(key); ok {
			found = append(found, value)
		}
	}
	return found
}

// residue returns the residue of a key.
func (r *record) residue(key string) (value []byte, ok bool) {
	i, ok := slices.BinarySearchFunc(r.residues, key, func(res residue, key string) int {
		switch {
		case res.key < key:
			return -1
		case res.key > key:
			return +1
		}
		return 0
	})
	if !ok {
		return nil, false
	}
	return r.residues[i].value, true
}

// extended returns the chain with one more record, and without the oldest as far as they take more than so many bytes
// together. The last one stays.
func extended(chain []*record, r *record, retain int) []*record {
	chain = append(slices.Clip(chain), r)
	size, first := 0, len(chain)-1
	for i, r := range slices.Backward(chain) {
		if size += len(r.encoded); size > retain {
			break
		}
		first = i
	}
	return slices.Clone(chain[first:])
}

// lift makes of a value of another generation one of this era: it learns what was agreed to be forgotten since. It
// returns nil if there is nothing in it besides, and a [*StaleError] for a generation that is not known.
func (s *Store) lift(a *era, from stamp, key string, v *crdt.Value) (*crdt.Value, error) {
	if !a.admits(from) {
		return nil, a.stale(from)
	}
	found := a.since(from, key)
	if len(found) == 0 {
		return v, nil
	}
	known := new(crdt.Value)
	for _, value := range found {
		r, err := s.kinds.Decode(value)
		if err != nil {
			return nil, err
		}
		known.Merge(r)
	}
	if known.Clone().Merge(v) {
		v.Merge(known)
		return v, nil
	}
	return nil, nil
}
