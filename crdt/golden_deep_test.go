package crdt_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// The forms that are more than a list of elements.

func readLWWMap(b body) meaning {
	var s sayer
	var before any
	object := make(map[string]any)
	ids := idsOf(b.next())
	for q := array(b.next()); q.more(); {
		binding := array(q.next())
		before = b.elem.later(binding, before)
		kind := binding.uint()
		demand(kind < 3, "no such kind of write")
		says := fmt.Sprintf("%s %s at %s", show(before), []string{"removed", "set", "reset"}[kind], ids.time(binding))
		if kind == 1 {
			v := b.value.of(binding)
			says += " to " + show(v)
			object[fmt.Sprint(before)] = b.value.plain(v)
		}
		demand(!binding.more(), "too many values")
		s.add("%s", says)
	}
	ids.close()
	return s.means(object)
}

func readLog(b body) meaning {
	var s sayer
	values := []any{}
	var before *logLine
	ids := idsOf(b.next())
	for q := records(b.next(), 5); q.more(); {
		e := b.line(q, ids, before)
		s.add("%s by %v:%d at %d.%d", show(e.value), ids.list[e.index], e.seq, e.wall, e.logical)
		values, before = append(values, b.elem.plain(e.value)), &e
	}
	ids.close()
	return s.means(values)
}

// logLine is an entry of a log.
type logLine struct {
	wall                int64
	logical, index, seq uint64
	value               any
}

func (b body) line(q *items, ids *ids, before *logLine) (e logLine) {
	if before == nil {
		e.wall = q.int()
	} else {
		after := new(big.Int).Add(big.NewInt(before.wall), number(q.uint()))
		demand(after.IsInt64(), "after the end of time")
		e.wall = after.Int64()
	}
	e.logical, e.index, e.seq = q.uint32(), ids.writer(q), q.uint()
	demand(e.seq > 0, "no dot")
	e.value = b.elem.of(q)
	demand(before == nil || cmp.Or(cmp.Compare(before.wall, e.wall), cmp.Compare(before.logical, e.logical),
		cmp.Compare(before.index, e.index), cmp.Compare(before.seq, e.seq), compare(before.value, e.value)) < 0, "out of order")
	return e
}

// row is that of one replica.
type row struct {
	added, used uint64
	sent, taken map[uint64]uint64 // to and from whom
}

func readBoundedCounter(b body) meaning {
	var s sayer
	var before *uint64
	ids := idsOf(b.next())
	rows := make(map[uint64]row)
	for q := records(b.next(), 7); q.more(); {
		at := ids.writer(q)
		demand(before == nil || *before < at, "rows out of order")
		before = &at
		rows[at] = ids.row(q, at, &s)
	}
	ids.close()
	return s.means(within(valueOf(ids, rows), leastUint, mostUint))
}

func (t *ids) row(q *items, of uint64, s *sayer) (r row) {
	version := q.uint()
	demand(version > 0, "row that was never written")
	r.added, r.used = q.uint(), q.uint()
	wanted := q.uint()
	says := fmt.Sprintf("%v row %d: added %d, used %d, wanted %d", t.list[of], version, r.added, r.used, wanted)
	r.sent = t.transfers(q.next(), of, &says, "sent", "to")
	r.taken = t.transfers(q.next(), of, &says, "taken", "from")
	s.add("%s", says)
	have, spent := number(r.added), number(r.used)
	for _, n := range r.taken {
		have.Add(have, number(n))
	}
	for _, n := range r.sent {
		spent.Add(spent, number(n))
	}
	demand(have.Cmp(spent) >= 0, "more spent than there was")
	least := uint64(len(r.sent))
	for _, n := range []uint64{r.added, r.used, wanted} {
		if n > 0 {
			least++
		}
	}
	demand(version >= least && (least > 0 || version > 1), "row that was written too few times")
	return r
}

func (t *ids) transfers(v any, of uint64, says *string, verb, way string) map[uint64]uint64 {
	flows := make(map[uint64]uint64)
	var before *uint64
	for q := records(v, 2); q.more(); {
		with, n := t.writer(q), q.uint()
		demand(before == nil || *before < with, "transfers out of order")
		demand(with != of && n > 0, "transfer of nothing, or to oneself")
		flows[with], before = n, &with
		*says += fmt.Sprintf(", %s %d %s %v", verb, n, way, t.list[with])
	}
	return flows
}

// valueOf adds up the rights of all replicas, of none less than 0.
func valueOf(ids *ids, rows map[uint64]row) *big.Int {
	sum := new(big.Int)
	for r := range uint64(len(ids.list)) {
		rights := new(big.Int).Sub(number(rows[r].added), number(rows[r].used))
		for o := range uint64(len(ids.list)) {
			rights.Add(rights, number(max(rows[o].sent[r], rows[r].taken[o])))
			rights.Sub(rights, number(max(rows[r].sent[o], rows[o].taken[r])))
		}
		if rights.Sign() > 0 {
			sum.Add(sum, rights)
		}
	}
	return sum
}

