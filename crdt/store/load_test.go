package store_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/disk"
)

// Who is told of a value may count on it, so Load waits for the disk as writes do: for a value that is on its way
// there, and for no other.
func TestLoadTellsOfNothingThatACrashTakesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New(crdt.Standard(), "here")
		s, err := store.Open(store.Config{}, d.Mount())
		require.NoError(t, err)
		add(t, s, "quiet", 1)
		add(t, s, "busy", 1)
		synced := d.Synced()
		require.NotEmpty(t, load(t, s, "busy"))
		require.Equal(t, synced, d.Synced(), "nothing was under way, so nothing is waited for")

		d.Hold()
		write := func() {
			if _, err := store.Update(s, "busy", func(v *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
				return v.Add(by.Replica, 1)
			}); err != nil {
				t.Error(err)
			}
		}
		go write()
		go write()
		synctest.Wait()
		require.NotEmpty(t, load(t, s, "quiet"))
		loaded := false
		go func() {
			_, err := s.Load(context.Background(), "busy")
			loaded = err == nil
		}()
		synctest.Wait()
		require.False(t, loaded)
		d.Release()
		synctest.Wait()
		require.True(t, loaded)

		synced = d.Synced()
		load(t, s, "busy")
		require.Equal(t, synced, d.Synced())
		require.NoError(t, s.Close())
	})
}

// One that was never known to be on disk is told by nobody.
func TestLoadFailsWhereTheDiskHas(t *testing.T) {
	d := disk.New(crdt.Standard(), "here")
	s, err := store.Open(store.Config{}, d.Mount())
	require.NoError(t, err)
	add(t, s, "k", 1)
	d.FailSync(1, disk.ErrFailed)
	_, err = store.Update(s, "k", func(v *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return v.Add(by.Replica, 1) })
	require.ErrorIs(t, err, disk.ErrFailed)
	_, err = s.Load(t.Context(), "k")
	require.ErrorIs(t, err, disk.ErrFailed)
	_ = s.Close()
}

// Load waits for the write that is under way, and not for a sync of its own; and no longer than its ctx.
func TestLoadWaitsForTheWriteThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New(crdt.Standard(), "here")
		s, err := store.Open(store.Config{}, d.Mount())
		require.NoError(t, err)
		add(t, s, "k", 1)
		d.Hold()
		go func() {
			if _, err := store.Update(s, "k", func(v *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return v.Add(by.Replica, 1) }); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		writes := d.Writes()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = s.Load(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		loaded := false
		go func() {
			_, err := s.Load(context.Background(), "k")
			loaded = err == nil
		}()
		synctest.Wait()
		require.False(t, loaded)
		d.Release()
		synctest.Wait()
		require.True(t, loaded)
		require.Equal(t, writes, d.Writes())
		require.NoError(t, s.Close())
	})
}

// An encoder that panics leaves its key to others, in memory and on disk, and nothing that is waited for in vain.
func TestAPanickingEncoderLeavesItsKeyUnlocked(t *testing.T) {
	d := disk.New(probingKinds(), "here")
	onDisk, err := store.Open(store.Config{Kinds: probingKinds()}, d.Mount())
	require.NoError(t, err)
	for name, s := range map[string]*store.Store{"in memory": probing(t, "s"), "on disk": onDisk} {
		require.Panics(t, func() { _, _ = raise(s, "b", panicking) }, name)
		require.Panics(t, func() { _, _ = s.Load(t.Context(), "b") }, name)
		_, err := store.View(s, "b", func(*probe) {})
		require.NoError(t, err, name)
		func() {
			defer func() { _ = recover() }()
			s.Index() // it ends, one way or the other
		}()
		_, err = raise(s, "b", panicking+1)
		require.NoError(t, err, name)
		require.NotEmpty(t, load(t, s, "b"), name)
	}
	other := probing(t, "o")
	good := add(t, other, "a", 1)
	_, err = raise(other, "c", panicking+1)
	require.NoError(t, err)
	bad := append([]byte{}, load(t, other, "c")...)
	bad[len(bad)-1] = panicking
	require.Panics(t, func() { _, _ = onDisk.MergeAll(t.Context(), []string{"a", "c"}, [][]byte{good, bad}) })
	writes := d.Writes()
	require.NotEmpty(t, load(t, onDisk, "a"))
	merge(t, onDisk, "a", good)
	require.Equal(t, writes, d.Writes(), "nothing is under way, so nothing is waited for")
}
