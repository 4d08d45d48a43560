package crdt_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func seqDecoders() map[string]func(b []byte) error {
	return map[string]func(b []byte) error{
		"LWWMap":         new(crdt.LWWMap[string, string]).UnmarshalBinary,
		"LWWMapInt":      new(crdt.LWWMap[int16, []byte]).UnmarshalBinary,
		"Log":            new(crdt.Log[string]).UnmarshalBinary,
		"LogFloat":       new(crdt.Log[float32]).UnmarshalBinary,
		"BoundedCounter": new(crdt.BoundedCounter).UnmarshalBinary,
	}
}

// What is well-formed and yet no state is refused, each for its own reason.
func TestSeqDecodersCheckTheMeaning(t *testing.T) {
	a, b, zero := id(idA), id(idB), id(vclock.ReplicaID{})
	x, y, most := []byte{0xa1, 'x'}, []byte{0xa1, 'y'}, []byte{0xcf, 255, 255, 255, 255, 255, 255, 255, 255}
	for _, c := range []struct {
		decoder, reason string
		input           []byte
	}{
		{"LWWMap", "wrong number of fields", raw(0x93, 14, 1, 0x90)},
		{"LWWMap", "wrong number of fields", raw(0x94, 14, 1, 0x91, a, 0x91, 0x95, x, 1, 5, 0, 0)},
		{"LWWMap", "wrong number of fields", raw(0x94, 14, 1, 0x91, a, 0x91, 0x96, x, 0, 5, 0, 0, y)},
		{"LWWMap", "wrong number of fields", raw(0x94, 14, 1, 0x91, a, 0x91, 0x96, x, 2, 5, 0, 0, y)},
		{"LWWMap", "no such kind of write", raw(0x94, 14, 1, 0x91, a, 0x91, 0x95, x, 3, 5, 0, 0)},
		{"LWWMap", "no such replica", raw(0x94, 14, 1, 0x91, a, 0x91, 0x95, x, 0, 5, 0, 1)},
		{"LWWMap", "replica that nothing refers to", raw(0x94, 14, 1, 0x92, a, b, 0x91, 0x95, x, 0, 5, 0, 0)},
		{"LWWMap", "replica that nothing refers to", raw(0x94, 14, 1, 0x91, a, 0x90)},
		{"LWWMap", "replicas out of order", raw(0x94, 14, 1, 0x92, b, a, 0x90)},
		{"LWWMap", "replicas out of order", raw(0x94, 14, 1, 0x92, a, a, 0x90)},
		{"LWWMap", "replica identity must have 16 bytes", raw(0x94, 14, 1, 0x91, 0xc4, 1, 7, 0x90)},
		{"LWWMap", "integer out of range", raw(0x94, 14, 1, 0x91, a, 0x91, 0x95, x, 0, 5, most, 0)},
		{"LWWMap", "keys out of order", raw(0x94, 14, 1, 0x91, a, 0x92, 0x95, y, 0, 5, 0, 0, 0x95, x, 0, 5, 0, 0)},
		{"LWWMap", "keys out of order", raw(0x94, 14, 1, 0x91, a, 0x92, 0x95, x, 0, 5, 0, 0, 0x95, x, 0, 6, 0, 0)},
		{"LWWMapInt", "integer out of range", raw(0x94, 14, 1, 0x91, a, 0x91, 0x95, 0xce, 0, 1, 0, 0, 0, 5, 0, 0)},
		{"Log", "wrong number of fields", raw(0x93, 15, 1, 0x90)},
		{"Log", "incomplete record", raw(0x94, 15, 1, 0x91, a, 0x94, 5, 0, 0, 1)},
		{"Log", "entry without a dot", raw(0x94, 15, 1, 0x91, a, 0x95, 5, 0, 0, 0, x)},
		{"Log", "the zero replica writes nothing", raw(0x94, 15, 1, 0x91, zero, 0x95, 5, 0, 0, 1, x)},
		{"Log", "no such replica", raw(0x94, 15, 1, 0x91, a, 0x95, 5, 0, 1, 1, x)},
		{"Log", "replica that nothing refers to", raw(0x94, 15, 1, 0x92, a, b, 0x95, 5, 0, 1, 1, x)},
		{"Log", "integer out of range", raw(0x94, 15, 1, 0x91, a, 0x95, 5, most, 0, 1, x)},
		{"Log", "entries out of order", raw(0x94, 15, 1, 0x91, a, 0x9a, 5, 1, 0, 1, x, 0, 0, 0, 2, x)},
		{"Log", "entries out of order", raw(0x94, 15, 1, 0x91, a, 0x9a, 5, 0, 0, 2, x, 0, 0, 0, 1, x)},
		{"Log", "entries out of order", raw(0x94, 15, 1, 0x91, a, 0x9a, 5, 0, 0, 1, x, 0, 0, 0, 1, x)},
		{"Log", "entries out of order", raw(0x94, 15, 1, 0x91, a, 0x9a, 5, 0, 0, 1, y, 0, 0, 0, 1, x)},
		{"Log", "entries out of order", raw(0x94, 15, 1, 0x92, a, b, 0x9a, 5, 0, 1, 1, x, 0, 0, 0, 1, x)},
		{"Log", "time after the end of time", raw(0x94, 15, 1, 0x91, a, 0x9a, 5, 0, 0, 1, x, most, 0, 0, 2, x)},
		{"LogFloat", "float out of range", raw(0x94, 15, 1, 0x91, a, 0x95, 5, 0, 0, 1, []byte{0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a})},
		{"BoundedCounter", "wrong number of fields", raw(0x93, 16, 1, 0x90)},
		{"BoundedCounter", "incomplete record", raw(0x94, 16, 1, 0x91, a, 0x96, 0, 1, 5, 0, 0, 0x90)},
		{"BoundedCounter", "row that was never written", raw(0x94, 16, 1, 0x91, a, 0x97, 0, 0, 5, 0, 0, 0x90, 0x90)},
		{"BoundedCounter", "the zero replica writes nothing", raw(0x94, 16, 1, 0x91, zero, 0x97, 0, 1, 5, 0, 0, 0x90, 0x90)},
		{"BoundedCounter", "the zero replica writes nothing", raw(0x94, 16, 1, 0x92, zero, a, 0x97, 1, 1, 5, 0, 0, 0x92, 0, 1, 0x90)},
		{"BoundedCounter", "rows out of order", raw(0x94, 16, 1, 0x92, a, b, 0x9e, 1, 1, 5, 0, 0, 0x90, 0x90, 0, 1, 5, 0, 0, 0x90, 0x90)},
		{"BoundedCounter", "rows out of order", raw(0x94, 16, 1, 0x91, a, 0x9e, 0, 1, 5, 0, 0, 0x90, 0x90, 0, 1, 5, 0, 0, 0x90, 0x90)},
		{"BoundedCounter", "more spent than there was", raw(0x94, 16, 1, 0x91, a, 0x97, 0, 1, 5, 6, 0, 0x90, 0x90)},
		{"BoundedCounter", "more spent than there was", raw(0x94, 16, 1, 0x92, a, b, 0x97, 0, 1, 5, 3, 0, 0x92, 1, 3, 0x90)},
		{"BoundedCounter", "more spent than there was", raw(0x94, 16, 1, 0x92, a, b, 0x97, 0, 1, 5, 3, 0, 0x92, 1, most, 0x92, 1, 1)},
		{"BoundedCounter", "row that was written too few times", raw(0x94, 16, 1, 0x91, a, 0x97, 0, 1, 0, 0, 0, 0x90, 0x90)},
		{"BoundedCounter", "row that was written too few times", raw(0x94, 16, 1, 0x91, a, 0x97, 0, 1, 5, 1, 0, 0x90, 0x90)},
		{"BoundedCounter", "row that was written too few times", raw(0x94, 16, 1, 0x91, a, 0x97, 0, 1, 5, 0, 1, 0x90, 0x90)},
		{"BoundedCounter", "row that was written too few times", raw(0x94, 16, 1, 0x92, a, b, 0x97, 0, 3, 5, 1, 1, 0x92, 1, 1, 0x90)},
		{"BoundedCounter", "row that was written too few times", raw(0x94, 16, 1, 0x92, a, b, 0x97, 0, 1, 0, 0, 0, 0x90, 0x92, 1, 1)},
		{"BoundedCounter", "transfer of nothing", raw(0x94, 16, 1, 0x92, a, b, 0x97, 0, 1, 5, 0, 0, 0x92, 1, 0, 0x90)},
		{"BoundedCounter", "transfer to oneself", raw(0x94, 16, 1, 0x91, a, 0x97, 0, 1, 5, 0, 0, 0x90, 0x92, 0, 1)},
		{"BoundedCounter", "transfers out of order", raw(0x94, 16, 1, 0x92, a, b, 0x97, 0, 1, 5, 0, 0, 0x94, 1, 1, 1, 1, 0x90)},
		{"BoundedCounter", "incomplete record", raw(0x94, 16, 1, 0x92, a, b, 0x97, 0, 1, 5, 0, 0, 0x91, 1, 0x90)},
		{"BoundedCounter", "no such replica", raw(0x94, 16, 1, 0x91, a, 0x97, 1, 1, 5, 0, 0, 0x90, 0x90)},
		{"BoundedCounter", "replica that nothing refers to", raw(0x94, 16, 1, 0x91, a, 0x90)},
	} {
		err := seqDecoders()[c.decoder](c.input)
		var corrupt *crdt.CorruptError
		if assert.ErrorAs(t, err, &corrupt, "%s: %s", c.decoder, c.reason) {
			assert.Equal(t, c.reason, corrupt.Reason, c.decoder)
		}
	}
}

