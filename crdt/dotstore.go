package crdt

import (
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// dotStore holds the live dots of a set. Each has a slot; the slots of one element form a ring, and those of
// one replica a lane in order of sequence numbers. So the dots of an element, and the elements that a run of
// events brought, are found without a scan.
//
// A slot takes the size of an element and 8 bytes, its place in the index about twice that, and its place in a lane next
// to nothing while events come in order, else 4. Elements have few dots: those with one are no ring, and the
// links of the others are kept aside.
type dotStore[E comparable] struct {
	blocks [][]slot[E]     // all of blockSize slots, but the last
	index  cells[E]        // of any slot of each element, its head; nil while there are few slots
	rings  map[uint32]link // of the slots that share an element
	lanes  []lane          // in order of appearance, which slots refer to
	order  []uint32        // lanes in order
	free   uint32          // first of the slots not in use, from 1
	unused int             // slots not in use
	n      int             // elements
	// track is told of each dot that comes to live, with n = 1, or dies, with -1; nil if nobody is told.
	track func(e E, d vclock.Dot, n int)
}

type slot[E comparable] struct {
	elem E
	low  uint32 // half of the sequence number; if not in use, the next that is not, from 1
	lane uint32 // has the other half; shared is set in slots of a ring
}

type link struct{ next, prev uint32 }

const (
	shared    = 1 << 31
	notInUse  = math.MaxUint32
	blockSize = 1 << 14
	// fewSlots is how many slots are searched one by one: deltas are small and need no index.
	fewSlots = 8
	// roomySlots is how many slots a store keeps, in use or not.
	roomySlots = 64
)

func (a *slot[E]) inUse() bool    { return a.lane != notInUse }
func (a *slot[E]) isShared() bool { return a.lane&shared > 0 }

func (s *dotStore[E]) at(i uint32) *slot[E] { return &s.blocks[i/blockSize][i%blockSize] }

func (s *dotStore[E]) elem(i uint32) E { return s.at(i).elem }

// size is the number of slots, in use or not.
func (s *dotStore[E]) size() int {
	if last := len(s.blocks) - 1; last >= 0 {
		return last*blockSize + len(s.blocks[last])
	}
	return 0
}

// dots is the number of dots.
func (s *dotStore[E]) dots() int { return s.size() - s.unused }

// dot is the dot of slot i.
func (s *dotStore[E]) dot(i uint32) vclock.Dot {
	at := s.at(i)
	l := &s.lanes[at.lane&^shared]
	return vclock.Dot{Replica: l.replica, Seq: l.seq(at.low)}
}

// isSince reports whether slot i has a dot of the replica of d that does not come before d.
func (s *dotStore[E]) isSince(d vclock.Dot, i uint32) bool {
	dot := s.dot(i)
	return dot.Replica == d.Replica && dot.Seq >= d.Seq
}

// hash returns the hash of e, or 0 as long as there is no index.
func (s *dotStore[E]) hash(e E) uint32 {
	if s.index == nil {
		return 0
	}
	return hashOf(e)
}

// lookup returns any slot of e, always the same while nothing changes.
func (s *dotStore[E]) lookup(e E) (i uint32, ok bool) { return s.search(s.hash(e), e) }

// has reports whether any dot of e lives.
func (s *dotStore[E]) has(e E) (ok bool) {
	if s.index == nil {
		_, ok = s.scan(e)
		return ok
	}
	g, _ := s.index.search(hashOf(e), e)
	return g != nil
}

// find is lookup that tells the hash too.
func (s *dotStore[E]) find(e E) (hash, i uint32, ok bool) {
	hash = s.hash(e)
	i, ok = s.search(hash, e)
	return hash, i, ok
}

// search is lookup for an element with a known hash.
func (s *dotStore[E]) search(hash uint32, e E) (i uint32, ok bool) {
	if s.index == nil {
		return s.scan(e)
	}
	g, k := s.index.search(hash, e)
	if g == nil {
		return 0, false
	}
	return g.slots[k], true
}

func (s *dotStore[E]) scan(e E) (i uint32, ok bool) {
	for _, block := range s.blocks {
		for i := range block {
			if block[i].elem == e && block[i].inUse() {
				return uint32(i), true
			}
		}
	}
	return 0, false
}

// ring yields all slots of the element that slot i belongs to. They must not change meanwhile.
func (s *dotStore[E]) ring(i uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		if !s.at(i).isShared() {
			yield(i)
			return
		}
		for k := i; yield(k); {
			if k = s.rings[k].next; k == i {
				return
			}
		}
	}
}

