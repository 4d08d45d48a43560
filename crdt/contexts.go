package crdt

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"
	"strconv"

	"github.com/eventual-go/eventual/vclock"
)

// Contexts is what a [Value] has seen, of each kind apart: what a peer sends in order to get just what it lacks.
//
//	answer := theirs.Delta(mine.Contexts())
//	mine.Merge(answer)
//
// It needs no table of kinds, so it is written and read also where a kind is unknown. The zero Contexts has
// seen nothing, and so has a nil one.
type Contexts struct{ parts []contextPart } // sorted by tag, none of them empty

type contextPart struct {
	tag  uint64
	seen *vclock.Context
}

// formContexts has a tag that no kind may take.
var formContexts = form{"contexts", 63}

// causal is what boxed adds to component.
type causal interface {
	context() *vclock.Context
	since(seen *vclock.Context) component
	large() int
	canHandOver() bool
	left(by []vclock.ReplicaID) component
	handOver(trial bool, at component, to vclock.ReplicaID, from []vclock.ReplicaID) (bool, error)
}

// context returns an empty context for a type that is not Causal.
func (c *boxed[P]) context() *vclock.Context {
	if s, ok := any(c.state).(Causal[P]); ok {
		return s.Context()
	}
	return new(vclock.Context)
}

// since returns the whole state of a type that is not Causal.
func (c *boxed[P]) since(seen *vclock.Context) component {
	if s, ok := any(c.state).(Causal[P]); ok {
		return &boxed[P]{def: c.def, state: s.Delta(seen)}
	}
	return c.clone()
}

// large returns how many parts there are if the sum of their hashes is kept, unless the context is empty.
func (c *boxed[P]) large() int {
	if c.kept == nil || c.context().Len() == 0 {
		return 0
	}
	return max(0, c.kept.parts)
}

// heritable is a type with Handover.
type heritable[P any] interface {
	Handover(at P, to vclock.ReplicaID, from ...vclock.ReplicaID) (bool, error)
}

func (c *boxed[P]) canHandOver() bool {
	_, ok := any(c.state).(heritable[P])
	return ok
}

// handOver hands over the state or, for a trial, a copy of it. It leaves that of a type without Handover alone.
func (c *boxed[P]) handOver(trial bool, at component, to vclock.ReplicaID, from []vclock.ReplicaID) (bool, error) {
	s, ok := any(c.state).(heritable[P])
	if !ok {
		return false, nil
	}
	if trial {
		s, _ = any(c.state.Clone()).(heritable[P])
	}
	cut, ok := at.(*boxed[P])
	if !ok {
		cut, _ = c.def.fresh().(*boxed[P])
	}
	return s.Handover(cut.state, to, from...)
}

// Contexts returns what v has seen. Kinds without events are left out, see [Causal].
func (v *Value) Contexts() *Contexts {
	all := new(Contexts)
	for _, c := range v.list() {
		if seen := c.(causal).context(); seen.Len() > 0 {
			all.parts = append(all.parts, contextPart{c.kind().tag, seen})
		}
	}
	return all
}

// Delta returns what a peer that has seen so much lacks: of each kind what its Delta returns, and the whole state
// where it has none. Merging it there has the effect of merging v. Its wire form is empty if the peer lacks nothing
// that events can tell. See [Causal].
func (v *Value) Delta(since *Contexts) *Value {
	delta := new(Value)
	for _, c := range v.list() {
		delta.parts = append(delta.parts, c.(causal).since(since.of(c.kind().tag)))
	}
	return delta
}

// Large returns how many parts, about, the collections in v have that are large and have seen events: those of which
// [Value.Fingerprint] keeps the sum. So it returns 0 if that was not called yet, or if there are none. It costs
// O(contexts) where there are, and next to nothing where there are not. For a large value [Value.Contexts] can be much
// shorter than the value itself, and Delta then saves most of what it would take to send that.
func (v *Value) Large() (parts int) {
	for _, c := range v.list() {
		parts += c.(causal).large()
	}
	return parts
}

// Handover hands over the states in v that can be, by those in at. See [HandoverError]. If one of them refuses,
// nothing changes. States remain the same ones, for those who hold them. Since each is handed over on a copy before
// any is itself, it takes twice O(size), and memory for a copy of the largest.
func (v *Value) Handover(at *Value, to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	for _, c := range v.list() {
		if _, err := c.(causal).handOver(true, at.part(c), to, from); err != nil {
			return false, err
		}
	}
	for _, c := range v.list() {
		did, err := c.(causal).handOver(false, at.part(c), to, from)
		if err != nil {
			return changed, err // of a type whose copies do not act alike
		}
		changed = changed || did
	}
	return changed, nil
}

// part returns the component of v that is of the kind of c, or nil.
func (v *Value) part(c component) component {
	if i, found := v.search(c.kind().tag); found {
		return v.parts[i]
	}
	return nil
}

// of returns the context of a kind, nil if there is none.
func (c *Contexts) of(tag uint64) *vclock.Context {
	i, found := slices.BinarySearchFunc(c.list(), tag, func(p contextPart, tag uint64) int {
		return cmp.Compare(p.tag, tag)
	})
	if !found {
		return nil
	}
	return c.parts[i].seen
}

func (c *Contexts) list() []contextPart {
	if c == nil {
		return nil
	}
	return c.parts
}

// All yields the tag of each kind with what was seen of it, in order of tags.
func (c *Contexts) All() iter.Seq2[uint64, *vclock.Context] {
	return func(yield func(uint64, *vclock.Context) bool) {
		for _, p := range c.list() {
			if !yield(p.tag, p.seen) {
				return
			}
		}
	}
}

// AppendBinary appends the wire form, which is nothing if nothing was seen. It does not fail.
func (c *Contexts) AppendBinary(b []byte) ([]byte, error) {
	parts := c.list()
	if len(parts) == 0 {
		return b, nil
	}
	w := formContexts.begin(b, 2*len(parts))
	for _, p := range parts {
		w.Uint(p.tag)
		writeContext(w, p.seen)
	}
	return w.Done(), nil
}

// UnmarshalBinary replaces the contexts by those in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError] or [*VersionError] and changes nothing if b is not the wire form of contexts.
func (c *Contexts) UnmarshalBinary(b []byte) error {
	if len(b) == 0 {
		c.parts = nil
		return nil
	}
	r, n, err := formContexts.open(b)
	if err != nil {
		return err
	}
	if n == 0 || n%2 != 0 {
		r.Fail("wrong number of fields")
	}
	parts := make([]contextPart, 0, n/2)
	last := uint64(0)
	for range n / 2 {
		tag := r.Uint()
		seen, _ := readContext(r)
		switch {
		case tag <= last:
			r.Fail("kinds out of order")
		case seen.Len() == 0:
			r.Fail("empty context")
		}
		if r.Err() != nil {
			break
		}
		parts = append(parts, contextPart{tag, &seen})
		last = tag
	}
	if err := formContexts.close(r); err != nil {
		return err
	}
	c.parts = parts
	return nil
}

// MarshalJSON writes an object of the contexts as text, by tags.
func (c *Contexts) MarshalJSON() ([]byte, error) {
	object := make(map[string]string)
	for _, p := range c.list() {
		object[strconv.FormatUint(p.tag, 10)] = p.seen.String()
	}
	return json.Marshal(object)
}
