package merkle

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/bits"
	"slices"
)

// Position is where a key stands in a [Tree]: a keyed hash of the key. Keys
// are spread evenly over all positions, whatever they look like. Two keys may
// share a position; nothing breaks when they do.
type Position uint64

// String returns p as 16 hexadecimal digits.
func (p Position) String() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(p))
	return hex.EncodeToString(b[:])
}

// Range is the positions from From to To, both included. With From above To
// it holds nothing; a range does not wrap around.
type Range struct{ From, To Position }

// Full is the range of all positions.
var Full = Range{From: 0, To: math.MaxUint64}

// Contains reports whether p lies in r.
func (r Range) Contains(p Position) bool { return r.From <= p && p <= r.To }

// String returns the two ends of r in hexadecimal.
func (r Range) String() string { return r.From.String() + "-" + r.To.String() }

func (r Range) isEmpty() bool { return r.From > r.To }

func (r Range) covers(s Range) bool { return r.From <= s.From && s.To <= r.To }

func (r Range) clip(s Range) Range {
	return Range{From: max(r.From, s.From), To: min(r.To, s.To)}
}

// A block is the positions that share their first depth hexadecimal digits:
// what one node of the tree covers. depth 0 is everything, depth 16 one position.
const (
	radix    = 16
	maxDepth = 16
)

func block(p Position, depth int) Range {
	if depth == 0 {
		return Full
	}
	low := Position(math.MaxUint64) >> (4 * depth)
	return Range{From: p &^ low, To: p | low}
}

// idDepth is the depth of the blocks in which differences are told, by the 32 bits
// that the ids of a sketch have of a position. Few blocks have more than one key,
// even of a billion.
const idDepth = 8

func blockOf(p Position) Range { return block(p, idDepth) }

// digit returns the hexadecimal digit of p that tells the children of a block
// of the given depth apart.
func (p Position) digit(depth int) int { return int(p>>(60-4*depth)) & (radix - 1) }

// depth returns the depth of the smallest block that holds r.
func (r Range) depth() int { return bits.LeadingZeros64(uint64(r.From^r.To)) / 4 }

// aligned reports whether r is exactly one block, and of which depth.
func (r Range) aligned() (depth int, ok bool) {
	depth = r.depth()
	if block(r.From, depth) == r {
		return depth, true
	}
	return maxDepth, false
}

// parts returns the pieces in which r is compared next: the children of the
// smallest block around r, cut to r. They follow from r alone, so they are
// never sent. A range of one position has no parts; any other has 2 to 16.
func (r Range) parts() []Range {
	depth := r.depth()
	if depth == maxDepth {
		return nil
	}
	first, last := r.From.digit(depth), r.To.digit(depth)
	out := make([]Range, 0, last-first+1)
	base := block(r.From, depth).From
	for i := first; i <= last; i++ {
		child := base | Position(i)<<(60-4*depth)
		out = append(out, block(child, depth+1).clip(r))
	}
	return out
}

// normalize sorts ranges, drops the empty ones and joins those that meet.
func normalize(ranges []Range) []Range {
	sorted := slices.DeleteFunc(slices.Clone(ranges), Range.isEmpty)
	slices.SortFunc(sorted, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	out := sorted[:0]
	for _, r := range sorted {
		if n := len(out); n > 0 && (out[n-1].To == math.MaxUint64 || r.From <= out[n-1].To+1) {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}
