package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// To change what is iterated over is not allowed, but people do it, as they may with a map. It is no worse than that
// elements come twice or not at all.
func TestIteratingOverWhatChangesDoesNotPanic(t *testing.T) {
	const n = 3 << 14 / 2
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	var set crdt.ORSet[int]
	set.Add(idA, numbers...)
	for e := range set.All() {
		set.Remove(e)
	}
	require.True(t, set.Empty())

	var access crdt.RWSet[int]
	access.Add(idA, numbers...)
	for e := range access.All() {
		access.Reset()
		access.Add(idB, e)
	}
	require.LessOrEqual(t, access.Len(), 1)
}

// What All, Since and Tail return looks when it is asked, not when it was made.
func TestIteratorsBeginWhenTheyAreUsed(t *testing.T) {
	var words crdt.GSet[string]
	all := words.All()
	words.Add("x")
	for e := range all {
		require.Equal(t, "x", e)
	}
	require.Equal(t, 1, words.Len())

	var story crdt.Log[int]
	at := func(wall int, r vclock.ReplicaID) vclock.Timestamp {
		return vclock.Timestamp{Wall: int64(wall), Replica: r}
	}
	for i := range 128 {
		story.Append(at(100+i, idA), i)
	}
	since, tail, none := story.Since(at(220, idA)), story.Tail(3), story.Tail(-1)
	story.Merge(new(crdt.Log[int]).Append(at(1, idB), -1)) // now there are two chunks
	var after, last []int
	for _, v := range since {
		after = append(after, v)
	}
	for _, v := range tail {
		last = append(last, v)
	}
	require.Equal(t, []int{121, 122, 123, 124, 125, 126, 127}, after)
	require.Equal(t, []int{125, 126, 127}, last)
	for range none {
		t.Fatal("nothing was asked for")
	}
}
