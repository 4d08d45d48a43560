package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// depart has so many replicas count one each in a key at a member, and returns their names.
func depart(t *testing.T, key string, n int, to ...*store.Store) (gone []vclock.ReplicaID) {
	for i := range n {
		s := store.New(store.Config{Replica: vclock.Named(fmt.Sprint("life", i))})
		_, err := s.Adopt(t.Context(), to[0].Generation())
		require.NoError(t, err)
		gone = append(gone, s.Replica())
		add(t, s, key, 1)
		spread(t, key, s, to...)
	}
	return gone
}

// drain collects until nothing is proposed any more, at most so often, and returns how often.
func drain(t *testing.T, limit, most int, stores ...*store.Store) (n int) {
	for ; n < most; n++ {
		p := stores[0].Propose(limit, 0)
		if p == nil {
			return n
		}
		require.LessOrEqual(t, len(p), limit)
		agree(t, p, stores...)
	}
	return n
}

// replicasIn are all that are named in a key.
func replicasIn(t *testing.T, s *store.Store, key string) (all []vclock.ReplicaID) {
	v, err := s.Decode(load(t, s, key))
	require.NoError(t, err)
	for _, seen := range v.Contexts().All() {
		for span := range seen.All() {
			all = append(all, span.Replica)
		}
	}
	return slices.Compact(all)
}

// stillNamed are those of the departed who are named in a key.
func stillNamed(t *testing.T, s *store.Store, key string, gone ...vclock.ReplicaID) []vclock.ReplicaID {
	named := replicasIn(t, s, key)
	return slices.DeleteFunc(slices.Clone(gone), func(id vclock.ReplicaID) bool { return !slices.Contains(named, id) })
}

// More names than a record has room for depart one after the other.
func TestTrap16_ManyDepartThroughSmallRecords(t *testing.T) {
	a := cluster(t, 1<<20, "a")[0]
	gone := depart(t, "likes", 100, a)
	a.Retire(gone...)
	records := drain(t, 4<<10, 20, a) // the value alone takes about 2 KiB
	require.Greater(t, records, 1)
	require.Less(t, records, 20)
	require.Empty(t, stillNamed(t, a, "likes", gone...))
	require.EqualValues(t, 100, total(t, a, "likes"))
}

// Whatever little room there is, nothing is counted twice or lost, and it ends.
func TestTrap16_RecordsOfAnySize(t *testing.T) {
	for limit := -10; limit < 700; limit += 7 {
		a := cluster(t, 1<<20, "a")[0]
		a.Retire(depart(t, "likes", 8, a)...)
		require.Less(t, drain(t, limit, 100, a), 100, "limit %d", limit)
		require.EqualValues(t, 8, total(t, a, "likes"))
	}
}

// A key that fits into no record keeps the names that are in it, and no others.
func TestALargeKeyHoldsUpNobodyElsesDeparture(t *testing.T) {
	a := cluster(t, 1<<20, "a")[0]
	gone := depart(t, "likes", 70, a)
	s := store.New(store.Config{Replica: gone[0]})
	merge(t, a, "big", insert(t, s, "big", strings.Repeat("x", 5000)))
	a.Retire(gone...)
	require.Less(t, drain(t, 4<<10, 50, a), 50)
	require.Empty(t, stillNamed(t, a, "likes", gone...))
	require.Equal(t, gone[:1], stillNamed(t, a, "big", gone...))
}

// A member that is told to have departed, and has not, refuses what is about it. The others depart.
func TestWhoHasNotDepartedHoldsUpNobodyElse(t *testing.T) {
	all := cluster(t, 1<<20, "a", "b")
	a, b := all[0], all[1]
	insert(t, b, "likes", "x")
	spread(t, "likes", b, a)
	gone := depart(t, "likes", 60, a, b)
	a.Retire(append([]vclock.ReplicaID{b.Replica()}, gone...)...)
	drain(t, 4<<10, 20, a, b)
	left := stillNamed(t, a, "likes", gone...)
	require.NotEmpty(t, left, "those in one record with it")
	require.Less(t, len(left), 30)
	require.EqualValues(t, 60, total(t, a, "likes"))
}

// Who proposes after one that was gone in the middle knows the earlier heirs, too.
func TestAnotherFinishesADeparture(t *testing.T) {
	all := cluster(t, 1<<20, "a", "b")
	a, b := all[0], all[1]
	lives := func(name string) vclock.ReplicaID {
		s := store.New(store.Config{Replica: vclock.Named(name)})
		_, err := s.Adopt(t.Context(), a.Generation())
		require.NoError(t, err)
		for i := range 40 {
			key := fmt.Sprint("k", i)
			insert(t, s, key, name)
			spread(t, key, s, a, b)
		}
		return s.Replica()
	}
	first := lives("first")
	a.Retire(first)
	drain(t, 1<<20, 10, a, b)
	second := lives("second")
	a.Retire(second)
	require.Equal(t, 1, drain(t, 600, 1, a, b), "a part of it")
	b.Retire(second)
	drain(t, 1<<20, 10, b)
	for i := range 40 {
		require.Len(t, replicasIn(t, b, fmt.Sprint("k", i)), 1, "k%d", i)
	}
}

// A record that is settled while another is proposed does not make the departed be forgotten.
func TestARecordComesBetween(t *testing.T) {
	all := clusterOf(t, store.Config{Kinds: witnesses(t), Retain: 1 << 20}, "a", "b", "gone")
	a, b, gone := all[0], all[1], all[2]
	add(t, gone, "likes", 10)
	spread(t, "likes", gone, a, b)
	change(t, a, "a first", testify)
	insert(t, b, "dead", "x")
	remove(t, b, "dead")
	record := collect(t, b)
	a.Retire(gone.Replica())
	settled := false
	handedOver = func() (changed bool) {
		if !settled {
			settled = true
			require.NoError(t, a.Settle(t.Context(), record))
		}
		return false
	}
	defer func() { handedOver = nil }()
	require.Nil(t, a.Propose(1<<20, 0))
	require.True(t, settled)
	require.Equal(t, 1, drain(t, 1<<20, 10, a, b))
	require.Empty(t, stillNamed(t, a, "likes", gone.Replica()))
}
