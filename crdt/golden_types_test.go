package crdt_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func goldenMaxRegisters(g *golden) {
	var r crdt.MaxRegister[int64]
	g.add("unset", &r)
	for _, n := range []int64{math.MinInt64, -129, -1, 0, 128, math.MaxInt64} {
		r.Set(n)
		g.add(fmt.Sprint("raised to ", n), &r)
	}
	g.refuse("wrong number of fields", 0x94, 7, 1, 0, 1)
	g.refuse("expected an integer", 0x93, 7, 1, 0xa1, 'x')
	g.refuse("integer out of range", 0x93, 7, 1, 0xcf, 0x80, make([]byte, 7))
	g.refuse("newer than 1", 0x92, 7, 2)
	g.refuse("the type tag is 8", 0x92, 8, 1)
}

func goldenMaxRegistersOfText(g *golden) {
	var r crdt.MaxRegister[string]
	g.add("the empty string is set", r.Set(""))
	r.Set("z")
	g.add("what is not UTF-8, and greater than any that is", r.Set("\xff"))
	g.refuse("string written as a binary", 0x93, 7, 1, 0xc4, 1, 'a')
}

func goldenMaxRegistersOfFloats(g *golden) {
	var r crdt.MaxRegister[float64]
	r.Set(-1.5)
	g.add("below zero", &r)
	r.Set(math.Copysign(0, -1))
	g.add("minus zero", &r)
	g.add("zero, which is greater", r.Set(0))
	g.refuse("expected a float", 0x93, 7, 1, 0)
}

func goldenMinRegisters(g *golden) {
	var r crdt.MinRegister[int64]
	g.add("unset", &r)
	for _, n := range []int64{math.MaxInt64, 255, -32, -33, math.MinInt64} {
		r.Set(n)
		g.add(fmt.Sprint("lowered to ", n), &r)
	}
	g.refuse("wrong number of fields", 0x94, 8, 1, 0, 1)
	g.refuse("expected an integer", 0x93, 8, 1, 0xc0)
}

func goldenMinRegistersOfBytes(g *golden) {
	var r crdt.MinRegister[[]byte]
	r.Set([]byte{0, 1})
	g.add("two bytes", &r)
	g.add("none", r.Set([]byte{}))
	g.refuse("expected a binary", 0x93, 8, 1, 0xa1, 'x')
}

func goldenTwoPhaseSets(g *golden) {
	var s crdt.TwoPhaseSet[string]
	g.add("empty", &s)
	g.add("delta of an addition", s.Add("x", "a", "\xfe"))
	g.add("delta of a removal, also of what was not in", s.Remove("a", "new"))
	g.add("in and removed", &s)
	s.Reset()
	g.add("after a reset: all removed", &s)
	g.refuse("element both in and out", 0x94, 9, 1, 0x91, 0xa1, 'x', 0x91, 0xa1, 'x')
	g.refuse("elements out of order", 0x94, 9, 1, 0x90, 0x92, 0xa1, 'b', 0xa1, 'a')
	g.refuse("wrong number of fields", 0x93, 9, 1, 0x90)
}

func goldenTwoPhaseSetsOfNumbers(g *golden) {
	var s crdt.TwoPhaseSet[int64]
	s.Add(300, -5, math.MaxInt64)
	s.Remove(math.MinInt64, 0)
	g.add("numbers in order of size", &s)
}

