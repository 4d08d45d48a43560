package crdt

import (
	"iter"
	"maps"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// dotStore holds the live dots of a set. Each has a slot; the slots of one element form a ring, and those of
// one replica a lane in order of sequence numbers. So the dots of an element, and the elements that a run of
// events brought, are found without a scan, and slots hold no pointers but the element's own.
type dotStore[E comparable] struct {
	slots []slot[E]
	free  []uint32     // slots not in use
	find  map[E]uint32 // any slot of each element; nil while there are few slots
	lanes []lane       // in order of appearance, which slots refer to
	order []uint32     // lanes in order of replica
	n     int          // elements
}

type slot[E comparable] struct {
	elem E
	seq  uint64 // 0 if not in use
	lane uint32
	next uint32 // in the ring of the element
	prev uint32
	head bool // of all in the ring exactly one is
}

// fewSlots is how many slots are searched one by one: deltas are small and need no map.
const fewSlots = 8

// dot is the dot of slot i.
func (s *dotStore[E]) dot(i uint32) vclock.Dot {
	return vclock.Dot{Replica: s.lanes[s.slots[i].lane].replica, Seq: s.slots[i].seq}
}

// lookup returns any slot of e.
func (s *dotStore[E]) lookup(e E) (i uint32, ok bool) {
	if s.find != nil {
		i, ok = s.find[e]
		return i, ok
	}
	for i := range s.slots {
		if s.slots[i].seq > 0 && s.slots[i].elem == e {
			return uint32(i), true
		}
	}
	return 0, false
}

// ring yields all slots of the element that slot i belongs to. They must not change meanwhile.
func (s *dotStore[E]) ring(i uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for k := i; yield(k); {
			if k = s.slots[k].next; k == i {
				return
			}
		}
	}
}

// heads yields one slot of each element.
func (s *dotStore[E]) heads() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := range s.slots {
			if s.slots[i].head && !yield(uint32(i)) {
				return
			}
		}
	}
}

// insert makes d a live dot of e, and reports whether it was no live dot yet.
func (s *dotStore[E]) insert(e E, d vclock.Dot) bool {
	head, known := s.lookup(e)
	i := s.take()
	k := s.laneFor(d.Replica)
	s.slots[i] = slot[E]{elem: e, seq: d.Seq, lane: k, next: i, prev: i, head: !known}
	if !s.enlist(&s.lanes[k], i) {
		s.release(i)
		return false
	}
	if known {
		s.link(i, s.slots[head].next)
		s.link(head, i)
		return true
	}
	s.n++
	s.register(e, i)
	return true
}

func (s *dotStore[E]) take() (i uint32) {
	if n := len(s.free); n > 0 {
		i, s.free = s.free[n-1], s.free[:n-1]
		return i
	}
	s.slots = append(s.slots, slot[E]{})
	return uint32(len(s.slots) - 1)
}

func (s *dotStore[E]) release(i uint32) {
	s.slots[i] = slot[E]{}
	s.free = append(s.free, i)
}

// register makes slot i the one that lookup finds for e.
func (s *dotStore[E]) register(e E, i uint32) {
	if s.find == nil && len(s.slots) <= fewSlots {
		return
	}
	if s.find == nil {
		s.find = make(map[E]uint32, 2*len(s.slots))
		for k := range s.heads() {
			s.find[s.slots[k].elem] = k
		}
	}
	s.find[e] = i
}

func (s *dotStore[E]) link(i, next uint32) {
	s.slots[i].next = next
	s.slots[next].prev = i
}

// drop ends the life of the dot in slot i.
func (s *dotStore[E]) drop(i uint32) {
	gone := s.slots[i]
	s.delist(&s.lanes[gone.lane], i)
	s.release(i)
	if gone.next == i {
		s.n--
		delete(s.find, gone.elem)
		return
	}
	s.link(gone.prev, gone.next)
	s.slots[gone.next].head = s.slots[gone.next].head || gone.head
	if s.find != nil {
		s.find[gone.elem] = gone.next
	}
}

// clone returns a store of its own with the same dots.
func (s *dotStore[E]) clone() dotStore[E] {
	c := *s
	c.slots, c.free = slices.Clone(s.slots), slices.Clone(s.free)
	c.lanes, c.order = slices.Clone(s.lanes), slices.Clone(s.order)
	for i := range c.lanes {
		c.lanes[i] = c.lanes[i].clone()
	}
	c.find = maps.Clone(s.find)
	return c
}

// lane returns the lane of r, or nil.
func (s *dotStore[E]) lane(r vclock.ReplicaID) *lane {
	if i, ok := s.searchLane(r); ok {
		return &s.lanes[s.order[i]]
	}
	return nil
}

func (s *dotStore[E]) searchLane(r vclock.ReplicaID) (int, bool) {
	return slices.BinarySearchFunc(s.order, r, func(k uint32, r vclock.ReplicaID) int {
		return s.lanes[k].replica.Compare(r)
	})
}

// laneFor returns the place of r's lane, and makes it if need be.
func (s *dotStore[E]) laneFor(r vclock.ReplicaID) uint32 {
	i, ok := s.searchLane(r)
	if !ok {
		s.lanes = append(s.lanes, lane{replica: r})
		s.order = slices.Insert(s.order, i, uint32(len(s.lanes)-1))
	}
	return s.order[i]
}
