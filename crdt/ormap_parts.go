package crdt

import "github.com/eventual-go/eventual/vclock"

// Decompose reports the entries that live, and the events that were seen. See [Decomposable].
func (m *ORMap[K]) Decompose(report func(part []byte, n int)) error {
	all := sink{report: report}
	to := newElementParts[K](&all)
	if m == nil || to == nil {
		return all.err
	}
	for e := range m.entries() {
		to.entry(e, 1)
	}
	to.context(&m.seen, 1)
	return all.err
}

// Track reports entries as they come and go, and events as they become known. See [Decomposable].
func (m *ORMap[K]) Track(by *Tracker[*ORMap[K]]) { m.track = newElementParts[K](by.target()) }

// TrackedBy reports whether by is told. See [Decomposable].
func (m *ORMap[K]) TrackedBy(by *Tracker[*ORMap[K]]) bool { return m.track.base().goTo(by.target()) }

// entry reports that e lives: its event, what that says, and the keys from the field upwards. All but the first are
// keys of maps, so they need no kind. It reports nothing if p is nil.
func (p *elementParts[K]) entry(e *orEntry[K], n int) {
	if p == nil {
		return
	}
	w := orWriter[K]{Writer: p.begin(partItem), keys: p.codec}
	writeWholeDot(w.Writer, e.dot)
	w.Uint(uint64(e.at.kind))
	w.content(e)
	if e.at.kind == FieldSet {
		w.String(e.text)
	}
	for at := e.at; at.parent != nil && w.err == nil; at = at.parent {
		w.err = w.keys.write(w.Writer, at.key)
	}
	p.send(w.Writer, n, w.err)
}

// see takes in events of which all were seen, or none.
func (m *ORMap[K]) see(s vclock.Span) {
	if m.seen.AddSpan(s) && m.track != nil {
		m.track.span(s, 1)
	}
}

// seeAll takes in events of which none was seen.
func (m *ORMap[K]) seeAll(unseen *vclock.Context) {
	if m.track != nil {
		m.track.context(unseen, 1)
	}
	m.seen.Merge(unseen)
}
