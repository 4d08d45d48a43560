package pebblehints

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store/pebblestore"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/transport/mem"
)

// union joins sets of bytes.
func union(a, b []byte) ([]byte, error) {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all), nil
}

func open(t testing.TB, dir string, fs vfs.FS) *Log {
	t.Helper()
	l, err := Open(dir, Options{FS: fs})
	require.NoError(t, err)
	return l
}

func held(t *testing.T, h *handoff.Handoff, key string) string {
	t.Helper()
	state, err := h.Held(t.Context(), key)
	require.NoError(t, err)
	return string(state)
}

// taker takes what is replayed.
type taker struct{ got atomic.Int64 }

func (s *taker) Merge(context.Context, string, []byte) ([]byte, error) {
	s.got.Add(1)
	return nil, nil
}

func TestRowsAreThereAgain(t *testing.T) {
	disk := vfs.NewCrashableMem()
	l := open(t, "hints", disk)
	require.NoError(t, l.Apply(nil))
	require.NoError(t, l.Apply([]handoff.Row{{ID: "b", Value: []byte("1")}, {ID: "\x00", Value: []byte("2")}, {ID: "c", Value: []byte("3")}}))
	require.NoError(t, l.Apply([]handoff.Row{{ID: "c"}, {ID: "b", Value: []byte("4")}}))
	check := func(l *Log) {
		var all []string
		for r, err := range l.All() {
			require.NoError(t, err)
			all = append(all, r.ID+"="+string(r.Value))
		}
		require.Equal(t, []string{"\x00=2", "b=4"}, all)
		for range l.All() {
			break
		}
		require.NoError(t, l.Close())
	}
	cut := disk.CrashClone(vfs.CrashCloneCfg{}) // what a power cut leaves
	check(l)
	check(open(t, "hints", disk))
	check(open(t, "hints", cut))
	for _, err := range l.All() {
		require.Error(t, err, "closed")
	}
}

// What is held is there after a restart, with its marks, and goes when it is delivered.
func TestTrap27_ARestartStrandsNothing(t *testing.T) {
	dir, net, there := t.TempDir(), &mem.Network{Refuse: true}, new(taker)
	start := func() (*handoff.Handoff, *Log) {
		l := open(t, dir, nil)
		return &handoff.Handoff{Join: union, Log: l, Limits: handoff.Limits{MaxTargetHints: 100}, Caller: net.Node("a", nil)}, l
	}
	h, l := start()
	for i := range 100 {
		require.NoError(t, h.Keep(t.Context(), "b", fmt.Sprint(i), []byte("x")))
	}
	require.Error(t, h.Keep(t.Context(), "b", "one more", []byte("x")))
	require.NoError(t, l.Close())

	h, l = start()
	require.Equal(t, "x", held(t, h, "7"))
	require.NoError(t, h.Keep(t.Context(), "b", "7", []byte("y")))
	require.Equal(t, 100, h.Stats().Hints)
	require.True(t, h.Stats().Targets[0].Incomplete)
	require.NoError(t, l.Close())

	h, l = start()
	require.Equal(t, "xy", held(t, h, "7"))
	net.Node("b", (&handoff.Handoff{Replica: there}).Handler())
	_, err := h.Replay(t.Context(), "b")
	require.NoError(t, err)
	require.EqualValues(t, 100, there.got.Load())
	for range l.All() {
		t.Error("a row is left")
	}
	require.NoError(t, l.Close())
}

// failing is a disk on which from some moment on no log can be synced.
type failing struct{ on atomic.Bool }

func (f *failing) String() string { return "failing" }

func (f *failing) MaybeError(op errorfs.Op) error {
	sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
	if f.on.Load() && sync && strings.HasSuffix(op.Path, ".log") {
		return syscall.EIO
	}
	return nil
}

func TestTrap33_AnErrorOfTheDiskIsFinal(t *testing.T) {
	disk, f := vfs.NewCrashableMem(), new(failing)
	l := open(t, "hints", errorfs.Wrap(disk, f))
	var lost atomic.Int64
	h := &handoff.Handoff{Join: union, Log: l, Events: handoff.Events{OnFailed: func(error) { lost.Add(1) }}}
	require.NoError(t, h.Keep(t.Context(), "b", "before", []byte("x")))
	f.on.Store(true)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			err := h.Keep(t.Context(), "b", fmt.Sprint(i), []byte("x"))
			if !bytes.Contains([]byte(fmt.Sprint(err)), []byte("failed for good")) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f.on.Store(false)
	err := h.Keep(t.Context(), "b", "before", []byte("x"))
	require.ErrorIs(t, err, syscall.EIO, "also when the disk works again")
	var failed *pebblestore.FailedError
	require.ErrorAs(t, err, &failed)
	require.EqualValues(t, 1, lost.Load())
	require.ErrorIs(t, l.Close(), syscall.EIO)

	l = open(t, "hints", disk.CrashClone(vfs.CrashCloneCfg{}))
	again := &handoff.Handoff{Join: union, Log: l}
	require.Equal(t, "x", held(t, again, "before"))
	require.NoError(t, l.Close())
}
