package crdt_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

// A field is there, and shows, what was written to it and lives. A removal ends what lives under its path where it
// happens; a write to a register or flag ends what lives in the same place; an addition to a set the same element.
// Paths are written with dots. The operations are named after the kinds that they write to.

func ormapLiving(h history, seen events) events {
	living := which(seen, func(e int) bool { return !ormapRemoves(h[e].Op) })
	for e := range seen.All() {
		living &^= ormapEnded(h, e)
	}
	return living
}

func ormapRemoves(o op) bool {
	return o.do == "remove" || o.do == "reset all" || strings.HasPrefix(o.do, "reset ")
}

func ormapEnded(h history, e int) events {
	o := h[e].Op
	return which(ormapLiving(h, h[e].Saw), func(k int) bool {
		w := h[k].Op
		switch o.do {
		case "reset all":
			return true
		case "reset map":
			return strings.HasPrefix(w.elem, o.elem+".")
		case "remove":
			return w.elem == o.elem || strings.HasPrefix(w.elem, o.elem+".")
		case "counter":
			return false
		case "set":
			return w.do == o.do && w.elem == o.elem && w.n == o.n
		}
		return w.do == strings.TrimPrefix(o.do, "reset ") && w.elem == o.elem
	})
}

func ormapWant(h history, seen events) string {
	fields := make(map[string]events)
	for e := range ormapLiving(h, seen).All() {
		place := h[e].Op.elem + " " + h[e].Op.do
		fields[place] = fields[place].With(e)
	}
	var lines []string
	for place, living := range fields {
		_, do, _ := strings.Cut(place, " ")
		lines = append(lines, place+" "+ormapShows(h, do, living))
	}
	return joined(lines)
}

func ormapShows(h history, do string, living events) string {
	var sum int64
	var values []string
	last := -1
	for e := range living.All() {
		sum += h[e].Op.n
		values = append(values, fmt.Sprint(h[e].Op.n))
		if last < 0 || ormapLater(h, e, last) {
			last = e
		}
	}
	slices.Sort(values)
	switch do {
	case "counter":
		return fmt.Sprint(sum)
	case "set":
		return fmt.Sprint(slices.Compact(values))
	case "lwwregister":
		return fmt.Sprint(h[last].Op.n)
	case "mvregister":
		return fmt.Sprint(values)
	}
	return "up"
}

// ormapLater reports whether a register shows write e rather than f: the later one, and of two at one time, which a
// clock that goes back can bring about, the greater value.
func ormapLater(h history, e, f int) bool {
	c := ormapAt(h, e).Compare(ormapAt(h, f))
	return c > 0 || c == 0 && fmt.Sprint(h[e].Op.n) > fmt.Sprint(h[f].Op.n)
}

// ormapAt is when a write to a register counts: at its own time, or right after what it saw if that is later.
func ormapAt(h history, e int) vclock.Timestamp {
	at := h[e].By.Stamp
	var last vclock.Timestamp
	for k := range ormapEnded(h, e).All() {
		if before := ormapAt(h, k); before.Compare(last) > 0 {
			last = before
		}
	}
	if at.Compare(last) > 0 {
		return at
	}
	return vclock.Timestamp{Wall: last.Wall, Logical: last.Logical + 1, Replica: at.Replica}
}