// Bytes that were written once are read for ever, and written again alike.
func TestSeqWireForm(t *testing.T) {
	a, b := id(idA), id(idB)
	x, y := []byte{0xa1, 'x'}, []byte{0xa1, 'y'}
	var m crdt.LWWMap[string, string]
	m.Set(vclock.Timestamp{Wall: 5, Logical: 2, Replica: idB}, "y", "x")
	m.Remove(vclock.Timestamp{Wall: -1, Replica: idA}, "x")
	assert.Equal(t, raw(0x94, 14, 1, 0x92, a, b, 0x92, 0x95, x, 0, 0xff, 0, 0, 0x96, y, 1, 5, 2, 1, x), encoded(t, &m))
	var l crdt.Log[string]
	l.Append(stampOf(-3, idB), "x")
	l.Append(stampOf(4, idA), "y")
	assert.Equal(t, raw(0x94, 15, 1, 0x92, a, b, 0x9a, 0xfd, 0, 1, 1, x, 7, 0, 0, 1, y), encoded(t, &l))
	var c crdt.BoundedCounter
	c.Increment(idA, 9)
	c.Transfer(idA, idB, 4)
	c.Decrement(idB, 3)
	c.Request(idB, 2)
	assert.Equal(t, raw(0x94, 16, 1, 0x92, a, b, 0x9e, 0, 2, 9, 0, 0, 0x92, 1, 4, 0x90, 1, 2, 0, 3, 6, 0x90, 0x92, 0, 4),
		encoded(t, &c))
}

