package tcp

import (
	"math/bits"
	"math/rand/v2"
)

// A table holds calls by their ids. It does for them what a map does, at a third of the
// cost: an id that is taken is searched from where its hash says to the next free slot.
// Peers choose ids, so the hash is another one in each table. The zero value is empty. It
// is guarded by its owner's mutex.
type table[T any] struct {
	slots []slot[T] // a power of two, at most half of them taken
	shift int       // from a hash to its slot
	odd   uint64    // what ids are multiplied with
	n     int
}

type slot[T any] struct {
	id   uint64
	call *T // nil: free
}

const leastSlots = 64

// at returns where id is, or the free slot where it would be.
func (t *table[T]) at(id uint64) int {
	i := t.home(id)
	for t.slots[i].call != nil && t.slots[i].id != id {
		i = t.after(i)
	}
	return i
}

func (t *table[T]) home(id uint64) int { return int(id * t.odd >> t.shift) }

func (t *table[T]) after(i int) int { return (i + 1) & (len(t.slots) - 1) }

// get returns the call with an id, or nil.
func (t *table[T]) get(id uint64) *T {
	if t.n == 0 {
		return nil
	}
	return t.slots[t.at(id)].call
}

// put adds a call, whose id must not be in the table.
func (t *table[T]) put(id uint64, call *T) {
	if 2*t.n >= len(t.slots) {
		t.grow()
	}
	t.slots[t.at(id)] = slot[T]{id, call}
	t.n++
}

func (t *table[T]) grow() {
	old := t.slots
	t.slots = make([]slot[T], max(2*len(old), leastSlots))
	t.shift = 64 - bits.TrailingZeros(uint(len(t.slots)))
	t.odd = rand.Uint64() | 1
	for _, s := range old {
		if s.call != nil {
			t.slots[t.at(s.id)] = s
		}
	}
}

// delete takes a call out, if it is there. Those that were put further on because of it
// move up.
func (t *table[T]) delete(id uint64) {
	if t.get(id) == nil {
		return
	}
	t.n--
	free := t.at(id)
	for i := t.after(free); t.slots[i].call != nil; i = t.after(i) {
		if t.way(t.home(t.slots[i].id), i) >= t.way(free, i) {
			t.slots[free], free = t.slots[i], i
		}
	}
	t.slots[free] = slot[T]{}
}

// way is how many slots it is from one to another.
func (t *table[T]) way(from, to int) int { return (to - from) & (len(t.slots) - 1) }

// all calls f for each call.
func (t *table[T]) all(f func(call *T)) {
	for _, s := range t.slots {
		if s.call != nil {
			f(s.call)
		}
	}
}
