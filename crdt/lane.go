package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// lane lists the live dots of one replica: the slots in order of their sequence numbers, in chunks, so that
// removing one out of many moves few. No chunk is empty.
type lane struct {
	replica vclock.ReplicaID
	chunks  [][]uint32
}

// chunkSize is the most slots a chunk has.
const chunkSize = 256

func (l lane) clone() lane {
	l.chunks = slices.Clone(l.chunks)
	for i := range l.chunks {
		l.chunks[i] = slices.Clone(l.chunks[i])
	}
	return l
}

// search returns the place of the first slot of l whose sequence number is not below seq, and whether it is
// equal.
func (s *dotStore[E]) search(l *lane, seq uint64) (c, p int, found bool) {
	c, _ = slices.BinarySearchFunc(l.chunks, seq, func(chunk []uint32, seq uint64) int {
		return s.compareSeq(chunk[len(chunk)-1], seq)
	})
	if c == len(l.chunks) {
		return c, 0, false
	}
	p, found = slices.BinarySearchFunc(l.chunks[c], seq, s.compareSeq)
	return c, p, found
}

// compareSeq compares the sequence number of slot i with seq.
func (s *dotStore[E]) compareSeq(i uint32, seq uint64) int {
	switch at := s.slots[i].seq; {
	case at < seq:
		return -1
	case at > seq:
		return 1
	}
	return 0
}

// enlist puts slot i into l, and reports whether its sequence number was new there.
func (s *dotStore[E]) enlist(l *lane, i uint32) bool {
	seq := s.slots[i].seq
	c, p, found := s.search(l, seq)
	if found {
		return false
	}
	if c == len(l.chunks) {
		l.push(i)
		return true
	}
	l.chunks[c] = slices.Insert(l.chunks[c], p, i)
	if chunk := l.chunks[c]; len(chunk) > chunkSize {
		upper := slices.Clone(chunk[chunkSize/2:])
		l.chunks[c] = chunk[:chunkSize/2]
		l.chunks = slices.Insert(l.chunks, c+1, upper)
	}
	return true
}

// push appends slot i.
func (l *lane) push(i uint32) {
	if last := len(l.chunks) - 1; last >= 0 && len(l.chunks[last]) < chunkSize {
		l.chunks[last] = append(l.chunks[last], i)
		return
	}
	l.chunks = append(l.chunks, []uint32{i})
}

// delist takes slot i out of l.
func (s *dotStore[E]) delist(l *lane, i uint32) {
	c, p, found := s.search(l, s.slots[i].seq)
	if !found {
		return
	}
	l.chunks[c] = slices.Delete(l.chunks[c], p, p+1)
	switch {
	case len(l.chunks[c]) == 0:
		l.chunks = slices.Delete(l.chunks, c, c+1)
	case c+1 < len(l.chunks):
		l.join(c)
	case c > 0:
		l.join(c - 1)
	}
}

// join makes one of the chunks c and c+1 where both are nearly empty.
func (l *lane) join(c int) {
	if len(l.chunks[c])+len(l.chunks[c+1]) > chunkSize/4 {
		return
	}
	l.chunks[c] = append(l.chunks[c], l.chunks[c+1]...)
	l.chunks = slices.Delete(l.chunks, c+1, c+2)
}

// cursor walks along a lane.
type cursor[E comparable] struct {
	store  *dotStore[E]
	chunks [][]uint32
	p      int
}

// from returns a cursor at the first live dot of r with a sequence number of at least lo.
func (s *dotStore[E]) from(r vclock.ReplicaID, lo uint64) cursor[E] {
	l := s.lane(r)
	if l == nil {
		return cursor[E]{}
	}
	c, p, _ := s.search(l, lo)
	return cursor[E]{s, l.chunks[c:], p}
}

// slot returns the slot that the cursor is at, if its sequence number is at most hi.
func (k *cursor[E]) slot(hi uint64) (i uint32, ok bool) {
	if len(k.chunks) == 0 {
		return 0, false
	}
	i = k.chunks[0][k.p]
	return i, k.store.slots[i].seq <= hi
}

func (k *cursor[E]) next() {
	if k.p++; k.p == len(k.chunks[0]) {
		k.chunks, k.p = k.chunks[1:], 0
	}
}

// finds moves on to the dot seq, and reports whether it is there, alive in element e.
func (k *cursor[E]) finds(seq uint64, e E) bool {
	for {
		i, ok := k.slot(seq)
		if !ok {
			return false
		}
		if s := &k.store.slots[i]; s.seq == seq {
			return s.elem == e
		}
		k.next()
	}
}
