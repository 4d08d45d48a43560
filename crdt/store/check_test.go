package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/disk"
)

func check(t tester, s *store.Store) store.Report {
	t.Helper()
	r, err := s.Check(t.Context())
	require.NoError(t, err)
	return r
}

// Whatever a store does, nothing is found: in memory, on disk, and where no value stays in memory.
func TestCheckFindsNothingInAStoreThatIsSound(t *testing.T) {
	for name, cache := range map[string]int64{"memory": -1, "disk": 0, "cold": 1} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := newHost("s")
				m.cfg.Cache = cache
				s := &subject{Store: named("s")}
				if cache >= 0 {
					s.Store = m.open(t)
				}
				for range rapid.IntRange(0, 25).Draw(t, "steps") {
					s.step(t)
				}
				before := pictureOf(t, s.Store)
				r := check(t, s.Store)
				require.Equal(t, len(before.states), r.Keys)
				require.Equal(t, store.Report{Keys: r.Keys, Bytes: r.Bytes}, r)
				require.Equal(t, before, pictureOf(t, s.Store))
				require.NoError(t, s.Close())
			})
		})
	}
}

// What is wrong on disk is found, under the name of what it is, and mended where that can be.
func TestCheckFindsWhatIsWrongOnDisk(t *testing.T) {
	value, row := onDisk('v', 0, "k"), onDisk('f', 0, "k")
	another := insert(t, named("other"), "k", "another")
	for name, c := range map[string]struct {
		damage func(d *disk.Disk)
		warm   store.Report // what is found if the value is in memory, too
		cold   store.Report // and if it is not
		stays  bool         // when it is looked for again, and the value was in memory
	}{
		"a value that cannot be read": {
			damage: func(d *disk.Disk) { d.Damage(value) },
			warm:   store.Report{Damaged: []string{"k"}}, cold: store.Report{Damaged: []string{"k"}},
		},
		"a value that does not decode": {
			damage: func(d *disk.Disk) { d.Replace(value, []byte("garbage")) },
			warm:   store.Report{Damaged: []string{"k"}}, cold: store.Report{Damaged: []string{"k"}},
		},
		"a part that did not decode": {
			damage: func(d *disk.Disk) { d.Replace(value, append([]byte{0xc1}, another...)) },
			warm:   store.Report{Damaged: []string{"k"}}, cold: store.Report{Damaged: []string{"k"}},
		},
		"another value": {
			damage: func(d *disk.Disk) { d.Replace(value, another) },
			warm:   store.Report{Differ: []string{"k"}}, stays: true,
			cold: store.Report{Index: []string{"k"}},
		},
		"a row that cannot be read": {
			damage: func(d *disk.Disk) { d.Damage(row) },
			warm:   store.Report{Index: []string{"k"}}, cold: store.Report{Index: []string{"k"}},
		},
		"another row": {
			damage: func(d *disk.Disk) { d.Replace(row, make([]byte, 17)) },
			warm:   store.Report{Index: []string{"k"}}, cold: store.Report{Index: []string{"k"}},
		},
	} {
		for _, cold := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", cold ", cold), func(t *testing.T) {
				m := newHost("s")
				if cold {
					m.cfg.Cache = 1
				}
				s := m.open(t)
				insert(t, s, "k", "one", "two")
				insert(t, s, "l", "one")
				members(t, s, "l") // who is not used goes first
				s.Index()
				want := c.warm
				if cold {
					want = c.cold
				}
				c.damage(m.disk)
				r := check(t, s)
				require.Equal(t, 1, r.Faults)
				require.Equal(t, 2, r.Keys)
				r.Keys, r.Bytes, r.Faults = 0, 0, 0
				require.Equal(t, want, r)
				again := check(t, s)
				require.Equal(t, c.stays && !cold, again.Faults > 0)
				if len(want.Damaged) > 0 {
					require.Equal(t, cold, len(m.damages()) > 0, "what is in memory is not lost")
				}
				if !cold {
					require.ElementsMatch(t, []string{"one", "two"}, members(t, s, "k"))
				}
				require.NoError(t, s.Close())
			})
		}
	}
}

func TestCheckFindsWhatIsAstray(t *testing.T) {
	m := newHost("s")
	s := m.open(t)
	insert(t, s, "k", "one")
	state := load(t, s, "k")
	strays := [][]byte{
		{'f', 0}, onDisk('f', 0, "row"), onDisk('f', 1, "k"), {'m', 'x'}, {'q'}, {'r', 1}, onDisk('v', 0, "value"),
	}
	for _, key := range strays {
		m.disk.Replace(key, state)
	}
	for range 2 {
		r := check(t, s)
		require.Equal(t, strays, r.Strays)
		require.Equal(t, len(strays), r.Faults)
		require.Equal(t, 1, r.Keys)
	}
	require.Nil(t, load(t, s, "value"))
}

// Only a hundred are listed, and all of them are counted.
func TestCheckListsAHundred(t *testing.T) {
	m := newHost("s")
	s := m.open(t)
	for i := range 150 {
		insert(t, s, fmt.Sprint(i), "x")
		m.disk.Damage(onDisk('v', 0, fmt.Sprint(i)))
	}
	r := check(t, s)
	require.Equal(t, 150, r.Faults)
	require.Len(t, r.Damaged, 100)
	require.True(t, slices.IsSorted(r.Damaged))
	require.Zero(t, check(t, s).Faults, "it was all in memory")
}

// What only another version can read is no fault.
func TestCheckLeavesWhatOnlyAnotherVersionCanRead(t *testing.T) {
	m := newHost("a")
	m.disk = disk.New(probingKinds(), "a")
	m.cfg.Kinds = probingKinds()
	s := m.open(t)
	_, err := raise(s, "k", 5)
	require.NoError(t, err)
	insert(t, s, "l", "x")
	require.NoError(t, s.Close())
	m.cfg.Kinds = nil
	s = m.open(t)
	r := check(t, s)
	require.Equal(t, []string{"k"}, r.Foreign)
	require.Zero(t, r.Faults)
	require.Equal(t, 2, r.Keys)
	var b writerFunc = func([]byte) {}
	require.Error(t, s.Backup(t.Context(), b))
	require.NoError(t, s.Close())
	require.Empty(t, m.damages())
}

// A store is checked while many write to it, delete and forget: nothing is found.
func TestCheckOfAStoreInUse(t *testing.T) {
	m := newHost("s")
	m.cfg.Cache = 1000
	s := &subject{Store: m.open(t)}
	done := make(chan struct{})
	var working sync.WaitGroup
	for w := range 3 {
		working.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				key := fmt.Sprint(i % 20)
				insert(aside{t}, s.Store, key, fmt.Sprint(w))
				if i%3 == 0 {
					remove(aside{t}, s.Store, key)
				}
			}
		})
	}
	for range 40 {
		s.settle(t)
		require.Zero(t, check(t, s.Store).Faults)
	}
	close(done)
	working.Wait()
	require.Equal(t, 0, check(t, s.Store).Faults)
	require.NoError(t, s.Close())
}

func TestCheckEnds(t *testing.T) {
	s := newHost("s").open(t)
	insert(t, s, "k", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Check(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Close())
	_, err = s.Check(t.Context())
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = named("s").Check(t.Context())
	require.NoError(t, err)
}
