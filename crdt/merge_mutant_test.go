package crdt_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// One change among many is a change, in whatever order they are looked at.
func TestMergeTellsOfOneChangeAmongMany(t *testing.T) {
	at := vclock.Timestamp{Wall: 5, Replica: idA}
	var keys lwwmap
	var last timed
	for i := range 1000 {
		k := fmt.Sprint(i)
		keys.Set(at, k, "v")
		last.Add(at, k)
	}
	var two crdt.TwoPhaseSet[string]
	var some crdt.GSet[string]
	for k := range keys.All() {
		two.Add(k)
		some.Add(k)
	}
	newer, later, gone := keys.Clone(), last.Clone(), two.Clone()
	newer.Set(at, "500", "w")
	later.Remove(at, "500")
	gone.Remove("500")
	require.True(t, keys.Merge(newer))
	require.True(t, last.Merge(later))
	require.True(t, two.Merge(gone))
	require.False(t, keys.Merge(newer) || last.Merge(later) || two.Merge(gone))

	more := some.Clone()
	more.Add("new")
	require.True(t, some.Merge(more))
	require.False(t, some.Merge(more))
}