func joined(lines []string) string {
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// fieldsOf is what ORMap and MapField have in common.
type fieldsOf interface {
	Counter(string) crdt.CounterField[string]
	Set(string) crdt.SetField[string]
	LWWRegister(string) crdt.LWWField[string]
	MVRegister(string) crdt.MVField[string]
	Flag(string) crdt.FlagField[string]
	Map(string) crdt.MapField[string]
	Remove(...string) *ormap
	Reset() *ormap
	Has(string) bool
	Len() int
	All() iter.Seq2[string, crdt.FieldKind]
}

// ormapGot shows a map as the specification does, by the methods that read.
func ormapGot(m *ormap) string { return joined(showFields("", m)) }

func showFields(prefix string, at fieldsOf) (lines []string) {
	keys := make(map[string]bool)
	for key, kind := range at.All() {
		if keys[key] = true; !at.Has(key) {
			panic("no such key: " + key)
		}
		if kind == crdt.FieldMap {
			lines = append(lines, showFields(prefix+key+".", at.Map(key))...)
			continue
		}
		lines = append(lines, fmt.Sprintf("%s%s %v %s", prefix, key, kind, showField(at, key, kind)))
	}
	if len(keys) != at.Len() {
		panic("number of keys")
	}
	return lines
}

func showField(at fieldsOf, key string, kind crdt.FieldKind) string {
	switch kind {
	case crdt.FieldCounter:
		return fmt.Sprint(at.Counter(key).Value())
	case crdt.FieldSet:
		return fmt.Sprint(slices.Sorted(at.Set(key).All()))
	case crdt.FieldLWWRegister:
		v, _ := at.LWWRegister(key).Value()
		return v
	case crdt.FieldMVRegister:
		return fmt.Sprint(at.MVRegister(key).Values())
	}
	return map[bool]string{true: "up", false: "down"}[at.Flag(key).Enabled()]
}

func applyORMap(m *ormap, o op, by crdttest.Writer) *ormap {
	defer m.CheckInvariants()
	path := strings.Split(o.elem, ".")
	var at fieldsOf = m
	for _, key := range path[:len(path)-1] {
		at = at.Map(key)
	}
	key, text := path[len(path)-1], fmt.Sprint(o.n)
	switch o.do {
	case "counter":
		return at.Counter(key).Add(by.Replica, o.n)
	case "set":
		return at.Set(key).Add(by.Replica, text)
	case "lwwregister":
		return at.LWWRegister(key).Set(by.Replica, by.Stamp, text)
	case "mvregister":
		return at.MVRegister(key).Set(by.Replica, text)
	case "flag":
		return at.Flag(key).Enable(by.Replica)
	case "reset counter":
		return at.Counter(key).Reset()
	case "reset set":
		return at.Set(key).Reset()
	case "reset lwwregister":
		return at.LWWRegister(key).Reset()
	case "reset mvregister":
		return at.MVRegister(key).Reset()
	case "reset flag":
		return at.Flag(key).Disable()
	case "reset map":
		return at.Map(key).Reset()
	case "reset all":
		return m.Reset()
	}
	return at.Remove(key)
}

func ormapOracle(ops ...op) crdttest.Oracle[*ormap, op] {
	return crdttest.Oracle[*ormap, op]{
		New: func() *ormap { return new(ormap) }, Ops: ops, Apply: applyORMap, Got: ormapGot, Want: ormapWant,
	}
}

func TestORMapSpecification(t *testing.T) {
	for name, ops := range map[string][]op{
		"counters": {{do: "counter", elem: "x", n: 3}, {do: "counter", elem: "x", n: -5}, {do: "remove", elem: "x"},
			{do: "counter", elem: "y", n: 1}, {do: "reset counter", elem: "x"}},
		"nested": {{do: "counter", elem: "s.b", n: 3}, {do: "set", elem: "s.b", n: 7}, {do: "remove", elem: "s.b"},
			{do: "remove", elem: "s"}, {do: "reset map", elem: "s"}, {do: "counter", elem: "s", n: 1}},
		"deep": {{do: "set", elem: "a.b.c", n: 1}, {do: "mvregister", elem: "a.b.d", n: 2},
			{do: "remove", elem: "a.b"}, {do: "remove", elem: "a.b.c"}, {do: "reset all"}},
		"kinds": {{do: "set", elem: "x", n: 1}, {do: "lwwregister", elem: "x", n: 2}, {do: "lwwregister", elem: "x", n: 3},
			{do: "mvregister", elem: "x", n: 4}, {do: "flag", elem: "x"}, {do: "remove", elem: "x"}, {do: "reset lwwregister", elem: "x"}},
	} {
		t.Run(name, func(t *testing.T) { exhaust(t, ormapOracle(ops...)) })
	}
	t.Run("everything", func(t *testing.T) {
		var ops []op
		for _, path := range []string{"x", "s.b", "s.c.d"} {
			for _, do := range []string{"counter", "set", "lwwregister", "mvregister", "flag"} {
				ops = append(ops, op{do: do, elem: path, n: 1}, op{do: do, elem: path, n: -2}, op{do: "reset " + do, elem: path})
			}
			ops = append(ops, op{do: "remove", elem: path})
		}
		ops = append(ops, op{do: "remove", elem: "s"}, op{do: "remove", elem: "s.c"}, op{do: "reset map", elem: "s"}, op{do: "reset all"})
		o := ormapOracle(ops...)
		o.Random(t, 14, 4)
	})
}
