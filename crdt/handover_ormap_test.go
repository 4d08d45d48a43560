package crdt_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

// All kinds of fields, beside one another and one in the other.
func TestTrap16_ORMapHandover(t *testing.T) {
	testHandoverOf(t, cluster[*ormap]{
		suite: ormaps(),
		present: func(m *ormap) string {
			text, err := m.MarshalJSON()
			return fmt.Sprint(string(text), err)
		},
		fold: func(m *ormap, by crdttest.Writer, settled *vclock.Context) *ormap { return m.Fold(by.Replica, settled) },
		ops: []change[*ormap]{
			func(m *ormap, by crdttest.Writer) *ormap { return m.Counter("n").Add(by.Replica, 3) },
			func(m *ormap, by crdttest.Writer) *ormap { return m.Counter("n").Add(by.Replica, 3) },
			func(m *ormap, by crdttest.Writer) *ormap { return m.Counter("n").Add(by.Replica, -3) },
			func(m *ormap, by crdttest.Writer) *ormap { return m.Map("m").Counter("n").Add(by.Replica, 5) },
			func(m *ormap, by crdttest.Writer) *ormap {
				return m.Map("m").Counter("n").Add(by.Replica, math.MaxInt64)
			},
			func(m *ormap, _ crdttest.Writer) *ormap { return m.Counter("n").Reset() },
			func(m *ormap, by crdttest.Writer) *ormap { return m.Map("m").Set("s").Add(by.Replica, "x", "y") },
			func(m *ormap, _ crdttest.Writer) *ormap { return m.Map("m").Set("s").Remove("x") },
			func(m *ormap, by crdttest.Writer) *ormap {
				return m.LWWRegister("r").Set(by.Replica, by.Stamp, fmt.Sprint(by.Stamp.Wall))
			},
			func(m *ormap, by crdttest.Writer) *ormap {
				return m.MVRegister("r").Set(by.Replica, fmt.Sprint(by.Stamp.Wall))
			},
			func(m *ormap, by crdttest.Writer) *ormap {
				return m.MVRegister("r").Put(by.Replica, nil, fmt.Sprint(by.Stamp.Wall))
			},
			func(m *ormap, by crdttest.Writer) *ormap { return m.Flag("n").Enable(by.Replica) },
			func(m *ormap, _ crdttest.Writer) *ormap { return m.Remove("m") },
			func(m *ormap, _ crdttest.Writer) *ormap { return m.Remove("n", "r") },
		},
	})
}

// A thousand increments of many replicas become one, and the timestamps of a register stay.
func TestORMapHandoverFolds(t *testing.T) {
	var m ormap
	var gone []vclock.ReplicaID
	stamp := vclock.Timestamp{Wall: 7, Replica: idOther}
	for i := range 50 {
		r := vclock.Named(fmt.Sprint("r", i))
		gone = append(gone, r)
		for range 20 {
			m.Map("deep").Counter("n").Add(r, 2)
		}
		m.Counter("zero").Add(r, int64(i)*2-49)
	}
	m.LWWRegister("r").Set(gone[3], stamp, "v")
	changed, err := m.Handover(m.Clone(), idEstate, gone...)
	require.NoError(t, err)
	assert.True(t, changed)
	m.CheckInvariants()
	assert.EqualValues(t, 2000, m.Map("deep").Counter("n").Value())
	assert.Equal(t, "{estate:1-4}", m.Context().String())
	assert.Equal(t, 3, m.Entries())
	assert.Equal(t, stamp, m.LWWRegister("r").Timestamp())
	assert.Zero(t, m.Counter("zero").Value())
	assert.False(t, m.Counter("zero").Empty(), "a sum of 0 is there")
	require.NoError(t, new(ormap).UnmarshalBinary(encoded(t, &m)))

	cut := m.Clone() // the successor's successor
	changed, err = m.Handover(cut, idOther, idEstate)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, "{other:1-4}", m.Context().String())
	assert.EqualValues(t, 2000, m.Map("deep").Counter("n").Value())
	assert.False(t, m.Counter("zero").Empty())
}

