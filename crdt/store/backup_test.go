package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

func backup(t tester, s *store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.Backup(t.Context(), &b))
	return b.Bytes()
}

func restore(t tester, s *store.Store, b []byte) error {
	t.Helper()
	return s.Restore(t.Context(), iotest.OneByteReader(bytes.NewReader(b)))
}

// stream makes a backup of frames, as its documentation says.
func stream(bodies ...[]byte) (b []byte) {
	for _, body := range bodies {
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		b = append(b, body...)
		sum := sha256.Sum256(b)
		b = append(b, sum[:8]...)
	}
	return b
}

func body(fill func(w *wire.Writer)) []byte {
	w := wire.NewWriter(nil)
	fill(w)
	return w.Done()
}

func headBody(version, number, id uint64) []byte {
	return body(func(w *wire.Writer) {
		w.Array(4)
		w.String("eventual backup")
		w.Uint(version)
		w.Uint(number)
		w.Uint(id)
	})
}

func itemBody(key string, value []byte) []byte {
	return body(func(w *wire.Writer) { w.Array(2); w.String(key); w.Bytes(value) })
}

func endBody(n uint64) []byte { return body(func(w *wire.Writer) { w.Array(1); w.Uint(n) }) }

// What was backed up is there again, in memory and on disk, whatever had happened to the store.
func TestWhatWasBackedUpIsThereAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &subject{Store: newHost("s").open(t)}
		for range rapid.IntRange(0, 25).Draw(t, "steps") {
			s.step(t)
		}
		b := backup(t, s.Store)
		want := pictureOf(t, s.Store)
		root := s.Index().Root()
		for _, again := range []*store.Store{named("again"), newHost("again").open(t)} {
			for range 2 {
				require.NoError(t, restore(t, again, b))
				require.Equal(t, want, pictureOf(t, again))
				require.Equal(t, root, again.Index().Root())
			}
			require.Equal(t, b, backup(t, again))
			if len(want.states) > 0 && s.Generation() != "" {
				require.Equal(t, s.Generation(), again.Generation())
			}
			add(t, again, "a", 1)
			merge(t, s.Store, "a", load(t, again, "a"))
		}
	})
}

// The stream is what its documentation says.
func TestTheFormOfABackup(t *testing.T) {
	s := named("s")
	insert(t, s, "b", "x")
	assign(t, s, "\xff", "x")
	add(t, s, "a", 5)
	remove(t, s, "a")
	require.Equal(t, stream(
		headBody(1, 1, 0), itemBody("a", load(t, s, "a")), itemBody("b", load(t, s, "b")), itemBody("\xff", load(t, s, "\xff")), endBody(3),
	), backup(t, s))
	require.Equal(t, stream(headBody(1, 1, 0), endBody(0)), backup(t, named("empty")))
}

// A backup that was cut or damaged anywhere is refused, and what is taken from it before that is what was there.
func TestADamagedBackupIsRefused(t *testing.T) {
	s := named("s")
	insert(t, s, "a", "x", "y")
	add(t, s, "b", 5)
	b := backup(t, s)
	check := func(damaged []byte) {
		again := named("again")
		err := restore(t, again, damaged)
		var corrupt *crdt.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.Equal(t, "backup", corrupt.Kind)
		for key := range again.Index().All() {
			require.Equal(t, load(t, s, key), load(t, again, key))
		}
	}
	for n := range b {
		check(b[:n])
		damaged := slices.Clone(b)
		damaged[n] ^= 1
		check(damaged)
	}
}

func TestABackupThatContradictsItselfIsRefused(t *testing.T) {
	s := named("s")
	value := insert(t, s, "k", "x")
	head, item := headBody(1, 1, 0), itemBody("k", value)
	for name, bad := range map[string][][]byte{
		"another head":     {itemBody("k", value), endBody(1)},
		"no generation":    {headBody(1, 1, 7), item, endBody(1)},
		"version 0":        {headBody(0, 1, 0), item, endBody(1)},
		"large head":       {append(headBody(1, 1, 0), make([]byte, 64)...), endBody(0)},
		"fewer keys":       {head, item, endBody(2)},
		"more keys":        {head, item, endBody(0)},
		"twice":            {head, item, item, endBody(2)},
		"out of order":     {head, item, itemBody("a", value), endBody(2)},
		"no value":         {head, itemBody("k", nil), endBody(1)},
		"two heads":        {head, head, item, endBody(1)},
		"not even msgpack": {head, []byte("k"), endBody(1)},
		"no body":          {head, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var corrupt *crdt.CorruptError
			require.ErrorAs(t, restore(t, named("again"), stream(bad...)), &corrupt)
		})
	}
	require.ErrorIs(t, restore(t, named("again"), stream(headBody(2, 1, 0), endBody(0))), crdt.ErrVersion)
}

