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

const benchKeys = 1 << 14

func benchNames() []string {
	names := make([]string, benchKeys)
	for i := range names {
		names[i] = "user/" + strconv.Itoa(i)
	}
	return names
}

// BenchmarkCounter puts a counter update beside the least that a concurrent map
// can do: a sharded map of ints under mutexes.
func BenchmarkCounter(b *testing.B) {
	names := benchNames()
	b.Run("map", func(b *testing.B) {
		m := newPlainMap()
		for _, name := range names {
			m.add(name, 1)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			m.add(names[i%benchKeys], 1)
		}
	})
	b.Run("store", func(b *testing.B) {
		s := store.New(store.Config{Replica: vclock.Named("bench")})
		for _, name := range names {
			add(b, s, name, 1)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			increment(s, names[i%benchKeys])
		}
	})
	b.Run("map parallel", func(b *testing.B) {
		m := newPlainMap()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				m.add(names[i%benchKeys], 1)
			}
		})
	})
	b.Run("store parallel", func(b *testing.B) {
		s := store.New(store.Config{Replica: vclock.Named("bench")})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				increment(s, names[i%benchKeys])
			}
		})
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

// BenchmarkSetOf10 replaces one element of a set of ten.
func BenchmarkSetOf10(b *testing.B) {
	names := benchNames()
	s := store.New(store.Config{Replica: vclock.Named("bench")})
	for _, name := range names {
		insert(b, s, name, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	}
	elements := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = store.Update(s, names[i%benchKeys], func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
			return c.Add(by.Replica, elements[i%10])
		})
	}
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
