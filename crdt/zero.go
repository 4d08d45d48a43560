package crdt

// IsZero reports whether state is as new, or nil: whether its wire form is that of the zero value. A delta that is zero
// says nothing at all. One that is merely empty, as that of a removal is, may take something away.
//
// The types of this package have a method that tells, which takes O(1). Others are encoded; so are those that embed one
// of this package, whose method then tells of a part. It fails with an [*UnknownKindError] if k has no kind for P, or as
// encoding the state does.
func IsZero[P State[P]](k *Kinds, state P) (bool, error) {
	def, err := kindOf[P](k)
	switch {
	case err != nil:
		return false, err
	case def.own:
		z, ok := any(state).(interface{ IsZero() bool })
		return ok && z.IsZero(), nil
	case isNil(state):
		return true, nil
	}
	f, err := beginFields(nil).with(def, state)
	return err == nil && f.n == 0, err
}

// IsZero reports whether nothing was ever added. See [IsZero].
func (c *GCounter) IsZero() bool { return len(c.tally()) == 0 }

// IsZero reports whether nothing was ever added. See [IsZero].
func (c *PNCounter) IsZero() bool { return c == nil || len(c.pos)+len(c.neg) == 0 }

// IsZero reports whether there is no row. See [IsZero].
func (c *BoundedCounter) IsZero() bool { return len(c.shares()) == 0 }

// IsZero reports whether no value was ever written. See [IsZero].
func (r *MaxRegister[T]) IsZero() bool { return r.Empty() }

// IsZero reports whether no value was ever written. See [IsZero].
func (r *MinRegister[T]) IsZero() bool { return r.Empty() }

// IsZero reports whether no value was ever written. See [IsZero].
func (r *LWWRegister[T]) IsZero() bool { return r == nil || r.stage == unset }

// IsZero reports whether nothing was seen. See [IsZero].
func (m *MVRegister[T]) IsZero() bool { return m == nil || m.seen.Len() == 0 }

// IsZero reports whether there are no elements. See [IsZero].
func (s *GSet[E]) IsZero() bool { return s.Empty() }

// IsZero reports whether no element is in, or was removed. See [IsZero].
func (s *TwoPhaseSet[E]) IsZero() bool { return s == nil || s.m.len() == 0 }

// IsZero reports whether nothing was seen. See [IsZero].
func (s *ORSet[E]) IsZero() bool { return s == nil || s.seen.Len() == 0 }

// IsZero reports whether nothing was seen. See [IsZero].
func (s *RWSet[E]) IsZero() bool { return s == nil || s.seen.Len() == 0 }

// IsZero reports whether no element was ever added or removed. See [IsZero].
func (s *LWWSet[E]) IsZero() bool { return s == nil || s.m.len() == 0 }

// IsZero reports whether nothing was seen. See [IsZero].
func (f *EWFlag) IsZero() bool { return f.core().IsZero() }

// IsZero reports whether nothing was seen. See [IsZero].
func (f *DWFlag) IsZero() bool { return f.core().IsZero() }

// IsZero reports whether no key was ever written or removed. See [IsZero].
func (m *LWWMap[K, V]) IsZero() bool { return m == nil || m.m.len() == 0 }

// IsZero reports whether there are no entries. See [IsZero].
func (l *Log[T]) IsZero() bool { return l.Empty() }

// IsZero reports whether nothing was seen. See [IsZero].
func (m *ORMap[K]) IsZero() bool { return m == nil || m.seen.Len() == 0 }

// IsZero reports whether no deadline was ever set. See [IsZero].
func (e *Expiry) IsZero() bool { return e.core().IsZero() }
