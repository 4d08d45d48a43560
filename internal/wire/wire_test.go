package wire_test

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/internal/wire"
)

// write encodes one value of a random shape and returns what reads it back.
func write(t *rapid.T, w *wire.Writer, depth int) (read func(t *rapid.T, r *wire.Reader)) {
	kinds := 8
	if depth == 0 {
		kinds = 7
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		v := rapid.Uint64().Draw(t, "uint")
		w.Uint(v)
		return func(t *rapid.T, r *wire.Reader) { require.Equal(t, v, r.Uint()) }
	case 1:
		v := rapid.Int64().Draw(t, "int")
		w.Int(v)
		return func(t *rapid.T, r *wire.Reader) { require.Equal(t, v, r.Int()) }
	case 2:
		v := rapid.Bool().Draw(t, "bool")
		w.Bool(v)
		return func(t *rapid.T, r *wire.Reader) { require.Equal(t, v, r.Bool()) }
	case 3:
		v := math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
		w.Float(v)
		return func(t *rapid.T, r *wire.Reader) {
			got := r.Float()
			require.True(t, got == v || got != got && v != v)
		}
	case 4:
		v := string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "string"))
		w.String(v)
		return func(t *rapid.T, r *wire.Reader) { require.Equal(t, v, r.String()) }
	case 5:
		v := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
		w.Bytes(v)
		return func(t *rapid.T, r *wire.Reader) { require.True(t, bytes.Equal(v, r.Bytes())) }
	case 6:
		w.Nil()
		return func(t *rapid.T, r *wire.Reader) { require.True(t, r.IsNil()) }
	}
	n := rapid.IntRange(0, 20).Draw(t, "items")
	w.Array(n)
	items := make([]func(*rapid.T, *wire.Reader), n)
	for i := range items {
		items[i] = write(t, w, depth-1)
	}
	return func(t *rapid.T, r *wire.Reader) {
		require.Equal(t, n, r.Array())
		for _, item := range items {
			item(t, r)
		}
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := wire.NewWriter([]byte("prefix"))
		read := write(t, w, 3)
		b := w.Done()
		require.Equal(t, "prefix", string(b[:6]))
		b = b[6:]
		require.NoError(t, wire.Check(b))

		r, err := wire.NewReader(b)
		require.NoError(t, err)
		read(t, r)
		require.NoError(t, r.Close())

		r, err = wire.NewReader(b)
		require.NoError(t, err)
		require.Equal(t, b, r.Raw())
		require.NoError(t, r.Close())

		for cut := range b {
			require.Error(t, wire.Check(b[:cut]), "a prefix is never a value")
		}
		require.Error(t, wire.Check(append(b, 0)), "trailing bytes")
	})
}

func TestTheLibraryReadsWhatWeWrite(t *testing.T) {
	w := wire.NewWriter(nil)
	w.Array(4)
	w.Uint(300)
	w.Int(-7)
	w.String("milk")
	w.Bytes([]byte{1, 2})
	var got []any
	require.NoError(t, msgpack.Unmarshal(w.Done(), &got))
	require.Equal(t, []any{uint16(300), int8(-7), "milk", []byte{1, 2}}, got)
}

func TestTrap31_ClaimsCostNothing(t *testing.T) {
	nested := bytes.Repeat([]byte{0x91}, 1<<20)
	for name, b := range map[string][]byte{
		"array of 4 Gi":     {0xdd, 0xff, 0xff, 0xff, 0xff},
		"map of 4 Gi":       {0xdf, 0xff, 0xff, 0xff, 0xff},
		"string of 4 GiB":   {0xdb, 0xff, 0xff, 0xff, 0xff},
		"binary of 4 GiB":   {0xc6, 0xff, 0xff, 0xff, 0xff},
		"a million levels":  nested,
		"array as map key":  {0x81, 0x91, 0x01, 0x01},
		"extension":         {0xd4, 0x01, 0x00},
		"float32":           {0xca, 0, 0, 0, 0},
		"never used code":   {0xc1},
		"long form of 1":    {0xcc, 0x01},
		"long form of -1":   {0xd0, 0xff},
		"int form of 200":   {0xd1, 0x00, 0xc8},
		"long string head":  {0xd9, 0x01, 'a'},
		"long array head":   {0xdc, 0x00, 0x01, 0x01},
		"long binary head":  {0xc5, 0x00, 0x01, 'a'},
		"string not UTF-8":  {0xa1, 0xff},
		"another NaN":       {0xcb, 0xff, 0xf8, 0, 0, 0, 0, 0, 0},
		"nothing":           {},
		"two values":        {0x01, 0x01},
		"cut in the number": {0xcd, 0x01},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := wire.NewReader(b)
			runtime.ReadMemStats(&after)
			_, ok := errors.AsType[*wire.Error](err)
			require.True(t, ok, "%v", err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
		})
	}
}

