package merkle_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
)

// What sessions are measured beside.

// bound is the least that tells d ids of 64 bits apart from all others, in bytes.
func bound(d int) int {
	bits := float64(d) * (64 - math.Log2(float64(d)) + math.Log2E)
	return int(math.Ceil(bits / 8))
}

// buckets is what a Merkle tree of 2^16 buckets and 16 children a node costs, with
// fingerprints of 16 bytes: one level a round trip, and in the end the bucket.
func buckets(tree *merkle.Tree, at []merkle.Position) (bytes, rounds int) {
	bytes = 16
	for depth := range 5 {
		seen := map[merkle.Position]bool{}
		for _, p := range at {
			seen[p>>(63-4*depth)>>1] = true
		}
		if depth < 4 {
			bytes += len(seen) * 16 * 16
			continue
		}
		for p := range seen {
			_, count := tree.Sum(merkle.Range{From: p << 48, To: p<<48 | (1<<48 - 1)})
			bytes += 2 + 16*count
		}
	}
	return bytes, 5
}

// The rateless invertible Bloom lookup table of Yang, Gilad and Alizadeh (Practical
// Rateless Set Reconciliation, SIGCOMM 2024) with symbols of 16 bytes, checksums of 8
// and a count of one. Symbol s stands in coded symbol i with the chance 1/(1+i/2).
type symbol struct {
	id   [2]uint64
	hash uint64
}

type coded struct {
	sum   symbol
	count int
}

const codedSize = 16 + 8 + 1

// mapping steps through the coded symbols that a symbol is part of.
type mapping struct {
	state uint64
	at    uint64
}

func (m *mapping) next() {
	m.state *= 0xda942042e4dd58b5
	u := float64(m.state>>32+1) / (1 << 32)
	m.at += uint64(math.Ceil((float64(m.at) + 1.5) * (1/math.Sqrt(u) - 1)))
}

func randomSymbol(rng *rand.Rand) symbol {
	return symbol{[2]uint64{rng.Uint64(), rng.Uint64()}, rng.Uint64() | 1}
}

func (c *coded) add(s symbol, sign int) {
	c.sum.id[0] ^= s.id[0]
	c.sum.id[1] ^= s.id[1]
	c.sum.hash ^= s.hash
	c.count += sign
}

// rateless returns how many coded symbols it takes until all of the difference is
// decoded. Only that matters here: what both sides have cancels.
func rateless(difference []symbol) int {
	type walker struct {
		symbol
		mapping
	}
	due := map[uint64][]walker{} // by the coded symbol that they stand in next
	for _, s := range difference {
		due[0] = append(due[0], walker{s, mapping{state: s.hash}})
	}
	var cells []coded
	gone := map[uint64]bool{} // by hash
	for i := uint64(0); len(gone) < len(difference); i++ {
		cells = append(cells, coded{})
		for _, w := range due[i] {
			if gone[w.hash] {
				continue
			}
			cells[i].add(w.symbol, 1)
			w.next()
			due[w.at] = append(due[w.at], w)
		}
		delete(due, i)
		for queue := []uint64{i}; len(queue) > 0; queue = queue[1:] {
			c := cells[queue[0]]
			if c.count != 1 {
				continue
			}
			gone[c.sum.hash] = true
			for m := (mapping{state: c.sum.hash}); m.at <= i; m.next() {
				cells[m.at].add(c.sum, -1)
				queue = append(queue, m.at)
			}
		}
	}
	return len(cells)
}

// The baseline is what its paper says: 1.35 to 1.72 coded symbols a difference.
func TestRatelessBaseline(t *testing.T) {
	for _, c := range []struct {
		d        int
		low, top float64
	}{{1, 1, 1}, {50, 1.4, 1.75}, {1000, 1.34, 1.45}} {
		var cells []int
		for seed := range uint64(15) {
			rng := rand.New(rand.NewPCG(seed, 0))
			difference := make([]symbol, c.d)
			for i := range difference {
				difference[i] = randomSymbol(rng)
			}
			cells = append(cells, rateless(difference))
		}
		ratio := float64(median(cells)) / float64(c.d)
		require.True(t, c.low <= ratio && ratio <= c.top, "%v for %d", ratio, c.d)
	}
}

func median[T cmp.Ordered](all []T) T { return quantile(all, 0.5) }

func quantile[T cmp.Ordered](all []T, q float64) T {
	return slices.Sorted(slices.Values(all))[int(q*float64(len(all)-1)+0.5)]
}