func goldenRWSets(g *golden) {
	var s, o crdt.RWSet[string]
	g.add("empty", &s)
	g.add("delta of two additions", s.Add(idA, "x", "y"))
	o.Merge(&s)
	o.Remove(idB, "x", "\xff never in")
	g.add("removals that ended an addition, and one of what was not in", &o)
	s.Add(idA, "x")
	o.Add(idLong, "z")
	o.Merge(&s)
	g.add("x added and removed at the same time: out", &o)
	g.add("what one lacks that has seen all of b", o.Delta(spanOf("b", 1, 2)))
	g.add("delta of adding it again, over both", o.Add(idC, "x"))
	g.add("delta of a reset: a context and no element", o.Reset())
	var gaps crdt.RWSet[string]
	for _, e := range []string{"1", "2", "3", "4", "5"} {
		if d := s.Add(idC, e); e != "2" && e != "4" {
			gaps.Merge(d)
		}
	}
	g.add("runs with gaps", &gaps)
	one, two := raw(0x91, 0x93, id(idA), 0, 0), raw(0x91, 0x93, id(idA), 0, 1)
	far := []byte{0xcf, 0, 0, 1, 0, 0, 0, 0, 0}
	g.append("an event far from the others", raw(0x94, 10, 1, 0x91, 0x95, id(idA), 0, 0, far, 0, 0x93, 0xa1, 'x', 0x90, 0x92, 0, far[:8], 2))
	g.refuse("element without dots", 0x94, 10, 1, one, 0x93, 0xa1, 'x', 0x90, 0x90)
	g.refuse("dot lives twice", 0x94, 10, 1, one, 0x93, 0xa1, 'x', 0x92, 0, 1, 0x92, 0, 1)
	g.refuse("elements out of order", 0x94, 10, 1, two, 0x96, 0xa1, 'y', 0x92, 0, 1, 0x90, 0xa1, 'x', 0x92, 0, 2, 0x90)
	g.refuse("dots out of order", 0x94, 10, 1, two, 0x93, 0xa1, 'x', 0x94, 0, 2, 0, 1, 0x90)
	g.refuse("dot outside of the context", 0x94, 10, 1, one, 0x93, 0xa1, 'x', 0x92, 0, 2, 0x90)
	g.refuse("no such replica", 0x94, 10, 1, one, 0x93, 0xa1, 'x', 0x90, 0x92, 1, 1)
	g.refuse("incomplete record", 0x94, 10, 1, one, 0x92, 0xa1, 'x', 0x92, 0, 1)
}

// spanOf has events lo to hi of one replica.
func spanOf(replica string, lo, hi uint64) *vclock.Context {
	c := new(vclock.Context)
	c.AddSpan(vclock.Span{Replica: vclock.Named(replica), Lo: lo, Hi: hi})
	return c
}

func goldenRWSetsOfNumbers(g *golden) {
	var s crdt.RWSet[uint16]
	s.Add(idA, 65535, 300)
	s.Remove(idA, 7)
	g.add("numbers in order of size, so dots are not", &s)
	g.refuse("integer out of range", 0x94, 10, 1, raw(0x91, 0x93, id(idA), 0, 0), 0x93, 0xce, 0, 1, 0, 0, 0x92, 0, 1, 0x90)
}

func goldenLWWSets(g *golden) {
	var s crdt.LWWSet[string]
	g.add("empty", &s)
	g.add("delta of additions", s.Add(vclock.Timestamp{Wall: 1_700_000_000_000_000_000, Logical: 3, Replica: idB}, "x", "y"))
	s.Remove(vclock.Timestamp{Wall: -1, Replica: idLong}, "\xff")
	g.add("a removal before 1970 of what was not in, two replicas", &s)
	g.add("delta of a removal by a clock that is behind", s.Remove(vclock.Timestamp{Replica: idA}, "x"))
	s.Add(vclock.Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32}, "end")
	g.add("three replicas and nobody, to the end of time", &s)
	g.add("delta of a reset", s.Reset())
	nobody, a := id(vclock.ReplicaID{}), id(idA)
	g.refuse("replica without a write", 0x94, 11, 1, 0x91, nobody, 0x90)
	g.refuse("replicas out of order", 0x94, 11, 1, 0x92, a, nobody, 0x90)
	g.refuse("no such replica", 0x94, 11, 1, 0x91, a, 0x95, 0xa1, 'x', 0, 0, 1, 0xc2)
	g.refuse("elements out of order", 0x94, 11, 1, 0x91, a, 0x9a, 0xa1, 'y', 0, 0, 0, 0xc2, 0xa1, 'x', 0, 0, 0, 0xc2)
	g.refuse("integer out of range", 0x94, 11, 1, 0x91, a, 0x95, 0xa1, 'x', 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0xc2)
	g.refuse("expected a boolean", 0x94, 11, 1, 0x91, a, 0x95, 0xa1, 'x', 0, 0, 0, 0)
	g.refuse("incomplete record", 0x94, 11, 1, 0x91, a, 0x94, 0xa1, 'x', 0, 0, 0)
}

