package pebblestore

import (
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// tester is what tests and property tests have in common.
type tester interface {
	require.TestingT
	Helper()
}

func open(t tester, fs vfs.FS) *Backend {
	t.Helper()
	return openWith(t, "data", Options{FS: fs})
}

func openWith(t tester, dir string, o Options) *Backend {
	t.Helper()
	b, err := Open(dir, o)
	require.NoError(t, err)
	return b
}

func shut(t tester, b *Backend) {
	t.Helper()
	require.NoError(t, b.Close())
}

func apply(t tester, b *Backend, sync bool, ops ...store.Op) {
	t.Helper()
	c, err := b.Apply(ops, sync)
	require.NoError(t, err)
	if sync {
		require.NoError(t, c.Wait())
		return
	}
	require.Nil(t, c)
}

func get(t tester, b *Backend, key string) []byte {
	t.Helper()
	value, err := b.Get([]byte(key))
	require.NoError(t, err)
	return value
}

func set(key, value string) store.Op {
	return store.Op{Kind: store.OpSet, Key: []byte(key), Value: []byte(value)}
}

func join(key string, value []byte) store.Op {
	return store.Op{Kind: store.OpJoin, Key: []byte(key), Value: value}
}

// scan returns what there is, with keys as text.
func scan(t tester, b *Backend, prefix, from string) (keys []string, values map[string][]byte) {
	t.Helper()
	values = make(map[string][]byte)
	require.NoError(t, b.Scan([]byte(prefix), []byte(from), func(key, value []byte) error {
		keys = append(keys, string(key))
		values[string(key)] = append([]byte{}, value...)
		return nil
	}))
	return keys, values
}

// element is the delta of adding an element to a set.
func element(t tester, by string, n int) []byte {
	t.Helper()
	var set crdt.ORSet[string]
	for i := range n {
		set.Add(vclock.Named(by), strconv.Itoa(i))
	}
	return encoded(t, set.Add(vclock.Named(by), strconv.Itoa(n)))
}

func encoded[P crdt.State[P]](t tester, state P) []byte {
	t.Helper()
	v, err := crdt.Wrap(crdt.Standard(), state)
	require.NoError(t, err)
	b, err := v.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// members returns the elements of the set in value.
func members(t tester, value []byte) (all []string) {
	t.Helper()
	v, err := crdt.Standard().Decode(value)
	require.NoError(t, err)
	set, ok := crdt.Component[*crdt.ORSet[string]](crdt.Standard(), v)
	if !ok {
		return nil
	}
	for e := range set.All() {
		all = append(all, e)
	}
	return all
}

func small(t *testing.T, fs vfs.FS) *Backend {
	t.Helper()
	return openWith(t, "data", Options{FS: fs, Table: 32 << 10, Cache: 1 << 20})
}

// noise is 4 KiB that do not compress.
func noise(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, 0, 4096)
	for len(b) < 4096 {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return string(b)
}
