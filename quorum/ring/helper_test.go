package ring

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// fleet returns n members in so many zones, in turn.
func fleet(n, zones int) []Member {
	out := make([]Member, n)
	for i := range out {
		out[i] = Member{ID: transport.NodeID(fmt.Sprintf("n%04d", i)), Zone: fmt.Sprintf("z%d", i%zones), Weight: 1}
	}
	return out
}

func newRing(t testing.TB, partitions, replicas int, members []Member) *Ring {
	t.Helper()
	r, err := New(Config{Partitions: partitions, Replicas: replicas, Members: members})
	require.NoError(t, err)
	return r
}

func change(t testing.TB, r *Ring, members []Member, replicas int) *Ring {
	t.Helper()
	next, err := r.Change(members, replicas)
	require.NoError(t, err)
	return next
}

func settle(t testing.TB, r *Ring) *Ring {
	t.Helper()
	next, err := r.Settle()
	require.NoError(t, err)
	return next
}

// changed returns the ring settled after a change.
func changed(t testing.TB, r *Ring, members []Member, replicas int) *Ring {
	t.Helper()
	return settle(t, change(t, r, members, replicas))
}

// failer is a test, or a rapid one.
type failer interface {
	Errorf(format string, args ...any)
	FailNow()
}

// requireSound checks all that holds of any ring that the library made.
func requireSound(t failer, r *Ring) {
	g := &r.now
	n := g.owners()
	s := newSpread(g.members, n)
	qs := quotas(g.members, s, len(r.parts), n)
	load := make([]int, len(g.members))
	for p := range r.parts {
		count := make([]int, len(s.size))
		final := r.parts[p].final()
		require.Len(t, final, n, "partition %d", p)
		for _, node := range final {
			i, ok := slices.BinarySearchFunc(g.members, r.nodes[node].ID, byID)
			require.True(t, ok)
			load[i]++
			count[s.zone[i]]++
		}
		for z, c := range count {
			require.True(t, s.low[z] <= c && c <= s.high[z], "partition %d: %d of a zone, not %d to %d", p, c, s.low[z], s.high[z])
		}
		requirePlaced(t, r, p)
	}
	for i, m := range g.members {
		require.True(t, qs[i].least <= load[i] && load[i] <= qs[i].most, "%s has %d, not %d to %d", m.ID, load[i], qs[i].least, qs[i].most)
	}
}

// requirePlaced checks one placement against what it is made of.
func requirePlaced(t failer, r *Ring, p int) {
	pl := r.At(p)
	seen := map[transport.NodeID]int{}
	for _, ids := range [][]transport.NodeID{pl.Owners, pl.Next, pl.Fallbacks} {
		here := map[transport.NodeID]bool{}
		for _, id := range ids {
			require.False(t, here[id], "listed twice")
			here[id] = true
		}
	}
	for _, id := range slices.Concat(pl.Owners, pl.Next) {
		seen[id]++
		require.True(t, r.Owns(id, p))
	}
	for _, id := range pl.Fallbacks {
		require.Zero(t, seen[id], "a fallback is an owner")
		_, ok := r.now.find(id)
		require.True(t, ok)
	}
	require.Len(t, pl.Fallbacks, min(2*r.now.owners(), len(r.now.members)-stayers(r, seen)))
	require.Len(t, pl.Zones, len(r.nodes))
	require.LessOrEqual(t, pl.Version, r.epoch)
	require.Equal(t, len(pl.Next) > 0, pl.Version == r.epoch && r.changing)
}

func stayers(r *Ring, holders map[transport.NodeID]int) (n int) {
	for id := range holders {
		if _, ok := r.now.find(id); ok {
			n++
		}
	}
	return n
}
