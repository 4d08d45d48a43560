package crdt_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

func ewflags() crdttest.Suite[*crdt.EWFlag] {
	return crdttest.Suite[*crdt.EWFlag]{
		New:   func() *crdt.EWFlag { return new(crdt.EWFlag) },
		Parts: (*crdt.EWFlag).Parts,
		Mutate: func(t *rapid.T, f *crdt.EWFlag, by crdttest.Writer) *crdt.EWFlag {
			if rapid.IntRange(0, 2).Draw(t, "op") == 0 {
				return f.Disable()
			}
			return f.Enable(by.Replica)
		},
	}
}

func dwflags() crdttest.Suite[*crdt.DWFlag] {
	return crdttest.Suite[*crdt.DWFlag]{
		New:   func() *crdt.DWFlag { return new(crdt.DWFlag) },
		Parts: (*crdt.DWFlag).Parts,
		Mutate: func(t *rapid.T, f *crdt.DWFlag, by crdttest.Writer) *crdt.DWFlag {
			if rapid.IntRange(0, 2).Draw(t, "op") == 0 {
				return f.Enable()
			}
			return f.Disable(by.Replica)
		},
	}
}

func TestEWFlagLaws(t *testing.T) { crdttest.Laws(t, ewflags()) }
func TestDWFlagLaws(t *testing.T) { crdttest.Laws(t, dwflags()) }

func TestEWFlagDeltaSince(t *testing.T) { checkSince(t, ewflags(), (*crdt.EWFlag).Living) }
func TestDWFlagDeltaSince(t *testing.T) { checkSince(t, dwflags(), (*crdt.DWFlag).Living) }

// A flag is as one element of an ORSet: what is raised is up as long as a raising lives that nothing has ended.

func TestEWFlagSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*crdt.EWFlag, op]{
		New: func() *crdt.EWFlag { return new(crdt.EWFlag) },
		Ops: []op{{do: "add"}, {do: "reset"}},
		Apply: func(f *crdt.EWFlag, o op, by crdttest.Writer) *crdt.EWFlag {
			if o.do == "add" {
				return f.Enable(by.Replica)
			}
			return f.Disable()
		},
		Got:  func(f *crdt.EWFlag) string { return fmt.Sprint(f.Value()) },
		Want: func(h history, seen events) string { return fmt.Sprint(livingAdds(h, seen) != 0) },
	})
}

func TestDWFlagSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*crdt.DWFlag, op]{
		New: func() *crdt.DWFlag { return new(crdt.DWFlag) },
		Ops: []op{{do: "add"}, {do: "reset"}},
		Apply: func(f *crdt.DWFlag, o op, by crdttest.Writer) *crdt.DWFlag {
			if o.do == "add" {
				return f.Disable(by.Replica)
			}
			return f.Enable()
		},
		Got:  func(f *crdt.DWFlag) string { return fmt.Sprint(f.Value()) },
		Want: func(h history, seen events) string { return fmt.Sprint(livingAdds(h, seen) == 0) },
	})
}

func TestFlagsExplain(t *testing.T) {
	var on, other crdt.EWFlag
	on.Enable(idA)
	other.Enable(idB)
	on.Merge(&other)
	assert.Equal(t, crdt.Explanation{Present: true, For: []vclock.Dot{{Replica: idA, Seq: 1}, {Replica: idB, Seq: 1}}}, on.Explain())
	on.Reset()
	assert.Equal(t, crdt.Explanation{}, on.Explain())

	var off crdt.DWFlag
	assert.Equal(t, crdt.Explanation{Present: true}, off.Explain())
	off.Disable(idA)
	off.Disable(idA)
	assert.Equal(t, crdt.Explanation{Against: []vclock.Dot{{Replica: idA, Seq: 2}}}, off.Explain())
	assert.Equal(t, "{a:1-2}", off.Context().String())
	assert.Equal(t, "{a:2}", off.Reset().Context().String())
	assert.True(t, off.Value())
}

func TestFlagsAsText(t *testing.T) {
	for _, c := range []struct {
		flag interface{ MarshalJSON() ([]byte, error) }
		want string
	}{
		{new(crdt.EWFlag), "false"}, {new(crdt.EWFlag).Enable(idA), "true"}, {(*crdt.EWFlag)(nil), "false"},
		{new(crdt.DWFlag), "true"}, {new(crdt.DWFlag).Disable(idA), "false"}, {(*crdt.DWFlag)(nil), "true"},
	} {
		text, err := c.flag.MarshalJSON()
		assert.NoError(t, err)
		assert.Equal(t, c.want, string(text))
	}
}

