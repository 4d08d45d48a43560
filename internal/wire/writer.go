package wire

import (
	"encoding/binary"
	"math"
	"sync"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
)

// A Writer appends canonical msgpack to a byte slice. Writing cannot fail. What small states consist of is written here:
// values and heads of one byte, integers that are not negative, and binaries. All else is written by the library, which
// takes several calls through interfaces for each.
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
func (w *Writer) Uint(n uint64) { w.buf.b = AppendUint(w.buf.b, n) }

// AppendUint appends an unsigned integer, as [Writer.Uint] does.
func AppendUint(b []byte, n uint64) []byte {
	switch {
	case n <= 0x7f:
		return append(b, byte(n))
	case n <= math.MaxUint8:
		return append(b, uint8_, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, uint16_), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, uint32_), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, uint64_), n)
}

// Int writes an integer; one that is not negative is written as by Uint.
func (w *Writer) Int(n int64) {
	if n >= 0 {
		w.Uint(uint64(n))
		return
	}
	_ = w.enc.EncodeInt(n)
}

// Bool writes a boolean.
func (w *Writer) Bool(v bool) {
	if v {
		w.buf.b = append(w.buf.b, codeYes)
		return
	}
	w.buf.b = append(w.buf.b, codeNo)
}

// Nil writes the absence of a value.
func (w *Writer) Nil() { w.buf.b = append(w.buf.b, codeNil) }

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
		w.buf.b = append(appendBinary(w.buf.b, len(s)), s...)
		return
	}
	if len(s) < 32 {
		w.buf.b = append(append(w.buf.b, fixStr|byte(len(s))), s...)
		return
	}
	_ = w.enc.EncodeString(s)
}

// Bytes writes b as a binary; nil is written as an empty one.
func (w *Writer) Bytes(b []byte) { w.buf.b = append(appendBinary(w.buf.b, len(b)), b...) }

// appendBinary appends the head of a binary of n bytes.
func appendBinary(b []byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(b, bin8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, bin16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, bin32), uint32(n))
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
