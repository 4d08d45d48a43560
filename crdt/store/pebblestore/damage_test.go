package pebblestore

import (
	"context"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// tables returns the names of the tables.
func tables(t *testing.T, disk vfs.FS) (names []string) {
	t.Helper()
	all, err := disk.List("data")
	require.NoError(t, err)
	for _, name := range all {
		if strings.HasSuffix(name, ".sst") {
			names = append(names, "data/"+name)
		}
	}
	return names
}

// flip turns over a byte of a file.
func flip(t *testing.T, disk vfs.FS, name string, at int) {
	t.Helper()
	f, err := disk.Open(name)
	require.NoError(t, err)
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	text[at] ^= 0xff
	w, err := disk.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

// grown is a folder with one table of many blocks. Values do not compress, so the first one lies at the beginning.
func grown(t *testing.T) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewMem()
	b := open(t, disk)
	for i := range 100 {
		apply(t, b, false, set("k"+strconv.Itoa(100+i), noise(uint64(i))))
	}
	require.NoError(t, b.db.Compact(context.Background(), []byte{dataKeys}, []byte{dataKeys + 1}, false))
	shut(t, b)
	return disk
}

func TestDamageOfOneBlockIsTold(t *testing.T) {
	disk := grown(t)
	names := tables(t, disk)
	require.NotEmpty(t, names)
	var told []pebble.DataCorruptionInfo
	for _, name := range names {
		flip(t, disk, name, 100)
	}
	b := openWith(t, "data", Options{FS: disk, Tune: func(p *pebble.Options) {
		p.EventListener = &pebble.EventListener{DataCorruption: func(i pebble.DataCorruptionInfo) { told = append(told, i) }}
	}})
	_, err := b.Get([]byte("k100"))
	require.ErrorIs(t, err, store.ErrDamaged)
	require.NotEmpty(t, told)
	require.Len(t, get(t, b, "k150"), 4096, "others can be read")
	err = b.Scan(nil, nil, func([]byte, []byte) error { return nil })
	require.ErrorIs(t, err, store.ErrDamaged)
	n := 0
	require.NoError(t, b.Scan([]byte("k15"), nil, func([]byte, []byte) error { n++; return nil }))
	require.Equal(t, 10, n)

	// It is not the end. A delta does not help, a state does.
	apply(t, b, true, join("k100", element(t, "a", 1)))
	_, err = b.Get([]byte("k100"))
	require.ErrorIs(t, err, store.ErrDamaged)
	apply(t, b, true, set("k100", "whole"))
	require.Equal(t, "whole", string(get(t, b, "k100")))
	shut(t, b)
	b = open(t, disk)
	require.Equal(t, "whole", string(get(t, b, "k100")))
	shut(t, b)
}

func TestATableThatIsGoneIsDamage(t *testing.T) {
	disk := grown(t)
	for _, name := range tables(t, disk) {
		require.NoError(t, disk.Remove(name))
	}
	_, err := Open("data", Options{FS: disk})
	require.ErrorIs(t, err, store.ErrDamaged)
}

// Compactions of a damaged table fail. Writes go on.
func TestDamageStopsNoWrites(t *testing.T) {
	disk := grown(t)
	for _, name := range tables(t, disk) {
		flip(t, disk, name, 100)
	}
	b := small(t, disk)
	for i := range 400 {
		apply(t, b, false, set("k"+strconv.Itoa(100+i%100), noise(uint64(1000+i))))
	}
	apply(t, b, true)
	require.Equal(t, noise(1399), string(get(t, b, "k199")))
	require.Equal(t, noise(1300), string(get(t, b, "k100")))
	shut(t, b)
}

// A log with damage in the middle is not taken for one that ends there: what was acknowledged would be lost without a
// word. That holds from the first one on.
func TestDamageOfTheLogIsTold(t *testing.T) {
	for at := 400; at < 90_000; at += 7000 {
		disk := vfs.NewCrashableMem()
		b := open(t, disk)
		for i := range 40 {
			apply(t, b, true, set(strconv.Itoa(i), noise(uint64(i))[:2500]))
		}
		cut := disk.CrashClone(vfs.CrashCloneCfg{})
		shut(t, b)
		for _, disk := range []vfs.FS{cut, disk} {
			flip(t, disk, largest(t, disk, ".log"), at)
			_, err := Open("data", Options{FS: disk})
			require.ErrorIs(t, err, store.ErrDamaged, "%d", at)
		}
	}
}

func largest(t *testing.T, disk vfs.FS, suffix string) (name string) {
	t.Helper()
	all, err := disk.List("data")
	require.NoError(t, err)
	size := int64(-1)
	for _, n := range all {
		info, err := disk.Stat("data/" + n)
		require.NoError(t, err)
		if strings.HasSuffix(n, suffix) && info.Size() > size {
			name, size = "data/"+n, info.Size()
		}
	}
	return name
}
