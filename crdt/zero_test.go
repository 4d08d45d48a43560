package crdt_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// A state is zero if, and only if, it is written as one that is new.
func TestZeroIsAsNew(t *testing.T) {
	kinds := everyKind(t)
	forEveryState(t, func(t *rapid.T, s some) {
		want := bytes.Equal(s.bytes, s.bottom)
		if s.says != want {
			t.Fatalf("kind %d: zero %v, and is written %x", s.tag, s.says, s.bytes)
		}
		if got, err := s.isZero(kinds); err != nil || got != want {
			t.Fatalf("kind %d: zero %v, %v, and is written %x", s.tag, got, err, s.bytes)
		}
	})
}

// A removal takes something away, so its delta is empty and not zero.
func TestAnEmptyDeltaMaySaySomething(t *testing.T) {
	var s set
	require.True(t, s.Remove("x").IsZero())
	s.Add(idA, "x")
	removal := s.Remove("x")
	assert.True(t, removal.Empty())
	assert.False(t, removal.IsZero())
	var c crdt.PNCounter
	assert.True(t, c.Add(idA, 0).IsZero())
	c.Add(idA, 1)
	assert.False(t, c.Reset().IsZero())
	assert.True(t, c.Reset().IsZero())
}

// A type of another package is asked by its encoding. Its methods may be those of what it embeds, which know a part of it.
func TestZeroOfTypesThatAreNotOfThisPackage(t *testing.T) {
	kinds := fragileKinds(t)
	isZero := func(c *composed) bool {
		zero, err := crdt.IsZero(kinds, c)
		require.NoError(t, err)
		return zero
	}
	var c composed
	assert.True(t, isZero(&c))
	assert.True(t, isZero(nil))
	c.Title.Set(stampOf(1, idA), "new")
	assert.True(t, c.IsZero(), "that of the set in it")
	assert.False(t, isZero(&c))

	for _, unknown := range []*composed{&c, nil} {
		zero, err := crdt.IsZero(crdt.Standard(), unknown)
		assert.ErrorAs(t, err, new(*crdt.UnknownKindError))
		assert.False(t, zero)
	}
	broken, err := crdt.NewKinds(crdt.NewKind[unwell](64, "unwell"))
	require.NoError(t, err)
	zero, err := crdt.IsZero(broken, &unwell{ill: true})
	assert.ErrorIs(t, err, errRefused)
	assert.False(t, zero)
	zero, err = crdt.IsZero(broken, &unwell{})
	assert.True(t, zero)
	assert.NoError(t, err)
}

var errRefused = errors.New("refused")

// unwell is a state that may refuse to be encoded.
type unwell struct {
	plain
	ill bool
}

func (u *unwell) Merge(o *unwell) bool { return u.plain.Merge(&o.plain) }
func (u *unwell) Clone() *unwell       { return &unwell{*u.plain.Clone(), u.ill} }
func (u *unwell) AppendBinary(b []byte) ([]byte, error) {
	if u.ill {
		return nil, errRefused
	}
	return u.plain.AppendBinary(b)
}

// lasts are the numbers of the last events of a replica in a context: of those that come before half of all numbers, and
// of those after, which a counter has for what is subtracted.
func lasts(c *vclock.Context, id vclock.ReplicaID) (last [2]uint64) {
	for span := range c.SpansOf(id) {
		if span.Lo < 1<<63 {
			last[0] = max(last[0], min(span.Hi, 1<<63-1))
		}
		if span.Hi >= 1<<63 {
			last[1] = max(last[1], span.Hi)
		}
	}
	return last
}

// A value exceeds another where its contexts tell of a later event of the replica, each kind for itself.
func TestExceedsIsWhatTheContextsTell(t *testing.T) {
	kinds := everyKind(t)
	types := everyType()
	draw := func(t *rapid.T) *crdt.Value {
		var v crdt.Value
		for range rapid.IntRange(0, 3).Draw(t, "kinds") {
			states := rapid.SampledFrom(types).Draw(t, "kind")(t)
			require.NoError(t, rapid.SampledFrom(states).Draw(t, "state").putInto(kinds, &v))
		}
		return &v
	}
	rapid.Check(t, func(t *rapid.T) {
		v, o := draw(t), draw(t)
		if rapid.Bool().Draw(t, "like") {
			o = v.Clone()
			o.Merge(draw(t))
		}
		for _, id := range []vclock.ReplicaID{{}, vclock.Named("r0"), vclock.Named("r1"), vclock.Named("r2"), vclock.Named("never")} {
			want := false
			for tag, mine := range v.Contexts().All() {
				var theirs [2]uint64
				for other, seen := range o.Contexts().All() {
					if other == tag {
						theirs = lasts(seen, id)
					}
				}
				m := lasts(mine, id)
				want = want || m[0] > theirs[0] || m[1] > theirs[1]
			}
			if got := v.Exceeds(o, id); got != want {
				t.Fatalf("of %v: %v, and the contexts tell %v\n%v\n%v", id, got, want, v.Contexts(), o.Contexts())
			}
		}
	})
}

