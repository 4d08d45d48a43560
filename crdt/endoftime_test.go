package crdt_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

// The delta says what was written, also where nothing can be written any more.
func TestNoWriteToAMapAfterTheEndOfTime(t *testing.T) {
	end := vclock.Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32, Replica: idB}
	late := vclock.Timestamp{Wall: 1, Replica: idA}
	var m crdt.LWWMap[string, string]
	m.Set(end, "k", "last")
	before := encoded(t, &m)
	nothing := encoded(t, new(crdt.LWWMap[string, string]))
	for what, delta := range map[string]*crdt.LWWMap[string, string]{
		"set":             m.Set(late, "k", "too late"),
		"set to more":     m.Set(end, "k", "more"),
		"remove":          m.Remove(late, "k"),
		"remove at once":  m.Remove(end, "k"),
		"remove it twice": m.Remove(late, "k", "k"),
	} {
		assert.Equal(t, nothing, encoded(t, delta), what)
		assert.Zero(t, delta.Len(), what)
	}
	assert.Equal(t, before, encoded(t, &m))
	delta := m.Remove(late, "k", "other")
	assert.True(t, delta.Timestamp("k").IsZero())
	assert.Equal(t, late, delta.Timestamp("other"))
	v, _ := m.Value("k")
	assert.Equal(t, "last", v)
}

// endOf is the last moment there is.
func endOf(r vclock.ReplicaID) vclock.Timestamp {
	return vclock.Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32, Replica: r}
}

// An element that was written at the end of time stays as it is, and only that: the delta says what was written.
func TestNoWriteToASetAfterTheEndOfTime(t *testing.T) {
	var s timed
	s.Add(endOf(idB), "in")
	s.Remove(endOf(idB), "out")
	before, nothing := encoded(t, &s), encoded(t, new(timed))
	for what, delta := range map[string]*timed{
		"add":         s.Add(stampOf(1, idA), "out"),
		"add in time": s.Add(endOf(idA), "out"),
		"add again":   s.Add(endOf(idB), "in", "out"),
		"remove":      s.Remove(stampOf(1, idA), "in"),
		"no stamp":    s.Remove(vclock.Timestamp{}, "in"), // what a clock gives at the end of time
	} {
		assert.Equal(t, nothing, encoded(t, delta), what)
	}
	assert.Equal(t, before, encoded(t, &s))

	delta := s.Remove(stampOf(1, idA), "in", "other")
	assert.True(t, delta.Explain("in").AgainstAt.IsZero())
	assert.Equal(t, stampOf(1, idA), delta.Explain("other").AgainstAt)
	assert.True(t, s.Has("in"))

	// What the order of timestamps has after that counts: a removal, and a replica that comes later.
	s.Remove(endOf(idB), "in")
	assert.False(t, s.Has("in"))
	delta = s.Add(stampOf(1, idC), "in")
	assert.Equal(t, crdt.Explanation{Present: true, ForAt: endOf(idC)}, delta.Explain("in"))
	assert.True(t, s.Has("in"))
}

func TestNoWriteToARegisterAfterTheEndOfTime(t *testing.T) {
	var r crdt.LWWRegister[string]
	r.Set(endOf(idB), "last")
	for _, late := range []vclock.Timestamp{stampOf(1, idA), endOf(idA), endOf(idB), {}} {
		assert.Equal(t, encoded(t, new(crdt.LWWRegister[string])), encoded(t, r.Set(late, "too late")))
	}
	v, _ := r.Value()
	assert.Equal(t, "last", v)
}

// A log keeps all entries, also when there is no later moment for them: then they are in order of replicas and numbers.
func TestALogKeepsEntriesAfterTheEndOfTime(t *testing.T) {
	var l, peer wordlog
	l.Append(endOf(idB), "b1", "b2")
	peer.Merge(&l)
	seen := l.Context()
	first := l.Append(stampOf(1, idA), "a1", "a2")
	l.Append(endOf(idC), "c1")
	l.Append(stampOf(1, idB), "b3")
	assert.Equal(t, []string{"a1", "a2", "b1", "b2", "b3", "c1"}, wordsIn(&l))
	assert.Equal(t, []string{"a1", "a2"}, wordsIn(first))
	assert.Equal(t, endOf(idC), l.Latest())
	assert.Equal(t, []vclock.Dot{{Replica: idB, Seq: 1}, {Replica: idB, Seq: 2}, {Replica: idB, Seq: 3}}, l.Explain(endOf(idB)).For)
	var back wordlog
	require.NoError(t, back.UnmarshalBinary(encoded(t, &l)))
	assert.Equal(t, wordsIn(&l), wordsIn(&back))
	peer.Merge(l.Delta(seen))
	assert.Equal(t, encoded(t, &l), encoded(t, &peer))
	assert.Equal(t, encoded(t, new(wordlog)), encoded(t, l.Append(vclock.Timestamp{}, "nobody's")))
}

// No entry is lost at the end of time, whoever appends after having seen whatever.
func TestLogsAtTheEndOfTimeLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := []vclock.ReplicaID{idA, idB, idC}
		logs := []*wordlog{{}, {}, {}}
		all, want := new(wordlog), 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "replica")
			at := endOf(ids[i])
			at.Logical -= rapid.Uint32Range(0, 1).Draw(t, "moments left")
			n := rapid.IntRange(0, 20).Draw(t, "entries")
			all.Merge(logs[i].Append(at, make([]string, n)...))
			want += n
			logs[i].CheckInvariants()
			logs[rapid.IntRange(0, 2).Draw(t, "to")].Merge(logs[i])
		}
		all.CheckInvariants()
		if all.Len() != want {
			t.Fatalf("%d entries of %d", all.Len(), want)
		}
	})
}

// A register in a map is overwritten by naming what was there, so a local write counts also after the end of time.
func TestAMapsRegisterIsWrittenAfterTheEndOfTime(t *testing.T) {
	var m ormap
	m.LWWRegister("k").Set(idB, endOf(idB), "last")
	delta := m.LWWRegister("k").Set(idA, stampOf(1, idA), "later")
	v, _ := m.LWWRegister("k").Value()
	assert.Equal(t, "later", v)
	v, _ = delta.LWWRegister("k").Value()
	assert.Equal(t, "later", v)
}

// atTheEnd is a suite whose writers have the last moments there are.
func atTheEnd[P crdt.State[P]](s crdttest.Suite[P]) crdttest.Suite[P] {
	mutate := s.Mutate
	s.Mutate = func(t *rapid.T, state P, by crdttest.Writer) P {
		by.Stamp.Wall = math.MaxInt64
		by.Stamp.Logical = math.MaxUint32 - rapid.Uint32Range(0, 2).Draw(t, "moments left")
		return mutate(t, state, by)
	}
	return s
}

func TestLawsAtTheEndOfTime(t *testing.T) {
	t.Run("lwwregister", func(t *testing.T) { crdttest.Laws(t, atTheEnd(lwwregisters())) })
	t.Run("lwwset", func(t *testing.T) { crdttest.Laws(t, atTheEnd(lwwsets())) })
	t.Run("lwwmap", func(t *testing.T) { crdttest.Laws(t, atTheEnd(lwwmaps())) })
	t.Run("log", func(t *testing.T) { crdttest.Laws(t, atTheEnd(logs())) })
	t.Run("ormap", func(t *testing.T) { crdttest.Laws(t, atTheEnd(ormaps())) })
}
