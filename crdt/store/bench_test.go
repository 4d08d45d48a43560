package store_test

import (
	"hash/maphash"
	"strconv"
	"sync"
	"testing"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

const (
	benchKeys   = 1 << 14
	benchStride = 7919 // from one key to the next, so that they are in no order
)

func benchNames() []string {
	names := make([]string, benchKeys)
	for i := range names {
		names[i] = "user/" + strconv.Itoa(i)
	}
	return names
}

// BenchmarkCounter puts a counter update beside the least that a concurrent map
// can do: a sharded map of ints under mutexes. In Ratio they take turns, so that
// the ratio holds on a machine that is busy; see turns.
func BenchmarkCounter(b *testing.B) {
	names := benchNames()
	m, s := newPlainMap(), store.New(store.Config{Replica: vclock.Named("bench")})
	plain := func(i int) { m.add(names[i*benchStride%benchKeys], 1) }
	counter := func(i int) { increment(s, names[i*benchStride%benchKeys]) }
	for i := range names {
		plain(i)
		counter(i)
	}
	for _, c := range []struct {
		name  string
		write func(i int)
	}{{"map", plain}, {"store", counter}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.write(i)
			}
		})
	}
	b.Run("Ratio", func(b *testing.B) {
		forWriters(b, func(b *testing.B, writers int) { turns(b, writers, "map", plain, counter) })
	})
}

func increment(s *store.Store, key string) {
	_, _ = store.Update(s, key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
		return c.Add(by.Replica, 1)
	})
}

type plainMap struct {
	seed   maphash.Seed
	shards [64]struct {
		mu sync.Mutex
		m  map[string]int
	}
}

func newPlainMap() *plainMap {
	m := &plainMap{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].m = make(map[string]int)
	}
	return m
}

func (m *plainMap) add(key string, n int) {
	sh := &m.shards[maphash.String(m.seed, key)%64]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.m[key] += n
}

// BenchmarkSet puts an element anew, in sets of ten and in one of a million, whose
// index was asked for before.
func BenchmarkSet(b *testing.B) {
	names := benchNames()
	put := func(s *store.Store, key, element string) {
		_, _ = store.Update(s, key, func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
			return c.Add(by.Replica, element)
		})
	}
	b.Run("of=10", func(b *testing.B) {
		s := store.New(store.Config{Replica: vclock.Named("bench")})
		elements := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
		for _, name := range names {
			insert(b, s, name, elements...)
		}
		s.Index()
		forWriters(b, func(b *testing.B, writers int) {
			rate(b, writers, func(i int) { put(s, names[i*benchStride%benchKeys], elements[i%10]) })
		})
	})
	b.Run("of=1000000", func(b *testing.B) {
		s := store.New(store.Config{Replica: vclock.Named("bench")})
		elements := make([]string, 1_000_000)
		for i := range elements {
			elements[i] = "element/" + strconv.Itoa(i)
		}
		insert(b, s, "all", elements...)
		s.Index()
		forWriters(b, func(b *testing.B, writers int) {
			rate(b, writers, func(i int) { put(s, "all", elements[i*benchStride%len(elements)]) })
		})
	})
}

// BenchmarkMerge takes in one counter's delta.
func BenchmarkMerge(b *testing.B) {
	from, to := named("from"), named("to")
	var deltas [][]byte
	for range 1 << 12 {
		deltas = append(deltas, add(b, from, "k", 1))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = to.Merge(b.Context(), "k", deltas[i%len(deltas)])
	}
}

// BenchmarkIndex brings the index up to date after 100 of 16,384 keys changed.
func BenchmarkIndex(b *testing.B) {
	names := benchNames()
	s := named("bench")
	for _, name := range names {
		increment(s, name)
	}
	s.Index()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for j := range 100 {
			increment(s, names[(i*100+j)%benchKeys])
		}
		s.Index()
	}
}
