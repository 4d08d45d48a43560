package crdt

// Decompose reports the entries. See [Decomposable]. The context has the dots of the entries and no others, so it
// needs no parts of its own.
func (l *Log[T]) Decompose(report func(part []byte, n int)) error {
	all := sink{report: report}
	to := newEntryParts[T](&all)
	if l == nil {
		return all.err
	}
	for _, e := range l.placed() {
		to.entry(l, e, 1)
	}
	return all.err
}

// Track reports entries as they come. See [Decomposable].
func (l *Log[T]) Track(by *Tracker[*Log[T]]) { l.track = newEntryParts[T](by.target()) }

// TrackedBy reports whether by is told. See [Decomposable].
func (l *Log[T]) TrackedBy(by *Tracker[*Log[T]]) bool { return l.track.base().goTo(by.target()) }

// entryParts reports the parts of a log.
type entryParts[T any] struct {
	parts
	codec codec[T]
}

// newEntryParts returns where to report to: nil if that is nil, or if no T can be encoded.
func newEntryParts[T any](to *sink) *entryParts[T] {
	c, err := codecOf[T]()
	if to == nil || err != nil {
		to.lose(err)
		return nil
	}
	return &entryParts[T]{parts{to: to}, calm(c)}
}

// base is the part of p that is the same for all types.
func (p *entryParts[T]) base() *parts {
	if p == nil {
		return nil
	}
	return &p.parts
}

// entry reports that e, as it is in l, is there, unless p is nil.
func (p *entryParts[T]) entry(l *Log[T], e *logEntry[T], n int) {
	if p != nil {
		w := p.begin(partItem)
		writeWholeTimestamp(w, l.timestamp(e))
		w.Uint(e.seq)
		p.send(w, n, p.codec.write(w, e.value))
	}
}
