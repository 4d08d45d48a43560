package store

import (
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/vclock"
)

// An era is where a store stands in the chain of records. It is replaced, never changed.
type era struct {
	at       stamp
	chain    []*record          // the last ones, oldest first, of which the last leads to at
	promised *record            // the proposal that was prepared last on top of at, if any
	settling *record            // what is looked at before it is settled, if anything is
	tenure   uint32             // how often the store was emptied
	base     vclock.ReplicaID   // who this store is, until it rotates
	rotation uint32             // how often it did
	writer   vclock.ReplicaID   // of keys that are new
	heirs    []vclock.ReplicaID // who inherited by records settled here
	arrivals *arrivals          // nil unless a record is being applied, or the store emptied
}

// position is the index in the chain of the first record after a generation, and whether the chain goes back to it.
func (a *era) position(from stamp) (int, bool) {
	if from == a.at {
		return len(a.chain), true
	}
	if len(a.chain) == 0 {
		return 0, false
	}
	n := from.number - a.chain[0].before().number // one to each record; huge if it is from before
	if n >= uint64(len(a.chain)) || !a.chain[n].on(from) {
		return 0, false
	}
	return int(n), true
}

// promises reports whether a generation is the one that this store is going to be of next, as far as it knows.
func (a *era) promises(s stamp) bool {
	return a.promised != nil && s == a.promised.at
}

// admits reports whether states of a generation may be merged, if they are lifted.
func (a *era) admits(s stamp) bool {
	if a.at.isZero() {
		return s == genesis
	}
	_, known := a.position(s)
	return known || a.promises(s)
}

// since returns the records after a generation, which is that of a state that was admitted.
func (a *era) since(from stamp) []*record {
	i, known := a.position(from)
	if !known {
		return nil // the one that was promised
	}
	return a.chain[i:]
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
	for _, r := range a.since(from) {
		if planted.Bug == planted.NotLifted {
			break
		}
		left, err := s.settled(r, key, v)
		if left == nil || err != nil {
			return nil, err
		}
	}
	return v, nil
}

// settled applies what a record says of a key to a value. It returns nil if nothing is left of it then.
func (s *Store) settled(r *record, key string, v *crdt.Value) (*crdt.Value, error) {
	if b, ok := find(r.residues, key); ok {
		known, err := s.kinds.Decode(b)
		if err != nil {
			return nil, err
		}
		v.Merge(known)
		if v.Spent() && !known.Merge(v) {
			return nil, nil
		}
	}
	if b, ok := find(r.estates, key); ok {
		cut, err := s.kinds.Decode(b)
		if err != nil {
			return nil, err
		}
		if _, err := v.Handover(cut, r.will.to, r.will.from...); err != nil {
			return nil, err
		}
	}
	return v, nil
}