func TestTrap31_SeqClaimsCostNothing(t *testing.T) {
	array32 := func(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0xdd}, n) }
	bin32 := func(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0xc6}, n) }
	for tag := byte(14); tag <= 16; tag++ {
		for _, claim := range [][]byte{array32(1 << 30), bin32(1 << 30), bytes.Repeat([]byte{0x91}, 1<<16)} {
			for _, head := range [][]byte{{}, {0x94, tag, 1}, {0x94, tag, 1, 0x90}, {0x94, tag, 1, 0x90, 0x91}} {
				input := slices.Concat(head, claim)
				for name, decode := range seqDecoders() {
					assert.Less(t, allocated(func() { assert.Error(t, decode(input), name) }), uint64(1<<20), name)
				}
			}
		}
	}
}

// Whatever place of a state such a claim is in, it costs nothing.
func TestTrap31_SeqClaimsInEveryPlaceCostNothing(t *testing.T) {
	var m crdt.LWWMap[string, string]
	m.Set(stampOf(5, idA), "x", "value")
	m.Remove(stampOf(6, idB), "y")
	var s crdt.LWWSet[string]
	s.Add(stampOf(5, idA), "x", "y")
	var p crdt.TwoPhaseSet[string]
	p.Add("x", "y")
	p.Remove("y", "z")
	var l crdt.Log[string]
	l.Append(stampOf(5, idA), "x", "y")
	var c crdt.BoundedCounter
	c.Increment(idA, 9)
	c.Transfer(idA, idB, 4)
	c.Decrement(idB, 3)
	var low crdt.MinRegister[string]
	low.Set("x")
	var high crdt.MaxRegister[[]byte]
	high.Set([]byte("x"))
	for _, state := range []interface {
		AppendBinary(b []byte) ([]byte, error)
		UnmarshalBinary(b []byte) error
	}{&m, &s, &p, &l, &c, &low, &high} {
		valid, err := state.AppendBinary(nil)
		assert.NoError(t, err)
		for at := range valid {
			for _, code := range []byte{0xdd, 0xdb, 0xc6} { // array, string, binary of 32 bits
				claim := binary.BigEndian.AppendUint32([]byte{code}, 1<<30)
				input := slices.Concat(valid[:at], claim, valid[at+1:])
				assert.Less(t, allocated(func() { _ = state.UnmarshalBinary(input) }), uint64(1<<20), "%T: %x", state, input)
			}
		}
	}
}