// heads yields one slot of each element.
func (s *dotStore[E]) heads() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for b, block := range s.blocks {
			for k := range block {
				i := uint32(b*blockSize + k)
				if s.isHead(&block[k], i) && !yield(i) {
					return
				}
			}
		}
	}
}

// elements yields each element. It takes them from where it found them, so that yield may do no worse than make some
// come twice, or not at all.
func (s *dotStore[E]) elements(yield func(e E) bool) {
	for b, block := range s.blocks {
		for k := range block {
			if s.isHead(&block[k], uint32(b*blockSize+k)) && !yield(block[k].elem) {
				return
			}
		}
	}
}

func (s *dotStore[E]) isHead(at *slot[E], i uint32) bool {
	if !at.isShared() {
		return true
	}
	if !at.inUse() {
		return false
	}
	head, _ := s.lookup(at.elem)
	return head == i
}

// each visits the live dots in no particular order.
func (s *dotStore[E]) each(visit func(e E, d vclock.Dot)) {
	for b, block := range s.blocks {
		for k := range block {
			if block[k].inUse() {
				visit(block[k].elem, s.dot(uint32(b*blockSize+k)))
			}
		}
	}
}

// appendDots appends the live dots of e, in order.
func (s *dotStore[E]) appendDots(dots []vclock.Dot, e E) []vclock.Dot {
	i, ok := s.lookup(e)
	if !ok {
		return dots
	}
	for k := range s.ring(i) {
		dots = append(dots, s.dot(k))
	}
	slices.SortFunc(dots, vclock.Dot.Compare)
	return dots
}

// insert makes d a live dot of e, and reports whether it was no live dot yet.
func (s *dotStore[E]) insert(e E, d vclock.Dot) bool { return s.insertHashed(s.hash(e), e, d) }

// insertArrived is insertHashed for a hash that is 0 if there was no index when it was asked for.
func (s *dotStore[E]) insertArrived(hash uint32, e E, d vclock.Dot) bool {
	if hash == 0 {
		hash = s.hash(e)
	}
	return s.insertHashed(hash, e, d)
}

func (s *dotStore[E]) insertHashed(hash uint32, e E, d vclock.Dot) bool {
	head, known := s.search(hash, e)
	k := s.laneFor(d)
	i := s.take(slot[E]{elem: e, low: uint32(d.Seq), lane: k})
	if !s.enlist(&s.lanes[k], i) {
		s.release(i)
		return false
	}
	if known {
		s.linkAfter(head, i)
	} else {
		s.n++
		s.register(hash, e, i)
	}
	if s.index == nil && s.size() > fewSlots {
		s.buildIndex()
	}
	if s.track != nil {
		s.track(e, d, 1)
	}
	return true
}

// take puts a slot to use.
func (s *dotStore[E]) take(v slot[E]) (i uint32) {
	if s.free > 0 {
		i = s.free - 1
		s.free = s.at(i).low
		s.unused--
		*s.at(i) = v
		return i
	}
	last := len(s.blocks) - 1
	if last < 0 || len(s.blocks[last]) == blockSize {
		s.blocks = append(s.blocks, make([]slot[E], 0, min(max(1, s.size()/4), blockSize)))
		last++
	}
	block := &s.blocks[last]
	if len(*block) == cap(*block) {
		*block = append(make([]slot[E], 0, min(2*cap(*block), blockSize)), *block...)
	}
	*block = append(*block, v)
	return uint32(last*blockSize + len(*block) - 1)
}

// reserve makes room for n dots where there are none yet.
func (s *dotStore[E]) reserve(n int) {
	if n > 0 {
		s.blocks = append(make([][]slot[E], 0, (n+blockSize-1)/blockSize), make([]slot[E], 0, min(n, blockSize)))
	}
}

func (s *dotStore[E]) release(i uint32) {
	*s.at(i) = slot[E]{low: s.free, lane: notInUse}
	s.free = i + 1
	s.unused++
}

// register makes slot i the one that lookup finds for e. What does not equal itself is never found.
func (s *dotStore[E]) register(hash uint32, e E, i uint32) {
	if s.index != nil && e == e {
		s.index = s.index.grown(s.n)
		s.index.put(hash, i, e)
	}
}

func (s *dotStore[E]) buildIndex() {
	index := newCells[E](2 * s.n)
	for i := range s.heads() {
		if e := s.at(i).elem; e == e {
			index.put(hashOf(e), i, e)
		}
	}
	s.index = index
}

