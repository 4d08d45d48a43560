package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// MVRegister holds the values of all writes that were not overwritten: one in quiet times, and the siblings
// after concurrent writes, until a write that saw them replaces them.
//
// The zero MVRegister has no values and is ready to use. It may be read by several goroutines, but not while
// one changes it; copy it by Clone. Operations take O(n) for n siblings, and merging O(n + size of the argument's
// context). Values are kept as they are given: do not change what a slice or pointer in T refers to. See the
// package documentation for the types that can be encoded; others work in memory.
//
// It follows the dotted version vectors of Preguiça, Baquero, Almeida, Fonte, Gonçalves, "Dotted version
// vectors", 2010: a write overwrites what its context names, and is itself one dot beside that context.
type MVRegister[T any] struct {
	seen vclock.Context // every write seen
	live []sibling[T]   // sorted by dot; what is in it is never written to, so a delta may have it in common
}

type sibling[T any] struct {
	dot   vclock.Dot
	value T
}

// Set writes v on behalf of replica r over all values that are known here, and returns the delta. Only one
// writer may use r at a time, and r must never be used again by one who has forgotten events of r. If r is
// zero, or has no sequence numbers left, nothing is written and the delta is empty.
func (m *MVRegister[T]) Set(r vclock.ReplicaID, v T) (delta *MVRegister[T]) {
	written := m.write(r, v) // so that Set is small enough to be inlined, and a delta that is not kept costs less
	return &written
}

func (m *MVRegister[T]) write(r vclock.ReplicaID, v T) (delta MVRegister[T]) {
	d := m.seen.Next(r)
	if d.IsZero() {
		return delta
	}
	delta.seen = m.overwritten()
	delta.seen.Add(d)
	delta.live = []sibling[T]{{d, v}}
	m.seen.Add(d)
	m.live = delta.live
	return delta
}

// Put writes v on behalf of replica r over exactly the values that since has seen, and returns the delta. Give
// it the [MVRegister.Context] that came with the value which the writer read, on whatever replica: values that
// were written since then remain as siblings, and values that the writer read elsewhere are overwritten also
// if they arrive only later. So since must be authentic: what it claims of others is believed, while events of r
// that this register has not numbered are left out of it. With a nil context nothing is overwritten. For r see
// [MVRegister.Set].
func (m *MVRegister[T]) Put(r vclock.ReplicaID, since *vclock.Context, v T) (delta *MVRegister[T]) {
	delta = new(MVRegister[T])
	d := m.seen.Next(r)
	if d.IsZero() {
		return delta
	}
	for s := range since.All() {
		if s.Replica == r {
			s.Hi = min(s.Hi, d.Seq-1)
		}
		delta.seen.AddSpan(s) // ignored if nothing is left of it
	}
	delta.seen.Add(d)
	delta.live = []sibling[T]{{d, v}}
	m.Merge(delta)
	return delta
}

// overwritten returns the context of the values that are known here.
func (m *MVRegister[T]) overwritten() (c vclock.Context) {
	for _, s := range m.live {
		c.Add(s.dot)
	}
	return c
}

// Reset takes away the values that are known here, and returns the delta.
func (m *MVRegister[T]) Reset() (delta *MVRegister[T]) {
	ended := m.end()
	return &ended
}

func (m *MVRegister[T]) end() (delta MVRegister[T]) {
	delta.seen = m.overwritten()
	m.live = nil
	return delta
}

// Values returns the values in canonical order, nil if there are none.
func (m *MVRegister[T]) Values() []T {
	if m == nil {
		return nil
	}
	var values []T
	for _, s := range m.live {
		values = append(values, s.value)
	}
	if c, err := codecOf[T](); err == nil && len(values) > 1 {
		sortBy(c, values, identity[T])
	}
	return values
}

// Empty reports whether there are no values.
func (m *MVRegister[T]) Empty() bool { return m == nil || len(m.live) == 0 }

// Context returns a copy of the causal context, for [MVRegister.Put]: all writes that were seen.
func (m *MVRegister[T]) Context() *vclock.Context {
	if m == nil {
		return new(vclock.Context)
	}
	return m.seen.Clone()
}

// Merge takes in what o knows. See [Lattice].
func (m *MVRegister[T]) Merge(o *MVRegister[T]) (changed bool) {
	if o == nil || m == o {
		return false
	}
	live, changed := m.survivors(o, nil)
	m.live = live
	return m.seen.Merge(&o.seen) || changed
}

