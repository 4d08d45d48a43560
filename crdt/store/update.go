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
// delta, to be merged elsewhere. If that of fn is
// nil or empty nothing has happened: nobody is notified, and the result is
// zero.
//
// The store, its disk, its index and its followers learn of the change from the delta, at
// O(delta), so it must tell all that fn did. A change that is left out stays
// unnoticed in memory until the next one, and on disk it is lost as soon as the value leaves the memory, with
// events that others may have of it and that are numbered again then: join the deltas of all mutators that fn calls.
// What fn returns may be v itself, all of it, but must otherwise share nothing with v.
//
// fn runs under the key's lock. It must be short, must not call the store, and must
// not keep v or the delta. If it panics, the panic goes on and the store stays
// usable. What the mutators had done until then has happened and counts as a
// change, its delta is not at hand (see [Store.Updates]); only where a mutator
// itself was left half way may v be broken, which those of package crdt never are.
//
// Errors: *[crdt.UnknownKindError] if P is not one of Config.Kinds; *[EncodeError], if not only Delta.Bytes; those of a
// disk ([Open]).
func Update[P crdt.State[P]](s *Store, key string, fn func(v P, by Writer) (delta P)) (Delta, error) {
	if err := s.begin(); err != nil {
		return Delta{}, err
	}
	defer s.end()
	delta, c, err := update(s, key, fn)
	return delta, s.finish(c, err)
}

func update[P crdt.State[P]](s *Store, key string, fn func(v P, by Writer) (delta P)) (_ Delta, c Commit, err error) {
	e, a, err := s.acquire(key)
	if err != nil {
		return Delta{}, nil, err
	}
	done := true
	defer func() { s.leave(e, done, true) }()
	s.preserve(e)
	if e.deadline.Load() != 0 && e.expired(s.now()) {
		if err := known[P](s.kinds); err != nil {
			return Delta{}, nil, fmt.Errorf("store: update %q: %w", key, err)
		}
		done = false
		delta, c, err := updateEnded(s, e, a, fn)
		done = true
		return delta, c, err
	}
	v, err := crdt.Ensure[P](s.kinds, &e.value)
	if err != nil {
		return Delta{}, nil, fmt.Errorf("store: update %q: %w", key, err)
	}
	done = false
	by := s.writerOf(e, a)
	delta := fn(v, by)
	zero, err := noted(s.kinds, by, delta)
	switch {
	case zero:
		done = true
		return Delta{}, nil, nil
	case err != nil || s.disk != nil || s.hub.keepsDeltas() || any(delta) == any(v):
		var encoded []byte
		if err == nil {
			encoded, err = s.kinds.Append(make([]byte, 0, deltaRoom), delta)
		}
		done = true
		return s.commit(e, a, encoded, err)
	}
	done = true
	c, err = s.changed(e, a.at, nil, true, true)
	return Delta{key: e.key, at: a.at, bare: delta, kinds: s.kinds}, c, err
}

// updateEnded is update of a locked entry whose deadline has passed: it begins anew.
func updateEnded[P crdt.State[P]](s *Store, e *entry, a *era, fn func(v P, by Writer) (delta P)) (_ Delta, c Commit, err error) {
	old, err := s.revive(e)
	if err != nil {
		return Delta{}, nil, err
	}
	v, err := crdt.Ensure[P](s.kinds, &e.value)
	if err != nil {
		return Delta{}, nil, err
	}
	by := s.writerOf(e, a)
	delta, err := encodeDelta(s.kinds, by, fn(v, by))
	return s.commit(e, a, Joined(s.kinds, old, delta), err)
}

// View calls fn with the value of type P under key, and reports whether there was
// one to show: false, without a call, where the key holds none of this type, or one
// that is empty, be it deleted or never filled. What is there beside it, of other
// types, does not matter.
//
// fn runs under the key's lock. It must be short, must not call the store, and must
// neither change nor keep v.
//
// Errors: *[crdt.UnknownKindError] if P is not one of Config.Kinds; those of a disk ([Open]).
func View[P crdt.State[P]](s *Store, key string, fn func(v P)) (found bool, err error) {
	if err := s.begin(); err != nil {
		return false, err
	}
	defer s.end()
	e, _, err := s.lookup(key)
	if err != nil {
		return false, err
	}
	if e == nil {
		return false, unknown[P](s, key)
	}
	defer e.mu.Unlock()
	v, ok := crdt.Component[P](s.kinds, &e.value)
	if !ok {
		return false, unknown[P](s, key)
	}
	if e.deadline.Load() != 0 && e.expired(s.now()) || empty(s.kinds, v) {
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
