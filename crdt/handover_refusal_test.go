package crdt_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

var idEstate, idOther = vclock.Named("estate"), vclock.Named("other")

// refuses checks that a handover fails for a reason, on account of a replica, and changes nothing.
func refuses[P inheritable[P]](t *testing.T, reason string, who vclock.ReplicaID, s, at P, to vclock.ReplicaID,
	from ...vclock.ReplicaID) {
	t.Helper()
	before := encoded(t, s)
	changed, err := s.Handover(at, to, from...)
	var refused *crdt.HandoverError
	if assert.ErrorAs(t, err, &refused) {
		assert.Equal(t, who, refused.Replica)
		assert.Contains(t, refused.Error(), reason)
	}
	assert.False(t, changed)
	assert.Equal(t, before, encoded(t, s))
}

func TestCounterHandoverRefuses(t *testing.T) {
	var at pn
	at.Add(idA, 5)
	at.Add(idB, -3)
	x := at.Clone()
	x.Add(idA, 1)
	refuses(t, "not in the cut", idA, x, &at, idEstate, idA)
	refuses(t, "not in the cut", idB, x, nil, idEstate, idB)
	refuses(t, "has events of its own", idB, at.Clone(), &at, idB, idA)
	refuses(t, "cannot take part", idA, at.Clone(), &at, idA, idA)
	refuses(t, "cannot take part", vclock.ReplicaID{}, at.Clone(), &at, vclock.ReplicaID{}, idA)

	x = at.Clone()
	x.Add(idEstate, 7)
	refuses(t, "has events of its own", idEstate, x, &at, idEstate, idA)

	// The successor was that of another cut.
	x = at.Clone()
	x.Add(idEstate, 4)
	refuses(t, "has events of its own", idEstate, x, &at, idEstate, idA)

	// A delta of the right one may tell just what was reset.
	again := new(pn)
	again.Add(idA, 5)
	again.Reset()
	again.Add(idA, 2)
	x = again.Clone()
	require.True(t, handsOver(t, x, again, idA))
	part := x.Delta(x.Context())
	require.Equal(t, "{estate:1-5}", part.Context().String())
	require.False(t, handsOver(t, part, again, idA))
	x = new(pn)
	x.Add(idEstate, 4)
	x.Reset()
	refuses(t, "has events of its own", idEstate, x, again, idEstate, idA)

	// Someone reset 5 without having heard that they were 8.
	later := at.Clone()
	reset := at.Clone().Reset()
	later.Add(idA, 3)
	x = later.Clone()
	x.Merge(reset)
	refuses(t, "reset in part", idA, x, later, idEstate, idA)

	// A reset after the cut that has taken one of two and not the idOther.
	var both, one crdt.GCounter
	both.Add(idB, 2)
	both.Merge(one.Add(idA, 5))
	torn := both.Clone()
	torn.Merge(one.Reset())
	refuses(t, "reset in part", idB, torn, &both, idEstate, idA, idB)

	var most crdt.GCounter
	most.Add(idA, math.MaxUint64)
	most.Add(idB, 1)
	refuses(t, "exceed", idB, most.Clone(), &most, idEstate, idA, idB)
}

func withB(s *set) *set {
	s = s.Clone()
	s.Add(idB, "b")
	return s
}

func TestSetHandoverRefuses(t *testing.T) {
	var at set
	at.Add(idA, "x", "y")
	x := at.Clone()
	x.Add(idA, "z")
	refuses(t, "not in the cut", idA, x, &at, idEstate, idA)
	refuses(t, "not in the cut", idA, x, nil, idEstate, idA)
	refuses(t, "has events of its own", idA, x, &at, idA, idB)
	refuses(t, "has events of its own", idB, at.Clone(), withB(&at), idB, idA)
	x = at.Clone()
	x.Add(idEstate, "1", "2", "3")
	refuses(t, "has events of its own", idEstate, x, &at, idEstate, idA)
	refuses(t, "cannot take part", idA, at.Clone(), &at, idA, idB, idA)

	var m, late crdt.MVRegister[string]
	m.Set(idA, "v")
	late.Merge(&m)
	late.Set(idA, "w")
	refuses(t, "not in the cut", idA, &late, &m, idEstate, idA)
	refuses(t, "not in the cut", idA, &late, nil, idEstate, idA)
}

