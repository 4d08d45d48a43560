package store

import (
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// This file is where the store meets the typed side of package crdt.

// encodeDelta encodes a value that holds delta alone: nothing for one that is nil
// or as good as empty. The clock takes note of the moments that a type has made for
// itself under the writer's name, after the one that it was given.
func encodeDelta[P crdt.State[P]](k *crdt.Kinds, by Writer, delta P) ([]byte, error) {
	zero, err := noted(k, by, delta)
	if zero || err != nil {
		return nil, err
	}
	return k.Append(make([]byte, 0, deltaRoom), delta)
}

// noted has the clock take note of a delta, and reports whether that says nothing.
func noted[P crdt.State[P]](k *crdt.Kinds, by Writer, delta P) (zero bool, err error) {
	if zero, err = crdt.IsZero(k, delta); zero || err != nil {
		return zero, err
	}
	if d, ok := any(delta).(interface{ Latest() vclock.Timestamp }); ok {
		if latest := d.Latest(); latest.Replica == by.Replica {
			by.clock.Floor(latest)
		}
	}
	return false, nil
}

// known fails if k has no kind for P.
func known[P crdt.State[P]](k *crdt.Kinds) error {
	var none P
	_, err := crdt.Wrap(k, none)
	return err
}

// empty reports whether state has nothing to show.
func empty[P crdt.State[P]](k *crdt.Kinds, state P) bool {
	if e, ok := any(state).(interface{ Empty() bool }); ok {
		return e.Empty()
	}
	v, err := crdt.Wrap(k, state)
	return err != nil || v.Empty()
}
