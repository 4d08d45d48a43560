package merkle

import (
	"fmt"
	"math/rand/v2"
	"unsafe"
)

// Masked returns a hasher of which only the masked bits of a position count, so
// that keys collide.
func Masked(secret []byte, mask Position) *Hasher {
	h := NewHasher(secret)
	h.mask = mask
	return h
}

// MaskedIDs returns a hasher of which only the masked bits of a position and of a
// sketch's id count, so that elements are confused.
func MaskedIDs(secret []byte, mask Position, ids uint64) *Hasher {
	h := NewHasher(secret)
	h.mask, h.idMask = mask, ids
	return h
}

// Width returns cfg with short fingerprints of so many bytes.
func (c SessionConfig) Width(bytes int) SessionConfig {
	c.width = bytes
	return c
}

// ForgedAnswer is an answer in correct form that claims that the sums of all
// parts of all ranges asked about are others.
func (s *Session) ForgedAnswer() []byte {
	a := answer{round: s.head.round, answered: len(s.flight), state: make([]byte, stateSize)}
	room := s.cfg.MaxMessage - headSize
	for i, t := range s.flight {
		it := item{op: opParts, r: t.r, data: make([]byte, len(t.r.parts())*s.head.width)}
		if len(it.data) == 0 {
			it = item{op: opRest, r: t.r}
		}
		switch t.kind {
		case taskCheck, taskRecheck:
			it = item{op: opSum, r: t.r, data: make([]byte, maxWidth)}
		case taskCells:
			it = item{op: opCells, r: t.r, data: make([]byte, stateSize+cellSize)}
		}
		for j := range it.data {
			it.data[j] = byte(j) ^ 0x5a
		}
		if room -= it.size(); room < 0 {
			a.answered = i
			break
		}
		a.items = append(a.items, it)
	}
	return a.encode()
}

// Pending is how many tasks wait, for tests of memory bounds.
func (s *Session) Pending() int { return len(s.pending) }

// LongestHead is the size of the longest head that a request can have.
func LongestHead() int {
	h := head{version: messageVersion, format: elementFormat, secret: 1<<32 - 1, epoch: 1<<64 - 1, round: 1<<60 - 1, width: 16, limit: 1 << 30}
	return len(h.request(nil)) + 4 // an array of more than 65,535 values
}

// HeadSize is what messages allow for their head.
const HeadSize = headSize

// Describe renders a message of s, or an answer to one, a line for its head and
// one for each item.
func (s *Session) Describe(msg []byte) []string {
	if asked, items, _, err := s.head.readRequest(msg); err == nil {
		return append([]string{fmt.Sprintf("> %d bytes, round %d, width %d, limit %d", len(msg), asked.round, asked.width, asked.limit)},
			describeItems([]string{"same?", "parts", "list?", "rest?", "sketch?", "cells?", "doubt"}, items)...)
	}
	a, err := s.head.readAnswer(msg)
	if err != nil {
		return []string{err.Error()}
	}
	answered := fmt.Sprint(a.answered)
	if a.all {
		answered = "all"
	}
	return append([]string{fmt.Sprintf("< %d bytes, round %d, answered %s, state %x", len(msg), a.round, answered, a.state)},
		describeItems([]string{"rest", "parts", "list", "many", "sketch", "cells"}, a.items)...)
}

func describeItems(names []string, items []item) (lines []string) {
	for _, it := range items {
		lines = append(lines, fmt.Sprintf("    %s %s %x", names[it.op], it.r, it.data))
	}
	return lines
}

// WholeWidth reports whether s looks with whole fingerprints.
func (s *Session) WholeWidth() bool { return s.head.width == maxWidth }

// Accepts reports whether s would take msg for an answer.
func Accepts(s *Session, msg []byte) bool {
	a, err := s.head.readAnswer(msg)
	if err != nil {
		return false
	}
	_, reason := s.match(&a)
	return reason == ""
}

// CellsFor is a request for cells of tables of ranges: of one cell each, after a prefix.
func CellsFor(t *Tree, from int, ranges ...Range) []byte {
	h := headOf(t, SessionConfig{})
	h.round, h.width, h.limit = 1, defaultWidth, 1<<20
	var items []item
	for _, r := range ranges {
		w := wish{state: stateOf(t, r), from: from, to: from + 1}
		items = append(items, item{op: opCells, r: r, data: w.append(nil)})
	}
	return h.request(items)
}

