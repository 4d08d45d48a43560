package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A clocked store has a clock that is set by hand.
type clocked struct {
	*store.Store
	now time.Time
}

var noon = time.Unix(1_700_000_000, 0)

func newClocked(name string) *clocked {
	c := &clocked{now: noon}
	c.Store = store.New(store.Config{
		Replica:  vclock.Named(name),
		Secret:   []byte("secret"),
		Now:      func() time.Time { return c.now },
		MaxDrift: time.Hour,
		Grace:    10 * time.Second,
	})
	return c
}

func (c *clocked) expire(t tester, key string, after time.Duration) []byte {
	t.Helper()
	var at time.Time
	if after != 0 {
		at = noon.Add(after)
	}
	delta, err := sent(c.Expire(key, at))
	require.NoError(t, err)
	return delta
}

func (c *clocked) sweep(t tester) int {
	t.Helper()
	n, err := c.Sweep(t.Context())
	require.NoError(t, err)
	return n
}

// Each replica hides a key when its own clock says so, and the index does not change by that.
func TestAKeyIsHiddenFromItsDeadlineOn(t *testing.T) {
	a, b := newClocked("a"), newClocked("b")
	merge(t, b.Store, "k", add(t, a.Store, "k", 5))
	merge(t, b.Store, "k", a.expire(t, "k", time.Minute))
	root := a.Index().Root()
	require.Equal(t, root, b.Index().Root())

	a.now = noon.Add(time.Minute)
	b.now = noon.Add(time.Minute - time.Millisecond)
	require.Zero(t, total(t, a.Store, "k"))
	require.Empty(t, slices.Collect(a.Keys("")))
	require.EqualValues(t, 5, total(t, b.Store, "k"))
	require.Equal(t, []string{"k"}, slices.Collect(b.Keys("")))
	require.Equal(t, root, a.Index().Root())
	at, ok, err := a.Deadline("k")
	require.NoError(t, err)
	require.True(t, ok && at.Equal(noon.Add(time.Minute)))

	require.Zero(t, a.sweep(t), "not before the grace is over")
	merge(t, a.Store, "k", b.expire(t, "k", 2*time.Minute))
	require.EqualValues(t, 5, total(t, a.Store, "k"), "it was put off in time")
	merge(t, a.Store, "k", b.expire(t, "k", 0))
	a.now = noon.Add(time.Hour)
	require.EqualValues(t, 5, total(t, a.Store, "k"), "it does not end any more")
	require.Zero(t, a.sweep(t))
	_, ok, _ = a.Deadline("k")
	require.False(t, ok)
}

// All replicas sweep, each for itself, and agree without telling one another.
func TestAllSweepAlike(t *testing.T) {
	a, b := newClocked("a"), newClocked("b")
	for i := range 20 {
		key := fmt.Sprint(i)
		merge(t, b.Store, key, insert(t, a.Store, key, "x"))
		merge(t, b.Store, key, a.expire(t, key, time.Duration(i+1)*time.Second))
	}
	a.now, b.now = noon.Add(20*time.Second), noon.Add(20*time.Second)
	require.Equal(t, 10, a.sweep(t))
	require.Equal(t, 10, b.sweep(t))
	require.Equal(t, 10, a.Len())
	require.Equal(t, a.Index().Root(), b.Index().Root())
	require.Zero(t, a.sweep(t))
	for i := range 20 {
		require.Empty(t, merge(t, b.Store, fmt.Sprint(i), load(t, a.Store, fmt.Sprint(i))))
	}
}

// An update of a key that has ended begins anew, and says so to the others.
func TestAnUpdateAfterTheDeadlineBeginsAnew(t *testing.T) {
	for _, batch := range []bool{false, true} {
		a, b := newClocked("a"), newClocked("b")
		merge(t, b.Store, "k", insert(t, a.Store, "k", "old"))
		merge(t, b.Store, "k", a.expire(t, "k", time.Second))
		a.now = noon.Add(time.Second)
		var delta []byte
		if batch {
			var one store.Batch
			inserting(&one, "k", "new")
			var err error
			delta, err = sent(a.Apply(&one))
			require.NoError(t, err)
		} else {
			delta = insert(t, a.Store, "k", "new")
		}
		require.Equal(t, []string{"new"}, members(t, a.Store, "k"))
		merge(t, b.Store, "k", delta)
		require.Equal(t, []string{"new"}, members(t, b.Store, "k"))
		_, ok, _ := b.Deadline("k")
		require.False(t, ok)
		require.Equal(t, a.Index().Root(), b.Index().Root())
	}
}

