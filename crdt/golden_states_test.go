package crdt_test

import (
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// golden collects vectors of one type.
type golden struct {
	testing.TB
	typ     string
	vectors []vector
}

// goldenState is what vectors are made from.
type goldenState interface {
	encoding.BinaryAppender
	json.Marshaler
}

// add makes a vector of a state.
func (g *golden) add(name string, s goldenState) {
	g.Helper()
	b, err := s.AppendBinary(nil)
	require.NoError(g, err)
	text, err := s.MarshalJSON()
	require.NoError(g, err)
	v := vector{name: name, typ: g.typ, hex: hex.EncodeToString(b), json: string(text)}
	if !silent[goldenFile(g.typ)] {
		m, err := readPlain(g.typ, b)
		require.NoError(g, err)
		v.says = m.says
	}
	g.vectors = append(g.vectors, v)
}

// append makes a vector of bytes that are a state.
func (g *golden) append(name string, b []byte) {
	g.Helper()
	_, text, err := goldenTypes[g.typ](b)
	require.NoError(g, err)
	m, err := readPlain(g.typ, b)
	require.NoError(g, err)
	g.vectors = append(g.vectors, vector{name: name, typ: g.typ, hex: hex.EncodeToString(b), json: string(text), says: m.says})
}

// refuse makes a vector of bytes that are no state. What comes after a comma or colon tells two cases of one reason
// apart.
func (g *golden) refuse(reason string, parts ...any) {
	fail := reason
	if i := strings.IndexAny(reason, ",:"); i > 0 {
		fail = reason[:i]
	}
	g.vectors = append(g.vectors, vector{name: "refused: " + reason, typ: g.typ, hex: hex.EncodeToString(raw(parts...)), fail: fail})
}

func goldenStates(t testing.TB) (vectors []vector) {
	for _, states := range []struct {
		typ  string
		fill func(g *golden)
	}{
		{"GCounter", goldenGCounters},
		{"PNCounter", goldenPNCounters},
		{"GSet of string", goldenGSets},
		{"GSet of int64", goldenInts},
		{"GSet of 4 bytes", goldenArrays},
		{"ORSet of string", goldenORSets},
		{"ORSet of uint16", goldenORSetsOfNumbers},
		{"LWWRegister of string", goldenLWWRegisters},
		{"LWWRegister of float", goldenFloats},
		{"LWWRegister of bool", goldenBools},
		{"MVRegister of string", goldenMVRegisters},
		{"MVRegister of bytes", goldenBlobs},
		{"MaxRegister of int64", goldenMaxRegisters},
		{"MaxRegister of string", goldenMaxRegistersOfText},
		{"MaxRegister of float", goldenMaxRegistersOfFloats},
		{"MinRegister of int64", goldenMinRegisters},
		{"MinRegister of bytes", goldenMinRegistersOfBytes},
		{"TwoPhaseSet of string", goldenTwoPhaseSets},
		{"TwoPhaseSet of int64", goldenTwoPhaseSetsOfNumbers},
		{"RWSet of string", goldenRWSets},
		{"RWSet of uint16", goldenRWSetsOfNumbers},
		{"LWWSet of string", goldenLWWSets},
		{"LWWSet of 4 bytes", goldenLWWSetsOfArrays},
		{"EWFlag", goldenEWFlags},
		{"DWFlag", goldenDWFlags},
		{"LWWMap of string to string", goldenLWWMaps},
		{"LWWMap of int64 to bytes", goldenLWWMapsOfNumbers},
		{"Log of string", goldenLogs},
		{"Log of int64", goldenLogsOfNumbers},
		{"BoundedCounter", goldenBoundedCounters},
		{"ORMap of string", goldenORMaps},
		{"ORMap of int8", goldenORMapsOfNumbers},
		{"Expiry", goldenExpiries},
		{"Value", goldenValues},
		{"Contexts", goldenContexts},
	} {
		g := &golden{TB: t, typ: states.typ}
		states.fill(g)
		vectors = append(vectors, g.vectors...)
	}
	return vectors
}

// idLong fills all 16 bytes, and comes after the others.
var idLong = vclock.ReplicaIDFrom([16]byte(slices.Repeat([]byte{0xff}, 16)))

func goldenGCounters(g *golden) {
	var c crdt.GCounter
	g.add("empty", &c)
	for _, n := range []uint64{1, 127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64} {
		var c crdt.GCounter
		c.Add(idA, n)
		g.add(fmt.Sprintf("one replica counted %d", n), &c)
	}
	c.Add(idB, 2)
	c.Add(idLong, 3)
	g.add("delta of an addition", c.Add(idA, 1))
	g.add("three replicas, in order", &c)
	g.add("delta of a reset", c.Reset())
	c.Add(idA, 300)
	g.add("reset, and counted on", &c)
	for i := range 6 {
		c.Add(vclock.Named(fmt.Sprint("replica-", i)), 1)
	}
	g.add("nine replicas: an array of 27 needs 16 bits", &c)
	a := id(idA)
	g.refuse("entry without a count", 0x93, 1, 1, 0x93, a, 0, 0)
	g.refuse("more reset than counted", 0x93, 1, 1, 0x93, a, 2, 3)
	g.refuse("replicas out of order", 0x93, 1, 1, 0x96, id(idB), 2, 0, a, 1, 0)
	g.refuse("integer not in its shortest form", 0x93, 1, 1, 0x93, a, 0xcc, 1, 0)
	g.refuse("trailing bytes", 0x93, 1, 1, 0x90, 0)
	g.refuse("newer than 1", 0x93, 1, 2, 0x90)
	g.refuse("the type tag is 2", 0x93, 2, 1, 0x90)
}

func goldenPNCounters(g *golden) {
	var c pn
	g.add("empty", &c)
	g.add("delta of an addition", c.Add(idA, 300))
	g.add("delta of a subtraction", c.Add(idB, -7))
	c.Add(idA, -1)
	g.add("one up and down, one only down", &c)
	g.add("delta of a reset", c.Reset())
	c.Add(idLong, math.MinInt64)
	g.add("reset, and 2^63 subtracted", &c)
	g.refuse("entry without a count", 0x93, 2, 1, 0x95, id(idA), 0, 0, 0, 0)
	g.refuse("incomplete record", 0x93, 2, 1, 0x94, id(idA), 1, 0, 0)
}

func goldenGSets(g *golden) {
	var s crdt.GSet[string]
	g.add("empty", &s)
	s.Add("b", "aa", "a", "")
	g.add("elements in order of their bytes", &s)
	s.Add("é", "z\x00", strings.Repeat("l", 32), "\xff not text", "\xc3")
	g.add("text that is not ASCII, a long one, and what is not UTF-8, which is binary", &s)
	for i := range 16 {
		s.Add(fmt.Sprint(i))
	}
	g.add("more than 15 elements", &s)
	g.refuse("elements out of order", 0x93, 3, 1, 0x92, 0xa1, 'b', 0xa1, 'a')
	g.refuse("string written as a binary", 0x93, 3, 1, 0x91, 0xc4, 1, 'a')
	g.refuse("string is not valid UTF-8", 0x93, 3, 1, 0x91, 0xa1, 0xff)
}

func goldenInts(g *golden) {
	var s crdt.GSet[int64]
	s.Add(0, -1, 1, 127, 128, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32-1,
		math.MaxUint32, math.MaxUint32+1, math.MinInt64, math.MaxInt64)
	g.add("integers of each width, in order of size", &s)
	g.refuse("integer out of range", 0x93, 3, 1, 0x91, 0xcf, slices.Repeat([]byte{0xff}, 8))
}

func goldenArrays(g *golden) {
	var s crdt.GSet[[4]byte]
	s.Add([4]byte{1}, [4]byte{0, 2}, [4]byte{255, 255, 255, 255})
	g.add("arrays of bytes, in order of their bytes", &s)
	g.refuse("binary of another length", 0x93, 3, 1, 0x91, 0xc4, 1, 'x')
}

func goldenORSets(g *golden) {
	var s, o set
	g.add("empty", &s)
	g.add("delta of an addition", s.Add(idA, "x"))
	s.Add(idA, "y", "z")
	g.add("three additions of one replica", &s)
	g.add("delta of a removal: a context and no element", s.Remove("y"))
	g.add("after a removal", &s)
	o.Add(idB, "x", "other")
	s.Merge(&o)
	g.add("one element with dots of two replicas", &s)
	g.add("delta of adding again: it takes the place of both dots", s.Add(idB, "x"))
	gaps := new(set)
	for i := range 6 {
		if d := o.Add(idLong, fmt.Sprint(i)); i%2 == 1 {
			gaps.Merge(d)
		}
	}
	g.add("runs with gaps", gaps)
	s.Merge(gaps)
	g.add("what one with gaps lacks", s.Delta(gaps.Context()))
	g.add("delta of a reset", s.Reset())
	g.add("after a reset", &s)
	a := id(idA)
	g.refuse("runs of events overlap", 0x94, 4, 1, 0x91, 0x95, a, 0, 0, 0, 0, 0x90)
	g.refuse("incomplete run of events", 0x94, 4, 1, 0x91, 0x91, a, 0x90)
	g.refuse("dot outside of the context", 0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x91, 0x93, 0xa1, 'x', 0, 2)
	g.refuse("dots out of order", 0x94, 4, 1, 0x91, 0x93, a, 0, 1, 0x91, 0x95, 0xa1, 'x', 0, 2, 0, 1)
	g.refuse("dot lives twice", 0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x92, 0x93, 0xa1, 'x', 0, 1, 0x93, 0xa1, 'y', 0, 1)
	g.refuse("element without dots", 0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x91, 0x91, 0xa1, 'x')
	g.refuse("no such replica", 0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x91, 0x93, 0xa1, 'x', 1, 1)
}

func goldenORSetsOfNumbers(g *golden) {
	var s crdt.ORSet[uint16]
	s.Add(idA, 65535, 0, 300)
	g.add("numbers in order of size, so dots are not", &s)
}

func goldenLWWRegisters(g *golden) {
	var r crdt.LWWRegister[string]
	g.add("unset", &r)
	r.Set(vclock.Timestamp{Wall: 1_700_000_000_000_000_000, Logical: 3, Replica: idA}, "value")
	g.add("set", &r)
	r.Reset()
	g.add("reset", &r)
	r.Set(vclock.Timestamp{Replica: idB}, "later")
	g.add("set after a reset, by a clock that is behind", &r)
	var old crdt.LWWRegister[string]
	old.Set(vclock.Timestamp{Wall: -1}, "")
	g.add("before 1970, by nobody", &old)
	g.refuse("wrong number of fields", 0x93, 5, 1, 0)
	g.refuse("integer out of range", 0x95, 5, 1, 0, 0xcf, []byte{0, 0, 0, 1, 0, 0, 0, 0}, id(idA))
}

func goldenFloats(g *golden) {
	for name, v := range map[string]float64{
		"half": 0.5, "minus zero": math.Copysign(0, -1), "minus infinity": math.Inf(-1), "NaN": math.NaN(),
	} {
		if math.IsInf(v, 0) || v != v {
			continue // has no JSON
		}
		var r crdt.LWWRegister[float64]
		r.Set(vclock.Timestamp{Wall: 1, Replica: idA}, v)
		g.add(name, &r)
	}
	slices.SortFunc(g.vectors, func(a, b vector) int { return strings.Compare(a.name, b.name) })
	g.refuse("not the canonical NaN", 0x96, 5, 1, 1, 0, id(idA), 0xcb, 0x7f, 0xf8, make([]byte, 6))
}

func goldenBools(g *golden) {
	var r crdt.LWWRegister[bool]
	r.Set(vclock.Timestamp{Wall: 1, Replica: idA}, true)
	g.add("true", &r)
}

func goldenMVRegisters(g *golden) {
	var m, o crdt.MVRegister[string]
	g.add("empty", &m)
	g.add("delta of a write", m.Set(idB, "x"))
	o.Set(idA, "y")
	m.Merge(&o)
	g.add("two siblings, in order of dots", &m)
	g.add("delta of a write over both", m.Set(idA, "both"))
	g.add("after it", &m)
	g.add("delta of a blind write", m.Put(idLong, nil, "blind"))
	g.add("what one with the first write lacks", m.Delta(o.Context()))
	g.add("delta of a reset", m.Reset())
	g.add("after a reset", &m)
	one := raw(0x91, 0x93, id(idA), 0, 0)
	g.refuse("dots out of order", 0x94, 6, 1, one, 0x96, 0, 1, 0xa0, 0, 1, 0xa0)
	g.refuse("incomplete record", 0x94, 6, 1, one, 0x92, 0, 1)
}

func goldenBlobs(g *golden) {
	var m crdt.MVRegister[[]byte]
	m.Put(idA, nil, []byte{})
	m.Put(idA, nil, slices.Repeat([]byte{7}, 256))
	g.add("binary of no bytes, and of 256", &m)
}

// goldenValue is a value with a state of each kind.
func goldenValue(g *golden) *crdt.Value {
	v := new(crdt.Value)
	ensure := func(err error) { require.NoError(g, err) }
	up, err := crdt.Ensure[*crdt.GCounter](crdt.Standard(), v)
	ensure(err)
	up.Add(idA, 1)
	c, err := crdt.Ensure[*pn](crdt.Standard(), v)
	ensure(err)
	c.Add(idA, -4)
	grown, err := crdt.Ensure[*crdt.GSet[string]](crdt.Standard(), v)
	ensure(err)
	grown.Add("g")
	s, err := crdt.Ensure[*set](crdt.Standard(), v)
	ensure(err)
	s.Add(idB, "x", "y")
	s.Remove("x")
	r, err := crdt.Ensure[*crdt.LWWRegister[string]](crdt.Standard(), v)
	ensure(err)
	r.Set(vclock.Timestamp{Wall: 9, Replica: idB}, "last")
	m, err := crdt.Ensure[*crdt.MVRegister[string]](crdt.Standard(), v)
	ensure(err)
	m.Set(idC, "v")
	return v
}

func goldenValues(g *golden) {
	g.add("empty: no bytes", new(crdt.Value))
	v := new(crdt.Value)
	s, err := crdt.Ensure[*set](crdt.Standard(), v)
	require.NoError(g, err)
	_, err = crdt.Ensure[*pn](crdt.Standard(), v)
	require.NoError(g, err)
	s.Add(idA, "x")
	g.add("a set, and a counter as new that is left out", v)
	g.add("a state of each kind", goldenValue(g))
	g.add("what one that has the set lacks", goldenValue(g).Delta(v.Contexts()))
	state := bin(raw(0x93, 1, 1, 0x93, id(idA), 1, 0))
	all := goldenValue(g)
	goldenRest(g, all)
	g.add("a state of each of the 17 kinds", all)
	g.refuse("no states", 0x90)
	g.refuse("kinds out of order", 0x94, 1, state, 1, state)
	g.refuse("empty state", 0x92, 1, bin(raw(0x93, 1, 1, 0x90)))
	g.refuse("no kind with tag 60", 0x92, 60, state)
	ensured[*crdt.Expiry](g, all).Set(time.UnixMilli(1_700_000_000_000), vclock.Timestamp{Wall: 9, Replica: idB})
	g.add("a state of each of the 18 kinds: a deadline is not shown", all)
}

func goldenContexts(g *golden) {
	g.add("empty: no bytes", new(crdt.Contexts))
	g.add("of a value with a state of each kind", goldenValue(g).Contexts())
	all := goldenValue(g)
	goldenRest(g, all)
	g.add("of a value with a state of each of the 17 kinds", all.Contexts())
	one := raw(0x91, 0x93, id(idA), 0, 0)
	g.refuse("empty context", 0x94, 63, 1, 4, 0x90)
	g.refuse("kinds out of order", 0x96, 63, 1, 4, one, 4, one)
}
