package crdt_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"
)

// meaning is what a state says, in words, and its value as it goes into JSON.
type meaning struct {
	says  string
	value any
}

// body is what follows tag and version, with the types that it is of.
type body struct {
	*items
	elem, value plainType
}

// plainForms are the readers of all types, by tag and name.
var plainForms map[uint64]plainForm

type plainForm struct {
	name string
	read func(b body) meaning
}

func init() {
	plainForms = map[uint64]plainForm{
		1: {"gcounter", readGCounter}, 2: {"pncounter", readPNCounter}, 3: {"gset", readGSet}, 4: {"orset", readORSet},
		5: {"lwwregister", readLWWRegister}, 6: {"mvregister", readMVRegister},
		7: {"maxregister", readExtreme}, 8: {"minregister", readExtreme}, 9: {"twophaseset", readTwoPhaseSet},
		10: {"rwset", readRWSet}, 11: {"lwwset", readLWWSet}, 12: {"ewflag", readEWFlag}, 13: {"dwflag", readDWFlag},
		14: {"lwwmap", readLWWMap}, 15: {"log", readLog}, 16: {"boundedcounter", readBoundedCounter},
		17: {"ormap", readORMap}, 18: {"expiry", readExpiry}, 63: {"contexts", readContexts},
	}
}

// readPlain reads bytes of a type that is named as in the vectors, "LWWMap of string to int64".
func readPlain(typ string, b []byte) (m meaning, err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("refused: %s", why.(refusal))
		}
	}()
	name, of, _ := strings.Cut(strings.ToLower(typ), " of ")
	elem, value, _ := strings.Cut(of, " to ")
	if len(b) == 0 && (name == "value" || name == "contexts") {
		return meaning{"nothing", map[string]any{}}, nil
	}
	if name == "value" {
		return readValue(parse(b)), nil
	}
	for tag, form := range plainForms {
		if form.name == name {
			return readState(tag, plainType(elem), plainType(value), b), nil
		}
	}
	panic("no form for " + typ)
}

func readState(tag uint64, elem, value plainType, b []byte) meaning {
	q := array(parse(b))
	demand(q.uint() == tag, "another tag")
	demand(q.uint() == 1, "another version")
	m := plainForms[tag].read(body{q, elem, value})
	demand(!q.more(), "too many values")
	return m
}

func readValue(v any) meaning {
	q, before := records(v, 2), uint64(0)
	demand(q.more(), "no states")
	var says []string
	object := make(map[string]any)
	for q.more() {
		tag := q.uint()
		state, ok := q.next().([]byte)
		demand(ok && before < tag && tag <= 18, "kinds out of order, or unknown")
		before = tag
		elem := plainType("string")
		if tag == 7 || tag == 8 {
			elem = "int64"
		}
		m := readState(tag, elem, "string", state)
		demand(m.says != "", "empty state")
		says = append(says, plainForms[tag].name+" "+m.says)
		if tag != 18 { // a deadline shows nothing
			object[plainForms[tag].name] = m.value
		}
	}
	return meaning{strings.Join(says, "; "), object}
}

func readContexts(b body) meaning {
	before, object := uint64(0), make(map[string]any)
	demand(b.more(), "no contexts")
	for b.more() {
		tag, seen := b.uint(), readSeen(b.next())
		demand(tag > before && len(seen.ids) > 0, "kinds out of order, or empty context")
		object[fmt.Sprint(tag)], before = seen.String(), tag
	}
	return meaning{fmt.Sprint(object), object}
}

// sayer collects what a state says. A state as new says nothing.
type sayer []string

func (s *sayer) add(format string, args ...any) { *s = append(*s, fmt.Sprintf(format, args...)) }

func (s sayer) means(value any) meaning { return meaning{strings.Join(s, "; "), value} }

// context reads a context and tells of it.
func (s *sayer) context(q *items) *context {
	c := readSeen(q.next())
	if len(c.ids) > 0 {
		s.add("seen %v", c)
	}
	return c
}

func number(n uint64) *big.Int { return new(big.Int).SetUint64(n) }

// within is n, or the end of the range that it goes beyond.
func within(n, least, most *big.Int) json.Number {
	switch {
	case n.Cmp(least) < 0:
		n = least
	case n.Cmp(most) > 0:
		n = most
	}
	return json.Number(n.String())
}

var (
	leastInt, mostInt   = big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)
	leastUint, mostUint = number(0), number(math.MaxUint64)
)

func (b body) count(id plainID, s *sayer, verb string, sum *big.Int, sign int64) (total uint64) {
	total, base := b.uint(), b.uint()
	demand(base <= total, "more reset than counted")
	if total > 0 {
		s.add("%v %s %d, of that reset %d", id, verb, total, base)
	}
	sum.Add(sum, new(big.Int).Mul(big.NewInt(sign), number(total-base)))
	return total
}

// counters reads entries with so many values each, and has each of them read.
func (b body) counters(each int, entry func(q body, id plainID)) {
	var before *plainID
	for q := records(b.next(), each); q.more(); {
		id := q.id()
		demand(id != plainID{} && (before == nil || bytes.Compare(before[:], id[:]) < 0), "ids out of order")
		before = &id
		entry(body{items: q}, id)
	}
}

func readGCounter(b body) meaning {
	var s sayer
	sum := new(big.Int)
	b.counters(3, func(q body, id plainID) {
		demand(q.count(id, &s, "added", sum, 1) > 0, "entry without a count")
	})
	return s.means(within(sum, leastUint, mostUint))
}

