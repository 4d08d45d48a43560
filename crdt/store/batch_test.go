package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

func counting(b *store.Batch, key string, n int64) {
	store.Put(b, key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return c.Add(by.Replica, n) })
}

func inserting(b *store.Batch, key string, elements ...string) {
	store.Put(b, key, func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return s.Add(by.Replica, elements...)
	})
}

// The delta of a batch is merged as one, under any key, and what is new of it is such a delta again.
func TestABatchTravelsAsOne(t *testing.T) {
	a, b, c := named("a"), named("b"), named("c")
	add(t, a, "old", 1)
	var batch store.Batch
	counting(&batch, "stock", -1)
	inserting(&batch, "cart", "x", "y")
	counting(&batch, "stock", -2)
	batch.Delete("old")
	require.Equal(t, 4, batch.Len())
	delta, err := a.Apply(&batch)
	require.NoError(t, err)
	require.Equal(t, "cart", delta.Key())
	require.EqualValues(t, -3, total(t, a, "stock"))
	require.Equal(t, 2, a.Len())

	state, err := delta.Bytes()
	require.NoError(t, err)
	novel := merge(t, b, delta.Key(), state)
	require.EqualValues(t, -3, total(t, b, "stock"))
	require.Len(t, members(t, b, "cart"), 2)
	require.Empty(t, merge(t, b, "cart", state), "nothing new")
	merge(t, c, "whatever", novel)
	merge(t, c, "old", load(t, a, "old"))
	merge(t, b, "old", load(t, a, "old"))
	require.Equal(t, a.Index().Root(), b.Index().Root())
	require.Equal(t, a.Index().Root(), c.Index().Root())

	// One that knows a part of it learns the rest, which is another bundle.
	d, e := named("d"), named("e")
	merge(t, d, "cart", load(t, a, "cart"))
	rest := merge(t, d, "cart", state)
	merge(t, e, "cart", rest)
	require.EqualValues(t, -3, total(t, e, "stock"))
	require.Empty(t, members(t, e, "cart"))
}

func TestABatchOfOneKeyIsADelta(t *testing.T) {
	a, b := named("a"), named("b")
	var batch store.Batch
	counting(&batch, "n", 1)
	counting(&batch, "n", 2)
	delta, err := a.Apply(&batch)
	require.NoError(t, err)
	state, err := delta.Bytes()
	require.NoError(t, err)
	_, err = a.Decode(state)
	require.NoError(t, err)
	merge(t, b, "n", state)
	require.EqualValues(t, 3, total(t, b, "n"))
}

func TestABatchThatIsRefusedChangesNothing(t *testing.T) {
	a := named("a")
	_, err := store.Update(a, "grow", func(s *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] { return s.Add("x") })
	require.NoError(t, err)
	root := a.Index().Root()

	var both store.Batch
	counting(&both, "n", 1)
	both.Delete("n")
	_, err = a.Apply(&both)
	var contradiction *store.BatchError
	require.ErrorAs(t, err, &contradiction)
	require.Equal(t, "n", contradiction.Key)

	var grow store.Batch
	counting(&grow, "n", 1)
	grow.Delete("grow")
	_, err = a.Apply(&grow)
	require.ErrorIs(t, err, crdt.ErrGrowOnly)

	var unknown store.Batch
	counting(&unknown, "n", 1)
	store.Put(&unknown, "p", func(p *probe, _ store.Writer) *probe { return p.Raise(1) })
	_, err = a.Apply(&unknown)
	var kind *crdt.UnknownKindError
	require.ErrorAs(t, err, &kind)

	delta, err := a.Apply(new(store.Batch))
	require.NoError(t, err)
	require.True(t, delta.IsZero())
	require.Equal(t, root, a.Index().Root())
	require.Equal(t, 1, a.Len())
}

