package simulation

import (
	"fmt"
	"slices"
	"strings"
)

// A view is what a reader sees of one key, all components at once.
type view struct {
	grown    uint64   // grow-only counter
	balance  int64    // counter
	members  []string // grow-only set, sorted
	elements []string // set, sorted
	value    string   // last-write-wins register; "" where unset: values are never empty
	siblings []string // multi-value register, sorted, repeated values kept once
}

func (v view) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "gcounter=%d pncounter=%d gset=%q orset=%q lww=%q mv=%q",
		v.grown, v.balance, v.members, v.elements, v.value, v.siblings)
	return b.String()
}

func (v view) equal(o view) bool {
	return v.grown == o.grown && v.balance == o.balance && v.value == o.value &&
		slices.Equal(v.members, o.members) && slices.Equal(v.elements, o.elements) &&
		slices.Equal(v.siblings, o.siblings)
}

// view computes what a state with this shadow must show: the specification of the
// six types, over histories.
func (l *ledger) view(s shadow) view {
	var v view
	for id := range s.live().all() {
		m := &l.marks[id]
		switch m.component {
		case gcounter:
			v.grown += uint64(m.amount)
		case pncounter:
			v.balance += m.amount
		case gset:
			v.members = append(v.members, m.text)
		case orset:
			v.elements = append(v.elements, m.text)
		case lww:
			v.value = m.text // latestOnly left one
		case mv:
			v.siblings = append(v.siblings, m.text)
		}
	}
	v.members, v.elements, v.siblings = distinct(v.members), distinct(v.elements), distinct(v.siblings)
	return v
}

func distinct(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
