package pbs

import (
	"fmt"
	"testing"
)

func BenchmarkTrials(b *testing.B) {
	var h Histogram
	for i := range 100_000 {
		h.Record(millis(float64(i%997) / 100))
	}
	for _, c := range []struct {
		name string
		m    Model
	}{
		{"exponential", Model{R: 1, W: 1, Replicas: Same(3, Legs{Write: Exponential(ms), Ack: Exponential(ms), Read: Exponential(ms), Response: Exponential(ms)})}},
		{"mixture", Model{R: 1, W: 1, Replicas: Same(3, published[0].legs)}},
		{"observed", Model{R: 1, W: 1, Replicas: Same(3, Legs{Write: h.Observed(), Read: h.Observed()})}},
		{"mixture-of-7", Model{R: 4, W: 4, Replicas: Same(7, published[0].legs)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			t := newTrial(&c.m)
			b.ReportAllocs()
			for b.Loop() {
				t.write()
				t.read()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "trials/s")
		})
	}
}

func BenchmarkPredict(b *testing.B) {
	m := Model{R: 1, W: 1, Replicas: Same(3, published[0].legs)}
	for b.Loop() {
		p, _ := m.Predict(Simulation{})
		p.Until(0.999)
	}
	b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "trials/s")
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for b.Loop() {
		h.Record(ms)
	}
}

// How long it takes to divide what was measured, once and again, and to predict by all of it.
func BenchmarkRedrawn(b *testing.B) {
	link := Exponential(2 * ms)
	live := measuredBy(Legs{Write: link, Ack: link, Read: link, Response: link}, 6000, 1)
	b.Run("legs", func(b *testing.B) {
		for b.Loop() {
			live.Legs(Alike)
		}
	})
	b.Run("redrawn", func(b *testing.B) {
		for b.Loop() {
			live.Redrawn(Alike, 1, 1)
		}
	})
	for _, n := range []int{0, 20} {
		b.Run(fmt.Sprintf("predict-%d", n), func(b *testing.B) {
			m := Model{R: 1, W: 1, Replicas: Same(3, live.Redrawn(Alike, n, 1))}
			for b.Loop() {
				predict(b, m, Simulation{})
			}
		})
	}
}
