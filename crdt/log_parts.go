package crdt

// Decompose reports the entries. See [Decomposable]. The context has the dots of the entries and no others, so it
// needs no parts of its own.
func (l *Log[T]) Decompose(report func(part []byte, n int)) {
	to := newEntryParts[T](report)
	if to == nil || l == nil {
		return
	}
	for _, e := range l.placed() {
		to.entry(l, e, 1)
	}
}

// Track reports entries as they come. See [Decomposable].
func (l *Log[T]) Track(report func(part []byte, n int)) { l.track = newEntryParts[T](report) }

// entryParts reports the parts of a log.
type entryParts[T any] struct {
	parts
	codec codec[T]
}

// newEntryParts returns where to report to: nil if report is nil, or if no T can be encoded.
func newEntryParts[T any](report func(part []byte, n int)) *entryParts[T] {
	c, err := codecOf[T]()
	if report == nil || err != nil {
		return nil
	}
	return &entryParts[T]{parts{report: report}, c}
}

// to is where the parts go: nil if nowhere.
func (p *entryParts[T]) to() func(part []byte, n int) {
	if p == nil {
		return nil
	}
	return p.report
}

// entry reports that e, as it is in l, is there.
func (p *entryParts[T]) entry(l *Log[T], e *logEntry[T], n int) {
	if p != nil {
		w := p.begin(partItem)
		writeWholeTimestamp(w, l.timestamp(e))
		w.Uint(e.seq)
		p.send(w, n, p.codec.write(w, e.value))
	}
}
