package crdt_test

import (
	"fmt"
	"math"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func goldenORMaps(g *golden) {
	var m, o crdt.ORMap[string]
	g.add("empty", &m)
	g.add("delta of an increment", m.Counter("likes").Add(idA, 3))
	fillORMap(&m)
	g.add("a field of each kind, and each again in a map", &m)
	o.Merge(&m)
	m.Counter("likes").Add(idA, -300)
	o.Set("tags").Add(idLong, "x", "\xff")
	o.LWWRegister("title").Set(idB, vclock.Timestamp{Wall: 6, Replica: idC}, "by the clock of another")
	m.MVRegister("text").Set(idA, "sibling")
	o.MVRegister("text").Set(idB, "")
	m.Flag("on").Enable(idB)
	m.LWWRegister("title").Set(idA, vclock.Timestamp{Wall: -5, Replica: idA}, "late")
	m.Merge(&o)
	g.add("written at the same time: several dots in each", &m)
	g.add("delta of a removal: a context and no field", m.Remove("profile"))
	g.add("what one lacks that has seen some of a", m.Delta(spanOf("a", 2, 4)))
	m.Counter("tags").Add(idB, math.MinInt64)
	g.add("a counter and a set under one key", &m)
	goldenFolds(g)
	g.add("as deep as maps go", deepest())
	goldenORMapRefusals(g)
}

// fillORMap writes each kind of field, also into a map.
func fillORMap(m *crdt.ORMap[string]) {
	m.Set("tags").Add(idA, "x", "y")
	m.LWWRegister("title").Set(idB, vclock.Timestamp{Wall: 5, Logical: math.MaxUint32, Replica: idB}, "first")
	m.MVRegister("text").Set(idA, "a")
	m.Flag("on").Enable(idA)
	profile := m.Map("profile")
	profile.Counter("n").Add(idLong, math.MaxInt64)
	profile.Counter("n").Add(idLong, 1)
	profile.Set("").Add(idB, "")
	profile.LWWRegister("r").Set(idA, vclock.Timestamp{Wall: -1}, "by nobody, before 1970")
	profile.MVRegister("v").Set(idA, "\x80")
	profile.Flag("f").Enable(idC)
	profile.Map("m").Counter("n").Add(idA, -1)
}

func goldenFolds(g *golden) {
	var m crdt.ORMap[string]
	for n := range int64(4) {
		m.Counter("n").Add(idA, n-1)
		m.Counter("n").Add(idB, 10)
	}
	g.add("delta of a fold", m.Fold(idA, m.Context()))
	m.Counter("n").Add(idA, 100)
	g.add("folded, and counted on", &m)
	m.Fold(idA, m.Context())
	g.add("folded again: the fold before is one of the folded", &m)
	var zero crdt.ORMap[string]
	zero.Counter("n").Add(idA, 5)
	zero.Flag("between").Enable(idA)
	zero.Counter("n").Add(idA, -5)
	zero.Fold(idA, zero.Context())
	g.add("a fold that counts 0, of events that are not neighbours", &zero)
}

// deepest has a set as far down as there may be fields.
func deepest() *crdt.ORMap[string] {
	m := new(crdt.ORMap[string])
	at := m.Map("1")
	for i := 2; i < crdt.MapDepth; i++ {
		at = at.Map(fmt.Sprint(i))
	}
	at.Set("last").Add(idA, "x")
	return m
}

func goldenORMapRefusals(g *golden) {
	x, y := raw(0xa1, 'x'), raw(0xa1, 'y')
	one, three := raw(0x91, 0x93, id(idA), 0, 0), raw(0x91, 0x93, id(idA), 0, 2)
	const counter, set, lww, mv, flag, sub = 1, 2, 3, 4, 5, 6
	plain := raw(0x94, 0, 1, 5, 0x90)
	refuse := func(reason string, context []byte, fields ...any) {
		g.refuse(reason, raw(0x94, 17, 1, context, raw(fields...)))
	}
	deep := raw(0x93, x, flag, raw(0x92, 0, 1))
	for range crdt.MapDepth {
		deep = raw(0x93, x, sub, deep)
	}
	refuse("maps nested too deep", one, deep)
	refuse("no such kind of field", one, 0x93, x, 7, plain)
	refuse("fields out of order", three, 0x96, y, counter, plain, x, flag, 0x92, 0, 2)
	refuse("fields out of order: kinds", three, 0x96, x, flag, 0x92, 0, 2, x, counter, plain)
	refuse("field with nothing in it", one, 0x93, x, sub, 0x90)
	refuse("element without dots", one, 0x93, x, set, 0x92, x, 0x90)
	refuse("elements out of order", three, 0x93, x, set, 0x94, y, 0x92, 0, 1, x, 0x92, 0, 2)
	refuse("entry without a count", one, 0x93, x, counter, 0x94, 0, 1, 0, 0x90)
	refuse("dot outside of the context", one, 0x93, x, flag, 0x92, 0, 2)
	refuse("dots out of order", three, 0x93, x, flag, 0x94, 0, 2, 0, 1)
	refuse("dot lives twice", three, 0x96, x, counter, plain, y, flag, 0x92, 0, 1)
	refuse("dot lives twice: folded and not", three, 0x96, x, counter, 0x94, 0, 3, 1, 0x92, 1, 1, y, flag, 0x92, 0, 2)
	refuse("folded events out of order", three, 0x93, x, counter, 0x94, 0, 3, 1, 0x92, 1, 0)
	refuse("folded events out of order: not before the fold", three, 0x93, x, counter, 0x94, 0, 3, 1, 0x91, 3)
	refuse("dot outside of the context: folded", raw(0x91, 0x93, id(idA), 1, 1), 0x93, x, counter, 0x94, 0, 3, 1, 0x91, 1)
	refuse("replica of the dot written out", one, 0x93, x, lww, 0x96, 0, 1, 0, 0, id(idA), x)
	refuse("expected a string", one, 0x93, x, mv, 0x93, 0, 1, 5)
	refuse("incomplete record", one, 0x93, x, counter, 0x93, 0, 1, 5)
}

func goldenORMapsOfNumbers(g *golden) {
	var m crdt.ORMap[int8]
	m.Counter(127).Add(idA, 1)
	m.Map(-128).Flag(-1).Enable(idB)
	g.add("numbers as keys", &m)
	g.refuse("integer out of range", 0x94, 17, 1, raw(0x91, 0x93, id(idA), 0, 0), 0x93, 0xcc, 128, 5, 0x92, 0, 1)
}

// goldenRest writes to the kinds that goldenValue leaves out.
func goldenRest(g *golden, v *crdt.Value) {
	at := vclock.Timestamp{Wall: 9, Replica: idB}
	ensured[*crdt.MaxRegister[int64]](g, v).Set(5)
	ensured[*crdt.MinRegister[int64]](g, v).Set(-5)
	ensured[*crdt.TwoPhaseSet[string]](g, v).Add("x")
	ensured[*crdt.RWSet[string]](g, v).Add(idA, "x")
	ensured[*crdt.LWWSet[string]](g, v).Add(at, "x")
	ensured[*crdt.EWFlag](g, v).Enable(idA)
	ensured[*crdt.DWFlag](g, v).Disable(idA)
	ensured[*crdt.LWWMap[string, string]](g, v).Set(at, "k", "v")
	ensured[*crdt.Log[string]](g, v).Append(at, "line")
	ensured[*crdt.BoundedCounter](g, v).Increment(idA, 5)
	ensured[*crdt.ORMap[string]](g, v).Map("m").Set("s").Add(idA, "x")
}

func ensured[P crdt.State[P]](t require.TestingT, v *crdt.Value) P {
	state, err := crdt.Ensure[P](crdt.Standard(), v)
	require.NoError(t, err)
	return state
}
