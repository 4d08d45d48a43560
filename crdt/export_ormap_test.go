package crdt

import "github.com/eventual-go/eventual/vclock"

// Parts returns the irreducible parts: an entry with its dots, or a dot that is dead.
func (m *ORMap[K]) Parts() (parts []*ORMap[K]) {
	for d := range dots(&m.seen) {
		part := new(ORMap[K])
		switch e := m.live.find(d); {
		case e == nil:
			part.seen.Add(d)
		case e.dot == d:
			var dots grave
			part.take(e, &dots)
			dots.into(&part.seen)
		default:
			continue
		}
		parts = append(parts, part)
	}
	return parts
}

// Living are the dots that live.
func (m *ORMap[K]) Living() *vclock.Context {
	c := new(vclock.Context)
	for e := range m.entries() {
		e.dots(func(d vclock.Dot) { c.Add(d) })
	}
	return c
}

// Entries is how many entries there are.
func (m *ORMap[K]) Entries() (n int) {
	for range m.entries() {
		n++
	}
	return n
}

// CheckInvariants panics where the tree and the index contradict one another.
func (m *ORMap[K]) CheckInvariants() {
	inTree, inIndex, dots := 0, 0, 0
	m.under(nil, func(e *orEntry[K]) {
		inTree++
		e.dots(func(d vclock.Dot) {
			dots++
			if m.live.find(d) != e || !m.seen.Has(d) {
				panic("entry without its dots")
			}
		})
		for n := e.at; n.parent != nil; n = n.parent {
			if n.parent.child(n.key, n.kind) != n {
				panic("entry in a field that is not there")
			}
		}
		if e.prev == nil && e.at.first(e.text) != e || e.prev != nil && e.prev.next != e || e.ended {
			panic("chain broken")
		}
	})
	for _, l := range m.live.lanes.all() {
		last := uint64(0)
		for _, chunk := range l.chunks {
			if len(chunk) == 0 || len(chunk) > chunkSize {
				panic("chunk size")
			}
			for _, at := range chunk {
				if inIndex++; at.seq <= last {
					panic("lane out of order")
				}
				last = at.seq
			}
		}
		if len(l.chunks) == 0 {
			panic("empty lane")
		}
	}
	n := 0
	for range m.entries() {
		n++
	}
	if n != inTree || inIndex != dots {
		panic("tree and index differ")
	}
	m.root.checkFull()
}

func (n *orNode[K]) checkFull() {
	if n == nil {
		return
	}
	for _, c := range n.fields.all() {
		for kind := FieldKind(0); c != nil; c = c.sibling {
			if c.kind <= kind || c.parent != n || c.isEmpty() {
				panic("field empty or out of order")
			}
			kind = c.kind
			c.checkFull()
		}
	}
}