// A key that is refused does not stop the others.
func TestAKeyThatIsRefusedIsRestoredWithoutTheOthers(t *testing.T) {
	ahead := store.New(store.Config{Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	assign(t, ahead, "b", "late")
	insert(t, ahead, "a", "x")
	insert(t, ahead, "c", "x")
	s := named("s")
	err := restore(t, s, backup(t, ahead))
	var drift *vclock.DriftError
	require.ErrorAs(t, err, &drift)
	require.ErrorContains(t, err, "1 keys refused")
	require.Equal(t, []string{"a", "c"}, slices.Collect(s.Keys("")))
}

// What was forgotten since a backup was made does not come back with it: a store that knows what was agreed on lifts
// what is in it, and one that does not know, or has gone another way, refuses all of it.
func TestWhatWasForgottenIsNotRestored(t *testing.T) {
	for _, retain := range []int{1 << 20, 1} {
		all := cluster(t, retain, "a", "b")
		a, b := all[0], all[1]
		insert(t, a, "gone", "x")
		insert(t, a, "kept", "x")
		old := backup(t, a)
		for _, key := range []string{"gone", "other"} {
			insert(t, a, key, "y")
			spread(t, key, a, b)
			remove(t, a, key)
			spread(t, key, a, b)
			collect(t, a, b)
		}
		before := pictureOf(t, b)
		err := restore(t, b, old)
		if retain == 1 {
			var stale *store.StaleError
			require.ErrorAs(t, err, &stale)
			require.Equal(t, before, pictureOf(t, b))
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []string{"kept"}, slices.Collect(b.Keys("")))
		require.Nil(t, load(t, b, "gone"))

		fresh := named("fresh")
		add(t, fresh, "mine", 1)
		require.NoError(t, restore(t, fresh, backup(t, a)))
		require.Equal(t, a.Generation(), fresh.Generation())
		require.Equal(t, []string{"kept", "mine"}, slices.Collect(fresh.Keys("")))
	}
}

// A store of the same name begins with a backup, while others have what was written after that: nothing that it
// writes is taken for that.
func TestTrap13_ARestoredStoreNumbersNothingTwice(t *testing.T) {
	m := newHost("a")
	a, peer := m.open(t), named("peer")
	insert(t, a, "s", "1")
	b := backup(t, a)
	merge(t, peer, "s", insert(t, a, "s", "2"))
	merge(t, peer, "s", load(t, a, "s"))
	lost := newHost("a")
	again := lost.open(t)
	require.NoError(t, restore(t, again, b))
	require.Len(t, lost.rotations(), 1)
	require.Equal(t, store.Restored, lost.rotations()[0].Reason)
	require.Equal(t, "restored from a backup", store.Restored.String())
	merge(t, peer, "s", insert(t, again, "s", "3"))
	require.Equal(t, []string{"1", "2", "3"}, slices.Sorted(slices.Values(members(t, peer, "s"))))
}

// A backup that is made while many write has no part of a batch. What is kept for it goes as it goes on.
func TestBackupsAreConsistentWhileManyWrite(t *testing.T) {
	s := newHost("s").open(t)
	keys := []string{"a", "m", "z"}
	var working sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		working.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				var b store.Batch
				for _, key := range keys {
					counting(&b, key, 1)
				}
				_, err := s.Apply(&b)
				require.NoError(aside{t}, err)
				insert(aside{t}, s, fmt.Sprint("new ", i%100), "x")
			}
		})
	}
	for range 20 {
		again := named("again")
		require.NoError(t, restore(t, again, backup(t, s)))
		require.Equal(t, total(t, again, "a"), total(t, again, "m"))
		require.Equal(t, total(t, again, "a"), total(t, again, "z"))
	}
	close(done)
	working.Wait()
	require.Zero(t, s.Stats().Snapshots)
	require.NoError(t, s.Close())
}

// While a backup is written only what is still to come is kept for it.
func TestABackupKeepsNothingOfWhatIsDone(t *testing.T) {
	s := named("s")
	for i := range 300 {
		insert(t, s, fmt.Sprintf("%03d", i), string(make([]byte, 1000)))
	}
	var kept []int64
	require.NoError(t, s.Backup(t.Context(), writerFunc(func([]byte) {
		for key := range s.Keys("") {
			insert(t, s, key, "x")
		}
		kept = append(kept, -s.Stats().SnapshotBytes)
	})))
	require.True(t, slices.IsSorted(kept), "ever less")
	require.Less(t, kept[0], int64(-290_000), "nearly all, at first")
	require.Greater(t, kept[len(kept)-1], int64(-9_000), "nearly nothing, in the end")
}