func TestDepthIsBounded(t *testing.T) {
	ok := append(bytes.Repeat([]byte{0x91}, wire.MaxDepth), 0x01)
	require.NoError(t, wire.Check(ok))
	require.Error(t, wire.Check(append([]byte{0x91}, ok...)))
}

func TestReaderIsTypedAndSticky(t *testing.T) {
	r, err := wire.NewReader([]byte{0x92, 0xd0, 0x80, 0x01})
	require.NoError(t, err)
	require.Equal(t, 2, r.Array())
	require.Zero(t, r.Uint(), "-128 must not wrap into a uint64")
	first := r.Err()
	require.Error(t, first)
	require.Zero(t, r.Uint())
	require.Empty(t, r.String())
	require.Equal(t, first, r.Close(), "the first failure stays")

	r, err = wire.NewReader([]byte{0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	require.NoError(t, err)
	require.Zero(t, r.Int(), "2^64-1 must not wrap into an int64")
	require.Error(t, r.Err())

	r, err = wire.NewReader([]byte{0x92, 0x01, 0x02})
	require.NoError(t, err)
	require.False(t, r.ArrayOf(3))
	r, err = wire.NewReader([]byte{0x92, 0x01, 0x02})
	require.NoError(t, err)
	require.True(t, r.ArrayOf(2))
	require.EqualValues(t, 1, r.Uint())
	require.Error(t, r.Close(), "one value is unread")

	r, err = wire.NewReader([]byte{0xc4, 0x01, 'a'})
	require.NoError(t, err)
	require.Empty(t, r.String(), "valid UTF-8 has one form, the string")
	require.Error(t, r.Err())
}

func TestCheckAllocatesNothing(t *testing.T) {
	w := wire.NewWriter(nil)
	w.Array(1000)
	for i := range 1000 {
		w.Uint(uint64(i))
	}
	b := w.Done()
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = wire.Check(b) }))
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte{0x92, 0x01, 0xa1, 'a'})
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if wire.Check(b) != nil {
			return
		}
		// What passed is canonical: copied value by value it gives the same bytes.
		r, err := wire.NewReader(b)
		require.NoError(t, err)
		w := wire.NewWriter(nil)
		for range len(b) {
			if r.Offset() == len(b) {
				break
			}
			copyValue(t, w, r, b[r.Offset()])
		}
		require.NoError(t, r.Close())
		require.Equal(t, b, w.Done())
	})
}

func copyValue(t *testing.T, w *wire.Writer, r *wire.Reader, c byte) {
	switch {
	case c&0xf0 == 0x90, c == 0xdc, c == 0xdd:
		w.Array(r.Array())
	case c <= 0x7f, c >= 0xcc && c <= 0xcf:
		w.Uint(r.Uint())
	case c >= 0xe0, c >= 0xd0 && c <= 0xd3:
		w.Int(r.Int())
	case c == 0xc0:
		require.True(t, r.IsNil())
		w.Nil()
	case c == 0xc2, c == 0xc3:
		w.Bool(r.Bool())
	case c == 0xcb:
		w.Float(r.Float())
	case c >= 0xc4 && c <= 0xc6:
		w.Bytes(r.Bytes())
	default:
		w.String(r.String())
	}
}

func BenchmarkCheck(b *testing.B) {
	w := wire.NewWriter(nil)
	w.Array(10000)
	for i := range 10000 {
		w.Array(2)
		w.String("an element of a set")
		w.Uint(uint64(i))
	}
	buf := w.Done()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		_ = wire.Check(buf)
	}
}

func BenchmarkReader(b *testing.B) {
	w := wire.NewWriter(nil)
	w.Array(10000)
	for i := range 10000 {
		w.Uint(uint64(i))
	}
	buf := w.Done()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		r, _ := wire.NewReader(buf)
		for range r.Array() {
			r.Uint()
		}
	}
}