// MergeNovel merges o and returns what was new in it: writes not seen before, with their values where they
// live, and the overwriting of values that lived here. See [Delta].
func (m *MVRegister[T]) MergeNovel(o *MVRegister[T]) (novel *MVRegister[T], changed bool) {
	novel = new(MVRegister[T])
	if o == nil || m == o {
		return novel, false
	}
	live, _ := m.survivors(o, novel)
	m.live = live
	novel.seen.Merge(o.seen.Diff(&m.seen))
	m.seen.Merge(&o.seen)
	return novel, novel.seen.Len() > 0
}

// survivors returns the siblings after a merge, and whether they are others than before. It adds what is new
// of them, and what died, to novel unless that is nil.
func (m *MVRegister[T]) survivors(o, novel *MVRegister[T]) (live []sibling[T], changed bool) {
	mine, theirs := m.live, o.live
	for len(mine) > 0 || len(theirs) > 0 {
		var s sibling[T]
		var lives, news bool
		switch order := compareDots(mine, theirs); {
		case order < 0:
			s, mine = mine[0], mine[1:]
			news = o.seen.Has(s.dot)
			lives = !news
		case order > 0:
			s, theirs = theirs[0], theirs[1:]
			lives = !m.seen.Has(s.dot)
			news = lives
		default:
			s, news = m.same(mine[0], theirs[0])
			lives, mine, theirs = true, mine[1:], theirs[1:]
		}
		if news && !changed { // all before it are as they were
			live, changed = slices.Clone(live), true
		}
		switch {
		case lives && changed:
			live = append(live, s)
		case lives:
			live = m.live[:len(live)+1]
		}
		novel.note(s, lives, news)
	}
	return live, changed
}

// note adds a sibling that is new, or that died, to the novelty m, unless m is nil.
func (m *MVRegister[T]) note(s sibling[T], lives, news bool) {
	if m == nil || !news {
		return
	}
	m.seen.Add(s.dot)
	if lives {
		m.live = append(m.live, s)
	}
}

// same merges two siblings with one dot. Their values differ only where an identity was used twice; then the
// greater stays, so that replicas agree nevertheless.
func (m *MVRegister[T]) same(mine, theirs sibling[T]) (s sibling[T], news bool) {
	c, err := codecOf[T]()
	if err == nil && c.compare(mine.value, theirs.value) < 0 {
		return theirs, true
	}
	return mine, false
}

// compareDots tells which of two sorted lists, not both empty, has the next dot.
func compareDots[T any](a, b []sibling[T]) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return a[0].dot.Compare(b[0].dot)
}

// Clone returns a register of its own with the same state.
func (m *MVRegister[T]) Clone() *MVRegister[T] {
	if m == nil {
		return new(MVRegister[T])
	}
	return &MVRegister[T]{seen: *m.seen.Clone(), live: slices.Clone(m.live)}
}

// AppendBinary appends the wire form. It returns a [*TypeError] if T, or one of the values, cannot be encoded.
func (m *MVRegister[T]) AppendBinary(b []byte) ([]byte, error) {
	c, err := codecOf[T]()
	if err != nil {
		return b, err
	}
	if m == nil {
		m = new(MVRegister[T])
	}
	w := formMVRegister.begin(b, 2)
	table := writeContext(w, &m.seen)
	w.Array(3 * len(m.live))
	for _, s := range m.live {
		writeDot(w, table, s.dot)
		if err := c.write(w, s.value); err != nil {
			return w.Done()[:len(b)], err
		}
	}
	return w.Done(), nil
}

// UnmarshalBinary replaces the register by the one in b, of which it keeps nothing. It returns a
// [*CorruptError], [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not an
// MVRegister of T.
func (m *MVRegister[T]) UnmarshalBinary(b []byte) error {
	c, err := codecOf[T]()
	if err != nil {
		return err
	}
	r, err := formMVRegister.openOf(b, 2)
	if err != nil {
		return err
	}
	read := readMVRegister(r, c)
	if err := formMVRegister.close(r); err != nil {
		return err
	}
	*m = read
	return nil
}

func readMVRegister[T any](r *wire.Reader, c codec[T]) (m MVRegister[T]) {
	seen, table := readContext(r)
	m.seen = seen
	var d vclock.Dot
	for range fields(r, 3) {
		d = readDot(r, &m.seen, table, d)
		if r.Err() != nil {
			return m
		}
		m.live = append(m.live, sibling[T]{d, c.read(r)})
	}
	return m
}

// MarshalJSON writes the values as an array, in canonical order. For floats see [Value.MarshalJSON].
func (m *MVRegister[T]) MarshalJSON() ([]byte, error) { return marshalArray(m.Values()) }
