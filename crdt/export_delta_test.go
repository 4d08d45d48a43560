package crdt

import "github.com/eventual-go/eventual/vclock"

// The dots in a context, and those that live in a state.

func Dots(c *vclock.Context) map[vclock.Dot]bool { return dots(c) }

func (s *ORSet[E]) LiveDots() map[vclock.Dot]bool {
	live := make(map[vclock.Dot]bool)
	for span := range s.seen.All() {
		s.live.eachIn(span, func(_ E, d vclock.Dot) { live[d] = true })
	}
	return live
}

func (m *MVRegister[T]) LiveDots() map[vclock.Dot]bool {
	live := make(map[vclock.Dot]bool)
	for d := range m.All() {
		live[d] = true
	}
	return live
}