// checkRefuses goes through the contradictions that all types with dots refuse.
func checkRefuses[P inheritable[P]](t *testing.T, bottom func() P, write func(s P, r vclock.ReplicaID) P) {
	at := bottom()
	write(at, idA)
	x, used := at.Clone(), at.Clone()
	write(x, idA)
	refuses(t, "not in the cut", idA, x, at, idEstate, idA)
	refuses(t, "not in the cut", idA, x, bottom(), idEstate, idB, idA)
	refuses(t, "cannot take part", idA, at.Clone(), at, idA, idB, idA)
	refuses(t, "cannot take part", vclock.ReplicaID{}, at.Clone(), at, vclock.ReplicaID{}, idA)
	write(used, idEstate)
	refuses(t, "has events of its own", idEstate, at.Clone(), used, idEstate, idA)
	write(used, idEstate)
	refuses(t, "has events of its own", idEstate, used, at, idEstate, idA)
}

func TestHandoverRefuses(t *testing.T) {
	checkRefuses(t, orsets().New, func(s *set, r vclock.ReplicaID) *set { return s.Add(r, "x") })
	checkRefuses(t, rwsets().New, func(s *rwset, r vclock.ReplicaID) *rwset { return s.Remove(r, "x") })
	checkRefuses(t, mvregisters().New, func(m *crdt.MVRegister[string], r vclock.ReplicaID) *crdt.MVRegister[string] {
		return m.Put(r, nil, "v")
	})
	checkRefuses(t, ewflags().New, (*crdt.EWFlag).Enable)
	checkRefuses(t, dwflags().New, (*crdt.DWFlag).Disable)
	checkRefuses(t, ormaps().New, func(m *ormap, r vclock.ReplicaID) *ormap { return m.Counter("n").Add(r, 1) })
}

// Without a cut there is nothing to leave.
func TestHandoverByNoCut(t *testing.T) {
	var s rwset
	s.Remove(idA, "x")
	refuses(t, "not in the cut", idA, &s, nil, idEstate, idA)
	var m ormap
	m.Flag("f").Enable(idA)
	refuses(t, "not in the cut", idA, &m, nil, idEstate, idA)
	var on crdt.EWFlag
	on.Enable(idA)
	refuses(t, "not in the cut", idA, &on, nil, idEstate, idA)
	var off crdt.DWFlag
	off.Disable(idA)
	refuses(t, "not in the cut", idA, &off, nil, idEstate, idA)
}

// Who has of one departed replica only what the successor has, and of another what that wrote, keeps both.
func TestTrap16_OldAndNewNamesInOneState(t *testing.T) {
	var at set
	at.Add(idA, "x")
	late := at.Add(idB, "y")
	handed := at.Clone()
	_, err := handed.Handover(&at, idEstate, idA, idB)
	require.NoError(t, err)
	known := new(vclock.Context)
	known.Add(vclock.Dot{Replica: idEstate, Seq: 2})
	newcomer := handed.Delta(known)
	newcomer.Merge(late)
	_, err = newcomer.Handover(&at, idEstate, idA, idB)
	require.NoError(t, err)
	assert.Equal(t, encoded(t, handed), encoded(t, newcomer))
}

// What does not concern a handover stays as it is.
func TestHandoverOfNothing(t *testing.T) {
	var at pn
	at.Add(idA, 5)
	var x pn
	x.Add(idB, 1)
	before := encoded(t, &x)
	changed, err := x.Handover(&at, idEstate, idA, idC)
	require.NoError(t, err)
	assert.False(t, changed, "a state without the departed needs no heir")
	assert.Equal(t, before, encoded(t, &x))
	changed, err = new(set).Handover(nil, idEstate, idA)
	require.NoError(t, err)
	assert.False(t, changed)
}