// A sum that an int64 does not hold stays in several events.
func TestORMapHandoverOfMuch(t *testing.T) {
	var m ormap
	for range 3 {
		m.Counter("n").Add(idA, math.MaxInt64-1)
	}
	m.Counter("n").Add(idB, 1)
	_, err := m.Handover(m.Clone(), idEstate, idA, idB)
	require.NoError(t, err)
	assert.Equal(t, 3, m.Entries())
	assert.EqualValues(t, math.MaxInt64, m.Counter("n").Value())
	m.Counter("n").Add(idC, -math.MaxInt64)
	m.Counter("n").Add(idC, -math.MaxInt64)
	assert.EqualValues(t, math.MaxInt64-3+1, m.Counter("n").Value())
}

// A fold is handed over as the increments that it stands for, whoever has these still apart.
func TestORMapHandoverOfAFold(t *testing.T) {
	var m ormap
	first := m.Counter("n").Add(idA, 3)
	m.Counter("n").Add(idA, 4)
	old := m.Clone()
	require.False(t, m.Fold(idA, m.Context()).Context().Len() == 0)
	last := m.Counter("n").Add(idA, 5)
	at := m.Clone()
	handOver := func(s *ormap) *ormap {
		s = s.Clone()
		_, err := s.Handover(at, idEstate, idA)
		require.NoError(t, err)
		s.CheckInvariants()
		return s
	}
	want := encoded(t, handOver(&m))
	assert.EqualValues(t, 12, handOver(&m).Counter("n").Value())
	assert.Equal(t, "{estate:1}", handOver(&m).Context().String())
	for _, s := range []*ormap{old, first, last} {
		assert.Equal(t, want, encoded(t, handOver(s)), "whoever has a part has all")
		ended := s.Clone()
		ended.Reset() // a part of the removal of all, that arrives by itself
		whole := handOver(&m)
		whole.Merge(handOver(ended))
		assert.True(t, whole.Empty())
	}
}

// A part of what was left becomes that part.
func TestORMapHandoverOfAPart(t *testing.T) {
	var at ormap
	x := at.Set("s").Add(idA, "x")
	at.Set("s").Add(idA, "y")
	at.LWWRegister("zero").Set(idA, vclock.Timestamp{}, "v")
	_, err := x.Handover(&at, idEstate, idA)
	require.NoError(t, err)
	assert.Equal(t, []string{"x"}, slices.Collect(x.Set("s").All()))
	assert.Equal(t, 1, x.Entries())
	_, err = at.Handover(at.Clone(), idEstate, idA)
	require.NoError(t, err)
	v, _ := at.LWWRegister("zero").Value()
	assert.Equal(t, "v", v)
}

// A register that a client read before it was handed over is overwritten all the same, and what it did not read stays.
func TestTrap16_AnOldReadContextStillOverwritesInAMap(t *testing.T) {
	var m ormap
	m.MVRegister("r").Set(idA, "read")
	read := m.MVRegister("r").Context()
	m.Flag("f").Enable(idA)
	at := m.Clone()
	_, err := m.Handover(at, idEstate, idA)
	require.NoError(t, err)
	m.MVRegister("r").Put(idB, read, "written")
	_, err = m.Handover(at, idEstate, idA)
	require.NoError(t, err)
	assert.Equal(t, []string{"written"}, m.MVRegister("r").Values())
	assert.True(t, m.Flag("f").Enabled())
}

// An identity that was used twice says two things by one event, of which neither stays.
func TestTrap14_ORMapHandoverOfTwins(t *testing.T) {
	for what, other := range map[string]func(m *ormap) *ormap{
		"another place":   func(m *ormap) *ormap { return m.Set("t").Add(idA, "x") },
		"another element": func(m *ormap) *ormap { return m.Set("s").Add(idA, "y") },
		"another kind":    func(m *ormap) *ormap { return m.MVRegister("s").Set(idA, "x") },
	} {
		var at, twin ormap
		at.Set("s").Add(idA, "x")
		other(&twin)
		whole := at.Clone()
		whole.Merge(&twin)
		for _, m := range []*ormap{whole, &twin} {
			_, err := m.Handover(&at, idEstate, idA)
			require.NoError(t, err, what)
			assert.True(t, m.Empty(), what)
		}
		assert.Equal(t, encoded(t, whole), encoded(t, &twin), what)
	}
}

// In a Value it goes with the other kinds.
func TestValueHandoverOfAMap(t *testing.T) {
	var v crdt.Value
	m, err := crdt.Ensure[*ormap](crdt.Standard(), &v)
	require.NoError(t, err)
	m.Counter("n").Add(idA, 5)
	changed, err := v.Handover(v.Clone(), idEstate, idA)
	require.NoError(t, err)
	assert.True(t, changed)
}