func goldenLWWSetsOfArrays(g *golden) {
	var s crdt.LWWSet[[4]byte]
	s.Add(vclock.Timestamp{Wall: 5, Replica: idA}, [4]byte{1}, [4]byte{0, 0, 0, 255})
	g.add("arrays of bytes", &s)
	g.refuse("binary of another length", 0x94, 11, 1, 0x91, id(idA), 0x95, 0xc4, 1, 7, 0, 0, 0, 0xc2)
}

func goldenEWFlags(g *golden) {
	var f, o crdt.EWFlag
	g.add("off", &f)
	g.add("delta of an enabling", f.Enable(idA))
	o.Enable(idLong)
	o.Enable(idLong)
	g.add("enabled twice by one replica", &o)
	f.Merge(&o)
	g.add("enabled by two at the same time", &f)
	g.add("delta of a disabling: what it ended", f.Disable())
	g.add("off again", &f)
	last := slices.Repeat([]byte{255}, 7)
	g.append("all events that there can be", raw(0x94, 12, 1, 0x91, 0x93, id(idA), 0, 0xcf, last, 254, 0x92, 0, 0xcf, last, 255))
	g.refuse("runs of events overlap", 0x94, 12, 1, 0x91, 0x93, id(idA), 0, 0xcf, last, 255, 0x90)
	one := raw(0x91, 0x93, id(idA), 0, 0)
	g.refuse("incomplete record", 0x94, 12, 1, one, 0x91, 0)
	g.refuse("dot outside of the context", 0x94, 12, 1, one, 0x92, 0, 2)
	g.refuse("dots out of order", 0x94, 12, 1, raw(0x91, 0x93, id(idA), 0, 1), 0x94, 0, 2, 0, 1)
	g.refuse("no such replica", 0x94, 12, 1, one, 0x92, 1, 1)
	g.refuse("wrong number of fields", 0x95, 12, 1, one, 0x90, 0x90)
}

func goldenDWFlags(g *golden) {
	var f, o crdt.DWFlag
	g.add("off, and nobody wrote to it", &f)
	g.add("delta of an enabling", f.Enable(idB))
	o.Disable(idA)
	g.add("disabled", &o)
	f.Merge(&o)
	f.Merge(new(crdt.DWFlag).Enable(idLong))
	g.add("disabled and enabled at the same time: off", &f)
	g.add("what one lacks that has seen the disabling", f.Delta(o.Context()))
	f.Enable(idA)
	g.add("enabled over all", &f)
	g.add("delta of a reset", f.Reset())
	g.add("after a reset", &f)
	two := raw(0x91, 0x93, id(idA), 0, 1)
	g.refuse("dot lives twice", 0x95, 13, 1, two, 0x92, 0, 1, 0x94, 0, 1, 0, 2)
	g.refuse("dots out of order", 0x95, 13, 1, two, 0x90, 0x94, 0, 2, 0, 1)
	g.refuse("wrong number of fields", 0x94, 13, 1, two, 0x90)
}

