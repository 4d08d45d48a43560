package pebblestore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// opened is the store in a folder, and the names that it took on.
func opened(t *testing.T, dir string) (s *store.Store, b *Backend, rotated *[]store.Rotation) {
	t.Helper()
	rotated = new([]store.Rotation)
	b = openWith(t, dir, options(nil))
	s, err := store.Open(config(store.Config{Replica: vclock.Named("a"), Events: store.Events{
		Rotated: func(r store.Rotation) { *rotated = append(*rotated, r) },
	}}), b)
	require.NoError(t, err)
	return s, b, rotated
}

// adds adds elements to a set one by one, and gives the peer each.
func adds(t *testing.T, s, peer *store.Store, of string) (elements []string) {
	t.Helper()
	for i := range 5 {
		st := step{Do: "add", Key: "k", Element: fmt.Sprint(of, i)}
		d, err := st.take(s)
		require.NoError(t, err)
		state, err := d.Bytes()
		require.NoError(t, err)
		_, err = peer.Merge(t.Context(), "k", state)
		require.NoError(t, err)
		elements = append(elements, st.Element)
	}
	return elements
}

// A backup that was made while the store was in use, without a word to it, is put back in its place after the store has
// gone on. What is written then takes no number of what was written after the backup and is with others.
func TestTrap14_ACheckpointIsPutBack(t *testing.T) {
	needsIdentity(t)
	for _, in := range []string{"place", "elsewhere"} {
		t.Run(in, func(t *testing.T) {
			dir, peer := filepath.Join(t.TempDir(), "data"), inMemory()
			s, b, _ := opened(t, dir)
			all := adds(t, s, peer, "before")
			require.NoError(t, b.Checkpoint(dir+".backup"))
			all = append(all, adds(t, s, peer, "after")...)
			name := s.Replica()
			require.NoError(t, s.Close())
			if in == "place" {
				require.NoError(t, os.RemoveAll(dir))
				require.NoError(t, os.Rename(dir+".backup", dir))
			} else {
				dir += ".backup"
			}

			s, _, rotated := opened(t, dir)
			require.Len(t, *rotated, 1)
			require.NotEqual(t, name, s.Replica())
			require.Len(t, elementsOf(t, s, "k"), 5)
			all = append(all, adds(t, s, peer, "again")...)
			for _, pair := range [][2]*store.Store{{s, peer}, {peer, s}} {
				state, err := pair[0].Load(t.Context(), "k")
				require.NoError(t, err)
				_, err = pair[1].Merge(t.Context(), "k", state)
				require.NoError(t, err)
			}
			require.ElementsMatch(t, all, elementsOf(t, s, "k"))
			require.Equal(t, peer.Index().Root(), s.Index().Root())
			require.Len(t, *rotated, 1, "nothing was numbered that had a number")
			require.NoError(t, s.Close())
		})
	}
}

// A store that was away for longer than records are kept is emptied, and the power goes at any write while it is. It is
// what it was then, or empty and where the others are; never something of both.
func TestTrap26_PowerCutsWhileAStoreIsEmptied(t *testing.T) {
	ahead := inMemory()
	require.NoError(t, meets(ahead))
	h := &hand{tell: func(line) {}}
	for _, st := range []step{{Do: "add", Key: "s0", Element: "x"}, {Do: "delete", Key: "s0"}} {
		_, err := st.take(ahead)
		require.NoError(t, err)
	}
	require.NoError(t, h.forget(ahead))
	generation := ahead.Generation()

	before, after := 0, 0
	for at := int64(0); ; at++ {
		disk := vfs.NewCrashableMem()
		c := &cut{disk: disk, configuration: vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: coin()}}
		c.sure, c.tried = func() int64 { return 0 }, func() int64 { return 0 }
		c.left.Store(1 << 40)
		s, err := store.Open(config(store.Config{}), openWith(t, "data", options(errorfs.Wrap(disk, c))))
		require.NoError(t, err)
		require.NoError(t, meets(s))
		adds(t, s, inMemory(), "held")
		mine := s.Generation()
		c.left.Store(at)
		aside, err := s.Adopt(context.Background(), generation)
		require.NoError(t, err)
		n := 0
		for range aside {
			n++
		}
		require.Equal(t, 1, n)
		step := step{Do: "add", Key: "k", Element: "new"}
		_, err = step.take(s)
		require.NoError(t, err)
		through := c.left.Load() >= 0
		c.now()
		require.NoError(t, s.Close())

		s, err = store.Open(config(store.Config{}), openWith(t, "data", options(c.kept)))
		require.NoError(t, err)
		switch got := elementsOf(t, s, "k"); s.Generation() {
		case mine:
			require.Len(t, got, 5)
			require.Zero(t, after)
			before++
		case generation:
			require.Subset(t, []string{"new"}, got)
			after++
		default:
			require.Fail(t, "it is nowhere")
		}
		newWitness(t).rebuilt(s)
		require.NoError(t, s.Close())
		if through {
			require.Positive(t, before)
			require.Positive(t, after)
			return
		}
	}
}
