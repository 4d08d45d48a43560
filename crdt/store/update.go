package store

import (
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// A Writer is what a mutator needs to write on behalf of a store. It is valid for
// the update that it was handed to: the identity of a store may change between two.
type Writer struct {
	// Replica is the identity that mints the events of this update.
	Replica vclock.ReplicaID

	clock *vclock.HLC
}

// Stamp returns a timestamp later than any that this store stamped or merged. That
// of the zero Writer is zero.
func (w Writer) Stamp() vclock.Timestamp {
	if w.clock == nil {
		return vclock.Timestamp{}
	}
	t := w.clock.Stamp()
	if !t.IsZero() {
		t.Replica = w.Replica
	}
	return t
}

// Update changes the value of type P under key, an empty one if there is none yet.
// fn changes v in place and returns the delta, which the mutators of package crdt
// hand out; the deltas of several are merged into one. What is returned is the
// delta in encoded form, to be merged elsewhere; it belongs to the caller. If the
// delta is nil or empty nothing has happened: nobody is notified, and the result is
// nil.
//
// The store, its index and its followers learn of the change from the delta, at
// O(delta), so it must tell all that fn did: a change that is left out stays
// unnoticed until the next one.
//
// fn runs under the key's lock. It must be short, must not call the store, and must
// not keep v or the delta. If it panics, the panic goes on and the store stays
// usable. What the mutators had done until then has happened and counts as a
// change, its delta is not at hand (see [Store.Updates]); only where a mutator
// itself was left half way may v be broken, which those of package crdt never are.
//
// Errors: *[crdt.UnknownKindError] if P is not one of Config.Kinds; *[EncodeError].
func Update[P crdt.State[P]](s *Store, key string, fn func(v P, by Writer) (delta P)) (delta []byte, err error) {
	e, a := s.acquire(key)
	done := true
	defer func() { s.leave(e, done, true) }()
	v, err := crdt.Ensure[P](s.kinds, &e.value)
	if err != nil {
		return nil, fmt.Errorf("store: update %q: %w", key, err)
	}
	done = false
	by := s.writerOf(e, a)
	delta, err = encodeDelta(s.kinds, by, fn(v, by))
	done = true
	if err == nil && len(delta) == 0 {
		return nil, nil
	}
	return s.commit(e, a, delta, err, true)
}

// View calls fn with the value of type P under key, and reports whether there was
// one to show: false, without a call, where the key holds none of this type, or one
// that is empty, be it deleted or never filled. What is there beside it, of other
// types, does not matter.
//
// fn runs under the key's lock. It must be short, must not call the store, and must
// neither change nor keep v.
//
// Errors: *[crdt.UnknownKindError] if P is not one of Config.Kinds.
func View[P crdt.State[P]](s *Store, key string, fn func(v P)) (found bool, err error) {
	e, _ := s.lookup(key)
	if e == nil {
		return false, unknown[P](s, key)
	}
	defer e.mu.Unlock()
	v, ok := crdt.Component[P](s.kinds, &e.value)
	if !ok {
		return false, unknown[P](s, key)
	}
	if empty(s.kinds, v) {
		return false, nil
	}
	fn(v)
	return true, nil
}

// unknown is the error of a type that the store does not know, or nil.
func unknown[P crdt.State[P]](s *Store, key string) error {
	if err := known[P](s.kinds); err != nil {
		return fmt.Errorf("store: view %q: %w", key, err)
	}
	return nil
}
