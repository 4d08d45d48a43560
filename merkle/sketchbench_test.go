package merkle

import (
	"math/rand/v2"
	"testing"
)

func BenchmarkSketch(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	ids := randomIDs(rng, 1<<16)
	s := newSketch(new(owner), maxCells)
	b.Run("add", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			s.add(ids[i&(1<<16-1)], 1)
		}
	})
	b.Run("fold", func(b *testing.B) {
		for b.Loop() {
			s.fold(1300)
		}
	})
	b.Run("decode", func(b *testing.B) {
		t := tableOf(1300, ids[:1000]...)
		for b.Loop() {
			u := append(table(nil), t...)
			if _, _, ok := u.decode(); !ok {
				b.Fatal()
			}
		}
	})
}
