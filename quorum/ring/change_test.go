package ring

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/transport"
)

func TestChangesMoveTheLeast(t *testing.T) {
	all := fleet(40, 4)
	of := func(n int) []Member { return slices.Clone(all[:n]) }
	heavier := of(30)
	heavier[7].Weight = 2
	gone := slices.DeleteFunc(of(30), func(m Member) bool { return m.Zone == "z1" })
	for _, c := range []struct {
		name     string
		before   []Member
		after    []Member
		from, to int
	}{
		{"join", of(30), of(31), 3, 3},
		{"three join", of(30), of(33), 3, 3},
		{"leave", of(30), of(29), 3, 3},
		{"weight", of(30), heavier, 3, 3},
		{"weight back", heavier, of(30), 3, 3},
		{"zone lost", of(30), gone, 3, 3},
		{"zone added", gone, of(30), 3, 3},
		{"3 to 5", of(30), of(30), 3, 5},
		{"5 to 3", of(30), of(30), 5, 3},
		{"1 to 2", of(1), of(2), 3, 3},
		{"2 to 3", of(2), of(3), 3, 3},
		{"3 to 4", of(3), of(4), 3, 3},
		{"all others", of(10), all[10:20], 3, 3},
	} {
		r := newRing(t, 512, c.from, c.before)
		next := change(t, r, c.after, c.to)
		requireSound(t, next)
		m := MovementOf(r, next)
		t.Logf("%-12s %5d moved, %5d at least; max/mean %.3f", c.name, m.Moved, m.Least, next.Balance().Max)
		require.LessOrEqual(t, float64(m.Moved), 1.2*float64(m.Least)+2, c.name)
	}
}

func TestAReplacementTakesExactlyThePartitions(t *testing.T) {
	before := fleet(10, 3)
	r := newRing(t, 256, 3, before)
	after := slices.Clone(before)
	after[4].ID = "new"
	next := changed(t, r, after, 0)
	for p := range r.Partitions() {
		require.Equal(t, r.Owns("n0004", p), next.Owns("new", p))
	}
	m := MovementOf(r, next)
	require.Equal(t, r.Balance().Loads["n0004"], m.Moved)
	requireSound(t, next)
}

func TestAChangeAndItsEnds(t *testing.T) {
	r := newRing(t, 64, 3, fleet(6, 3))
	joint := change(t, r, fleet(7, 3), 0)
	require.True(t, joint.Changing())
	require.EqualValues(t, 2, joint.Epoch())
	_, err := joint.Change(fleet(8, 3), 0)
	require.ErrorIs(t, err, ErrChanging)
	_, err = r.Settle()
	require.ErrorIs(t, err, ErrSettled)
	_, err = r.Abort()
	require.ErrorIs(t, err, ErrSettled)

	settled := settle(t, joint)
	aborted, err := joint.Abort()
	require.NoError(t, err)
	require.NotEqual(t, settled.Fingerprint(), aborted.Fingerprint())
	require.Equal(t, r.Members(), aborted.Members())
	moved := 0
	for p := range r.Partitions() {
		a, b, s, u := r.At(p), joint.At(p), settled.At(p), aborted.At(p)
		require.Equal(t, a.Owners, b.Owners)
		require.Equal(t, a.Owners, u.Owners)
		if len(b.Next) == 0 {
			require.Equal(t, a.Owners, s.Owners)
			require.Equal(t, []uint64{1, 1, 1}, []uint64{b.Version, s.Version, u.Version})
			continue
		}
		moved++
		require.Equal(t, b.Next, s.Owners)
		require.Equal(t, []uint64{2, 3, 3}, []uint64{b.Version, s.Version, u.Version})
	}
	require.NotZero(t, moved)
	require.Less(t, moved, 64)
	for _, end := range []*Ring{settled, aborted} {
		require.True(t, end.follows(joint))
		require.False(t, end.follows(r))
	}
	require.True(t, joint.follows(r))
	require.False(t, change(t, newRing(t, 64, 3, fleet(5, 3)), fleet(7, 3), 0).follows(r))
}

