package vclock

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/internal/wire"
)

var (
	_ encoding.BinaryAppender    = (*Clock)(nil)
	_ encoding.BinaryUnmarshaler = (*Clock)(nil)
	_ encoding.BinaryAppender    = (*Context)(nil)
	_ encoding.BinaryUnmarshaler = (*Context)(nil)
	_ encoding.BinaryAppender    = Timestamp{}
	_ encoding.BinaryUnmarshaler = (*Timestamp)(nil)
	_ encoding.TextAppender      = ReplicaID{}
	_ encoding.TextMarshaler     = ReplicaID{}
	_ encoding.TextUnmarshaler   = (*ReplicaID)(nil)
)

func encoded(t require.TestingT, v encoding.BinaryAppender) []byte {
	b, err := v.AppendBinary([]byte("prefix"))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(b, []byte("prefix")))
	return b[len("prefix"):]
}

// build writes an encoding by hand.
func build(write func(w *wire.Writer)) []byte {
	w := wire.NewWriter(nil)
	write(w)
	return w.Done()
}

// body is an envelope of the current version around hand-written content.
func body(write func(w *wire.Writer)) []byte {
	return build(func(w *wire.Writer) { w.Array(2); w.Uint(1); write(w) })
}

func hostile() map[string][]byte {
	return map[string][]byte{
		"empty":                  {},
		"array of 4 billion":     {0xdd, 0xff, 0xff, 0xff, 0xff},
		"array of 4 billion in":  {0x92, 0x01, 0xdd, 0xff, 0xff, 0xff, 0xff},
		"map of 4 billion":       {0x92, 0x01, 0xdf, 0xff, 0xff, 0xff, 0xff},
		"binary of 4 billion":    {0x92, 0x01, 0x92, 0xc6, 0xff, 0xff, 0xff, 0xff},
		"deep":                   bytes.Repeat([]byte{0x91}, 100_000),
		"extension":              {0x92, 0x01, 0xd4, 0x00, 0x00},
		"trailing":               append(build(func(w *wire.Writer) { w.Array(2); w.Uint(1); w.Array(0) }), 0xc0),
		"wide integer":           {0x92, 0xcc, 0x01, 0x90},
		"no version":             {0x90},
		"version zero":           {0x92, 0x00, 0x90},
		"three in an envelope":   {0x93, 0x01, 0x90, 0x90},
		"body missing":           {0x91, 0x01},
		"body is nil":            {0x92, 0x01, 0xc0},
		"body is a number":       {0x92, 0x01, 0x05},
		"version is a string":    {0x92, 0xa1, 'x', 0x90},
		"version is negative":    {0x92, 0xff, 0x90},
		"one element of a pair":  {0x92, 0x01, 0x91, 0x05},
		"pairs of the wrong kin": {0x92, 0x01, 0x92, 0x05, 0x05},
	}
}

func TestClockRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(anyID().Filter(func(r ReplicaID) bool { return !r.IsZero() }), 0, 20, rapid.ID).Draw(t, "ids")
		var c, back Clock
		for _, r := range ids {
			c.Merge(&Clock{entries: []entry{{r, rapid.Uint64Min(1).Draw(t, "seq")}}})
		}
		require.NoError(t, back.UnmarshalBinary(encoded(t, &c)))
		require.Equal(t, Equal, c.Compare(&back))
		require.Equal(t, encoded(t, &c), encoded(t, &back))
	})
}

func TestContextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := anyUniverse().Draw(t, "universe")
		m := u.set().Draw(t, "set")
		var back Context
		require.NoError(t, back.UnmarshalBinary(encoded(t, m.context())))
		requireContext(t, m, &back)
	})
	rapid.Check(t, func(t *rapid.T) {
		var c, back Context
		for range rapid.IntRange(0, 20).Draw(t, "spans") {
			lo := rapid.Uint64Min(1).Draw(t, "lo")
			c.AddSpan(Span{anyID().Draw(t, "id"), lo, rapid.Uint64Min(lo).Draw(t, "hi")})
		}
		require.NoError(t, back.UnmarshalBinary(encoded(t, &c)))
		require.Equal(t, Equal, c.Compare(&back))
	})
}

func TestTimestampRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stamp := Timestamp{rapid.Int64().Draw(t, "wall"), rapid.Uint32().Draw(t, "logical"), anyID().Draw(t, "id")}
		var back Timestamp
		require.NoError(t, back.UnmarshalBinary(encoded(t, stamp)))
		require.Equal(t, stamp, back)
	})
}

func TestComposedRoundTrip(t *testing.T) {
	stamp := Timestamp{Wall: -1, Logical: 2, Replica: Named("tokyo")}
	var clock Clock
	var ctx Context
	clock.Tick(Named("paris"))
	ctx.AddSpan(Span{Named("tokyo"), 3, 9})
	r, err := wire.NewReader(build(func(w *wire.Writer) {
		w.Array(4)
		Named("paris").appendWire(w)
		stamp.appendWire(w)
		clock.appendWire(w)
		ctx.appendWire(w)
	}))
	require.NoError(t, err)
	r.ArrayOf(4)
	require.Equal(t, Named("paris"), readReplicaID(r))
	require.Equal(t, stamp, readTimestamp(r))
	require.Equal(t, clock.String(), readClock(r).String())
	require.Equal(t, &ctx, readContext(r))
	require.NoError(t, r.Close())
	require.NotNil(t, readClock(r), "a reader that failed gives zero values, not nil")
	require.NotNil(t, readContext(r))
	require.True(t, readTimestamp(r).IsZero() && readReplicaID(r).IsZero())
}

func TestClockDecodeIsStrict(t *testing.T) {
	text := func(w *wire.Writer) { w.String("a"); w.Uint(1) }
	negative := func(w *wire.Writer) { w.Bytes([]byte("a")); w.Int(-1) }
	raw := func(id string) func(w *wire.Writer) {
		return func(w *wire.Writer) { w.Bytes([]byte(id)); w.Uint(1) }
	}
	for _, bad := range []refusal{
		{"sequence number zero", parts{pair("a", 0)}},
		{"zero replica", parts{pair("", 1)}},
		{"replicas not sorted", parts{pair("b", 1), pair("a", 1)}},
		{"replicas not sorted", parts{pair("a", 1), pair("a", 1)}},
		{"not the bytes of a replica id", parts{raw("a\x00")}},
		{"not the bytes of a replica id", parts{raw("seventeen--bytes!")}},
		{"expected a binary", parts{text}},
		{"expected an unsigned integer", parts{negative}},
		{"expected a binary", parts{pair("a", 1), text}},
	} {
		var c Clock
		c.Tick(Named("before"))
		bad.check(t, "clock", &c)
		require.Equal(t, "{before:1}", c.String())
	}
}

func TestContextDecodeIsStrict(t *testing.T) {
	const top = math.MaxUint64
	for _, bad := range []refusal{
		{"zero replica", parts{runs("", 0, 0)}},
		{"replicas not sorted", parts{runs("b", 0, 0), runs("a", 0, 0)}},
		{"replicas not sorted", parts{runs("a", 0, 0), runs("a", 1, 0)}},
		{"replica without events", parts{runs("a")}},
		{"array of pairs with an odd length", parts{runs("a", 0)}},
		{"sequence number out of range", parts{runs("a", top, 0)}},
		{"sequence number out of range", parts{runs("a", 0, top)}},
		{"sequence number out of range", parts{runs("a", 0, 0, top-2, 0)}},
		{"sequence number out of range", parts{runs("a", 0, top-2, 0, 0)}},
		{"sequence number out of range", parts{runs("a", 0, top-1, 0, 0)}},
		{"expected an array", parts{pair("a", 1)}},
	} {
		var c Context
		c.Add(Dot{Named("before"), 3})
		bad.check(t, "context", &c)
		require.Equal(t, "{before:3}", c.String())
	}
}

func TestContextDecodesTheLastEvents(t *testing.T) {
	const top = math.MaxUint64
	var c Context
	require.NoError(t, c.UnmarshalBinary(parts{runs("a", 0, top-1)}.encode()))
	require.Equal(t, "{a:1-18446744073709551615}", c.String())
	require.NoError(t, c.UnmarshalBinary(parts{runs("a", 0, top-3, 0, 0)}.encode()))
	require.Equal(t, "{a:1-18446744073709551613,18446744073709551615}", c.String())
}

