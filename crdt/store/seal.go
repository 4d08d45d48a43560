package store

// Seal returns the state that an encoded value is here and now, as [Store.Merge] takes it: the inverse of
// [Store.Decode]. A value of no bytes is a state of none. It is for those who make values by themselves, of types
// that number no events, and do not know what this store has forgotten. The result may be value itself.
func (s *Store) Seal(value []byte) []byte { return s.era.Load().at.seal(value) }
