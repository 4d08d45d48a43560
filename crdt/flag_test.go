package crdt_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
			switch rapid.IntRange(0, 4).Draw(t, "op") {
			case 0:
				return f.Reset()
			case 1, 2:
				return f.Enable(by.Replica)
			}
			return f.Disable(by.Replica)
		},
	}
}

func TestEWFlagLaws(t *testing.T) { crdttest.Laws(t, ewflags()) }
func TestDWFlagLaws(t *testing.T) { crdttest.Laws(t, dwflags()) }

func TestEWFlagDeltaSince(t *testing.T) { checkSince(t, ewflags(), (*crdt.EWFlag).Living) }
func TestDWFlagDeltaSince(t *testing.T) { checkSince(t, dwflags(), (*crdt.DWFlag).Living) }

// An EWFlag is as one element of an ORSet: it is on as long as an enabling lives that nothing has ended.

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

// A DWFlag is as one element of an RWSet: enablings, disablings and resets each end all enablings and disablings that
// are in force where they happen, and the flag is on if enablings are in force, and no disablings.

func TestDWFlagSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*crdt.DWFlag, op]{
		New: func() *crdt.DWFlag { return new(crdt.DWFlag) },
		Ops: []op{{do: "enable"}, {do: "disable"}, {do: "reset"}},
		Apply: func(f *crdt.DWFlag, o op, by crdttest.Writer) *crdt.DWFlag {
			switch o.do {
			case "enable":
				return f.Enable(by.Replica)
			case "disable":
				return f.Disable(by.Replica)
			}
			return f.Reset()
		},
		Got: func(f *crdt.DWFlag) string { return fmt.Sprint(f.Value(), f.Empty()) },
		Want: func(h history, seen events) string {
			living := inForce(h, seen)
			enabled, disabled := writes(h, living, "enable", ""), writes(h, living, "disable", "")
			return fmt.Sprint(enabled != 0 && disabled == 0, living == 0)
		},
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

	var flag, peer crdt.DWFlag
	assert.Equal(t, crdt.Explanation{}, flag.Explain())
	flag.Disable(idA)
	flag.Enable(idA)
	assert.Equal(t, crdt.Explanation{Present: true, For: []vclock.Dot{{Replica: idA, Seq: 2}}}, flag.Explain())
	flag.Merge(peer.Disable(idB))
	assert.Equal(t, crdt.Explanation{
		For: []vclock.Dot{{Replica: idA, Seq: 2}}, Against: []vclock.Dot{{Replica: idB, Seq: 1}},
	}, flag.Explain())
	assert.Equal(t, "{a:1-2 b:1}", flag.Context().String())
	assert.Equal(t, "{a:2 b:1}", flag.Reset().Context().String())
	assert.Equal(t, crdt.Explanation{}, flag.Explain())
}

func TestADisabledFlagIsThereAndAResetOneIsNot(t *testing.T) {
	var v crdt.Value
	flag, err := crdt.Ensure[*crdt.DWFlag](crdt.Standard(), &v)
	require.NoError(t, err)
	assert.True(t, v.Empty())
	unseen := new(crdt.DWFlag).Enable(idB)
	flag.Disable(idA)
	assert.False(t, v.Empty() || flag.Value())
	flag.Reset()
	assert.True(t, v.Empty() && !flag.Value())
	flag.Merge(unseen)
	assert.True(t, flag.Value(), "the reset was no disabling")
	flag.Disable(idA)
	flag.Merge(new(crdt.DWFlag).Enable(idC))
	assert.False(t, flag.Value(), "a disabling is")
	flag.Enable(idA)
	assert.True(t, flag.Value(), "having seen it")
}

