package crdt_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// What decoding, merging and writing allocate beside what they leave: not more for each replica the more there are.

// reversed returns a map of n fields, each of a replica of its own: the keys come in reverse order of the replicas.
func reversed(n int, names string) *ormap {
	ids := make([]vclock.ReplicaID, n)
	for i := range ids {
		ids[i] = vclock.Named(fmt.Sprintf("%s%06d", names, i))
	}
	slices.SortFunc(ids, vclock.ReplicaID.Compare)
	m := new(ormap)
	for i, id := range ids {
		m.Flag(fmt.Sprintf("%s%06d", names, n-i)).Enable(id)
	}
	return m
}

func TestORMapTakesReplicasInAnyOrder(t *testing.T) {
	const n = 3000
	x, y := reversed(n, "x"), reversed(n, "y")
	bytes := encoded(t, x)
	var back, both ormap
	require.NoError(t, back.UnmarshalBinary(bytes))
	back.CheckInvariants()
	assert.Equal(t, bytes, encoded(t, &back))
	both.Merge(x)
	both.Merge(y)
	both.CheckInvariants()
	assert.Equal(t, 2*n, both.Len())
	ended := x.Reset()
	assert.Zero(t, x.Len())
	x.CheckInvariants()
	both.Merge(ended)
	both.CheckInvariants()
	assert.Equal(t, n, both.Len())
}

// One write after n transfers have arrived copies its row once, and not n times.
func TestBoundedCounterWritesItsRowOnce(t *testing.T) {
	const n = 600
	me := vclock.Named("me")
	var all crdt.BoundedCounter
	for i := range n {
		from := vclock.Named(fmt.Sprintf("r%06d", i))
		var c crdt.BoundedCounter
		c.Increment(from, 2)
		_, err := c.Transfer(from, me, 1)
		require.NoError(t, err)
		all.Merge(&c)
	}
	some := all.Clone()
	got := allocated(func() { all.Increment(me, 1) })
	assert.Less(t, got, uint64(1000*n), "bytes")
	assert.EqualValues(t, n+1, all.Rights(me))
	all.CheckInvariants()

	// What has arrived before stays in its place among what arrives later.
	some.Increment(me, 1)
	for i := range n {
		if i%3 == 0 {
			_, err := some.Transfer(vclock.Named(fmt.Sprintf("r%06d", i)), me, 1)
			require.NoError(t, err)
		}
	}
	some.Merge(func() *crdt.BoundedCounter {
		var c crdt.BoundedCounter
		from := vclock.Named("r000001x")
		c.Increment(from, 7)
		_, err := c.Transfer(from, me, 7)
		require.NoError(t, err)
		return &c
	}())
	some.Increment(me, 1)
	some.CheckInvariants()
	assert.EqualValues(t, n+(n+2)/3+7+2, some.Rights(me))
	var back crdt.BoundedCounter
	require.NoError(t, back.UnmarshalBinary(encoded(t, some)), "the row is in order")
}

// What an array of elements claims is paid for by the bytes that follow, whatever the size of an element in memory.
func TestLargeElementsAreNotPaidForInAdvance(t *testing.T) {
	const size = 1 << 16
	refused := []byte{0x94, 4, 1, 0x90, 0xdd, 0, size >> 16, 0, 0}
	refused = append(refused, make([]byte, size)...) // zeros, which are no elements
	var large crdt.ORSet[[1024]byte]
	got := allocated(func() { require.Error(t, large.UnmarshalBinary(refused)) })
	assert.Less(t, got, uint64(25*size), "bytes for large elements")
	var small crdt.ORSet[string]
	got = allocated(func() { require.Error(t, small.UnmarshalBinary(refused)) })
	assert.Less(t, got, uint64(25*size), "bytes for strings")
}

func TestLargeElementsComeBack(t *testing.T) {
	var s, back crdt.ORSet[[1024]byte]
	for i := range 500 {
		s.Add(idA, [1024]byte{byte(i), byte(i >> 8)})
	}
	require.NoError(t, back.UnmarshalBinary(encoded(t, &s)))
	back.CheckInvariants()
	assert.Equal(t, 500, back.Len())
	assert.Equal(t, encoded(t, &s), encoded(t, &back))
}

// crowd is how many replicas there are, and how many events each has, at most, for a dot to take two bytes.
const crowd = 127

// crowded returns a state with a context of a crowd, then head, and then the dots of all its events, each with what
// stands beside it. What is in the context is next to nothing beside them.
func crowded(start []byte, head []byte, values int, beside ...byte) []byte {
	b := append(start, 0xdc, 0, crowd)
	for i := range crowd {
		name := vclock.Named(fmt.Sprintf("r%03d", i)).Bytes()
		b = append(append(append(b, 0x93, 0xc4, 16), name[:]...), 0, crowd-1)
	}
	b = append(b, head...)
	b = append(b, 0xdc, byte(values>>8), byte(values))
	for i := range crowd {
		for seq := range crowd {
			b = append(append(b, byte(i), byte(seq+1)), beside...)
		}
	}
	return b
}

// What decoding allocates for each byte, where a byte stands for as much as it can: no more than so many.
func TestDecodingAllocatesAConstantTimesItsInput(t *testing.T) {
	const limit, n = 90, 2 * crowd * crowd
	var folded ormap
	for range 1 << 15 {
		folded.Counter("").Add(idA, 1)
	}
	folded.Fold(idA, folded.Context())
	var orders crdt.TwoPhaseSet[string]
	var profile crdt.LWWMap[string, string]
	for i := range 1 << 15 {
		word := string([]byte{byte(i >> 14), byte(i>>7) & 0x7f, byte(i) & 0x7f})
		orders.Remove(word)
		profile.Set(vclock.Timestamp{}, word, "")
	}
	for _, c := range []struct {
		of string
		b  []byte
		to interface{ UnmarshalBinary([]byte) error }
	}{
		{"EWFlag", crowded([]byte{0x94, 12, 1}, nil, n), new(crdt.EWFlag)},
		{"MVRegister", crowded([]byte{0x94, 6, 1}, nil, n/2*3, 0xa0), new(crdt.MVRegister[string])},
		{"RWSet", append(crowded([]byte{0x94, 10, 1}, []byte{0x93, 0xa0}, n), 0x90), new(crdt.RWSet[string])},
		{"ORMap of a flag", crowded([]byte{0x94, 17, 1}, []byte{0x93, 0xa0, 5}, n), new(ormap)},
		{"ORMap of a fold", encoded(t, &folded), new(ormap)},
		{"TwoPhaseSet", encoded(t, &orders), new(crdt.TwoPhaseSet[string])},
		{"LWWMap", encoded(t, &profile), new(crdt.LWWMap[string, string])},
	} {
		var err error
		got := allocated(func() { err = c.to.UnmarshalBinary(c.b) }) / uint64(len(c.b))
		t.Logf("%-16s %3d bytes for each of %d", c.of, got, len(c.b))
		require.NoError(t, err, c.of)
		assert.LessOrEqual(t, got, uint64(limit), c.of)
	}
}
