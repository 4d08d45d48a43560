package antientropy

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/merkle"
)

// joined returns ranges in ascending order, without the empty ones, and those that meet as one.
func joined(ranges []merkle.Range) []merkle.Range {
	sorted := slices.DeleteFunc(slices.Clone(ranges), func(r merkle.Range) bool { return r.From > r.To })
	slices.SortFunc(sorted, byPosition)
	all := sorted[:0]
	for _, r := range sorted {
		if n := len(all); n > 0 && (all[n-1].To == merkle.Full.To || r.From <= all[n-1].To+1) {
			all[n-1].To = max(all[n-1].To, r.To)
			continue
		}
		all = append(all, r)
	}
	return all
}

// contains reports whether a position lies in one of the ranges, which ascend.
func contains(ranges []merkle.Range, at merkle.Position) bool {
	_, ok := slices.BinarySearchFunc(ranges, at, func(r merkle.Range, at merkle.Position) int {
		if r.Contains(at) {
			return 0
		}
		return cmp.Compare(r.From, at)
	})
	return ok
}

// within reports whether ranges are parts of others. Both ascend and do not meet; if there are none, that is all.
func within(ranges, others []merkle.Range) bool {
	if len(ranges) == 0 || len(others) == 0 {
		return len(others) == 0
	}
	return !slices.ContainsFunc(ranges, func(r merkle.Range) bool {
		rest := restAt(others, r.From)
		return len(rest) == 0 || rest[0].From > r.From || r.To > rest[0].To
	})
}

// overlap reports whether ranges have something in common with others. Both ascend and do not meet; if there are none, that is all.
func overlap(ranges, others []merkle.Range) bool {
	if len(ranges) == 0 || len(others) == 0 {
		return true
	}
	return slices.ContainsFunc(ranges, func(r merkle.Range) bool {
		rest := restAt(others, r.From)
		return len(rest) > 0 && rest[0].From <= r.To
	})
}

// restAt returns those of the ranges, which ascend, that do not end before a position.
func restAt(ranges []merkle.Range, at merkle.Position) []merkle.Range {
	i, _ := slices.BinarySearchFunc(ranges, at, func(r merkle.Range, at merkle.Position) int { return cmp.Compare(r.To, at) })
	return ranges[i:]
}

// restOf returns what is left of ranges, which ascend, from a position on.
func restOf(ranges []merkle.Range, at merkle.Position) []merkle.Range {
	rest := slices.Clone(restAt(ranges, at))
	if len(rest) > 0 {
		rest[0].From = max(rest[0].From, at)
	}
	return rest
}

// keysIn is how many keys a tree has in these ranges; in all of it if there are none.
func keysIn(t *merkle.Tree, ranges []merkle.Range) (n int) {
	if len(ranges) == 0 {
		return t.Len()
	}
	for _, r := range ranges {
		_, keys := t.Sum(r)
		n += keys
	}
	return n
}

// rangeSize is what a range takes in a message: its two ends.
const rangeSize = 16

func writeRanges(w *wire.Writer, ranges []merkle.Range) {
	b := make([]byte, 0, rangeSize*len(ranges))
	for _, r := range ranges {
		b = binary.BigEndian.AppendUint64(b, uint64(r.From))
		b = binary.BigEndian.AppendUint64(b, uint64(r.To))
	}
	w.Bytes(b)
}

// readRanges reads one range at least. They ascend and do not overlap.
func readRanges(r *wire.Reader) (ranges []merkle.Range) {
	b := r.Bytes()
	if len(b) == 0 || len(b)%rangeSize != 0 {
		r.Fail("no ranges, or one cut short")
		return nil
	}
	ranges = make([]merkle.Range, 0, len(b)/rangeSize)
	for ; len(b) > 0; b = b[rangeSize:] {
		at := merkle.Range{From: merkle.Position(binary.BigEndian.Uint64(b)), To: merkle.Position(binary.BigEndian.Uint64(b[8:]))}
		if n := len(ranges); at.From > at.To || n > 0 && ranges[n-1].To >= at.From {
			r.Fail("ranges that do not ascend")
			return nil
		}
		ranges = append(ranges, at)
	}
	return ranges
}
