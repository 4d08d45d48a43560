package store_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

func TestTrap10_APeerOneHourAheadIsRefusedAndReported(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	at := func(name string, ahead time.Duration) *store.Store {
		return store.New(store.Config{Replica: vclock.Named(name), Now: func() time.Time { return now.Add(ahead) }})
	}
	here, ahead, drifting := at("here", 0), at("ahead", time.Hour), at("drifting", 50*time.Second)
	assign(t, here, "k", "ours")
	before, root, stamp := load(t, here, "k"), here.Index().Root(), here.Clock().Last()

	_, err := here.Merge(t.Context(), "k", assign(t, ahead, "k", "theirs"))
	drift, ok := errors.AsType[*vclock.DriftError](err)
	require.True(t, ok, err)
	require.Equal(t, time.Hour, drift.Ahead.Round(time.Second))
	require.Equal(t, vclock.Named("ahead"), drift.Remote.Replica)
	require.Equal(t, before, load(t, here, "k"), "the store is as it was")
	require.Equal(t, root, here.Index().Root())
	require.Equal(t, stamp, here.Clock().Last())

	// Nor does it get into what a reader collects from several replicas.
	_, err = here.Join(before, load(t, ahead, "k"))
	require.ErrorAs(t, err, &drift)
	_, err = here.Join(nil, load(t, ahead, "k"))
	require.ErrorAs(t, err, &drift)
	joined, err := here.Join(nil, before)
	require.NoError(t, err)
	require.Equal(t, before, joined)
	_, err = here.Join(before, []byte{0xc1})
	require.Error(t, err)

	merge(t, here, "k", assign(t, drifting, "k", "theirs"))
	got, _ := text(t, here, "k")
	require.Equal(t, "theirs", got, "within the bound the later timestamp wins")
	assign(t, here, "k", "ours again")
	got, _ = text(t, here, "k")
	require.Equal(t, "ours again", got, "a local write is later than what it saw")
}

// The refusal is for the whole state, so a component that carries no timestamp
// does not slip in beside one that does.
func TestTrap10_ARefusedStateLeavesNothingBehind(t *testing.T) {
	here := named("here")
	ahead := store.New(store.Config{Now: func() time.Time { return time.Unix(1_700_003_600, 0) }})
	insert(t, ahead, "k", "x")
	assign(t, ahead, "k", "late")
	_, err := here.Merge(t.Context(), "k", load(t, ahead, "k"))
	require.Error(t, err)
	require.Nil(t, load(t, here, "k"))
	require.Zero(t, here.Len())
	require.Zero(t, here.Index().Len())
}

func TestTrap15_AKeyMadeAgainOutlivesItsOldTombstone(t *testing.T) {
	a, b, c := named("a"), named("b"), named("c")
	insert(t, a, "k", "old")
	add(t, a, "k", 5)
	exchange(t, a, b, c)
	tombstone := remove(t, a, "k")
	merge(t, b, "k", tombstone)

	insert(t, a, "k", "new")
	add(t, a, "k", 2)
	merge(t, a, "k", tombstone)
	merge(t, c, "k", load(t, a, "k"))
	merge(t, c, "k", tombstone)
	exchange(t, a, b, c)
	for _, s := range []*store.Store{a, b, c} {
		require.Equal(t, []string{"new"}, members(t, s, "k"))
		require.Equal(t, int64(2), total(t, s, "k"))
		require.Equal(t, a.Index().Root(), s.Index().Root())
	}
}

