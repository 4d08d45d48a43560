package ring

import (
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/merkle"
)

func BenchmarkPlace(b *testing.B) {
	r := newRing(b, 1024, 3, fleet(100, 3))
	b.ReportAllocs()
	pos := merkle.Position(0)
	for b.Loop() {
		pos += 0x9e3779b97f4a7c15
		if len(r.Place(pos).Owners) != 3 {
			b.Fatal("not placed")
		}
	}
}

var sizes = []struct{ members, partitions int }{{100, 1024}, {1000, 16384}}

func BenchmarkNew(b *testing.B) {
	for _, s := range sizes {
		b.Run(fmt.Sprintf("members=%d/partitions=%d", s.members, s.partitions), func(b *testing.B) {
			for b.Loop() {
				r := newRing(b, s.partitions, 3, fleet(s.members, 3))
				b.ReportMetric(float64(len(r.encoded)), "bytes")
			}
		})
	}
}

func BenchmarkChange(b *testing.B) {
	for _, s := range sizes {
		b.Run(fmt.Sprintf("members=%d/partitions=%d", s.members, s.partitions), func(b *testing.B) {
			r := newRing(b, s.partitions, 3, fleet(s.members, 3))
			for b.Loop() {
				m := MovementOf(r, change(b, r, fleet(s.members+1, 3), 0))
				b.ReportMetric(float64(m.Moved)/float64(m.Least), "moved/least")
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	data, _ := newRing(b, 1024, 3, fleet(100, 3)).AppendBinary(nil)
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
