package crdt

import (
	"cmp"
	"iter"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// orIndex finds living entries by their dots: for each replica the numbers in order, in chunks, so that putting
// one among many moves few. No chunk and no lane is empty. Lanes are in no order, so that replicas may come and go in
// any, however many there are.
type orIndex[K comparable] struct {
	lanes rows[vclock.ReplicaID, *orLane[K]]
}

type orLane[K comparable] struct{ chunks [][]orRef[K] }

type orRef[K comparable] struct {
	seq   uint64
	entry *orEntry[K]
}

// search returns the place of the first number that is not below seq, and whether it is equal.
func (l *orLane[K]) search(seq uint64) (c, p int, found bool) {
	c, _ = slices.BinarySearchFunc(l.chunks, seq, func(chunk []orRef[K], seq uint64) int {
		return cmp.Compare(chunk[len(chunk)-1].seq, seq)
	})
	if c == len(l.chunks) {
		return c, 0, false
	}
	p, found = slices.BinarySearchFunc(l.chunks[c], seq, func(at orRef[K], seq uint64) int {
		return cmp.Compare(at.seq, seq)
	})
	return c, p, found
}

// find returns the entry that has d, or nil.
func (x *orIndex[K]) find(d vclock.Dot) *orEntry[K] {
	l, ok := x.lanes.get(d.Replica)
	if !ok {
		return nil
	}
	c, p, found := l.search(d.Seq)
	if !found {
		return nil
	}
	return l.chunks[c][p].entry
}

// in yields the numbers in s that live, with their entries, in order.
func (x *orIndex[K]) in(s vclock.Span) iter.Seq2[uint64, *orEntry[K]] {
	return func(yield func(uint64, *orEntry[K]) bool) {
		l, ok := x.lanes.get(s.Replica)
		if !ok {
			return
		}
		c, p, _ := l.search(s.Lo)
		for _, chunk := range l.chunks[c:] {
			for _, at := range chunk[p:] {
				if at.seq > s.Hi || !yield(at.seq, at.entry) {
					return
				}
			}
			p = 0
		}
	}
}

// runs yields the numbers in s that live as runs, in order. Runs end with chunks, so one may follow the other without
// a gap.
func (x *orIndex[K]) runs(s vclock.Span) iter.Seq[vclock.Span] {
	return func(yield func(vclock.Span) bool) {
		l, ok := x.lanes.get(s.Replica)
		if !ok {
			return
		}
		c, p, _ := l.search(s.Lo)
		for _, chunk := range l.chunks[c:] {
			for chunk = chunk[p:]; len(chunk) > 0; {
				n := leading(chunk)
				run := vclock.Span{Replica: s.Replica, Lo: chunk[0].seq, Hi: min(chunk[n-1].seq, s.Hi)}
				if run.Lo > s.Hi || !yield(run) {
					return
				}
				chunk = chunk[n:]
			}
			p = 0
		}
	}
}

// leading returns how many of the first numbers of a chunk follow one another.
func leading[K comparable](chunk []orRef[K]) int {
	last := len(chunk) - 1
	if chunk[last].seq-chunk[0].seq == uint64(last) {
		return len(chunk)
	}
	n := 1
	for chunk[n].seq == chunk[n-1].seq+1 {
		n++
	}
	return n
}

// insert makes d lead to e if it leads nowhere yet, and reports whether it did.
func (x *orIndex[K]) insert(d vclock.Dot, e *orEntry[K]) bool {
	l, ok := x.lanes.get(d.Replica)
	if !ok {
		l = new(orLane[K])
		x.lanes.put(d.Replica, l)
	}
	c, p, found := l.search(d.Seq)
	switch at := (orRef[K]{d.Seq, e}); {
	case found:
		return false
	case c == len(l.chunks):
		l.push(at)
	default:
		l.chunks[c] = slices.Insert(l.chunks[c], p, at)
		l.split(c)
	}
	return true
}

// push appends at.
func (l *orLane[K]) push(at orRef[K]) {
	if last := len(l.chunks) - 1; last >= 0 && len(l.chunks[last]) < chunkSize {
		l.chunks[last] = append(l.chunks[last], at)
		return
	}
	l.chunks = append(l.chunks, []orRef[K]{at})
}

// split makes two of chunk c if it is too long.
func (l *orLane[K]) split(c int) {
	chunk := l.chunks[c]
	if len(chunk) <= chunkSize {
		return
	}
	upper := slices.Clone(chunk[chunkSize/2:])
	clear(chunk[chunkSize/2:])
	l.chunks[c] = chunk[:chunkSize/2]
	l.chunks = slices.Insert(l.chunks, c+1, upper)
}

// remove makes d lead nowhere.
func (x *orIndex[K]) remove(d vclock.Dot) {
	l, ok := x.lanes.get(d.Replica)
	if !ok {
		return
	}
	c, p, found := l.search(d.Seq)
	if !found {
		return
	}
	l.chunks[c] = slices.Delete(l.chunks[c], p, p+1)
	switch {
	case len(l.chunks) == 1 && len(l.chunks[0]) == 0:
		x.lanes.delete(d.Replica)
	case len(l.chunks[c]) == 0:
		l.chunks = slices.Delete(l.chunks, c, c+1)
	case c+1 < len(l.chunks):
		l.join(c)
	case c > 0:
		l.join(c - 1)
	}
}

// join makes one of the chunks c and c+1 where both are nearly empty.
func (l *orLane[K]) join(c int) {
	if len(l.chunks[c])+len(l.chunks[c+1]) > chunkSize/4 {
		return
	}
	l.chunks[c] = append(l.chunks[c], l.chunks[c+1]...)
	l.chunks = slices.Delete(l.chunks, c+1, c+2)
}
