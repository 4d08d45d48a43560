package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// MaxDepth is how deep arrays may nest. A map of crdt that is nested as
// deep as may be uses all of it, other encodings fewer than half.
const MaxDepth = 16

// An Error says why bytes were refused and where.
type Error struct {
	Offset int    // bytes from the start of the input
	Reason string // lower case, no trailing full stop
}

func (e *Error) Error() string {
	return fmt.Sprintf("wire: %s at offset %d", e.Reason, e.Offset)
}

// Check passes once over b and reports an [*Error] unless b is exactly one value
// of the canonical subset, no deeper than [MaxDepth]. It allocates nothing and
// needs no recursion, so its cost is linear in len(b), whatever b claims.
func Check(b []byte) error {
	end, err := skip(b, 0)
	if err != nil {
		return err
	}
	if end != len(b) {
		return &Error{end, "trailing bytes"}
	}
	return nil
}

// skip returns the offset behind the value that starts at off. It keeps the
// number of values still owed at each depth in place of recursion.
func skip(b []byte, off int) (int, error) {
	var owed [MaxDepth + 1]int
	depth := 0
	owed[0] = 1
	for {
		for owed[depth] == 0 {
			if depth == 0 {
				return off, nil
			}
			depth--
		}
		owed[depth]--
		h, err := header(b, off)
		if err != nil {
			return 0, err
		}
		off = h.next
		if h.items > 0 {
			if depth == MaxDepth {
				return 0, &Error{off, "nested too deep"}
			}
			depth++
			owed[depth] = h.items
		}
	}
}

// A head is one value without its children: where the next value starts, and
// how many children it has.
type head struct {
	next  int
	items int
}

// header checks the value's own bytes at off: code, length, payload.
func header(b []byte, off int) (head, error) {
	if off >= len(b) {
		return head{}, &Error{off, "unexpected end"}
	}
	switch c := b[off]; {
	case isFixInt(c), c == codeNil, c == codeNo, c == codeYes:
		return head{next: off + 1}, nil
	case c&0xe0 == fixStr:
		return text(b, off, off+1, uint64(c&0x1f))
	case c&0xf0 == fixArray:
		return array(b, off, off+1, uint64(c&0x0f))
	default:
		return wideHeader(b, off, c)
	}
}

// wideHeader handles the codes that are followed by a number: 1, 2, 4 or 8 bytes.
func wideHeader(b []byte, off int, c byte) (head, error) {
	n, width, err := number(b, off, c)
	if err != nil {
		return head{}, err
	}
	body := off + 1 + width
	switch c {
	case uint8_, uint16_, uint32_, uint64_:
		if uintWidth(n) != width {
			return head{}, &Error{off, "integer not in its shortest form"}
		}
		return head{next: body}, nil
	case int8_, int16_, int32_, int64_:
		if intWidth(signed(n, width)) != width {
			return head{}, &Error{off, "integer not in its shortest form"}
		}
		return head{next: body}, nil
	case float64_:
		return float(b, off, body)
	case str8, str16, str32:
		if n < 32 || lenWidth(n) != width {
			return head{}, &Error{off, "string length not in its shortest form"}
		}
		return text(b, off, body, n)
	case bin8, bin16, bin32:
		if lenWidth(n) != width {
			return head{}, &Error{off, "binary length not in its shortest form"}
		}
		if n > uint64(len(b)-body) {
			return head{}, &Error{off, "binary longer than the input"}
		}
		return head{next: body + int(n)}, nil
	default: // Array16, Array32
		if n < 16 || max(lenWidth(n), 2) != width { // there is no array8
			return head{}, &Error{off, "array length not in its shortest form"}
		}
		return array(b, off, body, n)
	}
}

// number reads the big-endian number behind the code c.
func number(b []byte, off int, c byte) (n uint64, width int, err error) {
	switch c {
	case uint8_, int8_, str8, bin8:
		width = 1
	case uint16_, int16_, str16, bin16, array16:
		width = 2
	case uint32_, int32_, str32, bin32, array32:
		width = 4
	case uint64_, int64_, float64_:
		width = 8
	default:
		return 0, 0, &Error{off, fmt.Sprintf("code 0x%02x is not part of the format", c)}
	}
	p := b[off+1:]
	if len(p) < width {
		return 0, 0, &Error{off, "unexpected end"}
	}
	switch width {
	case 1:
		n = uint64(p[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(p))
	case 4:
		n = uint64(binary.BigEndian.Uint32(p))
	default:
		n = binary.BigEndian.Uint64(p)
	}
	return n, width, nil
}

func text(b []byte, off, body int, n uint64) (head, error) {
	if n > uint64(len(b)-body) {
		return head{}, &Error{off, "string longer than the input"}
	}
	next := body + int(n)
	if !utf8.Valid(b[body:next]) {
		return head{}, &Error{off, "string is not valid UTF-8"}
	}
	return head{next: next}, nil
}

// array refuses a count that the bytes left cannot hold: each item takes one.
func array(b []byte, off, body int, n uint64) (head, error) {
	if n > uint64(len(b)-body) {
		return head{}, &Error{off, "array longer than the input"}
	}
	return head{next: body, items: int(n)}, nil
}

func float(b []byte, off, body int) (head, error) {
	bits := binary.BigEndian.Uint64(b[body-8:])
	if f := math.Float64frombits(bits); f != f && bits != canonicalNaN {
		return head{}, &Error{off, "not the canonical NaN"}
	}
	return head{next: body}, nil
}

// canonicalNaN is the one NaN that is written and accepted.
const canonicalNaN = 0x7ff8000000000001

func signed(n uint64, width int) int64 {
	shift := 64 - 8*width
	return int64(n<<shift) >> shift
}

// uintWidth is how many bytes follow the code of n; 0 for one-byte integers.
func uintWidth(n uint64) int {
	switch {
	case n <= math.MaxInt8:
		return 0
	case n <= math.MaxUint32:
		return lenWidth(n)
	}
	return 8
}

// intWidth is the same for negative numbers; others belong to uintWidth, so -1.
func intWidth(n int64) int {
	switch {
	case n >= 0:
		return -1
	case n >= -32:
		return 0
	case n >= math.MinInt8:
		return 1
	case n >= math.MinInt16:
		return 2
	case n >= math.MinInt32:
		return 4
	}
	return 8
}

// lenWidth is how many bytes the length n needs.
func lenWidth(n uint64) int {
	switch {
	case n <= math.MaxUint8:
		return 1
	case n <= math.MaxUint16:
		return 2
	}
	return 4
}
