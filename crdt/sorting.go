package crdt

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// texts sorts slots by their strings.
type texts struct {
	of func(slot uint32) string
}

// text is a slot, with as many bytes of its string as fit, in the order of numbers.
type text struct {
	key  uint64
	slot uint32
}

const (
	keySize = 8
	// fewTexts are sorted by comparing the strings, manyTexts by the digits of their keys.
	fewTexts, manyTexts = 32, 512
)

// sort sorts a list of slots whose strings have the first skip bytes in common. It compares eight bytes at a time,
// from the first on in which any two differ, and only those that are equal by more.
func (t texts) sort(list []text, skip int) {
	common := t.common(list, skip)
	if len(list) <= fewTexts || skip > 0 && common < skip+keySize {
		slices.SortFunc(list, func(a, b text) int { return strings.Compare(t.of(a.slot), t.of(b.slot)) })
		return
	}
	for i := range list {
		list[i].key = keyOf(t.of(list[i].slot)[common:])
	}
	if !slices.IsSortedFunc(list, compareKeys) {
		sortDigits(list)
	}
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].key == list[0].key {
			n++
		}
		if n > 1 {
			t.sort(list[:n], common)
		}
		list = list[n:]
	}
}

// common returns how many bytes at the start of all strings are the same. At least skip are.
func (t texts) common(list []text, skip int) int {
	if len(list) == 0 {
		return skip
	}
	first := t.of(list[0].slot)
	n := len(first)
	for _, other := range list[1:] {
		s := t.of(other.slot)
		n = min(n, len(s))
		if n > skip && s[skip:n] == first[skip:n] {
			continue
		}
		k := skip
		for k < n && s[k] == first[k] {
			k++
		}
		n = k
	}
	return n
}

// keyOf is the start of s as a number. What is shorter counts as followed by zero bytes.
func keyOf(s string) uint64 {
	var b [keySize]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}

func compareKeys(a, b text) int { return cmp.Compare(a.key, b.key) }

// sortDigits sorts a long list byte by byte, from the last byte on, and skips those that are the same in all keys.
func sortDigits(list []text) {
	if len(list) < manyTexts {
		slices.SortFunc(list, compareKeys)
		return
	}
	from, to := list, make([]text, len(list))
	for shift := 0; shift < 8*keySize; shift += 8 {
		if scatter(from, to, shift) {
			from, to = to, from
		}
	}
	if &from[0] != &list[0] {
		copy(list, from)
	}
}

// scatter sorts by one byte of the keys, and reports whether there was anything to sort.
func scatter(from, to []text, shift int) bool {
	var next [256]int
	for i := range from {
		next[byte(from[i].key>>shift)]++
	}
	if next[byte(from[0].key>>shift)] == len(from) {
		return false
	}
	sum := 0
	for digit, n := range next {
		next[digit] = sum
		sum += n
	}
	for _, t := range from {
		digit := byte(t.key >> shift)
		to[next[digit]] = t
		next[digit]++
	}
	return true
}