// A bundle with a part that is refused is refused as a whole.
func TestABundleIsMergedWholeOrNotAtAll(t *testing.T) {
	far := named("far")
	var batch store.Batch
	counting(&batch, "a", 1)
	counting(&batch, "b", 1)
	delta, err := far.Apply(&batch)
	require.NoError(t, err)
	state, err := delta.Bytes()
	require.NoError(t, err)
	s := named("s")
	for i := range state {
		bad := append([]byte(nil), state...)
		bad[i] ^= 0x41
		if _, err := s.Merge(t.Context(), "a", bad); err != nil {
			require.Zero(t, s.Len(), "byte %d", i)
			continue
		}
		s = named("s")
	}
	for n := range state {
		_, err := s.Merge(t.Context(), "a", state[:n])
		require.Equal(t, n == 0, err == nil)
	}
	_, err = s.Decode(state)
	require.Error(t, err, "it is of several keys")
	_, err = s.Join(state, state)
	require.Error(t, err)
}

// Who follows gets the deltas of a batch as one, also joined with others, and is told of each key when they are given up.
func TestUpdatesHaveABatchAsOne(t *testing.T) {
	for name, pending := range map[string]int{"kept": 1 << 20, "given up": 8} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			a, b := store.New(store.Config{MaxPending: pending}), named("b")
			updates := a.Updates(ctx)
			add(t, a, "a", 1)
			var batch store.Batch
			for i := range 3 {
				counting(&batch, string(rune('a'+i)), 10)
			}
			_, err := a.Apply(&batch)
			require.NoError(t, err)
			add(t, a, "a", 1)
			add(t, a, "z", 1)
			var keys []string
			for key, delta := range updates {
				if keys = append(keys, key+fmt.Sprint(delta != nil)); delta == nil {
					delta = load(t, a, key)
				}
				merge(t, b, key, delta)
				if key == "z" {
					break
				}
			}
			if name == "kept" {
				require.Equal(t, []string{"atrue", "ztrue"}, keys)
			} else {
				require.ElementsMatch(t, []string{"afalse", "bfalse", "cfalse", "zfalse"}, keys)
			}
			require.Equal(t, a.Index().Len(), b.Index().Len())
			require.EqualValues(t, 12, total(t, b, "a"))
			require.EqualValues(t, 10, total(t, b, "c"))
		})
	}
}

// After a crash a batch is there as a whole or not at all, whatever was kept.
func TestABatchIsOneStepOnDisk(t *testing.T) {
	for keep := range 4 {
		h := newHost("a")
		h.cfg.Sync = -1
		s := h.open(t)
		add(t, s, "before", 1)
		before := h.disk.Tail()
		var batch store.Batch
		for i := range 10 {
			counting(&batch, fmt.Sprint(i), 1)
		}
		_, err := s.Apply(&batch)
		require.NoError(t, err)
		require.Equal(t, before+1, h.disk.Tail(), "one step")
		h.disk.Crash(before - 1 + keep)
		s = h.open(t)
		want := 1
		if keep == 0 {
			want = 0
		}
		if keep > 1 {
			want = 11
		}
		require.Equal(t, want, s.Len(), "kept %d", keep)
	}
}

func TestABatchThatPanicsLeavesTheStoreUsable(t *testing.T) {
	h := newHost("a")
	s := h.open(t)
	var batch store.Batch
	counting(&batch, "a", 1)
	store.Put(&batch, "b", func(*crdt.PNCounter, store.Writer) *crdt.PNCounter { panic("mine") })
	counting(&batch, "c", 1)
	require.PanicsWithValue(t, "mine", func() { _, _ = s.Apply(&batch) })
	require.EqualValues(t, 1, total(t, s, "a"))
	require.Zero(t, total(t, s, "c"))
	add(t, s, "b", 1)
	root := s.Index().Root()
	require.NoError(t, s.Close())
	s = h.open(t)
	require.Equal(t, root, s.Index().Root())
	require.EqualValues(t, 1, total(t, s, "a"))
}

func ExampleStore_Apply() {
	s := store.New(store.Config{})
	var order store.Batch
	store.Put(&order, "stock/tea", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return c.Add(by.Replica, -1) })
	store.Put(&order, "orders", func(o *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return o.Add(by.Replica, "tea for Ada")
	})
	if _, err := s.Apply(&order); err != nil {
		fmt.Println(err)
	}
	for key := range s.Keys("") {
		fmt.Println(key)
	}
	// Output:
	// orders
	// stock/tea
}
