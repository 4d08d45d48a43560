package crdt

import "github.com/eventual-go/eventual/vclock"

// The irreducible parts of each type, for the check that novelty is minimal.

func (t tally) parts() (parts []tally) {
	for _, e := range t {
		parts = append(parts, tally{{replica: e.replica, total: e.total}})
		if e.base > 0 {
			parts = append(parts, tally{{replica: e.replica, total: e.base, base: e.base}})
		}
	}
	return parts
}

func (c *GCounter) Parts() (parts []*GCounter) {
	for _, t := range c.t.parts() {
		parts = append(parts, &GCounter{t})
	}
	return parts
}

func (c *PNCounter) Parts() (parts []*PNCounter) {
	for _, t := range c.pos.parts() {
		parts = append(parts, &PNCounter{pos: t})
	}
	for _, t := range c.neg.parts() {
		parts = append(parts, &PNCounter{neg: t})
	}
	return parts
}

func (s *GSet[E]) Parts() (parts []*GSet[E]) {
	for e := range s.m {
		parts = append(parts, &GSet[E]{map[E]struct{}{e: {}}})
	}
	return parts
}

func (s *ORSet[E]) Parts() (parts []*ORSet[E]) {
	for d := range dots(&s.seen) {
		part := new(ORSet[E])
		part.seen.Add(d)
		for i := range s.live.slots {
			if s.live.slots[i].seq > 0 && s.live.dot(uint32(i)) == d {
				part.live.insert(s.live.slots[i].elem, d)
			}
		}
		parts = append(parts, part)
	}
	return parts
}

func (r *LWWRegister[T]) Parts() []*LWWRegister[T] { return []*LWWRegister[T]{r.Clone()} }

func (m *MVRegister[T]) Parts() (parts []*MVRegister[T]) {
	for d := range dots(&m.seen) {
		part := new(MVRegister[T])
		part.seen.Add(d)
		for _, s := range m.live {
			if s.dot == d {
				part.live = append(part.live, s)
			}
		}
		parts = append(parts, part)
	}
	return parts
}

func dots(c *vclock.Context) map[vclock.Dot]bool {
	all := make(map[vclock.Dot]bool)
	for s := range c.All() {
		for seq := s.Lo; seq <= s.Hi; seq++ {
			all[vclock.Dot{Replica: s.Replica, Seq: seq}] = true
		}
	}
	return all
}

// CheckInvariants panics where the index of the set contradicts itself.
func (s *ORSet[E]) CheckInvariants() {
	inLanes, heads, elements := 0, 0, make(map[E]bool)
	for k, l := range s.live.lanes {
		last := uint64(0)
		for _, chunk := range l.chunks {
			if len(chunk) == 0 || len(chunk) > chunkSize {
				panic("chunk size")
			}
			for _, i := range chunk {
				at := s.live.slots[i]
				if at.seq <= last || at.lane != uint32(k) || !s.seen.Has(s.live.dot(i)) {
					panic("lane out of order, or dot not seen")
				}
				if head, ok := s.live.lookup(at.elem); !ok || s.live.slots[head].elem != at.elem {
					panic("element not found")
				}
				if s.live.slots[at.next].prev != i || s.live.slots[at.prev].next != i {
					panic("ring broken")
				}
				if at.head {
					heads++
				}
				last = at.seq
				elements[at.elem] = true
				inLanes++
			}
		}
	}
	if inLanes+len(s.live.free) != len(s.live.slots) || len(elements) != s.live.n || heads != s.live.n {
		panic("slots lost")
	}
	if s.live.find != nil && len(s.live.find) != s.live.n {
		panic("map has too much")
	}
}