// SketchFor is a request for an estimate of r by a sample of a depth.
func SketchFor(t *Tree, r Range, depth byte) []byte {
	h := headOf(t, SessionConfig{})
	h.round, h.width, h.limit = 1, defaultWidth, 1<<20
	return h.request([]item{{op: opSketch, r: r, data: append(make([]byte, maxWidth), depth)}})
}

// Greedy is a request that asks n times for everything.
func Greedy(t *Tree, n, limit int) []byte {
	h := headOf(t, SessionConfig{})
	h.round, h.width, h.limit = 1, 16, max(limit, minMessage)
	items := make([]item, n)
	for i := range items {
		items[i] = item{op: opList, r: Full}
	}
	return h.request(items)
}

// EmptyAnswer is an answer that names all that was asked about as different.
func (s *Session) EmptyAnswer() []byte {
	a := answer{round: s.head.round, answered: len(s.flight), state: make([]byte, stateSize)}
	for _, t := range s.flight {
		a.items = append(a.items, item{op: opParts, r: t.r})
	}
	return a.encode()
}

// EqualAnswer is an answer to the message of a round that says that all that is
// asked about now is equal.
func (s *Session) EqualAnswer(round uint64) []byte {
	a := answer{round: round, answered: len(s.flight)}
	return a.encode()
}

// StrayAnswer lists one element, at position zero, for the first thing asked.
func (s *Session) StrayAnswer() []byte {
	it := item{op: opList, r: s.flight[0].r, data: make([]byte, listedSize(s.flight[0].r, s.head.width))}
	a := answer{round: s.head.round, answered: 1, state: make([]byte, stateSize), items: []item{it}}
	return a.encode()
}

// RequestFor is a request for a list of r, which may be no range at all.
func RequestFor(t *Tree, r Range) []byte {
	h := headOf(t, SessionConfig{})
	h.round, h.width, h.limit = 1, 8, minMessage
	return h.request([]item{{op: opList, r: r}})
}

// A Fault is something that goes wrong with the sketch of a tree.
type Fault func(s *sketch)

// Faults are all that tests try, by name. An id that is none's is 12345, old is the id
// of a key.
func Faults(old uint64) map[string]Fault {
	return map[string]Fault{
		"lost remove":       func(s *sketch) { s.add(12345<<32|54321, 1) },
		"lost add":          func(s *sketch) { s.add(old, -1) },
		"lost change":       func(s *sketch) { s.add(old, -1); s.add(old+1, 1) },
		"told by the sum":   func(s *sketch) { s.add(12345, 1); s.sum = s.sum.Add(Fingerprint{Lo: 12345}) },
		"bit of an id":      func(s *sketch) { s.page(5).ids[17] ^= 1 << 40 },
		"bit of a check":    func(s *sketch) { s.page(7).checks[1] ^= 1 << 3 },
		"bit of the counts": func(s *sketch) { s.counts[3] ^= 1 << 7 },
		"a page lost":       func(s *sketch) { *s.page(2) = page{} },
		"a page of nonsense": func(s *sketch) {
			p := s.page(2)
			for i := range p.ids {
				p.ids[i], p.checks[i] = mix(uint64(i)), uint32(i*7)
			}
		},
	}
}

// RandomFault is some bits that flip, or updates that are lost.
func RandomFault(rng *rand.Rand) Fault {
	return func(s *sketch) {
		for range 1 + rng.IntN(3) {
			p, i := s.page(rng.Uint32()), rng.IntN(pageCells)
			switch rng.IntN(4) {
			case 0:
				p.ids[i] ^= 1 << rng.IntN(64)
			case 1:
				p.checks[i] ^= 1 << rng.IntN(32)
			case 2:
				s.counts[rng.IntN(estimators)] ^= 1 << rng.IntN(8)
			default:
				s.add(rng.Uint64(), 1-2*rng.Int32N(2))
			}
		}
	}
}

func (s *sketch) page(n uint32) *page {
	n %= uint32(len(s.pages))
	s.copyPage(n)
	return s.pages[n]
}

// Poison lets a fault happen to the sketch.
func (t *Tree) Poison(f Fault) {
	s := t.sketch.own(t.writer())
	f(s)
	t.sketch = s
}

// Use has the sketch used for as long as it takes until a doubt is looked into.
func (t *Tree) Use() { t.current().health.paid.Add(int64(t.Len())) }

