package crdt_test

import (
	"encoding/json"
	"maps"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

type lwwmap = crdt.LWWMap[string, string]

func stampOf(wall int64, r vclock.ReplicaID) vclock.Timestamp {
	return vclock.Timestamp{Wall: wall, Replica: r}
}

func TestTrap10_LWWMapIsInATotalOrder(t *testing.T) {
	var x, y, gone, wiped lwwmap
	x.Set(stampOf(5, idA), "k", "x")
	y.Set(stampOf(5, idA), "k", "y")
	gone.Remove(stampOf(5, idA), "k")
	wiped.Set(stampOf(5, idA), "k", "z")
	wiped.Reset()
	for _, order := range [][]*lwwmap{{&x, &y, &gone}, {&gone, &y, &x}, {&y, &gone, &x}, {&gone, &x, &y}} {
		var m lwwmap
		for _, s := range order {
			m.Merge(s)
		}
		value, ok := m.Value("k")
		assert.True(t, ok, "of equal timestamps a value wins over a removal")
		assert.Equal(t, "y", value, "and the greater value over the other")
		m.Merge(&wiped)
		assert.True(t, m.Empty(), "and a reset over what it took away")
		assert.False(t, m.Merge(&x) || m.Merge(&gone))
		m.CheckInvariants()
	}

	var far, late lwwmap
	far.Set(stampOf(1<<60, idB), "k", "far ahead")
	late.Merge(&far)
	late.Set(stampOf(1, idA), "k", "after having seen it")
	assert.Equal(t, vclock.Timestamp{Wall: 1 << 60, Logical: 1, Replica: idA}, late.Timestamp("k"))
	late.Set(stampOf(1, idA), "other", "has not been seen")
	assert.Equal(t, stampOf(1, idA), late.Timestamp("other"))
	assert.Equal(t, late.Timestamp("k"), late.Latest())
	late.Remove(stampOf(1, idA), "k")
	far.Merge(&late)
	_, ok := far.Value("k")
	assert.False(t, ok, "a removal wins over what it saw")
	assert.Equal(t, map[string]string{"other": "has not been seen"}, maps.Collect(far.All()))
}

// There is nothing after the end of time; writes there are ordered all the same.
func TestLWWMapAtTheEndOfTime(t *testing.T) {
	end := vclock.Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32, Replica: idB}
	var a, b lwwmap
	b.Merge(a.Set(end, "k", "last"))
	b.Merge(a.Set(stampOf(1, idA), "k", "lost, since a comes before b"))
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
	value, _ := a.Value("k")
	assert.Equal(t, "last", value)
	a.Set(stampOf(1, idC), "k", "c")
	value, _ = a.Value("k")
	assert.Equal(t, "c", value)
}

// A removal keeps away what was set before it, also where it comes first.
func TestLWWMapRemovalComesFirst(t *testing.T) {
	var a, b lwwmap
	set := a.Set(stampOf(3, idA), "k", "v")
	removal := b.Remove(stampOf(4, idB), "k")
	b.Merge(set)
	assert.True(t, b.Empty())
	a.Merge(removal)
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
	b.Merge(a.Set(stampOf(1, idA), "k", "again"))
	assert.Equal(t, 1, b.Len())
}

// Removing several keys is removing each; one that is named twice is removed once.
func TestLWWMapRemovesSeveral(t *testing.T) {
	var m, one, b lwwmap
	b.Merge(m.Set(stampOf(7, idA), "x", "1"))
	b.Merge(m.Set(stampOf(2, idA), "y", "2"))
	one.Merge(&m)
	delta := m.Remove(stampOf(5, idB), "x", "y", "new", "x")
	for _, k := range []string{"x", "y", "new"} {
		one.Remove(stampOf(5, idB), k)
	}
	assert.Equal(t, encoded(t, &one), encoded(t, &m))
	b.Merge(delta)
	assert.Equal(t, encoded(t, &m), encoded(t, &b))
	assert.Equal(t, vclock.Timestamp{Wall: 7, Logical: 1, Replica: idB}, m.Timestamp("x"))
	assert.Equal(t, stampOf(5, idB), m.Timestamp("y"))
	assert.Equal(t, encoded(t, new(lwwmap)), encoded(t, m.Remove(stampOf(9, idB))), "nothing named, nothing written")
}