func TestTimestampDecodeIsStrict(t *testing.T) {
	for name, write := range map[string]func(*wire.Writer){
		"logical time out of range": func(w *wire.Writer) {
			w.Array(3)
			w.Int(1)
			w.Uint(math.MaxUint32 + 1)
			w.Bytes(nil)
		},
		"array of another length": func(w *wire.Writer) { w.Array(0) },
		"integer out of range": func(w *wire.Writer) {
			w.Array(3)
			w.Uint(math.MaxUint64)
			w.Uint(0)
			w.Bytes(nil)
		},
	} {
		stamp := Timestamp{Wall: 5}
		err := stamp.UnmarshalBinary(body(write))
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, "corrupt timestamp")
		require.Equal(t, Timestamp{Wall: 5}, stamp)
	}
}

// parts are hand-written pairs of a clock or a context.
type parts []func(*wire.Writer)

func (p parts) encode() []byte {
	return body(func(w *wire.Writer) {
		w.Array(2 * len(p))
		for _, write := range p {
			write(w)
		}
	})
}

// refusal is content and the reason for which it is refused.
type refusal struct {
	reason string
	parts  parts
}

func (bad refusal) check(t *testing.T, kind string, v encoding.BinaryUnmarshaler) {
	var corrupt *CorruptError
	require.ErrorAs(t, v.UnmarshalBinary(bad.parts.encode()), &corrupt)
	require.Equal(t, kind, corrupt.Type)
	require.Equal(t, bad.reason, corrupt.Reason)
	require.Positive(t, corrupt.Offset)
}

func pair(name string, seq uint64) func(*wire.Writer) {
	return func(w *wire.Writer) {
		Named(name).appendWire(w)
		w.Uint(seq)
	}
}

func runs(name string, numbers ...uint64) func(*wire.Writer) {
	return func(w *wire.Writer) {
		Named(name).appendWire(w)
		w.Array(len(numbers))
		for _, n := range numbers {
			w.Uint(n)
		}
	}
}

func TestNewerVersionIsNotCorrupt(t *testing.T) {
	for name, data := range map[string][]byte{
		"same shape":  {0x92, 0x02, 0x90},
		"other shape": {0x94, 0x02, 0x90, 0xc0, 0xc3},
		"far ahead":   build(func(w *wire.Writer) { w.Array(2); w.Uint(math.MaxUint64); w.Nil() }),
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []encoding.BinaryUnmarshaler{new(Clock), new(Context), new(Timestamp)} {
				err := v.UnmarshalBinary(data)
				require.ErrorIs(t, err, ErrVersion)
				require.NotErrorAs(t, err, new(*CorruptError))
			}
		})
	}
}

func TestDecodingKeepsNoReference(t *testing.T) {
	var c Context
	c.Add(Dot{Named("paris"), 3})
	data := encoded(t, &c)
	var back Context
	require.NoError(t, back.UnmarshalBinary(data))
	clear(data)
	require.Equal(t, &c, &back)
}

// Encodings that every later version must read, and this one write: only ever append here.
func TestGoldenEncodings(t *testing.T) {
	paris, tokyo := Named("paris"), Named("tokyo")
	var fresh ReplicaID
	require.NoError(t, fresh.UnmarshalText([]byte("paris-9f3ac0e1d27b5a4c8e61")))
	var clock Clock
	clock.Merge(&Clock{entries: []entry{{paris, 1}, {fresh, 70_000}, {tokyo, 300}}})
	var ctx Context
	ctx.AddSpan(Span{paris, 1, 3})
	ctx.Add(Dot{paris, 5})
	ctx.AddSpan(Span{fresh, 1, 1000})
	ctx.AddSpan(Span{tokyo, 2, math.MaxUint64})
	for _, golden := range []struct {
		hex   string
		value encoding.BinaryAppender
	}{
		{"920190", new(Clock)},
		{"920196c405706172697301c4107061726973009f3ac0e1d27b5a4c8e61ce00011170c405746f6b796fcd012c", &clock},
		{"920190", new(Context)},
		{"920196c40570617269739400020000c4107061726973009f3ac0e1d27b5a4c8e619200cd03e7c405746f6b796f9201cffffffffffffffffd", &ctx},
		{"920193cf1898b5d9d1a3e50002c4057061726973", Timestamp{1_772_366_400_500_000_000, 2, paris}},
		{"920193ff00c400", Timestamp{Wall: -1}},
	} {
		require.Equal(t, golden.hex, hex.EncodeToString(encoded(t, golden.value)))
	}
}
