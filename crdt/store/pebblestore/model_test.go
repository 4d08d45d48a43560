package pebblestore

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A model is what a backend is, without a disk.
type model map[string][]byte

func (m model) apply(ops []store.Op) {
	for _, op := range ops {
		key := string(op.Key)
		switch old, found := m[key]; op.Kind {
		case store.OpSet:
			m[key] = op.Value
		case store.OpJoin:
			m[key] = op.Value
			if found {
				m[key] = store.Joined(crdt.Standard(), old, op.Value)
			}
		case store.OpDelete:
			delete(m, key)
		case store.OpDeletePrefix:
			maps.DeleteFunc(m, func(k string, _ []byte) bool { return strings.HasPrefix(k, key) })
		}
	}
}

// scan returns the keys that a Scan must visit, in order.
func (m model) scan(prefix, from string) []string {
	var keys []string
	for key := range m {
		if strings.HasPrefix(key, prefix) && key >= prefix+from {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// values are deltas, states, and some bytes that are nothing.
func values(t *testing.T) []string {
	var counter crdt.PNCounter
	all := []string{"", "\xc1", "nonsense", string(encoded(t, counter.Add(vclock.Named("c"), 3)))}
	for n := range 4 {
		all = append(all, string(element(t, "a", n)), string(element(t, "b", n)))
	}
	return append(all, string(store.Joined(crdt.Standard(), []byte(all[4]), []byte(all[5]))), "\xc1"+all[6])
}

var (
	drawKey  = rapid.StringOfN(rapid.SampledFrom([]rune{0, 'a', 'b', 'ÿ'}), 0, 3, -1)
	drawKind = rapid.SampledFrom([]store.OpKind{store.OpSet, store.OpJoin, store.OpJoin, store.OpJoin,
		store.OpDelete, store.OpDeletePrefix})
)

// bytesOf makes one byte of each letter, so that 0xff is a key, too.
func bytesOf(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func drawOps(values []string) *rapid.Generator[[]store.Op] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Op {
		op := store.Op{Kind: drawKind.Draw(t, "kind"), Key: []byte(bytesOf(drawKey.Draw(t, "key")))}
		if op.Kind == store.OpSet || op.Kind == store.OpJoin {
			op.Value = []byte(rapid.SampledFrom(values).Draw(t, "value"))
		}
		return op
	}), 0, 5)
}

func TestABackendIsItsModel(t *testing.T) {
	ops := drawOps(values(t))
	rapid.Check(t, func(t *rapid.T) {
		m, fs := make(model), vfs.NewMem()
		b := open(t, fs)
		var commits []store.Commit
		settle := func() {
			for _, c := range commits {
				require.NoError(t, c.Wait())
			}
			commits = nil
		}
		t.Repeat(map[string]func(*rapid.T){
			"apply": func(t *rapid.T) {
				ops, sync := ops.Draw(t, "ops"), rapid.Bool().Draw(t, "sync")
				m.apply(ops)
				c, err := b.Apply(ops, sync)
				require.NoError(t, err)
				require.Equal(t, sync, c != nil)
				if sync {
					commits = append(commits, c)
				}
			},
			"wait": func(*rapid.T) { settle() },
			"get": func(t *rapid.T) {
				key := bytesOf(drawKey.Draw(t, "key"))
				want, found := m[key]
				got := get(t, b, key)
				require.Equal(t, found, got != nil, "%q", key)
				require.True(t, bytes.Equal(want, got), "%q: %x, want %x", key, got, want)
			},
			"scan": func(t *rapid.T) {
				prefix, from := bytesOf(drawKey.Draw(t, "prefix")), bytesOf(drawKey.Draw(t, "from"))
				same(t, m, b, prefix, from)
			},
			"flush":   func(*rapid.T) { require.NoError(t, b.db.Flush()) },
			"compact": func(*rapid.T) { require.NoError(t, b.db.Compact(context.Background(), []byte{0}, []byte{9}, false)) },
			"reopen": func(*rapid.T) {
				settle()
				shut(t, b)
				b = open(t, fs)
			},
		})
		same(t, m, b, "", "")
		settle()
		shut(t, b)
	})
}

// same fails unless b shows what m does.
func same(t tester, m model, b *Backend, prefix, from string) {
	t.Helper()
	keys, values := scan(t, b, prefix, from)
	require.Equal(t, m.scan(prefix, from), keys)
	for _, key := range keys {
		require.True(t, bytes.Equal(m[key], values[key]), "%q: %x, want %x", key, values[key], m[key])
	}
}

func TestAScanIsOfOneMomentAndMayCallTheBackend(t *testing.T) {
	b := open(t, vfs.NewMem())
	defer shut(t, b)
	apply(t, b, false, set("a", "1"), set("b", "1"), set("c", "1"))
	var seen []string
	require.NoError(t, b.Scan(nil, nil, func(key, value []byte) error {
		seen = append(seen, string(key)+string(value))
		apply(t, b, false, set("b", "2"), store.Op{Kind: store.OpDelete, Key: []byte("c")}, set("d", "2"))
		require.Equal(t, "2", string(get(t, b, "b")))
		return nil
	}))
	require.Equal(t, []string{"a1", "b1", "c1"}, seen)

	stop := pebble.ErrInvalidBatch // any will do
	n := 0
	require.Equal(t, stop, b.Scan([]byte{}, []byte("a"), func([]byte, []byte) error { n++; return stop }))
	require.Equal(t, 1, n)
}
