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
		parts = append(parts, &GSet[E]{m: map[E]struct{}{e: {}}})
	}
	return parts
}

func (s *ORSet[E]) Parts() (parts []*ORSet[E]) {
	for d := range dots(&s.seen) {
		part := new(ORSet[E])
		part.seen.Add(d)
		at := s.live.from(d.Replica, d.Seq)
		if i, ok := at.slot(d.Seq); ok {
			part.live.insert(s.live.elem(i), d)
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
	dots, heads, elements := 0, 0, make(map[E]bool)
	for k := range s.live.lanes {
		last := int64(-1)
		for _, c := range s.live.lanes[k].chunks {
			must(c.n > 0 && c.n <= chunkSize && (c.list == nil || len(c.list) == int(c.n)), "chunk size")
			must(s.live.lowOf(c.slot(0)) == c.low && s.live.lowOf(c.slot(c.len()-1)) == c.top, "bounds of a chunk")
			for p := range c.len() {
				i := c.slot(p)
				must(int64(s.live.lowOf(i)) > last, "lane out of order")
				must(s.live.at(i).lane&^shared == uint32(k) && s.seen.Has(s.live.dot(i)), "dot not seen")
				last = int64(s.live.lowOf(i))
				if s.checkSlot(i) {
					heads++
				}
				elements[s.live.elem(i)] = true
				dots++
			}
		}
	}
	must(dots+s.live.unused == s.live.size() && dots == s.live.dots(), "slots lost")
	must(len(elements) == s.live.n && heads == s.live.n, "elements lost")
	s.checkOrder()
	s.checkFree()
	s.checkIndex()
}

func must(holds bool, what string) {
	if !holds {
		panic(what)
	}
}

// checkSlot reports whether the slot is the head of its ring.
func (s *ORSet[E]) checkSlot(i uint32) bool {
	at := s.live.at(i)
	head, ok := s.live.lookup(at.elem)
	must(ok && s.live.at(head).elem == at.elem, "element not found")
	l, ok := s.live.rings[i]
	must(ok == at.isShared(), "links without a ring")
	if ok {
		must(l.next != i && s.live.rings[l.next].prev == i && s.live.rings[l.prev].next == i, "ring broken")
		must(s.live.at(l.next).elem == at.elem, "ring of two elements")
	}
	must((head == i) == s.live.isHead(at, i), "head")
	return head == i
}

func (s *ORSet[E]) checkOrder() {
	must(len(s.live.order) == len(s.live.lanes), "lanes lost")
	for i := 1; i < len(s.live.order); i++ {
		l := &s.live.lanes[s.live.order[i]]
		must(s.live.lanes[s.live.order[i-1]].compare(l.replica, l.high) < 0, "lanes out of order")
	}
}

func (s *ORSet[E]) checkFree() {
	n := 0
	for i := s.live.free; i > 0; i = s.live.at(i - 1).low {
		must(!s.live.at(i-1).inUse(), "free slot in use")
		n++
	}
	must(n == s.live.unused, "free slots lost")
	must(s.live.unused <= max(roomySlots, s.live.size()/2), "memory not given back")
}

func (s *ORSet[E]) checkIndex() {
	must(s.live.index != nil || s.live.size() <= fewSlots, "no index")
	used := 0
	for p := range s.live.index {
		g := &s.live.index[p]
		for k, i := range g.slots {
			must(k < g.len() || i == 0 && g.tags&tagBits>>(8*k) == 0 && g.strays()>>k == 0, "group with a gap")
		}
		for k, i := range g.slots[:g.len()] {
			hash := hashOf(g.elems[k])
			must(g.elems[k] == s.live.elem(i) && tagOf(hash) == g.tags>>(8*k)&0xff, "element or tag")
			must((s.live.index.home(hash) != p) == (g.strays()>>k&1 > 0), "stray")
			used++
		}
	}
	must(s.live.index == nil || used == s.live.n, "index has too much")
}
