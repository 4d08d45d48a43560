package store_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// A sealed value is a state, and Decode gives the value back.
func TestSealedValuesAreStates(t *testing.T) {
	s := store.New(store.Config{})
	var c crdt.MaxRegister[int64]
	c.Set(7)
	b, err := crdt.Standard().Append(nil, &c)
	require.NoError(t, err)
	assert.Empty(t, s.Seal(nil))
	assert.Equal(t, b, s.Seal(b), "of the first generation a value is its state")
	_, err = s.Merge(t.Context(), "k", s.Seal(b))
	require.NoError(t, err)
	v, err := s.Decode(s.Seal(b))
	require.NoError(t, err)
	m, ok := crdt.Component[*crdt.MaxRegister[int64]](crdt.Standard(), v)
	require.True(t, ok)
	n, _ := m.Value()
	assert.Equal(t, int64(7), n)
}

// A store that has forgotten how it came where it is refuses a bare value, and takes one that it has sealed.
func TestSealedValuesAreOfHereAndNow(t *testing.T) {
	s := cluster(t, 1, "a")[0]
	for range 3 {
		insert(t, s, "k", "x")
		remove(t, s, "k")
		collect(t, s)
	}
	var c crdt.MaxRegister[int64]
	c.Set(7)
	b, err := crdt.Standard().Append(nil, &c)
	require.NoError(t, err)
	_, err = s.Merge(t.Context(), "n", b)
	var stale *store.StaleError
	require.ErrorAs(t, err, &stale)
	_, err = s.Merge(t.Context(), "n", s.Seal(b))
	require.NoError(t, err)
}
