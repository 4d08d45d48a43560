package simulation

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/eventual-go/eventual/crdt"
)

// A view is what a reader sees of one key: a line for each component, "" where there
// is nothing to show.
type view [components]string

func (v view) String() string {
	var b strings.Builder
	for c, shown := range v {
		if shown != "" {
			b.WriteString(component(c).String() + "=[" + shown + "] ")
		}
	}
	return b.String()
}

// view computes what a state with this shadow must show: the specification of all
// types, over histories. What follows is that of each, given the marks that live. For
// the flags, the bounded counter and the map see there.
func (l *ledger) view(s shadow) (v view) {
	live := s.live()
	for c := range component(components) {
		if of := live.intersect(l.of[c]); len(of) > 0 {
			v[c] = datatypes[c].specify(l, of)
		}
	}
	return v
}

// specifySum: a counter is the sum of its increments.
func specifySum(l *ledger, live bitset) string {
	if len(live) == 0 {
		return ""
	}
	var sum int64
	for id := range live.all() {
		sum += l.marks[id].amount
	}
	return strconv.FormatInt(sum, 10)
}

// specifyExtreme: an extreme remembers one value.
func specifyExtreme(l *ledger, live bitset) string { return specifySum(l, live) }

// specifyTexts: a set or register is its elements or values, each of them once.
func specifyTexts(l *ledger, live bitset) string {
	var texts []string
	for id := range live.all() {
		texts = append(texts, l.marks[id].text)
	}
	return list(texts)
}

// specifyAdded: an element is in if the mark that is left of it is no removal.
func specifyAdded(l *ledger, live bitset) string {
	var texts []string
	for id := range live.all() {
		if m := &l.marks[id]; !m.removal {
			texts = append(texts, m.text)
		}
	}
	return list(texts)
}

// specifyUncontested: an element is in if an addition of it is left, and no removal.
func specifyUncontested(l *ledger, live bitset) string {
	var texts []string
	for id := range live.all() {
		if m := &l.marks[id]; !m.removal && !l.removed(live, m.text) {
			texts = append(texts, m.text)
		}
	}
	return list(texts)
}

func (l *ledger) removed(live bitset, elem string) bool {
	for id := range live.all() {
		if m := &l.marks[id]; m.removal && m.text == elem {
			return true
		}
	}
	return false
}

// remarkContested: both sorts of marks of one element, or of a flag, may be left.
func remarkContested(l *ledger, s shadow) string {
	live := s.live()
	for id := range live.all() {
		if m := &l.marks[id]; !m.removal && l.removed(live, m.text) {
			return "is contested"
		}
	}
	return ""
}

// remarkSiblings: marks that have not seen one another are left side by side.
func remarkSiblings(_ *ledger, s shadow) string {
	n := 0
	for range s.live().all() {
		n++
	}
	if n < 2 {
		return ""
	}
	return "has siblings"
}

// specifyBindings: a key has its value, unless a removal is what is left of it.
func specifyBindings(l *ledger, live bitset) string {
	var bindings []string
	for id := range live.all() {
		if m := &l.marks[id]; !m.removal {
			bindings = append(bindings, m.place+":"+m.text)
		}
	}
	return list(bindings)
}

// specifyLog: the entries are in the order of their timestamps.
func specifyLog(l *ledger, live bitset) string {
	entries := slices.SortedFunc(live.all(), func(a, b int) int { return l.marks[a].stamp.Compare(l.marks[b].stamp) })
	texts := make([]string, len(entries))
	for i, id := range entries {
		texts[i] = l.marks[id].text
	}
	return strings.Join(texts, " ")
}

// specifyMap: a field is there if something is left in it, and shows what its type
// would; a register of the last write the one with the latest timestamp.
func specifyMap(l *ledger, live bitset) string {
	var lines []string
	marks := slices.Collect(live.all())
	l.sortByField(marks)
	for len(marks) > 0 {
		first, n := &l.marks[marks[0]], 1
		for n < len(marks) && l.compareField(marks[0], marks[n]) == 0 {
			n++
		}
		lines = append(lines, field(first.place, first.field, l.specifyField(first.field, marks[:n])))
		marks = marks[n:]
	}
	return list(lines)
}

func (l *ledger) specifyField(kind crdt.FieldKind, ids []int) string {
	var marks bitset
	latest := ids[0]
	for _, id := range ids {
		marks = marks.with(id)
		if l.marks[id].displaces(&l.marks[latest]) {
			latest = id
		}
	}
	switch kind {
	case crdt.FieldCounter:
		return specifySum(l, marks)
	case crdt.FieldFlag:
		return "on"
	case crdt.FieldLWWRegister:
		return l.marks[latest].text
	}
	return specifyTexts(l, marks)
}

func field(place string, kind crdt.FieldKind, shown string) string {
	return place + " " + kind.String() + " " + shown
}

func (l *ledger) compareField(a, b int) int {
	m, o := &l.marks[a], &l.marks[b]
	return cmp.Or(cmp.Compare(m.place, o.place), cmp.Compare(m.field, o.field))
}

func (l *ledger) sortByField(marks []int) { slices.SortStableFunc(marks, l.compareField) }

// list is what came in any order, each once.
func list(s []string) string {
	slices.Sort(s)
	return strings.Join(slices.Compact(s), " ")
}
