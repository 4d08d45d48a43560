package crdt

// Parts are the bindings, one by one.
func (m *LWWMap[K, V]) Parts() (parts []*LWWMap[K, V]) {
	for k, b := range m.m.all() {
		part := new(LWWMap[K, V])
		part.join(k, b)
		parts = append(parts, part)
	}
	return parts
}

// CheckInvariants panics where the counts of the map are wrong.
func (m *LWWMap[K, V]) CheckInvariants() {
	again := new(LWWMap[K, V])
	for _, part := range m.Parts() {
		again.Merge(part)
	}
	if again.n != m.n || again.latest != m.latest {
		panic("counts differ from the bindings")
	}
}