// A nil state reads as an empty one.
func TestSeqNilIsEmpty(t *testing.T) {
	var (
		m *crdt.LWWMap[string, string]
		l *crdt.Log[string]
		c *crdt.BoundedCounter
	)
	assert.False(t, new(crdt.LWWMap[string, string]).Merge(m) || new(crdt.Log[string]).Merge(l) || new(crdt.BoundedCounter).Merge(c))
	assert.True(t, m.Empty() && l.Empty() && c.Empty() && m.Len() == 0 && l.Len() == 0 && c.Value() == 0)
	_, ok := m.Value("x")
	assert.False(t, ok)
	assert.True(t, m.Latest().IsZero() && m.Timestamp("x").IsZero() && l.Latest().IsZero() && !m.Explain("x").Present)
	for range l.All() {
		t.Fatal("an entry")
	}
	for range l.Tail(3) {
		t.Fatal("an entry")
	}
	for range l.Range(stampOf(1, idA), stampOf(2, idA)) {
		t.Fatal("an entry")
	}
	for range m.All() {
		t.Fatal("a key")
	}
	for range c.Requests() {
		t.Fatal("a request")
	}
	assert.Zero(t, c.Rights(idA)+c.Requested(idA))
	assert.Zero(t, m.Context().Len()+l.Context().Len()+c.Context().Len())
	assert.True(t, m.Delta(nil).Empty() && l.Delta(nil).Empty() && c.Delta(nil).Empty())
	for _, v := range []json.Marshaler{m, l, c, m.Clone(), l.Clone(), c.Clone()} {
		_, err := v.MarshalJSON()
		assert.NoError(t, err)
	}
	assert.Equal(t, raw(0x94, 14, 1, 0x90, 0x90), encoded(t, m))
	assert.Equal(t, raw(0x94, 15, 1, 0x90, 0x90), encoded(t, l))
	assert.Equal(t, raw(0x94, 16, 1, 0x90, 0x90), encoded(t, c))
}

