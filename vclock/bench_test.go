package vclock

import (
	"fmt"
	"testing"
)

var sizes = []int{3, 16, 128}

func benchClocks(n int) (a, b *Clock) {
	a, b = new(Clock), new(Clock)
	for _, r := range testReplicas(n) {
		a.Tick(r)
		b.Tick(r)
	}
	return a, b
}

func BenchmarkClockMerge(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, y := benchClocks(n)
			b.ReportAllocs()
			for b.Loop() {
				x.Merge(y)
			}
		})
	}
}

func BenchmarkClockMergeOtherSlots(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, y := benchClocks(n)
			y.entries = y.entries[1:]
			b.ReportAllocs()
			for b.Loop() {
				x.Merge(y)
			}
		})
	}
}

func BenchmarkClockCompare(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, y := benchClocks(n)
			for b.Loop() {
				x.Compare(y)
			}
		})
	}
}

// The yardstick: a plain loop over two sorted slices that does nothing but find the higher counts.
func BenchmarkPlainMergeLoop(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, y := benchClocks(n)
			for b.Loop() {
				plainMerge(x.entries, y.entries)
			}
		})
	}
}

//go:noinline
func plainMerge(a, b []entry) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i].replica == b[j].replica:
			a[i].seq = max(a[i].seq, b[j].seq)
			i, j = i+1, j+1
		case a[i].replica.less(b[j].replica):
			i++
		default:
			j++
		}
	}
}

func BenchmarkClockTick(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, _ := benchClocks(n)
			r := testReplicas(n)[n/2]
			for b.Loop() {
				x.Tick(r)
			}
		})
	}
}

// benchContexts are a large context of n spans of each of 8 replicas, and a small one of 3 dots in it.
func benchContexts(n int) (large, small *Context) {
	large, small = new(Context), new(Context)
	for i, r := range testReplicas(8) {
		for k := range uint64(n) {
			large.AddSpan(Span{r, 1 + 4*k, 3 + 4*k})
		}
		if i%3 == 0 {
			small.Add(Dot{r, 1 + 4*uint64(n/2)})
		}
	}
	return large, small
}

func BenchmarkContextMerge(b *testing.B) {
	for _, n := range []int{1, 16, 1024} {
		large, small := benchContexts(n)
		clone := large.Clone()
		b.Run(fmt.Sprintf("small/%dspans", 8*n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				large.Merge(small)
			}
		})
		b.Run(fmt.Sprintf("equal/%dspans", 8*n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				large.Merge(clone)
			}
		})
	}
}

func BenchmarkContextMergeDisjoint(b *testing.B) {
	for _, n := range []int{16, 1024} {
		b.Run(fmt.Sprintf("%dspans", 8*n), func(b *testing.B) {
			even, _ := benchContexts(n)
			odd := new(Context)
			for s := range even.All() {
				odd.AddSpan(Span{s.Replica, s.Hi + 1, s.Hi + 1})
			}
			b.ReportAllocs()
			for b.Loop() {
				even.Clone().Merge(odd)
			}
		})
	}
}

func BenchmarkContextAddNext(b *testing.B) {
	for _, n := range []int{1, 16, 1024} {
		b.Run(fmt.Sprintf("%dspans", 8*n), func(b *testing.B) {
			c, _ := benchContexts(n)
			r := testReplicas(8)[4]
			b.ReportAllocs()
			for b.Loop() {
				c.Add(c.Next(r))
			}
		})
	}
}

func BenchmarkContextHas(b *testing.B) {
	for _, n := range []int{1, 16, 1024} {
		b.Run(fmt.Sprintf("%dspans", 8*n), func(b *testing.B) {
			c, _ := benchContexts(n)
			d := Dot{testReplicas(8)[4], uint64(2 * n)}
			for b.Loop() {
				c.Has(d)
			}
		})
	}
}

func BenchmarkContextCodec(b *testing.B) {
	c, _ := benchContexts(16)
	data := encoded(b, c)
	b.Run("append", func(b *testing.B) {
		buf := make([]byte, 0, len(data))
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.AppendBinary(buf)
		}
	})
	b.Run("unmarshal", func(b *testing.B) {
		var back Context
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			_ = back.UnmarshalBinary(data)
		}
	})
}

func BenchmarkStamp(b *testing.B) {
	h := &HLC{Replica: Named("paris")}
	b.ReportAllocs()
	for b.Loop() {
		h.Stamp()
	}
}

func BenchmarkStampParallel(b *testing.B) {
	h := &HLC{Replica: Named("paris")}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Stamp()
		}
	})
}
