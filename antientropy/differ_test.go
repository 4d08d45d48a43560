package antientropy_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

var _ antientropy.Differ = (*store.Store)(nil)

// whole hides what a store can tell of what another lacks.
type whole struct{ antientropy.Store }

const many = 100_000

// largeSets are two stores with the same set of a hundred thousand elements.
func largeSets(t testing.TB) (a, b *store.Store) {
	a, b = store.New(store.Config{Replica: vclock.Named("a")}), store.New(store.Config{Replica: vclock.Named("b")})
	elements := make([]string, many)
	for i := range elements {
		elements[i] = fmt.Sprint("element ", i)
	}
	state := insert(t, a, elements...)
	_, err := b.Merge(t.Context(), "set", state)
	require.NoError(t, err)
	return a, b
}

func insert(t testing.TB, s *store.Store, elements ...string) []byte {
	delta, err := store.Update(s, "set", func(v *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return v.Add(by.Replica, elements...)
	})
	require.NoError(t, err)
	state, err := delta.Bytes()
	require.NoError(t, err)
	return state
}

// exchange drives a round between two stores, and holds each message to its limit.
func exchange(t testing.TB, a, b antientropy.Store, limit int) antientropy.Exchange {
	ctx := context.Background()
	responder := &antientropy.Responder{Store: b, MaxMessage: limit}
	round := antientropy.NewRound(a, antientropy.RoundConfig{MaxMessage: limit})
	for {
		method, req, more := round.Next()
		if !more {
			return round.Result()
		}
		resp, err := responder.ServeCall(ctx, "a", method, req)
		require.NoError(t, err)
		require.LessOrEqual(t, max(len(req), len(resp)), limit)
		require.NoError(t, round.Step(ctx, resp))
	}
}

// One element more of a hundred thousand, on either side or on both, is repaired by less than a kilobyte, also by messages
// that hold a tenth of a percent of the set.
func TestOneElementOfManyIsRepairedAlone(t *testing.T) {
	a, b := largeSets(t)
	for _, limit := range []int{1 << 20, 1 << 11} {
		for name, c := range map[string]struct {
			write func()
			sent  int
		}{
			"here":  {func() { insert(t, a, fmt.Sprint("a", limit)) }, 1},
			"there": {func() { insert(t, b, fmt.Sprint("b", limit)) }, 1},
			"both":  {func() { insert(t, a, fmt.Sprint("c", limit)); insert(t, b, fmt.Sprint("d", limit)) }, 2},
		} {
			c.write()
			x := exchange(t, a, b, limit)
			require.Equal(t, a.Index().Root(), b.Index().Root(), name)
			require.Equal(t, c.sent, x.KeysSent+x.KeysReceived, name)
			require.Zero(t, x.KeysRefused+x.Deferred, name)
			require.Less(t, x.BytesSent+x.BytesReceived, 1000, name)
			t.Logf("%s: %d bytes in %d round trips", name, x.BytesSent+x.BytesReceived, x.RoundTrips)
		}
	}
}

// An element that was removed is told of by all that ever were, as runs.
func TestARemovalFromManyIsRepairedByWhatWasRemoved(t *testing.T) {
	a, b := largeSets(t)
	_, err := store.Update(a, "set", func(v *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] { return v.Remove("element 7") })
	require.NoError(t, err)
	x := exchange(t, a, b, 1<<20)
	require.Equal(t, a.Index().Root(), b.Index().Root())
	require.Less(t, x.BytesSent+x.BytesReceived, 1000)
	found, err := store.View(b, "set", func(v *crdt.ORSet[string]) { require.Equal(t, many-1, v.Len()) })
	require.True(t, found)
	require.NoError(t, err)
}

// BenchmarkRepair repairs one element that one of two stores lacks of a hundred thousand: by what lacks, and by the whole.
func BenchmarkRepair(b *testing.B) {
	here, there := largeSets(b)
	n := 0
	for _, c := range []struct {
		name string
		with func(s *store.Store) antientropy.Store
	}{
		{"what lacks", func(s *store.Store) antientropy.Store { return s }},
		{"whole", func(s *store.Store) antientropy.Store { return whole{s} }},
	} {
		for _, side := range []string{"here", "there"} {
			b.Run(c.name+"/"+side, func(b *testing.B) {
				bytes, rounds := 0, 0
				for b.Loop() {
					n++
					insert(b, map[string]*store.Store{"here": here, "there": there}[side], fmt.Sprint("more ", n))
					x := exchange(b, c.with(here), c.with(there), 1<<23)
					bytes, rounds = x.BytesSent+x.BytesReceived, x.RoundTrips
				}
				b.ReportMetric(float64(bytes), "B/repair")
				b.ReportMetric(float64(rounds), "rounds")
			})
		}
	}
}
