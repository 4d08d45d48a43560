package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// A probe is a maximum that counts how often one is decoded.
type probe struct{ n uint64 }

var decoded atomic.Int64

func (p *probe) Clone() *probe { return &probe{p.n} }

func (p *probe) Merge(o *probe) bool {
	old := p.n
	p.n = max(p.n, o.n)
	return p.n > old
}

func (p *probe) AppendBinary(b []byte) ([]byte, error) {
	if p.n == 0 {
		return b, nil
	}
	return binary.BigEndian.AppendUint64(b, p.n), nil
}

func (p *probe) UnmarshalBinary(b []byte) error {
	decoded.Add(1)
	if len(b) != 8 {
		return errors.New("probe: length")
	}
	p.n = binary.BigEndian.Uint64(b)
	return nil
}

// A thousand deltas on top of a value are decoded once each, by a read, by a flush and by a compaction: the value is not
// decoded and encoded anew for each of them.
func TestDeltasAreJoinedInOnePass(t *testing.T) {
	kinds, err := crdt.Standard().With(crdt.NewKind[probe](100, "probe"))
	require.NoError(t, err)
	value := func(n uint64) []byte {
		v, err := crdt.Wrap(kinds, &probe{n})
		require.NoError(t, err)
		b, err := v.AppendBinary(nil)
		require.NoError(t, err)
		return b
	}
	b := openWith(t, "data", Options{FS: vfs.NewMem(), Kinds: kinds})
	defer shut(t, b)
	apply(t, b, false, store.Op{Kind: store.OpSet, Key: []byte("k"), Value: value(1)})
	require.NoError(t, b.db.Flush())
	for n := range uint64(1000) {
		apply(t, b, false, join("k", value(n+2)))
	}
	passes := func(do func()) int64 {
		before := decoded.Load()
		do()
		return decoded.Load() - before
	}
	require.LessOrEqual(t, passes(func() { require.Equal(t, value(1001), get(t, b, "k")) }), int64(1001))
	require.LessOrEqual(t, passes(func() { // Pebble may begin a compaction by itself
		require.NoError(t, b.db.Flush())
		require.NoError(t, b.db.Compact(context.Background(), []byte{0}, []byte{9}, false))
	}), int64(1010), "the flush has joined the deltas")
	require.Zero(t, passes(func() { require.Equal(t, value(1001), get(t, b, "k")) }))
}

// What a delta adds is what is written, also while there is something large under the key.
func TestAWriteCostsWhatItAdds(t *testing.T) {
	b := open(t, vfs.NewMem())
	defer shut(t, b)
	var large crdt.GSet[string]
	elements := make([]string, 20_000)
	for i := range elements {
		elements[i] = strconv.Itoa(i)
	}
	state := encoded(t, large.Add(elements...))
	apply(t, b, true, store.Op{Kind: store.OpSet, Key: []byte("large"), Value: state})
	require.NoError(t, b.db.Flush())
	delta := encoded(t, large.Add("one more"))
	before := b.Stats()
	apply(t, b, true, join("large", delta))
	require.Less(t, b.Stats().Logged-before.Logged, int64(len(delta)+100))
	require.Greater(t, len(state), 100*len(delta))
}

func TestAnotherMergerIsRefused(t *testing.T) {
	disk := vfs.NewMem()
	shut(t, open(t, disk))
	_, err := pebble.Open("data", &pebble.Options{FS: disk, Logger: logger{}})
	require.ErrorContains(t, err, mergerName)

	other, err := pebble.Open("other", &pebble.Options{FS: disk, Logger: logger{}})
	require.NoError(t, err)
	require.NoError(t, other.Close())
	_, err = Open("other", Options{FS: disk})
	require.ErrorContains(t, err, "merger")
	require.ErrorContains(t, err, mergerName)
}

func TestValuesMayComeInAnyOrder(t *testing.T) {
	m := merger(crdt.Standard())
	var parts [][]byte
	for n := range 5 {
		parts = append(parts, element(t, "a", n))
	}
	want := store.Joined(crdt.Standard(), parts...)
	for first := range parts {
		j, err := m.Merge(nil, parts[first])
		require.NoError(t, err)
		for i := first + 1; i < len(parts); i++ {
			require.NoError(t, j.MergeNewer(parts[i]))
		}
		for i := first - 1; i >= 0; i-- {
			require.NoError(t, j.MergeOlder(parts[i]))
		}
		got, _, err := j.Finish(true)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
