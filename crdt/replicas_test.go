package crdt_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// ofMany returns a set with one element from each of n replicas, as read from its encoding.
func ofMany(t testing.TB, prefix string, n int) *set {
	sets := make([]*set, n)
	for i, r := range rand.New(rand.NewPCG(9, 9)).Perm(n) {
		sets[i] = new(set).Add(vclock.Named(fmt.Sprint(prefix, r)), fmt.Sprint(prefix, i))
	}
	for len(sets) > 1 { // by halves
		for i := range len(sets) / 2 {
			sets[i].Merge(sets[len(sets)-1-i])
		}
		sets = sets[:(len(sets)+1)/2]
	}
	back := new(set)
	require.NoError(t, back.UnmarshalBinary(encoded(t, sets[0])))
	return back
}

// Sets of very many replicas merge as others do, whichever lanes of them have gaps between.
func TestORSetOfManyReplicas(t *testing.T) {
	a, b := ofMany(t, "x", 1000), ofMany(t, "y", 500)
	a.CheckInvariants()
	x, y := a.Clone(), b.Clone()
	novel, _ := x.MergeNovel(b)
	y.Merge(a)
	for _, s := range []*set{x, y, novel} {
		s.CheckInvariants()
	}
	require.Equal(t, encoded(t, x), encoded(t, y))
	require.Equal(t, encoded(t, b), encoded(t, novel))
	delta := x.Delta(a.Context())
	delta.CheckInvariants()
	require.Equal(t, encoded(t, b), encoded(t, delta))
	require.True(t, maps.Equal(partsOf(x), partsOf(y)))

	var members crdt.RWSet[string]
	for i := range 100 {
		members.Merge(new(rwset).Remove(vclock.Named(fmt.Sprint(i)), fmt.Sprint(i)))
	}
	members.CheckInvariants()
	require.Zero(t, members.Len())
}

// What a replica more costs is the same however many there are.
func BenchmarkORSetOfManyReplicas(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 300_000} {
		x, y := ofMany(b, "x", n), ofMany(b, "y", n)
		data, known := encoded(b, x), y.Context()
		both := x.Clone()
		both.Merge(y)
		var v crdt.Value
		held, _ := crdt.Ensure[*set](crdt.Standard(), &v)
		held.Merge(x)
		for _, op := range []struct {
			name string
			do   func()
		}{
			{"decode", func() { _ = new(set).UnmarshalBinary(data) }},
			{"clone", func() { x.Clone() }},
			{"clone and merge", func() { x.Clone().Merge(y) }},
			{"clone and merge for novelty", func() { x.Clone().MergeNovel(y) }},
			{"delta", func() { both.Delta(known) }},
			{"fingerprint", func() {
				_, _, _ = v.Clone().Fingerprint(func(p []byte) (hi, lo uint64) { return 0, uint64(len(p)) })
			}},
		} {
			b.Run(fmt.Sprint(op.name, "/", n), func(b *testing.B) {
				for b.Loop() {
					op.do()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/replica")
			})
		}
	}
}
