package crdt

import (
	"bytes"
	"encoding/json"

	"github.com/eventual-go/eventual/vclock"
)

// component is one state in a Value, its type hidden.
type component interface {
	kind() *kindDef
	merge(o component) bool
	mergeNovel(o component) (novel component, changed bool)
	clone() component
	append(f valueFields) (valueFields, error)
	unmarshal(b []byte) error
	empty() bool
	lasting() bool
	canReset() bool
	reset() component
	latest() vclock.Timestamp
	exceeds(o component, r vclock.ReplicaID) bool
	json() ([]byte, error)
	sum(hash func(part []byte) (hi, lo uint64)) (sum, error)
}

// boxed is the component of a type P. What P can do beyond State is found by its methods.
type boxed[P State[P]] struct {
	def     *kindDef
	state   P
	kept    *sum        // of the fingerprint, if the state has many parts and tells how they change
	tracker *Tracker[P] // who is told
}

func (c *boxed[P]) kind() *kindDef { return c.def }

// merge ignores a component of another type: only values of different tables have such under one tag.
func (c *boxed[P]) merge(o component) bool {
	other, ok := o.(*boxed[P])
	return ok && c.state.Merge(other.state)
}

func (c *boxed[P]) mergeNovel(o component) (component, bool) {
	other, ok := o.(*boxed[P])
	if !ok {
		return nil, false
	}
	if d, ok := any(c.state).(Delta[P]); ok {
		novel, changed := d.MergeNovel(other.state)
		return &boxed[P]{def: c.def, state: novel}, changed
	}
	return other.clone(), c.state.Merge(other.state)
}

func (c *boxed[P]) clone() component                          { return &boxed[P]{def: c.def, state: c.state.Clone()} }
func (c *boxed[P]) append(f valueFields) (valueFields, error) { return f.with(c.def, c.state) }
func (c *boxed[P]) unmarshal(b []byte) error                  { return c.state.UnmarshalBinary(b) }

func (c *boxed[P]) empty() bool {
	if e, ok := any(c.state).(interface{ Empty() bool }); ok {
		return e.Empty()
	}
	b, err := c.state.AppendBinary(nil)
	return err == nil && bytes.Equal(b, c.def.bottom)
}

func (c *boxed[P]) canReset() bool {
	_, ok := any(c.state).(interface{ Reset() P })
	return ok
}

func (c *boxed[P]) reset() component {
	r, ok := any(c.state).(interface{ Reset() P })
	if !ok {
		return c.def.fresh()
	}
	return &boxed[P]{def: c.def, state: r.Reset()}
}

func (c *boxed[P]) latest() vclock.Timestamp {
	if l, ok := any(c.state).(interface{ Latest() vclock.Timestamp }); ok {
		return l.Latest()
	}
	return vclock.Timestamp{}
}

func (c *boxed[P]) json() ([]byte, error) { return json.Marshal(c.state) }
