package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// bulk fills a store that is empty, without searching for the place of each dot: it sorts them all at the end.
type bulk[E comparable] struct {
	store *dotStore[E]
	lists [][]uint64 // for each lane the lower halves of its sequence numbers, each beside its slot
	lane  uint32     // of the dot before
	lanes map[laneName]uint32
	head  uint32    // slot of the element
	next  []arrival // elements that are not in the index yet
	twice bool      // some element came twice
}

// laneName tells lanes apart.
type laneName struct {
	replica vclock.ReplicaID
	high    uint32
}

// newBulk is for about n dots; there may be more.
func newBulk[E comparable](s *dotStore[E], n int) *bulk[E] {
	s.reserve(n)
	s.index = newCells[E](n)
	return &bulk[E]{store: s, lanes: make(map[laneName]uint32), next: make([]arrival, 0, 16)}
}

// add adds a dot of e, which is the element of the dot before if again is true.
func (b *bulk[E]) add(e E, d vclock.Dot, again bool) {
	s := b.store
	k := b.laneFor(d)
	i := s.take(slot[E]{elem: e, low: uint32(d.Seq), lane: k})
	b.lists[k] = append(b.lists[k], uint64(uint32(d.Seq))<<32|uint64(i))
	if again {
		s.linkAfter(b.head, i)
		return
	}
	b.head = i
	b.next = append(b.next, arrival{hash: hashOf(e), slot: i})
	if len(b.next) == cap(b.next) {
		b.register()
	}
}

// register puts the next elements into the index.
func (b *bulk[E]) register() {
	s := b.store
	s.index = s.index.grown(s.n + len(b.next))
	s.index.foresee(b.next)
	for _, a := range b.next {
		e := s.elem(a.slot)
		if _, known := s.search(a.hash, e); known {
			b.twice = true
			continue
		}
		s.n++
		s.register(a.hash, e, a.slot)
	}
	b.next = b.next[:0]
}

// laneFor returns the number of the lane for d, and makes it if need be. Lanes come into order at the end.
func (b *bulk[E]) laneFor(d vclock.Dot) uint32 {
	if k := b.lane; int(k) < len(b.lists) && b.store.lanes[k].isFor(d) {
		return k
	}
	name := laneName{d.Replica, uint32(d.Seq >> 32)}
	k, ok := b.lanes[name]
	if !ok {
		k = uint32(len(b.lists))
		b.lanes[name] = k
		b.store.lanes = append(b.store.lanes, laneOf(d))
		b.lists = append(b.lists, nil)
	}
	b.lane = k
	return k
}

// orderLanes puts the lanes in order.
func (b *bulk[E]) orderLanes() {
	s := b.store
	for k := range s.lanes {
		s.order = append(s.order, uint32(k))
	}
	slices.SortFunc(s.order, func(x, y uint32) int {
		l := &s.lanes[y]
		return s.lanes[x].compare(l.replica, l.high)
	})
}

// finish puts the dots into their lanes. It returns what is wrong, if anything.
func (b *bulk[E]) finish() (fault string) {
	if b.register(); b.twice {
		return "element twice"
	}
	b.orderLanes()
	for k, list := range b.lists {
		sortUnsigned(list)
		for p := 1; p < len(list); p++ {
			if list[p]>>32 == list[p-1]>>32 {
				return "dot lives twice"
			}
		}
		b.store.lanes[k].chunks = chunksOf(list)
	}
	if b.store.size() <= fewSlots {
		b.store.index = nil
	}
	return ""
}

// chunksOf divides a sorted list into chunks: runs of slots where they are long, and lists.
func chunksOf(list []uint64) (chunks []chunk) {
	for len(list) > 0 {
		n := min(len(list), chunkSize)
		if run := runOf(list[:n]); run >= runSize || run == n {
			n = run
		}
		c := chunk{low: uint32(list[0] >> 32), top: uint32(list[n-1] >> 32), first: uint32(list[0]), n: uint32(n)}
		if runOf(list[:n]) < n {
			c.list = make([]uint32, n)
			for p, x := range list[:n] {
				c.list[p] = uint32(x)
			}
		}
		chunks = append(chunks, c)
		list = list[n:]
	}
	return chunks
}

// runOf returns how many slots from the first on are in the order of their numbers, without a gap.
func runOf(list []uint64) int {
	for p := range list {
		if uint32(list[p]) != uint32(list[0])+uint32(p) {
			return p
		}
	}
	return len(list)
}

// sortUnsigned sorts numbers whose upper halves differ, and are mostly close to one another: where they are, each
// has its place.
func sortUnsigned(list []uint64) {
	if slices.IsSorted(list) {
		return
	}
	low, top := slices.Min(list)>>32, slices.Max(list)>>32
	if top-low >= 4*uint64(len(list)) {
		slices.Sort(list)
		return
	}
	placed := make([]uint64, top-low+1)
	for _, x := range list {
		at := &placed[x>>32-low]
		if *at > 0 || x == 0 {
			slices.Sort(list)
			return
		}
		*at = x
	}
	out := list[:0]
	for _, x := range placed {
		if x > 0 {
			out = append(out, x)
		}
	}
}