func goldenLWWMaps(g *golden) {
	var m crdt.LWWMap[string, string]
	g.add("empty", &m)
	g.add("delta of a write", m.Set(vclock.Timestamp{Wall: 1_700_000_000_000_000_000, Logical: 3, Replica: idB}, "k", "v"))
	m.Set(vclock.Timestamp{Wall: -7, Replica: idA}, "\xff", "\xfe")
	m.Set(vclock.Timestamp{Wall: 2}, "", strings.Repeat("l", 40))
	g.add("three keys, one write by nobody", &m)
	g.add("delta of a removal, of a key not known", m.Remove(vclock.Timestamp{Wall: 4, Replica: idLong}, "gone"))
	g.add("delta of a reset", m.Reset())
	m.Set(vclock.Timestamp{Wall: 1, Replica: idA}, "k", "a clock that is behind")
	g.add("removed, reset, and set again", &m)
	a := id(idA)
	g.refuse("replica that nothing refers to", 0x94, 14, 1, 0x91, a, 0x90)
	g.refuse("no such kind of write", 0x94, 14, 1, 0x91, a, 0x91, 0x95, 0xa1, 'x', 3, 0, 0, 0)
	g.refuse("wrong number of fields", 0x94, 14, 1, 0x91, a, 0x91, 0x95, 0xa1, 'x', 1, 0, 0, 0)
	g.refuse("wrong number of fields, of a removal", 0x94, 14, 1, 0x91, a, 0x91, 0x96, 0xa1, 'x', 0, 0, 0, 0, 0xa0)
	g.refuse("keys out of order", 0x94, 14, 1, 0x91, a, 0x92, 0x95, 0xa1, 'x', 0, 0, 0, 0, 0x95, 0xa1, 'x', 0, 0, 0, 0)
	g.refuse("no such replica", 0x94, 14, 1, 0x91, a, 0x91, 0x95, 0xa1, 'x', 0, 0, 0, 1)
	g.refuse("replicas out of order", 0x94, 14, 1, 0x92, a, a, 0x90)
}

func goldenLWWMapsOfNumbers(g *golden) {
	var m crdt.LWWMap[int64, []byte]
	m.Set(vclock.Timestamp{Wall: 1, Replica: idA}, 128, []byte{})
	m.Set(vclock.Timestamp{Wall: 1, Replica: idB}, -1, slices.Repeat([]byte{7}, 256))
	g.add("numbers as keys, binaries as values", &m)
}

func goldenLogs(g *golden) {
	var l, o crdt.Log[string]
	g.add("empty", &l)
	g.add("delta of two entries", l.Append(vclock.Timestamp{Wall: 1_700_000_000_000_000_000, Logical: 3, Replica: idB}, "b", "\xff"))
	o.Append(vclock.Timestamp{Wall: math.MinInt64, Replica: idLong}, "the beginning of time")
	o.Append(vclock.Timestamp{Wall: math.MaxInt64, Replica: idA}, "the end")
	g.add("from the beginning of time to its end", &o)
	l.Merge(&o)
	g.add("three replicas", &l)
	l.Append(vclock.Timestamp{Wall: 1, Replica: idC}, "after the end")
	g.add("what one lacks that has seen the second of b", l.Delta(spanOf("b", 2, 2)))
	a, nobody := id(idA), id(vclock.ReplicaID{})
	g.refuse("entries out of order", 0x94, 15, 1, 0x91, a, 0x9a, 5, 1, 0, 1, 0xa0, 0, 0, 0, 2, 0xa0)
	g.refuse("entries out of order: one twice", 0x94, 15, 1, 0x91, a, 0x9a, 5, 0, 0, 1, 0xa0, 0, 0, 0, 1, 0xa0)
	g.refuse("time after the end of time", 0x94, 15, 1, 0x91, a, 0x9a, 5, 0, 0, 1, 0xa0, 0xcf, slices.Repeat([]byte{255}, 8), 0, 0, 2, 0xa0)
	g.refuse("entry without a dot", 0x94, 15, 1, 0x91, a, 0x95, 5, 0, 0, 0, 0xa0)
	g.refuse("the zero replica writes nothing", 0x94, 15, 1, 0x91, nobody, 0x95, 5, 0, 0, 1, 0xa0)
	g.refuse("replica that nothing refers to", 0x94, 15, 1, 0x91, a, 0x90)
	g.refuse("incomplete record", 0x94, 15, 1, 0x91, a, 0x94, 5, 0, 0, 1)
}

func goldenLogsOfNumbers(g *golden) {
	var l crdt.Log[int64]
	l.Append(vclock.Timestamp{Wall: -300, Replica: idA}, -1)
	l.Append(vclock.Timestamp{Wall: 300, Replica: idA}, math.MaxInt64)
	g.add("numbers, over 1970", &l)
	g.add("what one lacks that has seen the first", l.Delta(spanOf("a", 1, 1)))
	g.append("one dot used twice: in order of values", raw(0x94, 15, 1, 0x91, id(idA), 0x9a, 5, 0, 0, 1, 0xff, 0, 0, 0, 1, 7))
}