// Merging what is known already allocates nothing.
func TestSeqMergingNothingNewAllocatesNothing(t *testing.T) {
	var m crdt.LWWMap[string, string]
	var l crdt.Log[string]
	var c crdt.BoundedCounter
	for i, e := range elems("e", 1000) {
		m.Set(stampOf(int64(i), idA), e, e)
		l.Append(stampOf(int64(i), idA), e)
		c.Increment(vclock.Named(e), 1)
	}
	c.Transfer(vclock.Named("e1"), idA, 1)
	mDelta, lDelta := m.Remove(stampOf(1, idB), "e5"), l.Append(stampOf(1, idB), "last")
	cDelta, _ := c.Decrement(idA, 1)
	mSame, lSame, cSame := m.Clone(), l.Clone(), c.Clone()
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		m.Merge(mDelta)
		m.Merge(mSame)
		l.Merge(lDelta)
		l.Merge(lSame)
		c.Merge(cDelta)
		c.Merge(cSame)
		c.Value()
	}))
}

// A write of one row allocates its delta, in one or two pieces, and now and then room for more rows.
func TestSeqDeltasAreSmall(t *testing.T) {
	var m crdt.LWWMap[string, string]
	var s crdt.LWWSet[string]
	var p crdt.TwoPhaseSet[string]
	var l crdt.Log[string]
	all, n := elems("e", 1000), 0
	p.Add(all...)
	for what, c := range map[string]struct {
		most  float64
		write func()
	}{
		"LWWMap.Set":         {1, func() { m.Set(stampOf(int64(n), idA), "key", "value") }},
		"LWWMap.Remove":      {1, func() { m.Remove(stampOf(int64(n), idA), "key") }},
		"LWWSet.Add":         {2, func() { s.Add(stampOf(int64(n), idA), "element") }},
		"TwoPhaseSet.Remove": {2, func() { p.Remove(all[n%len(all)]) }},
		"Log.Append":         {2, func() { l.Append(stampOf(int64(n), idA), "entry") }},
	} {
		assert.LessOrEqual(t, testing.AllocsPerRun(500, func() { n++; c.write() }), c.most, what)
	}
}

func FuzzLWWMap(f *testing.F) {
	var m crdt.LWWMap[string, string]
	var n crdt.LWWMap[int16, []byte]
	seed(f, &m, m.Set(stampOf(1<<60, idA), "a", "b"), m.Remove(stampOf(3, idB), "\xff"), &m, m.Reset(), &m, n.Set(stampOf(-5, idB), -300, []byte{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[crdt.LWWMap[string, string]](t, b)
		roundTrip[crdt.LWWMap[int16, []byte]](t, b)
	})
}

func FuzzLog(f *testing.F) {
	var l crdt.Log[string]
	var n crdt.Log[float32]
	seed(f, &l, l.Append(stampOf(1<<60, idA), "a", "\xff"), l.Append(stampOf(3, idB), ""), &l, n.Append(stampOf(-5, idB), 0.5, -1))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[crdt.Log[string]](t, b)
		roundTrip[crdt.Log[float32]](t, b)
		var l crdt.Log[string]
		if l.UnmarshalBinary(b) == nil {
			l.CheckInvariants()
		}
	})
}

func FuzzBoundedCounter(f *testing.F) {
	var c crdt.BoundedCounter
	seed(f, &c, c.Increment(idA, 300), c.Request(idB, 7), &c)
	c.Transfer(idA, idB, 70)
	seed(f, &c)
	delta, _ := c.Decrement(idB, 3)
	seed(f, &c, delta)
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[crdt.BoundedCounter](t, b)
		var c crdt.BoundedCounter
		if c.UnmarshalBinary(b) == nil {
			c.CheckInvariants()
		}
	})
}