func TestHandoverShrinks(t *testing.T) {
	var s set
	var c pn
	var gone []vclock.ReplicaID
	for i := range 50 {
		r := vclock.Named(fmt.Sprint("r", i))
		gone = append(gone, r)
		s.Add(r, fmt.Sprint("e", i%7), fmt.Sprint("f", i))
		s.Remove(fmt.Sprint("f", i))
		c.Add(r, int64(i-20))
	}
	elems, value := sorted(&s), c.Value()
	changed, err := s.Handover(s.Clone(), idEstate, gone...)
	require.NoError(t, err)
	assert.True(t, changed)
	s.CheckInvariants()
	assert.Equal(t, elems, sorted(&s))
	assert.Equal(t, "{estate:1-7}", s.Context().String())
	changed, err = c.Handover(c.Clone(), idEstate, gone...)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, value, c.Value())
	assert.Len(t, c.Explain(), 1)
}

// A stale state counts twice until it is handed over, and a reset meanwhile is exact.
func TestTrap16_AStaleStateIsRepaired(t *testing.T) {
	var at pn
	at.Add(idA, 5)
	at.Add(idB, 2)
	stale, current := at.Clone(), at.Clone()
	_, err := current.Handover(&at, idEstate, idA)
	require.NoError(t, err)
	stale.Merge(current)
	assert.EqualValues(t, 12, stale.Value(), "which is why states are handed over on arrival")
	repaired := stale.Clone()
	changed, err := repaired.Handover(&at, idEstate, idA)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, encoded(t, current), encoded(t, repaired))

	stale.Reset()
	_, err = stale.Handover(&at, idEstate, idA)
	require.NoError(t, err)
	current.Merge(stale)
	assert.Zero(t, current.Value())
}

// A client puts with a context from before.
func TestTrap16_AnOldReadContextStillOverwrites(t *testing.T) {
	var m crdt.MVRegister[string]
	m.Set(idA, "read")
	read, at := m.Context(), m.Clone()
	_, err := m.Handover(at, idEstate, idA)
	require.NoError(t, err)
	m.Put(idB, read, "written")
	assert.Len(t, m.Values(), 2)
	_, err = m.Handover(at, idEstate, idA)
	require.NoError(t, err)
	assert.Equal(t, []string{"written"}, m.Values())
}

func TestValueHandover(t *testing.T) {
	kinds := crdt.Standard()
	var at crdt.Value
	c, err := crdt.Ensure[*pn](kinds, &at)
	require.NoError(t, err)
	c.Add(idA, 5)
	s, err := crdt.Ensure[*set](kinds, &at)
	require.NoError(t, err)
	s.Add(idA, "x")
	g, err := crdt.Ensure[*crdt.GSet[string]](kinds, &at)
	require.NoError(t, err)
	g.Add("grows")
	v := at.Clone()
	changed, err := v.Handover(&at, idEstate, idA)
	require.NoError(t, err)
	assert.True(t, changed)
	text, err := v.MarshalJSON()
	require.NoError(t, err)
	assert.JSONEq(t, `{"pncounter":5,"orset":["x"],"gset":["grows"]}`, string(text))
	for _, seen := range v.Contexts().All() {
		for span := range seen.All() {
			assert.Equal(t, idEstate, span.Replica)
		}
	}

	s.Add(idA, "beyond")
	before := encodedValue(t, &at)
	_, err = at.Handover(v, idOther, idA)
	var refused *crdt.HandoverError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, before, encodedValue(t, &at), "the counter could have been, and was not")
	_, err = at.Handover(nil, idOther, idA)
	require.ErrorAs(t, err, &refused)
}