func TestFlagsAsText(t *testing.T) {
	for _, c := range []struct {
		flag interface{ MarshalJSON() ([]byte, error) }
		want string
	}{
		{new(crdt.EWFlag), "false"}, {new(crdt.EWFlag).Enable(idA), "true"}, {(*crdt.EWFlag)(nil), "false"},
		{new(crdt.DWFlag), "false"}, {new(crdt.DWFlag).Enable(idA), "true"}, {(*crdt.DWFlag)(nil), "false"},
		{new(crdt.DWFlag).Disable(idA), "false"},
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
	assert.Zero(t, on.Clone().Context().Len()+off.Clone().Context().Len()+len(off.Explain().Against))
	var nobody vclock.ReplicaID
	assert.True(t, new(crdt.EWFlag).Enable(nobody).Empty())
	assert.True(t, new(crdt.DWFlag).Enable(nobody).Empty() && new(crdt.DWFlag).Disable(nobody).Empty())
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

func TestTrap02_ADWFlagResetNeedsNoLaterEventToTravel(t *testing.T) {
	var a, b crdt.DWFlag
	b.Merge(a.Disable(idA))
	a.Reset()
	delta := a.Delta(b.Context())
	assert.EqualValues(t, 1, delta.Context().Count(), "it names the disabling, which the peer has seen")
	assert.True(t, b.Merge(delta))
	assert.True(t, b.Empty())
}

func TestMergingFlagsAllocatesNothingWithoutNews(t *testing.T) {
	var on crdt.EWFlag
	var both crdt.DWFlag
	for i := range 50 {
		r := vclock.Named(fmt.Sprint(i))
		on.Merge(new(crdt.EWFlag).Enable(r))
		both.Merge(new(crdt.DWFlag).Enable(r))
		both.Merge(new(crdt.DWFlag).Disable(vclock.Named(fmt.Sprint("no", i))))
	}
	same, alike := on.Clone(), both.Clone()
	assert.Zero(t, testing.AllocsPerRun(10, func() { on.Merge(same) }))
	assert.Zero(t, testing.AllocsPerRun(10, func() { both.Merge(alike) }))
}

func TestFlagDecoders(t *testing.T) {
	on, off, a := new(crdt.EWFlag).UnmarshalBinary, new(crdt.DWFlag).UnmarshalBinary, id(idA)
	refused(t, on, "incomplete record", raw(0x94, 12, 1, 0x91, 0x93, a, 0, 0, 0x91, 0))
	refused(t, on, "no such replica", raw(0x94, 12, 1, 0x91, 0x93, a, 0, 0, 0x92, 1, 1))
	refused(t, on, "dot outside of the context", raw(0x94, 12, 1, 0x91, 0x93, a, 0, 0, 0x92, 0, 2))
	refused(t, on, "dots out of order", raw(0x94, 12, 1, 0x91, 0x93, a, 0, 1, 0x94, 0, 2, 0, 1))
	refused(t, on, "wrong number of fields", raw(0x95, 12, 1, 0x90, 0x90, 0x90))
	refused(t, off, "dots out of order", raw(0x95, 13, 1, 0x91, 0x93, a, 0, 0, 0x94, 0, 1, 0, 1, 0x90))
	refused(t, off, "dots out of order", raw(0x95, 13, 1, 0x91, 0x93, a, 0, 1, 0x90, 0x94, 0, 2, 0, 1))
	refused(t, off, "dot lives twice", raw(0x95, 13, 1, 0x91, 0x93, a, 0, 1, 0x94, 0, 1, 0, 2, 0x92, 0, 1))
	refused(t, off, "dot outside of the context", raw(0x95, 13, 1, 0x91, 0x93, a, 0, 0, 0x90, 0x92, 0, 2))
	refused(t, off, "wrong number of fields", raw(0x94, 13, 1, 0x90, 0x90))
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
	seed(f, &s, s.Disable(idA), s.Enable(idA), &s, s.Disable(idB), &s, s.Reset(), &s, s.Enable(idB))
	s.Merge(new(crdt.DWFlag).Disable(idC))
	seed(f, &s)
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
	var a, b crdt.DWFlag // off
	b.Merge(a.Enable(paris))
	off := b.Disable(tokyo)
	on := a.Enable(paris) // at the same time
	a.Merge(off)
	b.Merge(on)
	fmt.Println(a.Value(), b.Value())
	a.Enable(paris) // having seen it
	fmt.Println(a.Value())
	// Output:
	// false false
	// true
}