// Each type that has events tells of them.
func TestEachTypeTellsOfItsEvents(t *testing.T) {
	tell := func(events int, state func(v *crdt.Value)) {
		t.Helper()
		var v, none crdt.Value
		state(&v)
		require.Equal(t, events > 0, v.Exceeds(&none, idA))
		require.False(t, v.Exceeds(&none, idB))
		require.False(t, v.Exceeds(v.Clone(), idA))
		require.False(t, none.Exceeds(&v, idA))
	}
	tell(3, func(v *crdt.Value) { ensured[*crdt.GCounter](t, v).Add(idA, 3) })
	tell(3, func(v *crdt.Value) { ensured[*pn](t, v).Add(idA, 3) })
	tell(2, func(v *crdt.Value) { c := ensured[*pn](t, v); c.Add(idA, 3); c.Add(idA, -2) })
	tell(2, func(v *crdt.Value) { ensured[*set](t, v).Add(idA, "x", "y") })
	tell(1, func(v *crdt.Value) { ensured[*rwset](t, v).Remove(idA, "x") })
	tell(1, func(v *crdt.Value) { ensured[*crdt.MVRegister[string]](t, v).Set(idA, "x") })
	tell(2, func(v *crdt.Value) { f := ensured[*crdt.EWFlag](t, v); f.Enable(idA); f.Enable(idA); f.Disable() })
	tell(1, func(v *crdt.Value) { ensured[*crdt.DWFlag](t, v).Disable(idA) })
	tell(2, func(v *crdt.Value) { ensured[*crdt.Log[string]](t, v).Append(stampOf(9, idA), "x", "y") })
	tell(2, func(v *crdt.Value) { c := ensured[*escrow](t, v); c.Increment(idA, 9); c.Increment(idA, 9) })
	tell(1, func(v *crdt.Value) { ensured[*ormap](t, v).Counter("x").Add(idA, 9) })
	tell(0, func(v *crdt.Value) { ensured[*crdt.LWWRegister[string]](t, v).Set(stampOf(9, idA), "x") })
	tell(5, func(v *crdt.Value) {
		ensured[*crdt.GCounter](t, v).Add(idA, 5)
		ensured[*set](t, v).Add(idA, "x")
	})
	require.False(t, (*crdt.Value)(nil).Exceeds(nil, idA))
	var more, less crdt.Value
	for _, v := range []*crdt.Value{&more, &less} {
		ensured[*pn](t, v).Add(idA, -7)
		ensured[*pn](t, v).Add(idA, 1)
	}
	ensured[*pn](t, &more).Add(idA, 1)
	require.True(t, more.Exceeds(&less, idA), "what is subtracted does not hide what is added")
}

// knowing is a type of another package that knows of events, and embeds one that knows of others.
type knowing struct {
	composed
	seen vclock.Context
}

func (k *knowing) Merge(o *knowing) bool {
	changed := k.composed.Merge(&o.composed)
	return k.seen.Merge(&o.seen) || changed
}
func (k *knowing) Clone() *knowing                       { return &knowing{*k.composed.Clone(), *k.seen.Clone()} }
func (k *knowing) Context() *vclock.Context              { return k.seen.Clone() }
func (k *knowing) Delta(*vclock.Context) *knowing        { return k.Clone() }
func (k *knowing) AppendBinary(b []byte) ([]byte, error) { return k.seen.AppendBinary(b) }

func TestTypesThatAreNotOfThisPackageTellOfTheirEvents(t *testing.T) {
	kinds, err := crdt.NewKinds(crdt.NewKind[knowing](64, "knowing"), crdt.NewKind[composed](65, "composed"))
	require.NoError(t, err)
	var v crdt.Value
	c, err := crdt.Ensure[*composed](kinds, &v)
	require.NoError(t, err)
	c.Add(idA, "x", "y")
	require.False(t, v.Exceeds(nil, idA), "its context is that of a part, and so none")
	k, err := crdt.Ensure[*knowing](kinds, &v)
	require.NoError(t, err)
	k.Add(idA, "x", "y")
	require.False(t, v.Exceeds(nil, idA))
	k.seen.Add(vclock.Dot{Replica: idA, Seq: 1})
	require.True(t, v.Exceeds(nil, idA))
	require.False(t, v.Exceeds(v.Clone(), idA))
}