func TestFlagsNil(t *testing.T) {
	var on *crdt.EWFlag
	var off *crdt.DWFlag
	assert.True(t, on.Empty() && off.Empty())
	assert.False(t, new(crdt.EWFlag).Merge(on) || new(crdt.DWFlag).Merge(off))
	assert.Equal(t, encoded(t, new(crdt.EWFlag)), encoded(t, on))
	assert.Equal(t, encoded(t, new(crdt.EWFlag)), encoded(t, on.Delta(on.Context())))
	assert.Equal(t, encoded(t, new(crdt.DWFlag)), encoded(t, off.Delta(off.Context())))
	assert.Zero(t, on.Clone().Context().Len()+len(off.Explain().Against))
	var nobody vclock.ReplicaID
	assert.True(t, new(crdt.EWFlag).Enable(nobody).Empty() && new(crdt.DWFlag).Disable(nobody).Empty())
}

func TestTrap02_ADisablingNeedsNoLaterEventToTravel(t *testing.T) {
	var a, b crdt.EWFlag
	b.Merge(a.Enable(idA))
	a.Disable()
	delta := a.Delta(b.Context())
	assert.EqualValues(t, 1, delta.Context().Count(), "it names the enabling, which the peer has seen")
	assert.True(t, b.Merge(delta))
	assert.False(t, b.Value())
}

func TestMergingFlagsAllocatesNothingWithoutNews(t *testing.T) {
	var on crdt.EWFlag
	for i := range 50 {
		on.Merge(new(crdt.EWFlag).Enable(vclock.Named(fmt.Sprint(i))))
	}
	same := on.Clone()
	assert.Zero(t, testing.AllocsPerRun(10, func() { on.Merge(same) }))
}

func TestFlagDecoders(t *testing.T) {
	on, off, a := new(crdt.EWFlag).UnmarshalBinary, new(crdt.DWFlag).UnmarshalBinary, id(idA)
	refused(t, on, "incomplete record", raw(0x94, 12, 1, 0x91, 0x93, a, 0, 0, 0x91, 0))
	refused(t, on, "no such replica", raw(0x94, 12, 1, 0x91, 0x93, a, 0, 0, 0x92, 1, 1))
	refused(t, on, "dot outside of the context", raw(0x94, 12, 1, 0x91, 0x93, a, 0, 0, 0x92, 0, 2))
	refused(t, on, "dots out of order", raw(0x94, 12, 1, 0x91, 0x93, a, 0, 1, 0x94, 0, 2, 0, 1))
	refused(t, off, "dots out of order", raw(0x94, 13, 1, 0x91, 0x93, a, 0, 0, 0x94, 0, 1, 0, 1))
	refused(t, off, "wrong number of fields", raw(0x93, 13, 1, 0x90))
	assert.ErrorAs(t, off(encoded(t, new(crdt.EWFlag))), new(*crdt.MismatchError))
	claimsCostNothing(t, 12, on)
	claimsCostNothing(t, 13, off)
}

func FuzzDecodeEWFlag(f *testing.F) {
	var s, o crdt.EWFlag
	o.Enable(idB)
	seed(f, &s, s.Enable(idA), s.Enable(idA), &s, s.Disable(), &s, &o)
	s.Enable(idA)
	s.Merge(&o)
	seed(f, &s)
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip[crdt.EWFlag](t, b) })
}

func FuzzDecodeDWFlag(f *testing.F) {
	var s crdt.DWFlag
	seed(f, &s, s.Disable(idA), s.Enable(), &s, s.Disable(idB), &s)
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip[crdt.DWFlag](t, b) })
}

func ExampleEWFlag() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.EWFlag // off
	b.Merge(a.Enable(paris))
	off := b.Disable()
	on := a.Enable(tokyo) // at the same time
	a.Merge(off)
	b.Merge(on)
	fmt.Println(a.Value(), b.Value())
	// Output: true true
}

func ExampleDWFlag() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.DWFlag // on
	b.Merge(a.Disable(paris))
	on := b.Enable()
	off := a.Disable(tokyo) // at the same time
	a.Merge(on)
	b.Merge(off)
	fmt.Println(a.Value(), b.Value())
	// Output: false false
}
