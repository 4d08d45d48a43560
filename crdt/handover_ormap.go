package crdt

import "github.com/eventual-go/eventual/vclock"

// Handover gives the events of departed replicas that were live at a cut to a successor, wherever in the map they are,
// and forgets the others. See [HandoverError] for what must hold. Of a counter the successor has the sum, as one event
// (several where an int64 does not hold it), so the cut must be one for counters; without counters it is exact
// whatever else is written and removed meanwhile. Timestamps of last-write-wins registers stay as they are, with the
// replicas in them, since they are values. A context that a client still holds names the old events: hand over again
// after a [MVField.Put] with such. It takes O(size).
func (m *ORMap[K]) Handover(at *ORMap[K], to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	if at == nil {
		at = new(ORMap[K])
	}
	e := estate{to: to, from: from}
	legacies, minted := at.leave(&e)
	rest, err := e.settle(minted, &m.seen, &at.seen, m.aliveIn)
	if rest == nil {
		return false, err
	}
	var after ORMap[K]
	after.seen = *rest
	for entry := range m.entries() {
		if rest.Has(entry.dot) {
			after.insert(after.like(entry.at), entry)
		}
	}
	for i := range legacies {
		legacies[i].pass(m, &after)
	}
	*m = after
	return true, nil
}

// aliveIn reports whether an event in span is alive.
func (m *ORMap[K]) aliveIn(span vclock.Span) bool {
	for range m.live.in(span) {
		return true
	}
	return false
}

// legacy is an entry of the successor, and what it was at the cut: one entry, or those of one counter. A removal that
// is not in the cut saw all of these, and ends them all.
type legacy[K comparable] struct {
	orEntry[K]              // as it will be; its place is in the cut
	names      []vclock.Dot // all that the entries at the cut stand for
}

// leave returns what is live at the cut m of the departed, and how many events of the successor that makes.
func (m *ORMap[K]) leave(e *estate) (legacies []legacy[K], minted uint64) {
	sums := make(map[*orNode[K]]int) // where the legacy of a counter is, from 1
	for _, r := range e.sorted() {
		m.eachOf(r, func(entry *orEntry[K]) {
			if i := sums[entry.at]; i > 0 && legacies[i-1].join(entry) {
				return
			}
			legacies = append(legacies, legacyOf(entry))
			if entry.at.kind == FieldCounter {
				sums[entry.at] = len(legacies)
			}
		})
	}
	for i := range legacies {
		minted = legacies[i].number(e.to, minted)
	}
	return legacies, minted
}

// eachOf visits each living entry of r once, in order of dots.
func (m *ORMap[K]) eachOf(r vclock.ReplicaID, visit func(*orEntry[K])) {
	for span := range m.seen.SpansOf(r) {
		for seq, entry := range m.live.in(span) {
			if seq == entry.dot.Seq {
				visit(entry)
			}
		}
	}
}

func legacyOf[K comparable](entry *orEntry[K]) (l legacy[K]) {
	l.at, l.n, l.text = entry.at, entry.n, entry.text
	if l.at.kind != FieldCounter {
		l.more = entry.more
	}
	l.name(entry)
	return l
}

func (l *legacy[K]) name(entry *orEntry[K]) {
	entry.dots(func(d vclock.Dot) { l.names = append(l.names, d) })
}

// join adds another entry of the same counter, unless that is more than an int64 can hold.
func (l *legacy[K]) join(entry *orEntry[K]) bool {
	sum := l.n + entry.n
	if entry.n > 0 != (sum > l.n) {
		return false
	}
	l.n = sum
	l.name(entry)
	return true
}

// number gives l the next event of the successor after the last. A counter that is there with a sum of 0 must be a
// fold, and so takes two.
func (l *legacy[K]) number(to vclock.ReplicaID, last uint64) uint64 {
	last++
	if l.at.kind == FieldCounter && l.n == 0 {
		l.more = &orMore{folded: []uint64{last}}
		last++
	}
	l.dot = vclock.Dot{Replica: to, Seq: last}
	l.dots(func(d vclock.Dot) { l.names = append(l.names, d) })
	return last
}

// pass makes l an event of after if it was seen in m by any of its names. It lives if it does by all that were seen.
func (l *legacy[K]) pass(m, after *ORMap[K]) {
	seen, lives := false, true
	for _, d := range l.names {
		if m.seen.Has(d) {
			entry := m.live.find(d)
			seen = true
			lives = lives && entry != nil && entry.at.same(l.at) && entry.text == l.text
		}
	}
	if !seen {
		return
	}
	l.dots(func(d vclock.Dot) { after.seen.Add(d) })
	if lives {
		after.insert(after.like(l.at), &l.orEntry)
	}
}