func readPNCounter(b body) meaning {
	var s sayer
	sum := new(big.Int)
	b.counters(5, func(q body, id plainID) {
		up := q.count(id, &s, "added", sum, 1)
		demand(q.count(id, &s, "subtracted", sum, -1) > 0 || up > 0, "entry without a count")
	})
	return s.means(within(sum, leastInt, mostInt))
}

// elements reads elements in order.
func (b body) elements(v any) (elems []any) {
	var before any
	for q := array(v); q.more(); {
		before = b.elem.later(q, before)
		elems = append(elems, before)
	}
	return elems
}

func (s *sayer) list(word string, elems []any) {
	if len(elems) > 0 {
		var shown []string
		for _, e := range elems {
			shown = append(shown, show(e))
		}
		s.add("%s %s", word, strings.Join(shown, " "))
	}
}

func (t plainType) plains(elems []any) []any {
	plain := make([]any, 0, len(elems))
	for _, e := range elems {
		plain = append(plain, t.plain(e))
	}
	return plain
}

func readGSet(b body) meaning {
	var s sayer
	elems := b.elements(b.next())
	s.list("in", elems)
	return s.means(b.elem.plains(elems))
}

func readTwoPhaseSet(b body) meaning {
	var s sayer
	in, out := b.elements(b.next()), b.elements(b.next())
	for _, e := range in {
		demand(!slices.ContainsFunc(out, func(o any) bool { return compare(e, o) == 0 }), "in and out")
	}
	s.list("in", in)
	s.list("removed", out)
	return s.means(b.elem.plains(in))
}

func readORSet(b body) meaning {
	var s sayer
	var elems []any
	var before any
	c, live := s.context(b.items), make(living)
	for q := array(b.next()); q.more(); {
		element := array(q.next())
		before = b.elem.later(element, before)
		dots := c.dots(element.left, live)
		demand(len(dots) > 0, "element without dots")
		s.add("%s by %s", show(before), strings.Join(dots, " "))
		elems = append(elems, before)
	}
	return s.means(b.elem.plains(elems))
}

func readRWSet(b body) meaning {
	var s sayer
	var elems []any
	var before any
	c, live := s.context(b.items), make(living)
	for q := records(b.next(), 3); q.more(); {
		before = b.elem.later(q, before)
		added, removed := c.dots(q.next(), live), c.dots(q.next(), live)
		demand(len(added)+len(removed) > 0, "element without dots")
		s.add("%s added by %v, removed by %v", show(before), added, removed)
		if len(removed) == 0 {
			elems = append(elems, before)
		}
	}
	return s.means(b.elem.plains(elems))
}

func readEWFlag(b body) meaning {
	var s sayer
	c := s.context(b.items)
	on := c.dots(b.next(), make(living))
	s.enabled("enabled", on)
	return s.means(len(on) > 0)
}

func readDWFlag(b body) meaning {
	var s sayer
	c, live := s.context(b.items), make(living)
	on, off := c.dots(b.next(), live), c.dots(b.next(), live)
	s.enabled("enabled", on)
	s.enabled("disabled", off)
	return s.means(len(on) > 0 && len(off) == 0)
}

func (s *sayer) enabled(word string, dots []string) {
	if len(dots) > 0 {
		s.add("%s by %s", word, strings.Join(dots, " "))
	}
}

func readExtreme(b body) meaning {
	var s sayer
	if !b.more() {
		return s.means(nil)
	}
	v := b.elem.of(b.items)
	s.add("%s", show(v))
	return s.means(b.elem.plain(v))
}

func readLWWRegister(b body) meaning {
	var s sayer
	if !b.more() {
		return s.means(nil)
	}
	at := fmt.Sprint(b.int(), ".", b.uint32(), " ", b.id())
	if !b.more() {
		s.add("reset at %s", at)
		return s.means(nil)
	}
	v := b.elem.of(b.items)
	s.add("%s at %s", show(v), at)
	return s.means(b.elem.plain(v))
}

func readExpiry(b body) meaning {
	b.elem = "int64"
	m := readLWWRegister(b)
	if m.value == nil {
		return m
	}
	ms := m.value.(int64)
	at := time.UnixMilli(ms).UTC()
	demand(at.Year() >= 1 && at.Year() <= 9999, "out of range")
	return meaning{strings.Replace(m.says, fmt.Sprint(ms), "ends "+at.Format(time.RFC3339Nano), 1), at.Format(time.RFC3339Nano)}
}

func readMVRegister(b body) meaning {
	var s sayer
	var values []any
	var before *dot
	c, live := s.context(b.items), make(living)
	for q := records(b.next(), 3); q.more(); {
		d := c.dot(q)
		live.add(d, before)
		v := b.elem.of(q)
		s.add("%s by %s", show(v), c.show(d))
		values, before = append(values, v), &d
	}
	slices.SortFunc(values, compare)
	return s.means(b.elem.plains(values))
}

func readLWWSet(b body) meaning {
	var s sayer
	var in []any
	var before any
	ids := idsOf(b.next())
	for q := records(b.next(), 5); q.more(); {
		before = b.elem.later(q, before)
		at := ids.time(q)
		removed, ok := q.next().(bool)
		demand(ok, "no bool")
		verb := "added"
		if removed {
			verb = "removed"
		} else {
			in = append(in, before)
		}
		s.add("%s %s at %s", show(before), verb, at)
	}
	ids.close()
	return s.means(b.elem.plains(in))
}

// time reads a timestamp.
func (t *ids) time(q *items) string {
	return fmt.Sprint(q.int(), ".", q.uint32(), " ", t.list[t.refer(q)])
}
