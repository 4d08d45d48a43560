package crdt_test

import (
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func longLog(n int) *crdt.Log[string] {
	l := new(crdt.Log[string])
	for i := range n {
		l.Append(stampOf(int64(i+1)*1000, idA), "entry")
	}
	return l
}

func BenchmarkLogAppend(b *testing.B) {
	var l crdt.Log[string]
	stamp := stampOf(0, idA)
	b.ReportAllocs()
	for b.Loop() {
		stamp.Wall++
		l.Append(stamp, "entry")
	}
}

// Merging ten entries that go amid the log costs much the same whatever its size.
func BenchmarkLogMergeDelta(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := longLog(n)
			var deltas [256]*crdt.Log[string]
			var writer crdt.Log[string]
			wall := int64(0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%256 == 0 {
					b.StopTimer()
					if i%(256*64) == 0 {
						l, writer, wall = longLog(n), crdt.Log[string]{}, int64(n)*500
					}
					for k := range deltas {
						wall++
						deltas[k] = writer.Append(stampOf(wall, idB), elems("", 10)...)
					}
					b.StartTimer()
				}
				l.Merge(deltas[i%256])
			}
		})
	}
}

func BenchmarkLogRead(b *testing.B) {
	l := longLog(100_000)
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			for range l.All() {
			}
		}
	})
	b.Run("last ten", func(b *testing.B) {
		for b.Loop() {
			for range l.Tail(10) {
			}
		}
	})
	b.Run("ten amid", func(b *testing.B) {
		for b.Loop() {
			for range l.Range(stampOf(50_000_000, vclock.ReplicaID{}), stampOf(50_010_000, vclock.ReplicaID{})) {
			}
		}
	})
	same := l.Clone()
	b.Run("merge the same", func(b *testing.B) {
		for b.Loop() {
			l.Merge(same)
		}
	})
}

func BenchmarkLWWMapSet(b *testing.B) {
	all := elems("k", 1<<17)
	var x, y crdt.LWWMap[string, string]
	stamp := stampOf(0, idA)
	b.ReportAllocs()
	for b.Loop() {
		stamp.Wall++
		y.Merge(x.Set(stamp, all[stamp.Wall&(1<<17-1)], "value"))
	}
}

func BenchmarkBoundedCounter(b *testing.B) {
	for _, n := range []int{3, 16, 128} {
		var c crdt.BoundedCounter
		ids := make([]vclock.ReplicaID, n)
		for i := range n {
			ids[i] = vclock.Named(fmt.Sprint("replica", i))
			c.Increment(ids[i], 1<<40)
		}
		for i := range n {
			c.Transfer(ids[i], ids[(i+1)%n], 5)
		}
		same := c.Clone()
		b.Run(fmt.Sprint("decrement/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Decrement(ids[0], 1)
			}
		})
		b.Run(fmt.Sprint("merge/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Merge(same)
			}
		})
		b.Run(fmt.Sprint("value/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Value()
			}
		})
	}
}
