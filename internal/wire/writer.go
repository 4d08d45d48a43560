package wire

import (
	"math"
	"sync"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
)

// A Writer appends canonical msgpack to a byte slice. Writing cannot fail. Heads of one byte are written here, all
// others by the library.
type Writer struct {
	buf appender
	enc *msgpack.Encoder
}

var writers = sync.Pool{New: func() any {
	w := new(Writer)
	w.enc = msgpack.NewEncoder(&w.buf)
	return w
}}

// NewWriter returns a Writer that appends to dst. [Writer.Done] gives it back.
func NewWriter(dst []byte) *Writer {
	w := writers.Get().(*Writer)
	w.buf.b = dst
	return w
}

// Done returns the extended slice. The Writer must not be used afterwards.
func (w *Writer) Done() []byte {
	b := w.buf.b
	w.buf.b = nil
	writers.Put(w)
	return b
}

// Len is the length of the slice so far, what NewWriter was given included.
func (w *Writer) Len() int { return len(w.buf.b) }

// Array starts an array of n values, which the caller writes next.
func (w *Writer) Array(n int) {
	if uint(n) < 16 {
		w.buf.b = append(w.buf.b, fixArray|byte(n))
		return
	}
	_ = w.enc.EncodeArrayLen(n)
}

// Uint writes an unsigned integer.
func (w *Writer) Uint(n uint64) {
	if n <= 0x7f {
		w.buf.b = append(w.buf.b, byte(n))
		return
	}
	_ = w.enc.EncodeUint(n)
}

// Int writes an integer; one that is not negative is written as by Uint.
func (w *Writer) Int(n int64) { _ = w.enc.EncodeInt(n) }

// Bool writes a boolean.
func (w *Writer) Bool(v bool) { _ = w.enc.EncodeBool(v) }

// Nil writes the absence of a value.
func (w *Writer) Nil() { _ = w.enc.EncodeNil() }

// Float writes a 64-bit float. All NaNs are written as one.
func (w *Writer) Float(f float64) {
	if f != f {
		f = math.Float64frombits(canonicalNaN)
	}
	_ = w.enc.EncodeFloat64(f)
}

// String writes s as a string where it is valid UTF-8 and as a binary where it
// is not: so every Go string can be written, in exactly one way.
func (w *Writer) String(s string) {
	if !utf8.ValidString(s) {
		_ = w.enc.EncodeBytesLen(len(s))
		w.buf.b = append(w.buf.b, s...)
		return
	}
	if len(s) < 32 {
		w.buf.b = append(append(w.buf.b, fixStr|byte(len(s))), s...)
		return
	}
	_ = w.enc.EncodeString(s)
}

// Bytes writes b as a binary; nil is written as an empty one.
func (w *Writer) Bytes(b []byte) {
	_ = w.enc.EncodeBytesLen(len(b))
	w.buf.b = append(w.buf.b, b...)
}

// Raw appends b, which must already be one canonical value.
func (w *Writer) Raw(b []byte) { w.buf.b = append(w.buf.b, b...) }

// appender is the io.Writer, io.ByteWriter behind a Writer.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func (a *appender) WriteByte(c byte) error {
	a.b = append(a.b, c)
	return nil
}

func (a *appender) WriteString(s string) (int, error) {
	a.b = append(a.b, s...)
	return len(s), nil
}
