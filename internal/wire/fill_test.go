package wire_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/eventual-go/eventual/internal/wire"
)

// written returns what a Writer, and what an encoder of the library, append to nothing.
func written(t *testing.T, ours func(w *wire.Writer), theirs func(e *msgpack.Encoder) error) (a, b []byte) {
	t.Helper()
	w := wire.NewWriter(nil)
	ours(w)
	var buf bytes.Buffer
	require.NoError(t, theirs(msgpack.NewEncoder(&buf)))
	return w.Done(), buf.Bytes()
}

// What is written without the library is what the library writes, at all ends of all forms.
func TestTheLibraryWritesTheSame(t *testing.T) {
	same := func(ours func(w *wire.Writer), theirs func(e *msgpack.Encoder) error) {
		t.Helper()
		a, b := written(t, ours, theirs)
		require.Equal(t, b, a)
	}
	for shift := range 64 {
		for _, n := range []uint64{1<<shift - 1, 1 << shift, 1<<shift + 1} {
			same(func(w *wire.Writer) { w.Uint(n) }, func(e *msgpack.Encoder) error { return e.EncodeUint(n) })
			same(func(w *wire.Writer) { w.Int(int64(n)) }, func(e *msgpack.Encoder) error { return e.EncodeInt(int64(n)) })
		}
	}
	same(func(w *wire.Writer) { w.Uint(math.MaxUint64) }, func(e *msgpack.Encoder) error { return e.EncodeUint(math.MaxUint64) })
	for _, v := range []bool{false, true} {
		same(func(w *wire.Writer) { w.Bool(v) }, func(e *msgpack.Encoder) error { return e.EncodeBool(v) })
	}
	same((*wire.Writer).Nil, (*msgpack.Encoder).EncodeNil)
	for _, n := range lengths {
		b := bytes.Repeat([]byte{0xff}, n)
		same(func(w *wire.Writer) { w.Bytes(b) }, func(e *msgpack.Encoder) error { return e.EncodeBytes(b) })
		if n > 0 { // not valid UTF-8
			same(func(w *wire.Writer) { w.String(string(b)) }, func(e *msgpack.Encoder) error { return e.EncodeBytes(b) })
		}
	}
}

var lengths = []int{0, 1, 15, 16, 255, 256, 257, math.MaxUint16, math.MaxUint16 + 1, 1 << 17}

// A head that is filled in is the head that would have been written first, whatever stands before it and however much
// room there is.
func TestHeadsThatAreFilledIn(t *testing.T) {
	for _, room := range []int{0, 20, 1 << 18} {
		for _, n := range lengths {
			contents := make([]byte, n)
			for i := range contents {
				contents[i] = byte(i*7) & 0x7f
			}
			w := wire.NewWriter([]byte("before"))
			w.Bytes(contents)
			want := w.Done()
			b := append(make([]byte, 0, room), "before"...)
			b = wire.BeginBytes(b)
			at := len(b)
			require.True(t, bytes.Equal(want, wire.EndBytes(append(b, contents...), at)), "%d bytes", n)

			w = wire.NewWriter([]byte("before"))
			w.Array(n)
			w.Raw(contents) // one value each
			want = w.Done()
			b = append(make([]byte, 0, room), "before"...)
			b = wire.BeginArray(b)
			at = len(b)
			require.True(t, bytes.Equal(want, wire.EndArray(append(b, contents...), at, n)), "%d items", n)
		}
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	b, id := make([]byte, 0, 256), make([]byte, 16)
	n := testing.AllocsPerRun(100, func() {
		w := wire.NewWriter(b)
		w.Array(5)
		w.Uint(math.MaxUint64)
		w.Int(-300)
		w.Float(0.5)
		w.String("a text that is longer than a head of one byte can say")
		w.Bytes(id)
		w.Done()
		at := len(wire.BeginBytes(b))
		wire.EndBytes(append(wire.BeginBytes(b), id...), at)
	})
	require.Zero(t, n)
}
