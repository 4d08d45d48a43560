package crdt

import "github.com/eventual-go/eventual/vclock"

// Merge takes in what o knows. See [Lattice].
func (m *ORMap[K]) Merge(o *ORMap[K]) (changed bool) {
	if o == nil || m == o {
		return false
	}
	if m.seen.Len() == 0 && o.seen.Len() > 0 {
		*m = *o.Clone()
		return true
	}
	ended := m.ended(o)
	if m.seen.Contains(&o.seen) {
		m.dropAll(ended)
		return len(ended) > 0
	}
	m.absorb(o, ended, o.seen.Diff(&m.seen))
	return true
}

// MergeNovel merges o and returns what was new in it: events not seen before, with what they say where they live,
// and removals of what lived here. See [Delta].
func (m *ORMap[K]) MergeNovel(o *ORMap[K]) (novel *ORMap[K], changed bool) {
	novel = new(ORMap[K])
	if o == nil || m == o {
		return novel, false
	}
	ended, unseen := m.ended(o), o.seen.Diff(&m.seen)
	var news grave
	for _, e := range ended {
		e.dots(func(d vclock.Dot) { novel.note(o, d, &news) })
	}
	novel.carry(o, unseen, &news)
	news.into(&novel.seen)
	novel.seen.Merge(unseen)
	m.absorb(o, ended, unseen)
	return novel, novel.seen.Len() > 0
}

// note adds what o knows of d, if anything, to the novelty m, and to its events.
func (m *ORMap[K]) note(o *ORMap[K], d vclock.Dot, news *grave) {
	if e := o.live.find(d); e != nil {
		m.take(e, news)
	} else if o.seen.Has(d) {
		*news = append(*news, d)
	}
}

// carry takes over the entries of o that have events among those. Their dots go to carried.
func (m *ORMap[K]) carry(o *ORMap[K], those *vclock.Context, carried *grave) {
	for span := range those.All() {
		for _, e := range o.live.in(span) {
			m.take(e, carried)
		}
	}
}

// take puts e, of another map, in here as it is there. Its dots go to taken.
func (m *ORMap[K]) take(e *orEntry[K], taken *grave) {
	if m.live.find(e.dot) == nil {
		m.insert(m.like(e.at), e)
		e.dots(func(d vclock.Dot) { *taken = append(*taken, d) })
	}
}

// absorb takes in the unseen events of o, and drops what ended by it.
func (m *ORMap[K]) absorb(o *ORMap[K], ended []*orEntry[K], unseen *vclock.Context) {
	var fresh []*orEntry[K]
	for span := range unseen.All() {
		for seq, e := range o.live.in(span) {
			if seq == e.dot.Seq && m.admits(o, e) {
				fresh = append(fresh, e)
			}
		}
	}
	m.dropAll(ended)
	for _, e := range fresh {
		m.insert(m.like(e.at), e)
	}
	m.seeAll(unseen)
}

func (m *ORMap[K]) dropAll(ended []*orEntry[K]) {
	for _, e := range ended {
		m.drop(e)
	}
}

// ended returns the entries here that a merge with o ends.
func (m *ORMap[K]) ended(o *ORMap[K]) (ended []*orEntry[K]) {
	for span := range o.seen.All() {
		for seq, e := range m.live.in(span) {
			if !e.ended && m.ends(o, e, seq) {
				e.ended = true
				ended = append(ended, e)
			}
		}
	}
	return ended
}

// ends reports whether e ends by what o knows of the event of that number, which is one of e's and which o has
// seen. It is the rule of the OR-Set, and for folds what follows from it: o may have e's own event folded into a
// later one, or may have removed events of e not knowing that they are folded. Where the two sides contradict one
// another, since an identity was used twice, both entries end: only that does not depend on the order of merging.
func (m *ORMap[K]) ends(o *ORMap[K], e *orEntry[K], seq uint64) bool {
	there := o.live.find(vclock.Dot{Replica: e.dot.Replica, Seq: seq})
	switch {
	case seq == e.dot.Seq:
		return there == nil || !there.same(e)
	case there == nil:
		return true
	}
	return there.dot.Seq != seq && !m.seen.Has(there.dot)
}

// admits reports whether e, of which the event is not seen here yet, comes to live here: a fold does not if events
// that it stands for were removed here.
func (m *ORMap[K]) admits(o *ORMap[K], e *orEntry[K]) bool {
	for _, seq := range e.folded() {
		d := vclock.Dot{Replica: e.dot.Replica, Seq: seq}
		switch mine := m.live.find(d); {
		case mine == nil && m.seen.Has(d):
			return false
		case mine != nil && mine.dot != d && !o.seen.Has(mine.dot):
			return false
		}
	}
	return true
}

// Delta returns what a replica lacks that has seen since: merging the delta there has the effect of merging m. It
// carries what lives here of events that are not in since; its context has these events, and those of what was
// removed here, and none of what lives here and is not carried. It takes O(what is carried), and O(what lives here) at
// worst for what was removed: where events live without a gap between them, it passes over up to 256 at a time.
func (m *ORMap[K]) Delta(since *vclock.Context) (delta *ORMap[K]) {
	if m == nil || !m.seen.Intersects(since) {
		return m.Clone()
	}
	var carried grave
	delta = new(ORMap[K])
	delta.carry(m, m.seen.Diff(since), &carried)
	carried.into(&delta.seen)
	delta.seen.Merge(m.dead())
	return delta
}

// dead returns the events that were seen and do not live.
func (m *ORMap[K]) dead() *vclock.Context {
	dead := new(vclock.Context)
	for span := range m.seen.All() {
		for run := range m.live.runs(span) {
			dead.AddSpan(vclock.Span{Replica: span.Replica, Lo: span.Lo, Hi: run.Lo - 1}) // ignored if there are none
			span.Lo = run.Hi + 1
		}
		dead.AddSpan(span)
	}
	return dead
}
