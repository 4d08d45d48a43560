package crdt_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// Whoever holds a state of a value still holds it after a handover, and what it writes there is in the value.
func TestValueHandoverIsInPlace(t *testing.T) {
	var v crdt.Value
	s := ensured[*set](t, &v)
	for i := range 100 {
		s.Add(idA, fmt.Sprint(i))
	}
	c := ensured[*pn](t, &v)
	c.Add(idA, 5)
	g := ensured[*crdt.GSet[string]](t, &v)
	g.Add("grows")
	fingerprint(t, &v) // is kept from here on

	changed, err := v.Handover(&v, idEstate, idA)
	require.NoError(t, err)
	require.True(t, changed)
	require.Same(t, s, ensured[*set](t, &v))
	require.Same(t, c, ensured[*pn](t, &v))
	require.Same(t, g, ensured[*crdt.GSet[string]](t, &v))
	require.Equal(t, "{estate:1-100}", s.Context().String())
	before := fingerprint(t, &v)
	s.Add(idB, "more")
	c.Add(idB, 1)
	require.NotEqual(t, before, fingerprint(t, &v))
	text, err := v.MarshalJSON()
	require.NoError(t, err)
	assert.Contains(t, string(text), `"more"`)
	assert.Contains(t, string(text), `"pncounter":6`)
}

// If any kind refuses, wherever it stands among the others, none has been touched: neither its state nor what is
// kept of its fingerprint.
func TestValueHandoverThatIsRefusedTouchesNothing(t *testing.T) {
	for _, refusing := range []func(v *crdt.Value){
		func(v *crdt.Value) { ensured[*crdt.GCounter](t, v).Add(idA, 1) }, // the first
		func(v *crdt.Value) { ensured[*set](t, v).Add(idA, "beyond") },
		func(v *crdt.Value) { ensured[*ormap](t, v).Flag("beyond").Enable(idA) }, // the last
	} {
		var v crdt.Value
		ensured[*crdt.GCounter](t, &v).Add(idA, 3)
		ensured[*set](t, &v).Add(idA, "x")
		ensured[*ormap](t, &v).Counter("n").Add(idA, 1)
		at := v.Clone()
		refusing(&v)
		held, before := ensured[*set](t, &v), encodedValue(t, &v)
		kept := fingerprint(t, &v)
		changed, err := v.Handover(at, idEstate, idA)
		require.ErrorAs(t, err, new(*crdt.HandoverError))
		require.False(t, changed)
		require.Same(t, held, ensured[*set](t, &v))
		require.Equal(t, before, encodedValue(t, &v))
		require.Equal(t, kept, fingerprint(t, &v))
	}
}

// fickle is a type of one's own that refuses every second time.
type fickle struct {
	crdt.GSet[string]
	times *int
}

func (f *fickle) Merge(o *fickle) bool { return f.GSet.Merge(&o.GSet) }
func (f *fickle) Clone() *fickle       { return &fickle{*f.GSet.Clone(), f.times} }

func (f *fickle) Handover(*fickle, vclock.ReplicaID, ...vclock.ReplicaID) (bool, error) {
	if *f.times++; *f.times%2 == 0 {
		return false, errors.New("fickle")
	}
	return true, nil
}

func TestValueHandoverReportsATypeThatChangesItsMind(t *testing.T) {
	kinds, err := crdt.Standard().With(crdt.NewKind[fickle](100, "fickle"))
	require.NoError(t, err)
	for _, counted := range []bool{true, false} {
		var v crdt.Value
		own, err := crdt.Ensure[*fickle](kinds, &v)
		require.NoError(t, err)
		own.times = new(int)
		if counted {
			ensured[*pn](t, &v).Add(idA, 1)
		}
		changed, err := v.Handover(v.Clone(), idEstate, idA)
		require.EqualError(t, err, "fickle")
		require.Equal(t, counted, changed, "by those before it")
	}
}