func TestLWWMapResetIsExact(t *testing.T) {
	var a, b lwwmap
	b.Merge(a.Set(stampOf(3, idA), "seen", "v"))
	b.Merge(a.Set(stampOf(3, idA), "both", "v"))
	later := b.Set(stampOf(4, idB), "both", "later")
	reset := a.Reset()
	assert.True(t, a.Empty())
	a.Merge(later)
	b.Merge(reset)
	assert.Equal(t, map[string]string{"both": "later"}, maps.Collect(b.All()))
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
	b.Reset()
	assert.Empty(t, b.Reset().Parts(), "there is nothing left to reset")
}

func TestLWWMapExplains(t *testing.T) {
	var m lwwmap
	m.Set(stampOf(3, idA), "here", "v")
	m.Remove(stampOf(4, idA), "gone")
	assert.Equal(t, crdt.Explanation{Present: true, ForAt: stampOf(3, idA)}, m.Explain("here"))
	assert.Equal(t, crdt.Explanation{AgainstAt: stampOf(4, idA)}, m.Explain("gone"))
	assert.Equal(t, crdt.Explanation{}, m.Explain("never"))
	m.Reset()
	assert.Equal(t, crdt.Explanation{ForAt: stampOf(3, idA), AgainstAt: stampOf(3, idA)}, m.Explain("here"))
}

func TestLWWMapJSON(t *testing.T) {
	var words lwwmap
	words.Set(stampOf(1, idA), "b", "2")
	words.Set(stampOf(1, idA), "a", "1")
	words.Remove(stampOf(1, idA), "c")
	showsJSON(t, `{"a":"1","b":"2"}`, &words)
	var numbers crdt.LWWMap[grade, []byte]
	numbers.Set(stampOf(1, idA), -3, []byte{1})
	showsJSON(t, `{"-3":"AQ=="}`, &numbers)
	var digests crdt.LWWMap[digest, int]
	digests.Set(stampOf(1, idA), digest{2}, 5)
	digests.Set(stampOf(1, idA), digest{1}, 6)
	showsJSON(t, `[[[1,0,0,0],6],[[2,0,0,0],5]]`, &digests)
	var none *lwwmap
	showsJSON(t, `{}`, none)
	var points crdt.LWWMap[point, int]
	var refused *crdt.TypeError
	_, err := points.MarshalJSON()
	assert.ErrorAs(t, err, &refused)
}

func showsJSON(t *testing.T, want string, v json.Marshaler) {
	t.Helper()
	text, err := v.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, want, string(text))
}

func TestLWWMapTypes(t *testing.T) {
	var refused *crdt.TypeError
	_, err := new(crdt.LWWMap[float64, string]).AppendBinary(nil)
	assert.ErrorAs(t, err, &refused, "a float is no key")
	_, err = new(crdt.LWWMap[string, point]).AppendBinary(nil)
	assert.ErrorAs(t, err, &refused)
	assert.ErrorAs(t, new(crdt.LWWMap[point, string]).UnmarshalBinary(nil), &refused)
	assert.ErrorAs(t, new(crdt.LWWMap[string, point]).UnmarshalBinary(nil), &refused)
	var inMemory crdt.LWWMap[point, point]
	inMemory.Set(stampOf(1, idA), point{1, 2}, point{3, 4})
	value, _ := inMemory.Value(point{1, 2})
	assert.Equal(t, point{3, 4}, value)
	assert.False(t, inMemory.Merge(inMemory.Clone()))

	var m, back crdt.LWWMap[uint16, float32]
	m.Set(stampOf(-5, vclock.ReplicaID{}), 7, 0.5)
	require.NoError(t, back.UnmarshalBinary(encoded(t, &m)))
	value32, ok := back.Value(7)
	assert.True(t, ok)
	assert.EqualValues(t, 0.5, value32)
}