// What only grows cannot end; where it comes later it is hidden, and nothing of it is lost.
func TestWhatOnlyGrowsDoesNotEnd(t *testing.T) {
	a, b := newClocked("a"), newClocked("b")
	grow := func(s *clocked, e string) []byte {
		delta, err := sent(store.Update(s.Store, "k", func(g *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] { return g.Add(e) }))
		require.NoError(t, err)
		return delta
	}
	shown := func(s *clocked) (n int) {
		_, err := store.View(s.Store, "k", func(g *crdt.GSet[string]) { n = g.Len() })
		require.NoError(t, err)
		return n
	}
	delta := grow(a, "x")
	_, err := a.Expire("k", noon)
	require.ErrorIs(t, err, crdt.ErrGrowOnly)
	b.expire(t, "k", time.Second)
	merge(t, b.Store, "k", delta)
	require.Equal(t, 1, shown(b))
	b.now = noon.Add(time.Hour)
	require.Zero(t, shown(b))
	require.Zero(t, b.sweep(t))
	grow(b, "y")
	require.Equal(t, 2, shown(b))
}

func TestDeadlinesAreThereAfterReopening(t *testing.T) {
	h := newHost("a")
	now := noon
	h.cfg.Now = func() time.Time { return now }
	h.cfg.Cache = 1
	s := h.open(t)
	for i := range 10 {
		add(t, s, fmt.Sprint(i), 1)
		_, err := s.Expire(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Hour))
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	s = h.open(t)
	now = noon.Add(4*time.Hour + time.Minute)
	require.Equal(t, []string{"5", "6", "7", "8", "9"}, slices.Collect(s.Keys("")))
	n, err := s.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.Equal(t, 5, s.Len())
	root := s.Index().Root()
	require.NoError(t, s.Close())
	s = h.open(t)
	require.Equal(t, root, s.Index().Root())
	require.Equal(t, 5, s.Len())
}

// Whatever is set, put off, written, swept and exchanged in whatever order and by whatever clocks: in the end all agree.
func TestReplicasAgreeOnWhatHasEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := []*clocked{newClocked("a"), newClocked("b"), newClocked("c")}
		one := rapid.SampledFrom(all)
		key := rapid.SampledFrom([]string{"k", "l"})
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) { n++; insert(t, one.Draw(t, "s").Store, key.Draw(t, "key"), fmt.Sprint(n)) },
			"add":   func(t *rapid.T) { add(t, one.Draw(t, "s").Store, key.Draw(t, "key"), 1) },
			"expire": func(t *rapid.T) {
				one.Draw(t, "s").expire(t, key.Draw(t, "key"), time.Duration(rapid.IntRange(0, 30).Draw(t, "after"))*time.Second)
			},
			"sweep":  func(t *rapid.T) { one.Draw(t, "s").sweep(t) },
			"delete": func(t *rapid.T) { remove(t, one.Draw(t, "s").Store, key.Draw(t, "key")) },
			"time": func(t *rapid.T) {
				s := one.Draw(t, "s")
				s.now = s.now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "by")) * time.Second)
			},
			"send": func(t *rapid.T) {
				k := key.Draw(t, "key")
				merge(t, one.Draw(t, "to").Store, k, load(t, one.Draw(t, "from").Store, k))
			},
		})
		stores := []*store.Store{all[0].Store, all[1].Store, all[2].Store}
		exchange(t, stores...)
		for _, s := range all {
			s.now = noon.Add(24 * time.Hour)
			s.sweep(t)
		}
		for _, s := range all {
			require.Equal(t, all[0].Index().Root(), s.Index().Root())
			for _, k := range []string{"k", "l"} {
				_, ok, err := s.Deadline(k)
				require.NoError(t, err)
				require.False(t, ok, "all has ended")
			}
		}
	})
}

func ExampleStore_Expire() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := store.New(store.Config{Now: func() time.Time { return now }})
	var session store.Batch
	store.Put(&session, "session/7", func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		return r.Set(by.Stamp(), "Ada")
	})
	session.Expire("session/7", now.Add(time.Hour))
	if _, err := s.Apply(&session); err != nil {
		fmt.Println(err)
	}
	fmt.Println(slices.Collect(s.Keys("session/")))
	now = now.Add(time.Hour)
	fmt.Println(slices.Collect(s.Keys("session/")))
	// Output:
	// [session/7]
	// []
}
