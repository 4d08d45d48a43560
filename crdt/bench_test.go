package crdt_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func elems(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = prefix + strconv.Itoa(i)
	}
	return all
}

func BenchmarkORSetAdd(b *testing.B) {
	all := elems("e", 1<<20)
	var s set
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		s.Add(idA, all[i&(1<<20-1)])
		i++
	}
}

func BenchmarkORSetHas(b *testing.B) {
	all := elems("e", 1<<17)
	var s set
	s.Add(idA, all...)
	i := 0
	for b.Loop() {
		s.Has(all[i&(1<<17-1)])
		i++
	}
}

// Merging ten elements, and removing them again, costs the same whatever the size of the set.
func BenchmarkORSetMergeDelta(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var s set
			s.Add(idA, elems("e", n)...)
			writer := s.Clone()
			b.ReportAllocs()
			var added, removed [256]*set
			for i := 0; b.Loop(); i++ {
				if i%256 == 0 {
					b.StopTimer()
					for k := range added {
						added[k] = writer.Add(idB, elems("new", 10)...)
						removed[k] = writer.Remove(elems("new", 10)...)
					}
					b.StartTimer()
				}
				s.Merge(added[i%256])
				s.Merge(removed[i%256])
			}
		})
	}
}

func BenchmarkORSetMergeDisjoint(b *testing.B) {
	var x, y set
	x.Add(idA, elems("x", 100_000)...)
	y.Add(idB, elems("y", 100_000)...)
	for b.Loop() {
		b.StopTimer()
		s := x.Clone()
		b.StartTimer()
		s.Merge(&y)
	}
}

func BenchmarkORSetCodec(b *testing.B) {
	var s, back set
	s.Add(idA, elems("e", 100_000)...)
	encodedSet := encoded(b, &s)
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(encodedSet)))
		for b.Loop() {
			encodedSet, _ = s.AppendBinary(encodedSet[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(encodedSet)))
		for b.Loop() {
			if err := back.UnmarshalBinary(encodedSet); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGCounterMerge(b *testing.B) {
	for _, n := range []int{3, 16, 128} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var x crdt.GCounter
			for i := range n {
				x.Add(vclock.Named(fmt.Sprint("replica", i)), 1)
			}
			y := x.Clone()
			b.ReportAllocs()
			for b.Loop() {
				x.Merge(y)
			}
		})
	}
}

func BenchmarkLWWRegisterSet(b *testing.B) {
	var x, y crdt.LWWRegister[string]
	ts := vclock.Timestamp{Replica: idA}
	b.ReportAllocs()
	for b.Loop() {
		ts.Wall++
		y.Merge(x.Set(ts, "value"))
	}
}
