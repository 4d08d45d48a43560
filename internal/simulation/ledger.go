package simulation

import (
	"fmt"

	"github.com/eventual-go/eventual/vclock"
)

// A ledger is the history of one key, and says how its shadows merge.
type ledger struct {
	index int
	key   string
	kinds []component // that clients use here
	last  component   // the one used last
	spot  spot        // the field of a map used last
	marks []mark
	of    [components]bitset
	timed bitset // marks with a timestamp
	read  reading
	aside shadow // what stores held that were emptied

	ranked  bitset       // marks that displace one another
	cells   map[cell]int // numbered from 1
	best    []int        // scratch, by cell
	same    map[fact]int // marks that many may make
	chained bitset       // marks that stand for earlier ones
	tips    map[chain]int

	parties []vclock.ReplicaID // of the bounded counter, in order
	stock   int64              // what it must come to: increments less spends
}

func newLedger(index int) *ledger {
	return &ledger{
		index: index, key: fmt.Sprintf("k%02d", index),
		cells: make(map[cell]int), same: make(map[fact]int), tips: make(map[chain]int),
	}
}

func (l *ledger) add(m mark) int {
	id := len(l.marks)
	l.marks = append(l.marks, m)
	l.of[m.component] = l.of[m.component].with(id)
	if !m.stamp.IsZero() {
		l.timed = l.timed.with(id)
	}
	return id
}

// A cell is where only one mark is remembered: in a last-write-wins register the
// latest, as in each element of such a set and each key of such a map; of an extreme
// the outermost; of an element of a two-phase set its removal.
type cell struct {
	component component
	place     string
}

// rank adds a mark to a cell: a state forgets it, as if it had never been, where it
// has one that displaces it.
func (l *ledger) rank(m mark) int {
	at := cell{m.component, m.place}
	if l.cells[at] == 0 {
		l.cells[at] = len(l.cells) + 1
		l.best = append(l.best, none)
	}
	m.cell = l.cells[at]
	id := l.add(m)
	l.ranked = l.ranked.with(id)
	return id
}

const none = -1

// displaces reports whether a state that has seen a forgets b, of the same cell.
func (a *mark) displaces(b *mark) bool {
	switch a.component {
	case maxRegister:
		return a.amount > b.amount
	case minRegister:
		return a.amount < b.amount
	case twoPhase:
		return a.removal && !b.removal
	}
	return a.stamp.Compare(b.stamp) > 0
}

// A fact is a mark of which it makes no difference who made it, or how often.
type fact struct {
	component component
	text      string
	removal   bool
}

// fact is the mark of a fact, made by make at first.
func (l *ledger) fact(f fact, make func() int) int {
	id, ok := l.same[f]
	if !ok {
		id = make()
		l.same[f] = id
	}
	return id
}

// A chain is the marks of one writer that come as a whole. A counter's delta says how
// much its writer has counted in all in one direction, and a bounded counter's all
// that its writer ever did, so it brings what is earlier too.
type chain struct {
	replica   vclock.ReplicaID
	component component
	negative  bool
}

func (l *ledger) chain(at chain, m mark) int {
	if tip, ok := l.tips[at]; ok {
		m.earlier = l.marks[tip].earlier.with(tip)
	}
	id := l.add(m)
	l.tips[at] = id
	l.chained = l.chained.with(id)
	return id
}

// join is the least shadow that covers both.
func (l *ledger) join(a, b shadow) shadow {
	switch {
	case len(a.seen) == 0:
		return b
	case a.includes(b):
		return a
	}
	return l.forget(a.union(b))
}

func (l *ledger) covers(a, b shadow) bool { return a.includes(b) || l.join(a, b).equal(a) }

// novel is what merging s into mine would bring.
func (l *ledger) novel(s, mine shadow) shadow {
	gone := s.gone.without(mine.gone)
	seen := s.seen.without(mine.seen).union(gone)
	if l.covers(mine, shadow{seen, gone}) {
		return shadow{} // displaced, all of it
	}
	return l.withoutDisplaced(shadow{l.withEarlier(seen), l.withEarlier(gone)}, mine)
}

// withEarlier adds what the marks in s stand for.
func (l *ledger) withEarlier(s bitset) bitset {
	out := s
	for id := range s.intersect(l.chained).all() {
		out = out.union(l.marks[id].earlier)
	}
	return out
}

// forget drops the marks that others in s displace.
func (l *ledger) forget(s shadow) shadow {
	ranked := s.seen.intersect(l.ranked)
	if len(ranked) == 0 {
		return s
	}
	for i := range l.best {
		l.best[i] = none
	}
	var displaced bitset
	for id := range ranked.all() {
		best := &l.best[l.marks[id].cell-1]
		switch {
		case *best == none:
			*best = id
		case l.marks[id].displaces(&l.marks[*best]):
			displaced, *best = displaced.with(*best), id
		default:
			displaced = displaced.with(id)
		}
	}
	if displaced == nil {
		return s
	}
	return s.without(displaced)
}

// withoutDisplaced drops marks from a novelty that mine has displaced.
func (l *ledger) withoutDisplaced(s, mine shadow) shadow {
	for id := range s.seen.intersect(l.ranked).all() {
		one := shadow{seen: bit(id)}
		if s.gone.has(id) {
			one.gone = one.seen
		}
		if l.covers(mine, one) {
			s = s.without(one.seen)
		}
	}
	return s
}

// news is what of some facts a state has not: neither them nor what displaces them.
func (l *ledger) news(mine shadow, facts ...int) (s shadow) {
	for _, id := range facts {
		if one := (shadow{seen: bit(id)}); !l.covers(mine, one) {
			s = s.union(one)
		}
	}
	return s
}
