package crdt

// Decompose reports the last write to each key. See [Decomposable].
func (m *LWWMap[K, V]) Decompose(report func(part []byte, n int)) error {
	all := sink{report: report}
	to := newBindingParts[K, V](&all)
	if to == nil {
		return all.err
	}
	for k, b := range m.bindings().all() {
		to.bound(k, &b, 1)
	}
	return all.err
}

// Track reports last writes as they come and go. See [Decomposable].
func (m *LWWMap[K, V]) Track(by *Tracker[*LWWMap[K, V]]) {
	m.track = newBindingParts[K, V](by.target())
}

// TrackedBy reports whether by is told. See [Decomposable].
func (m *LWWMap[K, V]) TrackedBy(by *Tracker[*LWWMap[K, V]]) bool {
	return m.track.base().goTo(by.target())
}

// bindingParts reports the parts of a map.
type bindingParts[K comparable, V any] struct {
	parts
	keys   codec[K]
	values codec[V]
}

// newBindingParts returns where to report to: nil if that is nil, or if no K or no V can be encoded.
func newBindingParts[K comparable, V any](to *sink) *bindingParts[K, V] {
	keys, err := elementCodecOf[K]()
	if to == nil || err != nil {
		to.lose(err)
		return nil
	}
	values, err := codecOf[V]()
	if err != nil {
		to.lose(err)
		return nil
	}
	return &bindingParts[K, V]{parts{to: to}, calm(keys), calm(values)}
}

// base is the part of p that is the same for all types.
func (p *bindingParts[K, V]) base() *parts {
	if p == nil {
		return nil
	}
	return &p.parts
}

// bound reports that b is the last write to k.
func (p *bindingParts[K, V]) bound(k K, b *binding[V], n int) {
	w := p.begin(partItem)
	w.Uint(uint64(b.tie))
	writeWholeTimestamp(w, b.at)
	err := p.keys.write(w, k)
	if err == nil && b.tie == bindingSet {
		err = p.values.write(w, b.value)
	}
	p.send(w, n, err)
}
