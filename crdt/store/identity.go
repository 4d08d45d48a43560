package store

import (
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/vclock"
)

// An event is named by who wrote it and its number, see [vclock.Dot]. To number two events alike loses one of them, on
// all replicas, and nobody notices. So a store never goes on under an identity unless it is sure that it has all that
// was written under it. What follows from the number of the last event alone, to leave out some numbers after a crash,
// would not do: numbers follow one another without a gap, so that a clock can say in one number what it has seen, and
// who claims to have seen the events in the gap never gets those that others have of it.
//
// What it does in place of that: its head on disk says that the identity is in use before anything is written under
// it, and that it is free again after all of that is durable ([Store.Close]). Whoever finds it in use, or in another place,
// takes another one. And who meets an event of its own that it has not numbered does so, too.

// A seenError says that something names an event of this store's that it has never numbered.
type seenError struct {
	key      string
	writer   vclock.ReplicaID
	rotation uint32
}

// Error implements error.
func (e *seenError) Error() string {
	return fmt.Sprintf("store: %q has an event of %v that was not numbered here", e.key, e.writer)
}

// guard looks for events of this store's own in what is about to be merged into a locked entry, of which it does not
// know. What it can still know is under which name it would number the next one here.
func (s *Store) guard(a *era, e *entry, in *crdt.Value) *seenError {
	if in == nil || planted.Bug == planted.GuardAsleep {
		return nil
	}
	self := a.writer
	if !e.writer.IsZero() && e.rotation == a.rotation {
		self = e.writer
	}
	if in.Exceeds(&e.value, self) {
		return &seenError{e.key, self, a.rotation}
	}
	return nil
}

// rotate takes another identity because of what was seen, unless that has happened since.
func (s *Store) rotate(seen *seenError) error {
	s.turning.Lock()
	defer s.turning.Unlock()
	a := *s.era.Load()
	if a.rotation != seen.rotation {
		return nil
	}
	r := Rotation{From: seen.writer, Reason: Seen, Key: seen.key}
	s.renew(&a, &r)
	if err := s.persist(&a); err != nil {
		return err
	}
	s.era.Store(&a)
	return nil
}

// renew has an era go on under another identity. s.turning is held.
func (s *Store) renew(a *era, r *Rotation) {
	r.To = s.fresh()
	a.base, a.writer = r.To, r.To
	a.rotation++
	s.writers = 0
	s.rotations.Add(1)
	told := *r
	s.reports.add(func() { s.events.rotated(told) })
}