type writerFunc func(b []byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func TestBackupsThatCannotBeMade(t *testing.T) {
	s := probing(t, "s")
	insert(t, s, "a", "x")
	_, err := raise(s, "b", refusing)
	require.Error(t, err)
	insert(t, s, "c", "x")
	var b bytes.Buffer
	err = s.Backup(t.Context(), &b)
	var encode *store.EncodeError
	require.ErrorAs(t, err, &encode)
	require.Equal(t, "b", encode.Key)
	again := named("again")
	require.NoError(t, restore(t, again, b.Bytes()), "it is complete but for that")
	require.Equal(t, []string{"a", "c"}, slices.Collect(again.Keys("")))

	broken := errors.New("broken")
	require.ErrorIs(t, again.Backup(t.Context(), &brokenPipe{broken}), broken)
	require.ErrorIs(t, again.Restore(t.Context(), iotest.ErrReader(broken)), broken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, again.Backup(ctx, io.Discard), context.Canceled)
	require.ErrorIs(t, again.Restore(ctx, &b), context.Canceled)
	require.NoError(t, again.Close())
	require.ErrorIs(t, again.Backup(t.Context(), io.Discard), store.ErrClosed)
	require.ErrorIs(t, again.Restore(t.Context(), &b), store.ErrClosed)
}

type brokenPipe struct{ err error }

func (p *brokenPipe) Write([]byte) (int, error) { return 0, p.err }

// A store that is closed while a backup is made, or read, ends it.
func TestCloseEndsBackups(t *testing.T) {
	s := newHost("s").open(t)
	for i := range 200 {
		insert(t, s, fmt.Sprintf("%03d", i), string(make([]byte, 1000)))
	}
	full := backup(t, s)
	err := s.Backup(t.Context(), writerFunc(func([]byte) { require.NoError(t, s.Close()) }))
	require.ErrorIs(t, err, store.ErrClosed)

	again := newHost("again").open(t)
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write(full[:len(full)/2])
		_ = again.Close()
		_, _ = w.Write(full[len(full)/2:])
	}()
	require.ErrorIs(t, again.Restore(t.Context(), r), store.ErrClosed)
	_ = r.Close()
}

// FuzzRestore gives a store what claims to be a backup: once as it is, and once with checksums that fit. It is refused,
// or what was there stays, and a backup of that is restored to the same.
func FuzzRestore(f *testing.F) {
	s := named("seed")
	f.Add(backup(f, s))
	insert(f, s, "k", "x")
	assign(f, s, "l", "x")
	remove(f, s, "k")
	whole := backup(f, s)
	f.Add(whole)
	f.Add(whole[:len(whole)-9])
	f.Add(stream(headBody(1, 9, 7), endBody(0)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, refit(b)} {
			s := named("s")
			add(t, s, "mine", 5)
			err := s.Restore(t.Context(), bytes.NewReader(b))
			require.Equal(t, int64(5), total(t, s, "mine"))
			if err != nil {
				continue
			}
			again := named("again")
			require.NoError(t, restore(t, again, backup(t, s)))
			require.Equal(t, s.Index().Root(), again.Index().Root())
		}
	})
}

// refit makes the checksums fit what is between them.
func refit(b []byte) []byte {
	var all [][]byte
	for len(b) >= 12 {
		n := min(int(binary.BigEndian.Uint32(b)), len(b)-12)
		all = append(all, b[4:4+n])
		b = b[12+n:]
	}
	return stream(all...)
}

// What a backup, reading it and a check cost for each key, of small counters.
func BenchmarkBackup(b *testing.B) {
	const keys = 10_000
	s := named("s")
	for i := range keys {
		add(b, s, fmt.Sprint("counter/", i), int64(i))
	}
	whole := backup(b, s)
	each := func(b *testing.B, do func()) {
		for b.Loop() {
			do()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*keys), "ns/key")
		b.ReportMetric(float64(len(whole))/keys, "B/key")
	}
	b.Run("write", func(b *testing.B) { each(b, func() { _ = s.Backup(b.Context(), io.Discard) }) })
	b.Run("read", func(b *testing.B) {
		each(b, func() { _ = named("again").Restore(b.Context(), bytes.NewReader(whole)) })
	})
	b.Run("check", func(b *testing.B) { each(b, func() { _, _ = s.Check(b.Context()) }) })
}
