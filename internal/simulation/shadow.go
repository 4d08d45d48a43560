package simulation

import (
	"encoding/binary"
	"fmt"

	"github.com/eventual-go/eventual/vclock"
)

// component is one kind of value; a key may hold all of them.
type component uint8

const (
	gcounter component = iota
	pncounter
	gset
	orset
	lww
	mv
	components = iota
)

func (c component) String() string {
	return [...]string{"gcounter", "pncounter", "gset", "orset", "lww", "mv"}[c]
}

// A mark is one effect that an operation has on a key: an increment, an element, a
// value. Marks are numbered by key in the order of virtual time. They are the
// model's events: it knows nothing of dots, contexts and encodings.
type mark struct {
	component component
	text      string // the element, or the register's value
	amount    int64  // of an increment
	stamp     vclock.Timestamp
	prev      int // the same writer's earlier increment in the same direction; -1: none
}

// A shadow says what one state of one key consists of: the marks that it has seen
// and, among them, those that have been removed or overwritten since. It is the
// specification's state: plain sets, merged by union.
type shadow struct {
	seen, gone bitset
}

// String lists the marks, "seen [1 2] gone [1]".
func (s shadow) String() string { return fmt.Sprintf("seen %v gone %v", s.seen, s.gone) }

func (s shadow) live() bitset { return s.seen.without(s.gone) }

func (s shadow) empty() bool { return len(s.seen) == 0 }

// word is a comparable form of s.
func (s shadow) word() string {
	b := make([]byte, 0, 8*(len(s.seen)+len(s.gone)+1))
	for _, w := range s.seen {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	b = append(b, '|')
	for _, w := range s.gone {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return string(b)
}

// A chain is the increments of one writer in one direction. A counter's delta says
// how much its writer has counted in all, so it brings the earlier increments too.
type chain struct {
	replica   vclock.ReplicaID
	component component
	negative  bool
}

// A ledger is the history of one key.
type ledger struct {
	index   int
	key     string
	kinds   []component // that clients use here
	marks   []mark
	of      [components]bitset
	members map[string]int // the mark of an element of the grow-only set
	tips    map[chain]int
	read    reading // what clients were answered
}

func newLedger(index int) *ledger {
	return &ledger{index: index, key: fmt.Sprintf("k%02d", index), members: make(map[string]int), tips: make(map[chain]int)}
}

func (l *ledger) add(m mark) int {
	id := len(l.marks)
	l.marks = append(l.marks, m)
	l.of[m.component] = l.of[m.component].with(id)
	return id
}

// increment adds the mark of a counter's increment.
func (l *ledger) increment(c component, by vclock.ReplicaID, n int64) int {
	at := chain{by, c, n < 0}
	m := mark{component: c, amount: n, prev: -1}
	if tip, ok := l.tips[at]; ok {
		m.prev = tip
	}
	l.tips[at] = l.add(m)
	return l.tips[at]
}

// member is the mark of an element of the grow-only set, where it makes no
// difference who added it.
func (l *ledger) member(e string) int {
	id, ok := l.members[e]
	if !ok {
		id = l.add(mark{component: gset, text: e})
		l.members[e] = id
	}
	return id
}

// join is the least shadow that covers both.
func (l *ledger) join(a, b shadow) shadow {
	if len(a.seen) == 0 {
		return b
	}
	return l.latestOnly(shadow{a.seen.union(b.seen), a.gone.union(b.gone)})
}

func (l *ledger) covers(a, b shadow) bool { return l.join(a, b).equal(a) }

func (s shadow) equal(o shadow) bool {
	return s.seen.contains(o.seen) && o.seen.contains(s.seen) && s.gone.contains(o.gone) && o.gone.contains(s.gone)
}

// novel is what merging s into mine would bring.
func (l *ledger) novel(s, mine shadow) shadow {
	gone := s.gone.without(mine.gone)
	seen := s.seen.without(mine.seen).union(gone)
	if l.covers(mine, shadow{seen, gone}) {
		return shadow{} // an older value of a last-write-wins register
	}
	out := shadow{l.withEarlier(seen), l.withEarlier(gone)}
	return l.withoutOlder(out, mine)
}

// withEarlier adds the earlier increments that a counter's state stands for.
func (l *ledger) withEarlier(s bitset) bitset {
	out := s
	for id := range s.all() {
		c := l.marks[id].component
		for p := id; c <= pncounter && l.marks[p].prev >= 0; {
			p = l.marks[p].prev
			if out.has(p) {
				continue
			}
			out = out.with(p)
		}
	}
	return out
}

// latestOnly drops what a last-write-wins register does not remember: every value
// but the latest.
func (l *ledger) latestOnly(s shadow) shadow {
	latest, older := -1, bitset(nil)
	for id := range s.seen.intersect(l.of[lww]).all() {
		switch {
		case latest < 0:
			latest = id
		case l.marks[latest].stamp.Compare(l.marks[id].stamp) < 0:
			older, latest = older.with(latest), id
		default:
			older = older.with(id)
		}
	}
	if older == nil {
		return s
	}
	return shadow{s.seen.without(older), s.gone.without(older)}
}

// withoutOlder drops a register's value from a novelty if mine has a later one.
func (l *ledger) withoutOlder(s, mine shadow) shadow {
	for id := range s.seen.intersect(l.of[lww]).all() {
		one := shadow{seen: bit(id)}
		if s.gone.has(id) {
			one.gone = one.seen
		}
		if l.covers(mine, one) {
			s = shadow{s.seen.without(one.seen), s.gone.without(one.seen)}
		}
	}
	return s
}
