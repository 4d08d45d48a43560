package wire

import (
	"errors"
	"io"
	"math"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
)

// A Reader reads typed values out of checked bytes. The first failure sticks:
// later reads return zero values, so a decoder may read a whole record and look
// at [Reader.Err] once. Loops over [Reader.Array] counts end by themselves, since
// a count never exceeds the bytes left.
//
// What a [Writer] writes by itself is read here, all else by the library.
type Reader struct {
	src source
	dec *msgpack.Decoder // nil until there is something for it
	err *Error
}

// NewReader checks b and returns a Reader over it. The error is an [*Error].
func NewReader(b []byte) (*Reader, error) {
	if err := Check(b); err != nil {
		return nil, err
	}
	return &Reader{src: source{b: b}}, nil
}

// lib returns the decoder of the library, at the present offset.
func (r *Reader) lib() *msgpack.Decoder {
	if r.dec == nil {
		r.dec = msgpack.NewDecoder(&r.src)
	}
	return r.dec
}

// Offset is how many bytes have been read.
func (r *Reader) Offset() int { return r.src.off }

// Left is how many bytes have not been read.
func (r *Reader) Left() int { return len(r.src.b) - r.src.off }

// Fail refuses the input at the current offset, unless it was refused already.
func (r *Reader) Fail(reason string) {
	if r.err == nil {
		r.err = &Error{r.src.off, reason}
	}
}

// Err is the first failure, an [*Error], or nil.
func (r *Reader) Err() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// Close reports the first failure; bytes left unread are one.
func (r *Reader) Close() error {
	if r.src.off != len(r.src.b) {
		r.Fail("unexpected value")
	}
	return r.Err()
}

// peek reports whether the next value is of the wanted class, and fails if not.
func (r *Reader) peek(ok func(c byte) bool, want string) bool {
	if r.err != nil {
		return false
	}
	if r.src.off >= len(r.src.b) || !ok(r.src.b[r.src.off]) {
		r.Fail("expected " + want)
		return false
	}
	return true
}

func (r *Reader) keep(err error) {
	if err != nil {
		r.Fail(err.Error())
	}
}

// Array reads the head of an array and returns its length.
func (r *Reader) Array() int {
	if !r.peek(isArray, "an array") {
		return 0
	}
	if c := r.src.b[r.src.off]; c&0xf0 == fixArray {
		r.src.off++
		return int(c & 0x0f)
	}
	return int(r.number())
}

// number reads the number behind a code. It cannot fail: the input has been checked.
func (r *Reader) number() uint64 {
	n, width, err := number(r.src.b, r.src.off, r.src.b[r.src.off])
	r.keep(err)
	r.src.off += 1 + width
	return n
}

// ArrayOf reads the head of an array that must have exactly n values.
func (r *Reader) ArrayOf(n int) bool {
	at := r.src.off
	if got := r.Array(); r.err == nil && got != n {
		r.err = &Error{at, "array of another length"}
	}
	return r.err == nil
}

// Uint reads an integer that is not negative.
func (r *Reader) Uint() uint64 {
	if r.err == nil && r.src.off < len(r.src.b) && r.src.b[r.src.off] <= 0x7f {
		r.src.off++
		return uint64(r.src.b[r.src.off-1])
	}
	if !r.peek(isUint, "an unsigned integer") {
		return 0
	}
	return r.number()
}

// Int reads an integer that fits 64 bits with a sign.
func (r *Reader) Int() int64 {
	if !r.peek(isInt, "an integer") {
		return 0
	}
	if isUint(r.src.b[r.src.off]) {
		n := r.Uint()
		if n > math.MaxInt64 {
			r.Fail("integer out of range")
			return 0
		}
		return int64(n)
	}
	n, err := r.lib().DecodeInt64()
	r.keep(err)
	return n
}

// Bool reads a boolean.
func (r *Reader) Bool() bool {
	if !r.peek(isBool, "a boolean") {
		return false
	}
	r.src.off++
	return r.src.b[r.src.off-1] == codeYes
}

// Float reads a 64-bit float.
func (r *Reader) Float() float64 {
	if !r.peek(isFloat, "a float") {
		return 0
	}
	f, err := r.lib().DecodeFloat64()
	r.keep(err)
	return f
}

// IsNil reads a nil where one is next, and reports whether it did.
func (r *Reader) IsNil() bool {
	if r.err != nil || r.src.off >= len(r.src.b) || r.src.b[r.src.off] != codeNil {
		return false
	}
	r.src.off++
	return true
}

// String reads what [Writer.String] wrote.
func (r *Reader) String() string {
	if !r.peek(isText, "a string") {
		return ""
	}
	binary := !isString(r.src.b[r.src.off])
	b := r.body()
	if binary && utf8.Valid(b) {
		r.Fail("string written as a binary")
		return ""
	}
	return string(b)
}

// Bytes reads a binary. The slice aliases the input.
func (r *Reader) Bytes() []byte {
	if !r.peek(isBytes, "a binary") {
		return nil
	}
	return r.body()
}

// body reads the head of a string or binary and returns its payload in place.
func (r *Reader) body() []byte {
	n := r.bodyLen()
	if n < 0 || n > len(r.src.b)-r.src.off {
		r.Fail("length out of range")
		return nil
	}
	b := r.src.b[r.src.off : r.src.off+n : r.src.off+n]
	r.src.off += n
	return b
}

func (r *Reader) bodyLen() int {
	if c := r.src.b[r.src.off]; c&0xe0 == fixStr {
		r.src.off++
		return int(c & 0x1f)
	}
	return int(r.number())
}

// Raw reads one whole value, arrays with what they hold, and returns its bytes.
// They alias the input.
func (r *Reader) Raw() []byte {
	if r.err != nil {
		return nil
	}
	start := r.src.off
	end, err := skip(r.src.b, start)
	if err != nil {
		r.err, _ = errors.AsType[*Error](err)
		return nil
	}
	r.src.off = end
	return r.src.b[start:end:end]
}

// source is the byte scanner that the library reads heads from. It serves the
// input in place, so the library neither buffers nor copies.
type source struct {
	b   []byte
	off int
}

func (s *source) Read(p []byte) (int, error) {
	if s.off >= len(s.b) {
		return 0, io.EOF
	}
	n := copy(p, s.b[s.off:])
	s.off += n
	return n, nil
}

func (s *source) ReadByte() (byte, error) {
	if s.off >= len(s.b) {
		return 0, io.EOF
	}
	c := s.b[s.off]
	s.off++
	return c, nil
}

func (s *source) UnreadByte() error {
	if s.off == 0 {
		return io.EOF
	}
	s.off--
	return nil
}
