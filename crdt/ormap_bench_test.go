package crdt_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/eventual-go/eventual/vclock"
)

func ormapOf(fields int) *ormap {
	m := new(ormap)
	for i, e := range elems("e", fields) {
		m.Map(elems("m", 100)[i%100]).Counter(e).Add(idA, 1)
	}
	return m
}

// Merging a delta costs what the delta does, whatever the size of the state.
func BenchmarkORMapMergeDelta(b *testing.B) {
	for _, size := range []int{1000, 100_000} {
		m := ormapOf(size)
		var deltas, removals []*ormap
		other := m.Clone()
		for i := range 4096 {
			delta := new(ormap)
			key := fmt.Sprint("new", i)
			for range 10 {
				delta.Merge(other.Map("m7").Counter(key).Add(idB, 1))
			}
			deltas, removals = append(deltas, delta), append(removals, other.Map("m7").Remove(key))
		}
		b.Run(fmt.Sprintf("10 increments and their removal/into %d", size), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%4096 == 0 {
					b.StopTimer()
					m = ormapOf(size)
					runtime.GC()
					b.StartTimer()
				}
				m.Merge(deltas[i%4096])
				m.Merge(removals[i%4096])
			}
		})
	}
}

// Removing costs what is removed, in whatever order it is found.
func BenchmarkORMapRemove(b *testing.B) {
	for _, fields := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("%d fields", fields), func(b *testing.B) {
			m := ormapOf(fields)
			for b.Loop() {
				b.StopTimer()
				c := m.Clone()
				b.StartTimer()
				c.Reset()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(fields), "ns/field")
		})
	}
}

// What a peer lacks that has seen everything, or all but the last ten events.
func BenchmarkORMapDelta(b *testing.B) {
	const fields = 100_000
	whole, holed := ormapOf(fields), ormapOf(fields)
	for i := 0; i < fields; i += 100 {
		holed.Map(elems("m", 100)[i%100]).Remove(fmt.Sprint("e", i))
	}
	for name, m := range map[string]*ormap{"nothing removed": whole, "each hundredth removed": holed} {
		for _, lacks := range []uint64{0, 10} {
			b.Run(fmt.Sprintf("%s/%d lacking", name, lacks), func(b *testing.B) {
				since := new(vclock.Context)
				since.AddSpan(vclock.Span{Replica: idA, Lo: 1, Hi: fields - lacks})
				b.ReportAllocs()
				for b.Loop() {
					m.Delta(since)
				}
			})
		}
	}
}

func BenchmarkORMapAdd(b *testing.B) {
	m := ormapOf(1000)
	at := m.Map("m1").Counter("n")
	b.ReportAllocs()
	for b.Loop() {
		at.Add(idB, 1)
	}
}

// What an increment that is not folded, a field with one, and an element of a set cost in memory.
func BenchmarkORMapBytes(b *testing.B) {
	for name, write := range map[string]func(m *ormap, e string){
		"increment": func(m *ormap, e string) { m.Counter("n").Add(idA, 1) },
		"field":     func(m *ormap, e string) { m.Counter(e).Add(idA, 1) },
		"element":   func(m *ormap, e string) { m.Set("s").Add(idA, e) },
		"removed":   func(m *ormap, e string) { m.Set(e).Add(idA, e); m.Remove(e) },
	} {
		b.Run(name, func(b *testing.B) {
			all := elems("e", 100_000)
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				m := new(ormap)
				for _, e := range all {
					write(m, e)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(all)), "B/item")
				runtime.KeepAlive(m)
			}
		})
	}
}