// linkAfter puts slot i into the ring of slot k.
func (s *dotStore[E]) linkAfter(k, i uint32) {
	if s.rings == nil {
		s.rings = make(map[uint32]link)
	}
	next := k
	if s.at(k).isShared() {
		next = s.rings[k].next
	}
	s.at(k).lane |= shared
	s.at(i).lane |= shared
	s.rings[i] = link{next: next, prev: k}
	s.setNext(k, i)
	s.setPrev(next, i)
}

func (s *dotStore[E]) setNext(i, next uint32) {
	l := s.rings[i]
	l.next = next
	s.rings[i] = l
}

func (s *dotStore[E]) setPrev(i, prev uint32) {
	l := s.rings[i]
	l.prev = prev
	s.rings[i] = l
}

// unlink takes slot i out of its ring and returns another slot of that. A ring of one is none.
func (s *dotStore[E]) unlink(i uint32) (other uint32) {
	l := s.rings[i]
	delete(s.rings, i)
	if l.next == l.prev {
		delete(s.rings, l.next)
		s.at(l.next).lane &^= shared
		return l.next
	}
	s.setNext(l.prev, l.next)
	s.setPrev(l.next, l.prev)
	return l.next
}

// drop ends the life of the dot in slot i.
func (s *dotStore[E]) drop(i uint32) { s.dropHashed(s.hash(s.at(i).elem), i) }

// dropHashed is drop for an element with a known hash. It returns another slot of the element, if there is one.
func (s *dotStore[E]) dropHashed(hash, i uint32) (other uint32, ok bool) {
	at := s.at(i)
	if s.track != nil {
		s.track(at.elem, s.dot(i), -1)
	}
	s.delist(&s.lanes[at.lane&^shared], i)
	switch {
	case at.isShared():
		head, _ := s.search(hash, at.elem)
		if other, ok = s.unlink(i), true; head == i && s.index != nil {
			s.index.replace(hash, i, other)
		}
	case s.index != nil && at.elem == at.elem:
		s.index.remove(hash, i)
		fallthrough
	default:
		s.n--
	}
	s.release(i)
	return other, ok
}

// kill ends the life of all dots of the element in slot i, and appends them to killed.
func (s *dotStore[E]) kill(hash, i uint32, killed grave) grave {
	for more := true; more; {
		killed = append(killed, s.dot(i))
		i, more = s.dropHashed(hash, i)
	}
	return killed
}

// clear ends the life of all dots.
func (s *dotStore[E]) clear() {
	if s.track != nil {
		s.each(func(e E, d vclock.Dot) { s.track(e, d, -1) })
	}
	*s = dotStore[E]{track: s.track}
}

// trim gives memory back when less than half of the slots are in use: it moves those together. Slots then have
// other numbers. Since as many dots must have gone before, it costs each of them O(1).
func (s *dotStore[E]) trim() {
	size := s.size()
	if size <= roomySlots || s.unused <= size/2 {
		return
	}
	if s.dots() == 0 {
		*s = dotStore[E]{track: s.track}
		return
	}
	c := dotStore[E]{n: s.n, lanes: s.lanes, order: s.order, track: s.track}
	c.reserve(s.dots())
	to := s.moveSlots(&c)
	number := func(slot uint32) uint32 { return to[slot] }
	c.index = s.index.moved(newCells[E](s.n), number)
	if len(s.rings) > 0 {
		c.rings = make(map[uint32]link, len(s.rings))
	}
	for i, l := range s.rings {
		c.rings[to[i]] = link{next: to[l.next], prev: to[l.prev]}
	}
	for k := range c.lanes {
		c.lanes[k].renumber(number)
	}
	*s = c
}

// moveSlots copies the slots in use into c, in order, and returns their numbers there.
func (s *dotStore[E]) moveSlots(c *dotStore[E]) (to []uint32) {
	to = make([]uint32, s.size())
	for b, block := range s.blocks {
		for k := range block {
			if block[k].inUse() {
				to[b*blockSize+k] = c.take(block[k])
			}
		}
	}
	return to
}

// clone returns a store of its own with the same dots.
func (s *dotStore[E]) clone() dotStore[E] {
	c := *s
	c.track = nil
	c.blocks = slices.Clone(s.blocks)
	for b := range c.blocks {
		c.blocks[b] = slices.Clone(c.blocks[b])
	}
	c.index = slices.Clone(s.index)
	c.rings = maps.Clone(s.rings)
	c.lanes, c.order = cloneLanes(s.lanes), slices.Clone(s.order)
	return c
}
