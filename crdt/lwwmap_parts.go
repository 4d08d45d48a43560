package crdt

// Decompose reports the last write to each key. See [Decomposable].
func (m *LWWMap[K, V]) Decompose(report func(part []byte, n int)) {
	to := newBindingParts[K, V](report)
	if to == nil {
		return
	}
	for k, b := range m.bindings().all() {
		to.bound(k, &b, 1)
	}
}

// Track reports last writes as they come and go. See [Decomposable].
func (m *LWWMap[K, V]) Track(report func(part []byte, n int)) {
	m.track = newBindingParts[K, V](report)
}

// bindingParts reports the parts of a map.
type bindingParts[K comparable, V any] struct {
	parts
	keys   codec[K]
	values codec[V]
}

// newBindingParts returns where to report to: nil if report is nil, or if no K or no V can be encoded.
func newBindingParts[K comparable, V any](report func(part []byte, n int)) *bindingParts[K, V] {
	keys, err := elementCodecOf[K]()
	if report == nil || err != nil {
		return nil
	}
	values, err := codecOf[V]()
	if err != nil {
		return nil
	}
	return &bindingParts[K, V]{parts{report: report}, keys, values}
}

// to is where the parts go: nil if nowhere.
func (p *bindingParts[K, V]) to() func(part []byte, n int) {
	if p == nil {
		return nil
	}
	return p.report
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
