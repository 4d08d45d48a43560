package pebblestore

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// BenchmarkUpdates puts updates of a store beside Pebble's own Set of one key and as many bytes as the keys and values of
// the update have in all, set up likewise, on the disk of the tests' temporary folder: they take turns. Counters are of
// 100,000 keys; to sets, of ten and of a million, an element is added anew.
func BenchmarkUpdates(b *testing.B) {
	b.Run("counters", func(b *testing.B) {
		names := named("user/", 100_000)
		benchUpdates(b, func(s *store.Store, i int) { increment(s, names[i%len(names)]) }, func(s *store.Store, i int) error {
			return increment(s, names[i*benchStride%len(names)])
		})
	})
	b.Run("sets of 10", func(b *testing.B) {
		names := named("user/", 20_000)
		elements := named("", 10)
		benchUpdates(b, func(s *store.Store, i int) {
			if i < len(names) {
				insert(s, names[i], elements...)
			}
		}, func(s *store.Store, i int) error { return insert(s, names[i*benchStride%len(names)], elements[i%10]) })
	})
	b.Run("set of 1000000", func(b *testing.B) {
		elements := named("element/", 1_000_000)
		benchUpdates(b, func(s *store.Store, i int) {
			if i == 0 {
				insert(s, "all", elements...)
			}
		}, func(s *store.Store, i int) error { return insert(s, "all", elements[i*benchStride%len(elements)]) })
	})
}

const benchStride = 7919 // from one key to the next, so that they are in no order

// benchUpdates prepares a store for each policy, by 100,000 calls, and has it written to.
func benchUpdates(b *testing.B, prepare func(s *store.Store, i int), update func(s *store.Store, i int) error) {
	forPolicies(b, func(b *testing.B, p policy) {
		c := &counted{Backend: openWith(b, b.TempDir(), Options{})}
		c.lazy.Store(true)
		s := onDisk(b, c, p.sync)
		for i := range 100_000 {
			prepare(s, i)
		}
		c.lazy.Store(false)
		key, value := []byte("user/123456"), make([]byte, c.mean(func(i int) { require.NoError(b, update(s, i)) }))
		value = value[:max(0, len(value)-len(key))]
		set := raw(b, p.sync)
		contest(b, p,
			contestant{"raw", func(i int) error {
				return set(strconv.AppendInt(append(make([]byte, 0, 32), "user/"...), int64(100_000+i*benchStride%100_000), 10), value)
			}},
			contestant{"updates", func(i int) error { return update(s, i) }})
	})
}

func onDisk(b *testing.B, on store.Backend, sync bool) *store.Store {
	cfg := store.Config{Cache: 1 << 30}
	if !sync {
		cfg.Sync = -1
	}
	s, err := store.Open(cfg, on)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}

// A counted backend counts the bytes of keys and values. While it is lazy, nobody waits for the disk.
type counted struct {
	*Backend
	lazy  atomic.Bool
	bytes atomic.Int64
}

func (c *counted) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	for i := range ops {
		c.bytes.Add(int64(len(ops[i].Key) + len(ops[i].Value)))
	}
	if sync && c.lazy.Load() {
		_, err := c.Backend.Apply(ops, false)
		return done{}, err
	}
	return c.Backend.Apply(ops, sync)
}

type done struct{}

func (done) Wait() error { return nil }

// mean returns the mean of the bytes of some calls.
func (c *counted) mean(call func(i int)) int64 {
	const calls = 200
	before := c.bytes.Load()
	for i := range calls {
		call(i)
	}
	return (c.bytes.Load() - before) / calls
}

func increment(s *store.Store, key string) error {
	_, err := store.Update(s, key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return c.Add(by.Replica, 1) })
	return err
}

func insert(s *store.Store, key string, elements ...string) error {
	_, err := store.Update(s, key, func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return c.Add(by.Replica, elements...)
	})
	return err
}

// named returns the names of n things.
func named(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = prefix + strconv.Itoa(i)
	}
	return all
}
