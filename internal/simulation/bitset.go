package simulation

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
)

// bitset is a set of small numbers. Sets are values: no function changes one that
// it was given. The last word is never zero, so equal sets have equal words.
type bitset []uint64

// String lists the members, "[1 5]".
func (s bitset) String() string { return fmt.Sprint(slices.Collect(s.all())) }

func bit(i int) bitset {
	s := make(bitset, i/64+1)
	s[i/64] = 1 << (i % 64)
	return s
}

func (s bitset) has(i int) bool { return i/64 < len(s) && s[i/64]&(1<<(i%64)) != 0 }

func (s bitset) with(i int) bitset { return s.union(bit(i)) }

func (s bitset) union(t bitset) bitset {
	if len(s) < len(t) {
		s, t = t, s
	}
	if s.contains(t) {
		return s
	}
	out := append(bitset(nil), s...)
	for i, w := range t {
		out[i] |= w
	}
	return out
}

// without is what s has and t has not.
func (s bitset) without(t bitset) bitset {
	out := append(bitset(nil), s...)
	for i := range min(len(s), len(t)) {
		out[i] &^= t[i]
	}
	return out.trim()
}

func (s bitset) intersect(t bitset) bitset {
	out := append(bitset(nil), s[:min(len(s), len(t))]...)
	for i := range out {
		out[i] &= t[i]
	}
	return out.trim()
}

func (s bitset) contains(t bitset) bool {
	if len(t) > len(s) {
		return false
	}
	for i, w := range t {
		if w&^s[i] != 0 {
			return false
		}
	}
	return true
}

func (s bitset) trim() bitset {
	for len(s) > 0 && s[len(s)-1] == 0 {
		s = s[:len(s)-1]
	}
	return s
}

// all yields the members in ascending order.
func (s bitset) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range s {
			for ; w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}