// Spend is the opposite: no doubt is looked into for a while.
func (t *Tree) Spend() { t.current().health.paid.Store(-int64(t.Len())) }

// Doubt is what a session does that was told what is not so.
func (t *Tree) Doubt() { t.doubt() }

// Audit is what a session does at its start.
func (t *Tree) Audit() { t.Snapshot().sound() }

// SketchHolds reports whether the sketch is what one built anew would be.
func (t *Tree) SketchHolds() bool {
	if t.sketch == nil {
		return t.Len() < minSketched
	}
	fresh := newSketch(nil, t.sketch.cells())
	for e := range t.entries(Full) {
		fresh.add(t.hasher.sketchID(e.pos, e.sum), 1)
	}
	fresh.sum = t.Root()
	return fresh.equal(t.current())
}

// SketchCells is how many cells the sketch has.
func (t *Tree) SketchCells() int { return t.sketch.cells() }

// ID is the id under which the sketch knows an element.
func (h *Hasher) ID(key string, st Fingerprint) uint64 {
	return h.sketchID(h.Position(key), h.Element(key, st))
}

// Ops names what an answer to s consists of, each once, in order.
func (s *Session) Ops(msg []byte) (names []string) {
	a, err := s.head.readAnswer(msg)
	if err != nil {
		return []string{err.Error()}
	}
	for _, it := range a.items {
		name := []string{"rest", "parts", "list", "many", "sketch", "cells"}[it.op]
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

// LyingCells is an answer to a question for cells that claims that the sketch is of
// the given ids, so that what it differs by is not in the tree; nil to other messages.
func (s *Session) LyingCells(ids ...uint64) []byte {
	if s.flight[0].kind != taskCells {
		return nil
	}
	t := s.tree.sketch.fold(s.flight[0].climb.want)
	for _, id := range ids {
		t.add(id, -1)
	}
	data := t.append([]byte("told"))
	a := answer{round: s.head.round, answered: 1, state: []byte("lies"), items: []item{{op: opCells, r: Full, data: data}}}
	return a.encode()
}

// AsksForCells reports whether the message under way does.
func (s *Session) AsksForCells() bool { return s.flight[0].kind == taskCells }

// Round is the number of the message under way.
func (s *Session) Round() uint64 { return s.head.round }

// StrayCells is an answer to a question for cells, consistent in itself, by which the
// peer has an id beside what this side has.
func (s *Session) StrayCells(id uint64) []byte {
	r, c := s.flight[0].r, s.flight[0].climb
	t := s.tree.table(r, 0, c.want, s.tree.Len())
	t.add(id, 1)
	sum, _ := s.tree.Sum(r)
	state := sum.Add(Fingerprint{Lo: uint64(uint32(id))}).short(stateSize).append(nil, stateSize)
	a := answer{round: s.head.round, answered: 1, state: state, items: []item{{op: opCells, r: r, data: t.append(state)}}}
	return a.encode()
}

// NoCells is an answer without cells to a question for some; nil to other messages.
func (s *Session) NoCells() []byte {
	if s.flight[0].kind != taskCells {
		return nil
	}
	a := answer{round: s.head.round, answered: 1, state: make([]byte, stateSize), items: []item{{op: opCells, r: s.flight[0].r}}}
	return a.encode()
}

// Suspects reports whether a session found the sketch at odds with the tree.
func (t *Tree) Suspects() bool { return t.sketch != nil && t.current().health.suspect.Load() }

// SketchUpdate returns what one update of a sketch of full size calls: an old id
// goes, a new one comes.
func SketchUpdate() func(old, new uint64) {
	s := newSketch(new(owner), maxCells)
	return func(old, new uint64) {
		s.add(old, -1)
		s.add(new, 1)
	}
}

// SketchBytes is what a sketch of full size takes.
const SketchBytes = maxCells/pageCells*(int(unsafe.Sizeof(page{}))+8) + estimators

// Room is for how many entries the leaves have memory.
func (t *Tree) Room() int { return t.root.room() }

func (n *node) room() (sum int) {
	if n == nil {
		return 0
	}
	sum = cap(n.items)
	if n.kids != nil {
		for _, kid := range n.kids {
			sum += kid.room()
		}
	}
	return sum
}

// Resolves reports whether s takes ids for those of keys of its own in r.
func (s *Session) Resolves(r Range, ids ...uint64) bool {
	_, ok := s.resolve(r, ids)
	return ok
}
