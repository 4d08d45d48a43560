package crdt

// Resettable reports whether [Value.Reset] would succeed: whether every state in v that is not empty can be reset.
func (v *Value) Resettable() bool {
	for _, c := range v.list() {
		if !c.canReset() && !c.empty() {
			return false
		}
	}
	return true
}
