package crdt

import (
	"cmp"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// lane lists live dots of one replica: the slots in order of their sequence numbers, of which all have the same
// upper half. A replica with more events has further lanes. The slots are in chunks, so that removing one out of
// many moves few. No chunk is empty.
type lane struct {
	replica vclock.ReplicaID
	high    uint32
	chunks  []chunk
}

// chunk lists slots: those of list, or if that is nil, n slots from first on in order of their numbers too. Most
// chunks are of the latter kind, since replicas count up and slots are taken in order.
type chunk struct {
	low, top uint32 // lower half of the lowest and of the highest sequence number
	first, n uint32
	list     []uint32
}

const (
	chunkSize = 256 // the most slots of a chunk
	// runSize is from which length on a run of slots stays one, rather than becoming a list for the sake of those
	// that come after it.
	runSize = 32
)

func (l *lane) seq(low uint32) uint64 { return uint64(l.high)<<32 | uint64(low) }

// laneOf is an empty lane for d.
func laneOf(d vclock.Dot) lane { return lane{replica: d.Replica, high: uint32(d.Seq >> 32)} }

// isFor reports whether d belongs in l.
func (l *lane) isFor(d vclock.Dot) bool { return l.replica == d.Replica && l.high == uint32(d.Seq>>32) }

func (l *lane) compare(r vclock.ReplicaID, high uint32) int {
	if c := l.replica.Compare(r); c != 0 {
		return c
	}
	return cmp.Compare(l.high, high)
}

// slot is the slot at place p.
func (c *chunk) slot(p int) uint32 {
	if c.list == nil {
		return c.first + uint32(p)
	}
	return c.list[p]
}

func (c *chunk) len() int { return int(c.n) }

// appendTo appends the slots to a list.
func (c *chunk) appendTo(list []uint32) []uint32 {
	if c.list != nil {
		return append(list, c.list...)
	}
	for i := range c.n {
		list = append(list, c.first+i)
	}
	return list
}

// spell turns a run of slots into a list, with room for some more.
func (c *chunk) spell() {
	if c.list == nil {
		c.list = c.appendTo(make([]uint32, 0, c.n+4))
	}
}

// insert puts slot i at place p.
func (c *chunk) insert(p int, i uint32) {
	if p == c.len() && c.list == nil && i == c.first+c.n {
		c.n++
		return
	}
	c.spell()
	c.list = slices.Insert(c.list, p, i)
	c.n++
}

// remove takes out the slot at place p.
func (c *chunk) remove(p int) {
	last := c.len() - 1
	if p > 0 && p < last {
		c.spell()
	}
	switch {
	case c.list != nil:
		c.list = slices.Delete(c.list, p, p+1)
	case p == 0:
		c.first++
	}
	c.n--
}

// renumber gives the slots new numbers, in the same order for slots that are in the order of their numbers.
func (l *lane) renumber(number func(slot uint32) uint32) {
	l.chunks = slices.Clone(l.chunks)
	for k := range l.chunks {
		c := &l.chunks[k]
		if c.list == nil {
			c.first = number(c.first)
			continue
		}
		c.list = slices.Clone(c.list)
		for p, i := range c.list {
			c.list[p] = number(i)
		}
		if isRun(c.list) {
			c.first, c.list = c.list[0], nil
		}
	}
}

func isRun(list []uint32) bool {
	for p, i := range list {
		if i != list[0]+uint32(p) {
			return false
		}
	}
	return true
}

// cloneLanes copies the lists of all lanes into few arrays.
func cloneLanes(lanes []lane) []lane {
	chunks, listed := 0, 0
	for k := range lanes {
		chunks += len(lanes[k].chunks)
		for c := range lanes[k].chunks {
			listed += len(lanes[k].chunks[c].list)
		}
	}
	lanes = slices.Clone(lanes)
	all, lists := make([]chunk, 0, chunks), make([]uint32, 0, listed)
	for k := range lanes {
		n := len(all)
		all = append(all, lanes[k].chunks...)
		lanes[k].chunks = all[n:len(all):len(all)]
	}
	for k := range all {
		if c := &all[k]; c.list != nil {
			n := len(lists)
			lists = append(lists, c.list...)
			c.list = lists[n:len(lists):len(lists)]
		}
	}
	return lanes
}

// lowOf is the lower half of the sequence number of slot i.
func (s *dotStore[E]) lowOf(i uint32) uint32 { return s.at(i).low }

// place returns the place of the first slot of l whose sequence number is not below low, and whether it is equal.
func (s *dotStore[E]) place(l *lane, low uint32) (c, p int, found bool) {
	c, end := 0, len(l.chunks)
	for c < end {
		if mid := int(uint(c+end) / 2); l.chunks[mid].top < low {
			c = mid + 1
		} else {
			end = mid
		}
	}
	if c == len(l.chunks) {
		return c, 0, false
	}
	p, found = s.placeIn(&l.chunks[c], low)
	return c, p, found
}

// placeIn does so in a chunk whose last slot is not below low. Sequence numbers rise by at least 1 from slot to
// slot, and mostly by no more: so the place is no farther than their difference, and mostly just there.
func (s *dotStore[E]) placeIn(c *chunk, low uint32) (p int, found bool) {
	if low <= c.low {
		return 0, low == c.low
	}
	end := int(min(c.n-1, low-c.low))
	if s.lowOf(c.slot(end)) == low {
		return end, true
	}
	for p = 1; p < end; {
		if mid := int(uint(p+end) / 2); s.lowOf(c.slot(mid)) < low {
			p = mid + 1
		} else {
			end = mid
		}
	}
	return p, s.lowOf(c.slot(p)) == low
}

// enlist puts slot i into l, and reports whether its sequence number was new there.
func (s *dotStore[E]) enlist(l *lane, i uint32) bool {
	low := s.lowOf(i)
	if last := len(l.chunks) - 1; last < 0 || l.chunks[last].top < low {
		l.push(i, low)
		return true
	}
	c, p, found := s.place(l, low)
	if found {
		return false
	}
	at := &l.chunks[c]
	at.insert(p, i)
	at.low = min(at.low, low)
	if at.len() > chunkSize {
		s.split(l, c)
	}
	return true
}

// push appends slot i.
func (l *lane) push(i, low uint32) {
	if last := len(l.chunks) - 1; last >= 0 {
		c := &l.chunks[last]
		follows := c.list != nil || i == c.first+c.n || c.n < runSize
		if follows && c.n < chunkSize {
			c.insert(c.len(), i)
			c.top = low
			return
		}
	}
	l.chunks = append(l.chunks, chunk{low: low, top: low, first: i, n: 1})
}

// split halves chunk c of l, which is a list.
func (s *dotStore[E]) split(l *lane, c int) {
	at := &l.chunks[c]
	upper := chunk{top: at.top, list: slices.Clone(at.list[chunkSize/2:])}
	upper.n, upper.low = uint32(len(upper.list)), s.lowOf(upper.list[0])
	at.list, at.n = at.list[:chunkSize/2], chunkSize/2
	at.top = s.lowOf(at.list[chunkSize/2-1])
	l.chunks = slices.Insert(l.chunks, c+1, upper)
}

// delist takes slot i out of l.
func (s *dotStore[E]) delist(l *lane, i uint32) {
	c, p, found := s.place(l, s.lowOf(i))
	if !found {
		return
	}
	at := &l.chunks[c]
	at.remove(p)
	if at.n == 0 {
		l.chunks = slices.Delete(l.chunks, c, c+1)
		return
	}
	if p == 0 {
		at.low = s.lowOf(at.slot(0))
	}
	if p == at.len() {
		at.top = s.lowOf(at.slot(p - 1))
	}
	if c+1 < len(l.chunks) {
		l.join(c)
	} else if c > 0 {
		l.join(c - 1)
	}
}

// join makes one of the chunks c and c+1 where both are nearly empty.
func (l *lane) join(c int) {
	at, other := &l.chunks[c], &l.chunks[c+1]
	if at.n+other.n > chunkSize/4 {
		return
	}
	at.spell()
	at.list = other.appendTo(at.list)
	at.n, at.top = at.n+other.n, other.top
	l.chunks = slices.Delete(l.chunks, c+1, c+2)
}

// searchLane returns where in order the lane is that has the dot, or would be.
func (s *dotStore[E]) searchLane(d vclock.Dot) (int, bool) {
	high := uint32(d.Seq >> 32)
	i, end := 0, len(s.order)
	for i < end {
		mid := int(uint(i+end) / 2)
		switch c := s.lanes[s.order[mid]].compare(d.Replica, high); {
		case c == 0:
			return mid, true
		case c < 0:
			i = mid + 1
		default:
			end = mid
		}
	}
	return i, false
}

// laneFor returns the number of the lane for d, and makes it if need be.
func (s *dotStore[E]) laneFor(d vclock.Dot) uint32 {
	i, ok := s.searchLane(d)
	if !ok {
		s.lanes = append(s.lanes, laneOf(d))
		s.order = slices.Insert(s.order, i, uint32(len(s.lanes)-1))
	}
	return s.order[i]
}

// fewLanes are opened one by one.
const fewLanes = 8

// openLanes makes the lanes for the dots of o that come first in each span of unseen. It puts all into order in one
// pass: one by one, each moves those that come after it, which is far too much where replicas are many.
func (s *dotStore[E]) openLanes(o *dotStore[E], unseen *vclock.Context) {
	if unseen.Len() <= fewLanes {
		return
	}
	known := len(s.lanes)
	for span := range unseen.All() {
		from := o.from(span.Replica, span.Lo)
		i, ok := from.slot(span.Hi)
		if !ok {
			continue
		}
		d := o.dot(i)
		if last := len(s.lanes) - 1; last >= known && s.lanes[last].isFor(d) {
			continue
		}
		if _, ok := s.searchLane(d); !ok {
			s.lanes = append(s.lanes, laneOf(d))
		}
	}
	s.order = s.mergeOrder(known)
}

// mergeOrder returns the order of all lanes when those from known on are in order, and s.order is that of the others.
func (s *dotStore[E]) mergeOrder(known int) []uint32 {
	if known == len(s.lanes) {
		return s.order
	}
	order, next := make([]uint32, 0, len(s.lanes)), known
	for _, k := range s.order {
		l := &s.lanes[k]
		for ; next < len(s.lanes) && s.lanes[next].compare(l.replica, l.high) < 0; next++ {
			order = append(order, uint32(next))
		}
		order = append(order, k)
	}
	for ; next < len(s.lanes); next++ {
		order = append(order, uint32(next))
	}
	return order
}

// living returns the context of the live dots. It takes O(1) for a chunk without gaps.
func (s *dotStore[E]) living() *vclock.Context {
	c := new(vclock.Context)
	for _, k := range s.order {
		l := &s.lanes[k]
		for i := range l.chunks {
			s.addLiving(c, l, &l.chunks[i])
		}
	}
	return c
}

func (s *dotStore[E]) addLiving(c *vclock.Context, l *lane, from *chunk) {
	run := vclock.Span{Replica: l.replica, Lo: l.seq(from.low), Hi: l.seq(from.top)}
	if from.top-from.low == from.n-1 {
		c.AddSpan(run)
		return
	}
	run.Hi = run.Lo
	for p := 1; p < from.len(); p++ {
		seq := l.seq(s.lowOf(from.slot(p)))
		if seq > run.Hi+1 {
			c.AddSpan(run)
			run.Lo = seq
		}
		run.Hi = seq
	}
	c.AddSpan(run)
}

// eachIn visits the live dots in span, in order.
func (s *dotStore[E]) eachIn(span vclock.Span, visit func(e E, d vclock.Dot)) {
	k := s.from(span.Replica, span.Lo)
	for i, ok := k.slot(span.Hi); ok; i, ok = k.slot(span.Hi) {
		visit(s.elem(i), s.dot(i))
		k.next()
	}
}

// lives reports whether d is a live dot of e.
func (s *dotStore[E]) lives(e E, d vclock.Dot) bool {
	k := s.from(d.Replica, d.Seq)
	i, ok := k.slot(d.Seq)
	return ok && s.elem(i) == e
}

// cursor walks along the live dots of a replica.
type cursor[E comparable] struct {
	store  *dotStore[E]
	rest   []uint32 // lanes of the replica from here on, and maybe of others
	chunks []chunk  // of the present lane, from here on
	p      int
}

// from returns a cursor at the first live dot of r with a sequence number of at least lo.
func (s *dotStore[E]) from(r vclock.ReplicaID, lo uint64) cursor[E] {
	i, ok := s.searchLane(vclock.Dot{Replica: r, Seq: lo})
	k := cursor[E]{store: s, rest: s.order[i:]}
	if !k.reaches(r) {
		return cursor[E]{}
	}
	l := &s.lanes[k.rest[0]]
	k.chunks = l.chunks
	if ok {
		c, p, _ := s.place(l, uint32(lo))
		k.chunks, k.p = l.chunks[c:], p
	}
	k.skip()
	return k
}

func (k *cursor[E]) reaches(r vclock.ReplicaID) bool {
	return len(k.rest) > 0 && k.store.lanes[k.rest[0]].replica == r
}

// skip goes on to the next lane of the replica that is not empty where the present one ends.
func (k *cursor[E]) skip() {
	for len(k.chunks) == 0 && len(k.rest) > 0 {
		r := k.store.lanes[k.rest[0]].replica
		if k.rest = k.rest[1:]; !k.reaches(r) {
			k.rest = nil
			return
		}
		k.chunks = k.store.lanes[k.rest[0]].chunks
	}
}

// slot returns the slot that the cursor is at, if its sequence number is at most hi.
func (k *cursor[E]) slot(hi uint64) (i uint32, ok bool) {
	if len(k.chunks) == 0 {
		return 0, false
	}
	i = k.chunks[0].slot(k.p)
	return i, k.seq(i) <= hi
}

// seq is the sequence number of slot i, which the cursor is at.
func (k *cursor[E]) seq(i uint32) uint64 {
	return k.store.lanes[k.rest[0]].seq(k.store.lowOf(i))
}

func (k *cursor[E]) next() {
	if k.p++; k.p == k.chunks[0].len() {
		k.chunks, k.p = k.chunks[1:], 0
		k.skip()
	}
}

// finds moves on to the dot seq, and reports whether it is there, alive in element e.
func (k *cursor[E]) finds(seq uint64, e E) bool {
	for {
		i, ok := k.slot(seq)
		if !ok {
			return false
		}
		if k.seq(i) == seq {
			return k.store.at(i).elem == e
		}
		k.next()
	}
}
