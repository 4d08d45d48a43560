package crdt

// Spent reports whether v has nothing left but the memory of what was removed, and so may be forgotten as a whole
// once every replica has it: it is [Value.Empty], and no state in v is to be kept though it shows nothing, as a
// [TwoPhaseSet] that had elements is for ever, an [Expiry] with a deadline until that is reset, and an [RWSet] as long as a
// removal is in force. Who forgets on one replica alone brings back what others still hold.
func (v *Value) Spent() bool {
	for _, c := range v.list() {
		if !c.empty() || c.lasting() {
			return false
		}
	}
	return true
}

// lasting reports whether the state is to be kept though it is empty.
func (c *boxed[P]) lasting() bool {
	l, ok := any(c.state).(interface{ lasting() bool })
	return ok && l.lasting()
}

// lasting reports whether anything was ever removed: that is for ever.
func (s *TwoPhaseSet[E]) lasting() bool { return s.m.len() > s.n }