// mapReader reads the fields of a map.
type mapReader struct {
	*sayer
	*context
	live living
	keys plainType
}

func readORMap(b body) meaning {
	var s sayer
	m := mapReader{&s, s.context(b.items), make(living), b.elem}
	return s.means(m.fields(b.next(), "", 1))
}

var fieldNames = []string{1: "counter", 2: "set", 3: "lwwregister", 4: "mvregister", 5: "flag", 6: "map"}

func (m mapReader) fields(v any, path string, depth int) map[string]any {
	object, kinds := make(map[string]any), make(map[string]map[string]any)
	var before any
	last := uint64(0)
	for q := records(v, 3); q.more(); {
		key := m.keys.of(q)
		order := -1
		if before != nil {
			order = compare(before, key)
		}
		kind := q.uint()
		demand(kind >= 1 && kind <= 6, "no such kind of field")
		demand(order < 0 || order == 0 && last < kind, "fields out of order")
		demand(depth <= 13, "maps nested too deep")
		before, last = key, kind
		value := m.field(kind, q.next(), path+"/"+show(key), depth)
		name := fmt.Sprint(key)
		if order < 0 {
			kinds[name] = make(map[string]any)
		}
		kinds[name][fieldNames[kind]], object[name] = value, value
		if len(kinds[name]) > 1 {
			object[name] = kinds[name]
		}
	}
	return object
}

func (m mapReader) field(kind uint64, v any, path string, depth int) any {
	demand(len(array(v).left) > 0, "field with nothing in it")
	switch kind {
	case 1:
		return m.counter(records(v, 4), path)
	case 2:
		return m.set(records(v, 2), path)
	case 3:
		return m.register(records(v, 6), path)
	case 4:
		return m.values(records(v, 3), path)
	case 5:
		m.add("%s flag by %s", path, strings.Join(m.dots(v, m.live), " "))
		return true
	}
	return m.fields(v, path, depth+1)
}

func (m mapReader) counter(q *items, path string) any {
	sum := new(big.Int)
	var before *dot
	for q.more() {
		d := m.dot(q)
		m.live.add(d, before)
		before = &d
		n, folded := q.int(), m.folded(array(q.next()), d)
		demand(n != 0 || len(folded) > 0, "entry without a count")
		sum.Add(sum, big.NewInt(n))
		says := fmt.Sprintf("%s counts %d by %s", path, n, m.show(d))
		if len(folded) > 0 {
			says += " folded of " + strings.Join(folded, " ")
		}
		m.add("%s", says)
	}
	return within(sum, leastInt, mostInt)
}

// folded reads which events an entry at d stands for besides its own.
func (m mapReader) folded(q *items, d dot) (dots []string) {
	for of := (dot{d.index, 0}); q.more(); {
		n := q.uint()
		demand(n > 0 && n < d.seq-of.seq, "folded events out of order")
		of.seq += n
		demand(m.has(of), "dot outside of the context")
		m.live.once(of)
		dots = append(dots, m.context.show(of))
	}
	return dots
}

func (m mapReader) set(q *items, path string) any {
	elems := []any{}
	var before any
	for q.more() {
		before = plainType("string").later(q, before)
		dots := m.dots(q.next(), m.live)
		demand(len(dots) > 0, "element without dots")
		m.add("%s has %s by %s", path, show(before), strings.Join(dots, " "))
		elems = append(elems, before)
	}
	return elems
}

// written is a write to a register.
type written struct {
	wall    int64
	logical uint64
	by      plainID
	value   string
}

func (w written) compare(o written) int {
	return cmp.Or(cmp.Compare(w.wall, o.wall), cmp.Compare(w.logical, o.logical), bytes.Compare(w.by[:], o.by[:]),
		cmp.Compare(w.value, o.value))
}

func (m mapReader) register(q *items, path string) any {
	var last written
	var before *dot
	for q.more() {
		d := m.dot(q)
		m.live.add(d, before)
		w := written{wall: q.int(), logical: q.uint32(), by: m.ids[d.index]}
		if q.left[0] == nil {
			q.next()
		} else {
			w.by = q.id()
			demand(w.by != m.ids[d.index], "replica of the dot written out")
		}
		w.value = q.text()
		m.add("%s is %s at %d.%d %v by %s", path, show(w.value), w.wall, w.logical, w.by, m.show(d))
		if before == nil || last.compare(w) < 0 {
			last = w
		}
		before = &d
	}
	return last.value
}

func (m mapReader) values(q *items, path string) any {
	var texts []string
	var before *dot
	for q.more() {
		d := m.dot(q)
		m.live.add(d, before)
		v := q.text()
		m.add("%s is %s by %s", path, show(v), m.show(d))
		texts, before = append(texts, v), &d
	}
	slices.Sort(texts)
	return texts
}