func goldenBoundedCounters(g *golden) {
	var c crdt.BoundedCounter
	g.add("empty", &c)
	g.add("delta of an increment", c.Increment(idB, 300))
	transfer, err := c.Transfer(idB, idA, 70)
	require.NoError(g, err)
	g.add("delta of a transfer", transfer)
	taken, err := c.Decrement(idA, 30)
	require.NoError(g, err)
	g.add("delta of spending what was received: a row that stands by itself", taken)
	g.add("two replicas", &c)
	g.add("delta of a request", c.Request(idLong, math.MaxUint64))
	c.Grant(idA, idLong, 5)
	c.Grant(idB, idLong, 6)
	c.Increment(idA, math.MaxUint64-1)
	g.add("granted by two, and counted to the limit", &c)
	g.add("what one lacks that has seen all rows of b", c.Delta(spanOf("b", 1, 3)))
	a, both := id(idA), raw(0x92, id(idA), id(idB))
	g.refuse("row that was never written", 0x94, 16, 1, 0x91, a, 0x97, 0, 0, 1, 0, 0, 0x90, 0x90)
	g.refuse("more spent than there was", 0x94, 16, 1, 0x91, a, 0x97, 0, 1, 1, 2, 0, 0x90, 0x90)
	g.refuse("more spent than there was, by a transfer", 0x94, 16, 1, both, 0x97, 0, 1, 1, 0, 0, 0x92, 1, 2, 0x90)
	g.refuse("rows out of order", 0x94, 16, 1, both, 0x9e, 1, 1, 1, 0, 0, 0x90, 0x90, 0, 1, 1, 0, 0, 0x90, 0x90)
	g.refuse("transfer of nothing", 0x94, 16, 1, both, 0x97, 0, 1, 1, 0, 0, 0x92, 1, 0, 0x90)
	g.refuse("transfer to oneself", 0x94, 16, 1, 0x91, a, 0x97, 0, 1, 1, 0, 0, 0x92, 0, 1, 0x90)
	g.refuse("transfers out of order", 0x94, 16, 1, both, 0x97, 0, 1, 9, 0, 0, 0x94, 1, 1, 1, 1, 0x90)
	g.refuse("replica that nothing refers to", 0x94, 16, 1, both, 0x97, 0, 1, 1, 0, 0, 0x90, 0x90)
	g.refuse("the zero replica writes nothing", 0x94, 16, 1, 0x91, id(vclock.ReplicaID{}), 0x97, 0, 1, 1, 0, 0, 0x90, 0x90)
	g.refuse("incomplete record", 0x94, 16, 1, 0x91, a, 0x96, 0, 1, 1, 0, 0, 0x90)
}

func goldenExpiries(g *golden) {
	var e crdt.Expiry
	g.add("never set", &e)
	e.Set(time.UnixMilli(1_700_000_000_123), vclock.Timestamp{Wall: 1_600_000_000_000_000_000, Logical: 3, Replica: idA})
	g.add("set", &e)
	g.add("delta of a reset", e.Reset())
	e.Set(time.UnixMilli(-1).Add(999_999), vclock.Timestamp{Replica: idB})
	g.add("a millisecond before 1970, by a clock that is behind", &e)
	for name, at := range map[string]int64{"the first deadline": -62_135_596_800_000, "the last deadline": 253_402_300_799_999} {
		g.add(name, new(crdt.Expiry).Set(time.UnixMilli(at), vclock.Timestamp{Wall: -1}))
	}
	slices.SortFunc(g.vectors[len(g.vectors)-2:], func(a, b vector) int { return strings.Compare(a.name, b.name) })
	g.refuse("deadline out of range", 0x96, 18, 1, 1, 0, id(idA), 0xcf, []byte{0, 0, 0xe6, 0x77, 0xd2, 0x1f, 0xdc, 0})
	g.refuse("deadline out of range: before", 0x96, 18, 1, 1, 0, id(idA), 0xd3, []byte{255, 255, 0xc7, 0x7c, 0xed, 0xd3, 0x27, 0xff})
	g.refuse("wrong number of fields", 0x93, 18, 1, 0)
	g.refuse("newer than 1", 0x92, 18, 2)
}