// Any members, any changes: what holds of rings holds after each of them.
func TestAnyChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawMembers(t)
		r, err := New(Config{Partitions: 1 << rapid.IntRange(0, 7).Draw(t, "bits"),
			Replicas: rapid.IntRange(1, 6).Draw(t, "replicas"), Members: members})
		require.NoError(t, err)
		requireSound(t, r)
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			members = drawChange(t, members)
			joint, err := r.Change(members, rapid.SampledFrom([]int{0, 0, 0, 1, 3, 5}).Draw(t, "replicas"))
			require.NoError(t, err)
			requireSound(t, joint)
			requireRoundTrip(t, joint)
			m := MovementOf(r, joint)
			require.GreaterOrEqual(t, m.Moved, m.Least)
			end := joint.Settle
			if rapid.Bool().Draw(t, "abort") {
				end = joint.Abort
			}
			next, err := end()
			require.NoError(t, err)
			requireVersions(t, r, joint, next)
			requireRoundTrip(t, next)
			r, members = next, next.Members()
		}
	})
}

// Who joins or leaves, in any fleet of members that weigh alike and of zones that are one or as
// many as replicas, moves the least, or nearly. Where zones have other shares afterwards
// more has to move than [Movement.Least] knows.
func TestOneMemberMoreOrLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas := rapid.IntRange(1, 5).Draw(t, "replicas")
		zones := rapid.SampledFrom([]int{1, replicas}).Draw(t, "zones")
		n := rapid.IntRange(2*zones, 30).Draw(t, "members")
		all := fleet(n+1, zones)
		r, err := New(Config{Partitions: 256, Replicas: replicas, Members: all[:n]})
		require.NoError(t, err)
		for _, after := range [][]Member{all, all[:n-1]} {
			next, err := r.Change(after, 0)
			require.NoError(t, err)
			requireSound(t, next)
			m := MovementOf(r, next)
			require.LessOrEqual(t, float64(m.Moved), 1.2*float64(m.Least)+4, "%d of %d", m.Moved, m.Least)
		}
	})
}

func drawMembers(t *rapid.T) []Member {
	out := make([]Member, rapid.IntRange(1, 12).Draw(t, "members"))
	for i := range out {
		out[i] = drawMember(t, i)
	}
	return out
}

func drawMember(t *rapid.T, i int) Member {
	return Member{ID: transport.NodeID(fmt.Sprintf("n%d", i)),
		Zone:   rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "zone"),
		Weight: rapid.SampledFrom([]float64{0, 1, 1, 1, 0.5, 2, 3.7, 100}).Draw(t, "weight")}
}

func drawChange(t *rapid.T, members []Member) []Member {
	out := slices.Clone(members)
	for i := range 24 {
		m := drawMember(t, i)
		at := slices.IndexFunc(out, func(o Member) bool { return o.ID == m.ID })
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0:
			if at >= 0 && len(out) > 1 {
				out = slices.Delete(out, at, at+1)
			}
		case 1:
			if at < 0 {
				out = append(out, m)
			}
		case 2:
			if at >= 0 {
				out[at] = m
			}
		}
	}
	return out
}

func requireVersions(t *rapid.T, r, joint, next *Ring) {
	for p := range r.Partitions() {
		was, during, is := r.At(p), joint.At(p), next.At(p)
		want := []uint64{was.Version, was.Version}
		if len(during.Next) > 0 {
			want = []uint64{joint.Epoch(), next.Epoch()}
		}
		require.Equal(t, want, []uint64{during.Version, is.Version})
		require.ElementsMatch(t, was.Owners, during.Owners)
	}
	require.True(t, joint.follows(r))
	require.True(t, next.follows(joint))
}

func requireRoundTrip(t failer, r *Ring) {
	b, err := r.AppendBinary(nil)
	require.NoError(t, err)
	again, err := Decode(b)
	require.NoError(t, err)
	require.Equal(t, r.Fingerprint(), again.Fingerprint())
	require.Equal(t, r.places, again.places)
}