// Whatever old state comes back, in whatever order, what was deleted stays deleted
// and what was written after the deletion stays.
func TestTrap15_OldStatesMergedBackIntoAKeyMadeAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := named("a"), named("b")
		var old [][]byte
		for i := range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for j := range rapid.IntRange(1, 3).Draw(t, "writes") {
				old = append(old,
					insert(t, a, "k", strconv.Itoa(i)+"/"+strconv.Itoa(j)), add(t, a, "k", 1),
					assign(t, a, "k", strconv.Itoa(i)), load(t, a, "k"))
			}
			if rapid.Bool().Draw(t, "there too") {
				merge(t, b, "k", load(t, a, "k"))
				old = append(old, insert(t, b, "k", "from b"+strconv.Itoa(i)))
				merge(t, a, "k", load(t, b, "k"))
			}
			old = append(old, remove(t, a, "k"))
		}
		for _, i := range rapid.SliceOf(rapid.IntRange(0, len(old)-1)).Draw(t, "returning") {
			merge(t, a, "k", old[i])
		}
		require.Zero(t, a.Len(), "nothing comes back")
		insert(t, a, "k", "new")
		add(t, a, "k", 7)
		assign(t, a, "k", "again")
		for _, i := range rapid.SliceOf(rapid.IntRange(0, len(old)-1)).Draw(t, "returning later") {
			merge(t, a, "k", old[i])
			merge(t, b, "k", old[i])
		}
		exchange(t, a, b)
		for _, s := range []*store.Store{a, b} {
			require.Equal(t, []string{"new"}, members(t, s, "k"))
			require.Equal(t, int64(7), total(t, s, "k"))
			got, found := text(t, s, "k")
			require.True(t, found)
			require.Equal(t, "again", got)
		}
		require.Equal(t, load(t, a, "k"), load(t, b, "k"))
	})
}

func TestTrap40_TwoKindsUnderOneKey(t *testing.T) {
	a, b := named("a"), named("b")
	add(t, a, "k", 3)
	insert(t, b, "k", "x")
	exchange(t, a, b)
	for _, s := range []*store.Store{a, b} {
		require.Equal(t, int64(3), total(t, s, "k"))
		require.Equal(t, []string{"x"}, members(t, s, "k"))
		require.Equal(t, 1, s.Len())
	}
	require.Equal(t, load(t, a, "k"), load(t, b, "k"))
	require.Equal(t, a.Index().Root(), b.Index().Root())

	merge(t, b, "k", erase(t, a, "k", "x"))
	require.Equal(t, []string{"k"}, slices.Collect(a.Keys("")), "the counter is still there")
	insert(t, a, "k", "y")
	exchange(t, a, b)
	merge(t, b, "k", remove(t, a, "k"))
	for _, s := range []*store.Store{a, b} {
		require.Zero(t, s.Len(), "a deletion resets both")
	}
	require.Equal(t, a.Index().Root(), b.Index().Root())
}

func TestTrap04_ADeletionTakesExactlyWhatItSaw(t *testing.T) {
	a, b := named("a"), named("b")
	add(t, a, "k", 5)
	exchange(t, a, b)
	remove(t, a, "k")
	add(t, b, "k", 3)
	exchange(t, a, b)
	require.Equal(t, int64(3), total(t, a, "k"))
	require.Equal(t, int64(3), total(t, b, "k"))
}

func TestTrap02_TheIndexNoticesARemoval(t *testing.T) {
	a, b := named("a"), named("b")
	insert(t, a, "k", "foo", "bar")
	insert(t, b, "k", "baz")
	exchange(t, a, b)
	require.Equal(t, a.Index().Root(), b.Index().Root())
	erase(t, a, "k", "bar")
	require.NotEqual(t, a.Index().Root(), b.Index().Root())
	exchange(t, a, b)
	require.Equal(t, a.Index().Root(), b.Index().Root())
	require.ElementsMatch(t, []string{"baz", "foo"}, members(t, b, "k"))
}

func TestTrap11_EqualStatesEqualBytesAndRoots(t *testing.T) {
	a, b := named("a"), named("b")
	deltas := [][]byte{}
	writer := named("writer")
	for i := range 20 {
		deltas = append(deltas, insert(t, writer, "k", strconv.Itoa(i)), erase(t, writer, "k", strconv.Itoa(i/2)))
	}
	for i := range deltas {
		merge(t, a, "k", deltas[i])
		merge(t, b, "k", deltas[len(deltas)-1-i])
		b.Index()
	}
	require.Equal(t, load(t, a, "k"), load(t, b, "k"))
	require.Equal(t, load(t, writer, "k"), load(t, b, "k"))
	require.Equal(t, a.Index().Root(), b.Index().Root())
}

func TestTrap42_ALostRemovalIsRepairedByTheState(t *testing.T) {
	a, b := named("a"), named("b")
	insert(t, a, "k", "x", "y")
	exchange(t, a, b)
	erase(t, a, "k", "x") // its delta is lost
	merge(t, b, "k", load(t, a, "k"))
	require.Equal(t, []string{"y"}, members(t, b, "k"))
	require.Equal(t, a.Index().Root(), b.Index().Root())
}
