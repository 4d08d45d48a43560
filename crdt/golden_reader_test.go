package crdt_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// What follows reads the wire form by WIRE.md alone, and uses nothing of this library: it stands for a program in
// another language. It refuses by panicking with a refusal.

type refusal string

func demand(holds bool, why string) {
	if !holds {
		panic(refusal(why))
	}
}

// msgpack reads the subset of msgpack: nil, bool, int64, uint64 beyond it, float64, string, []byte and []any.
type msgpack struct {
	b      []byte
	off    int
	starts []int // of all values
}

// parse reads exactly one value.
func parse(b []byte) any {
	m := &msgpack{b: b}
	v := m.value(16)
	demand(m.off == len(b), "bytes left over")
	return v
}

func (m *msgpack) take(n uint64) []byte {
	demand(n <= uint64(len(m.b)-m.off), "longer than what is left")
	m.off += int(n)
	return m.b[m.off-int(n) : m.off]
}

func (m *msgpack) number(width int) uint64 {
	var full [8]byte
	copy(full[8-width:], m.take(uint64(width)))
	return binary.BigEndian.Uint64(full[:])
}

// length reads a length of so many bytes which must need them: it must be at least least.
func (m *msgpack) length(width int, least uint64) uint64 {
	n := m.number(width)
	demand(n >= least, "length not in its shortest form")
	return n
}

func (m *msgpack) value(depth int) any {
	m.starts = append(m.starts, m.off)
	switch c := m.take(1)[0]; {
	case c <= 0x7f:
		return int64(c)
	case c >= 0xe0:
		return int64(int8(c))
	case c >= 0xa0 && c <= 0xbf:
		return m.text(uint64(c - 0xa0))
	case c >= 0x90 && c <= 0x9f:
		return m.array(uint64(c-0x90), depth)
	case c == 0xc0:
		return nil
	case c == 0xc2, c == 0xc3:
		return c == 0xc3
	case c == 0xc4, c == 0xc5, c == 0xc6:
		width := 1 << (c - 0xc4)
		return m.take(m.length(width, leastOf(width, 0)))
	case c == 0xcb:
		bits := m.number(8)
		f := math.Float64frombits(bits)
		demand(f == f || bits == 0x7ff8000000000001, "another NaN")
		return f
	case c >= 0xcc && c <= 0xcf:
		width := 1 << (c - 0xcc)
		n := m.length(width, leastOf(width, 0x80))
		if n > math.MaxInt64 {
			return n
		}
		return int64(n)
	case c >= 0xd0 && c <= 0xd3:
		return m.negative(1 << (c - 0xd0))
	case c >= 0xd9 && c <= 0xdb:
		width := 1 << (c - 0xd9)
		return m.text(m.length(width, leastOf(width, 32)))
	case c == 0xdc, c == 0xdd:
		width := 2 << (c - 0xdc)
		return m.array(m.length(width, max(16, leastOf(width/2, 16))), depth)
	}
	panic(refusal("another code"))
}

// leastOf is the least number that needs so many bytes; one of a single byte is at least first.
func leastOf(width int, first uint64) uint64 {
	if width == 1 {
		return first
	}
	return 1 << (4 * width)
}

func (m *msgpack) negative(width int) any {
	n := int64(m.number(width)<<(64-8*width)) >> (64 - 8*width)
	least := int64(-32) // what needs fewer bytes is not below it
	if width > 1 {
		least = -1 << (4*width - 1)
	}
	demand(n < least, "integer not in its shortest form")
	return n
}

func (m *msgpack) text(n uint64) string {
	s := string(m.take(n))
	demand(utf8.ValidString(s), "not UTF-8")
	return s
}

func (m *msgpack) array(n uint64, depth int) any {
	demand(n <= uint64(len(m.b)-m.off), "array longer than what is left")
	demand(depth > 0 || n == 0, "too deep")
	list := make([]any, n)
	for i := range list {
		list[i] = m.value(depth - 1)
	}
	return list
}

// items are the values of an array that are still to be read.
type items struct{ left []any }

func array(v any) *items {
	list, ok := v.([]any)
	demand(ok, "no array")
	return &items{list}
}

// records is array for one that has records of so many values.
func records(v any, each int) *items {
	q := array(v)
	demand(len(q.left)%each == 0, "incomplete record")
	return q
}

func (q *items) more() bool { return len(q.left) > 0 }

func (q *items) next() any {
	demand(q.more(), "too few values")
	v := q.left[0]
	q.left = q.left[1:]
	return v
}

func (q *items) int() int64 {
	n, ok := q.next().(int64)
	demand(ok, "no integer of 64 bits")
	return n
}

func (q *items) uint() uint64 {
	switch n := q.next().(type) {
	case uint64:
		return n
	case int64:
		demand(n >= 0, "negative")
		return uint64(n)
	}
	panic(refusal("no integer"))
}

func (q *items) uint32() uint64 {
	n := q.uint()
	demand(n <= math.MaxUint32, "more than 32 bits")
	return n
}

// text is any string of bytes.
func (q *items) text() string {
	switch s := q.next().(type) {
	case string:
		return s
	case []byte:
		demand(!utf8.Valid(s), "string written as a binary")
		return string(s)
	}
	panic(refusal("no text"))
}

// plainID is a replica identity, printed as its text up to the first zero byte.
type plainID [16]byte

func (id plainID) String() string {
	text := strings.TrimRight(string(id[:]), "\x00")
	switch {
	case text == "":
		return "nobody"
	case strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0:
		return hex.EncodeToString(id[:])
	}
	return text
}

func (q *items) id() (id plainID) {
	b, ok := q.next().([]byte)
	demand(ok && len(b) == 16, "no identity of 16 bytes")
	return plainID(b)
}

// ids is a table of replicas that what follows refers to.
type ids struct {
	list   []plainID
	unused int
	used   []bool
}

func idsOf(v any) *ids {
	t := new(ids)
	for q := array(v); q.more(); {
		id, n := q.id(), len(t.list)
		demand(n == 0 || bytes.Compare(t.list[n-1][:], id[:]) < 0, "ids out of order")
		t.list = append(t.list, id)
	}
	t.used, t.unused = make([]bool, len(t.list)), len(t.list)
	return t
}

// refer reads a place in the table.
func (t *ids) refer(q *items) (i uint64) {
	i = q.uint()
	demand(i < uint64(len(t.list)), "no such replica")
	if !t.used[i] {
		t.used[i] = true
		t.unused--
	}
	return i
}

// writer reads the place of one who writes.
func (t *ids) writer(q *items) (i uint64) {
	i = t.refer(q)
	demand(t.list[i] != plainID{}, "the zero replica writes nothing")
	return i
}

func (t *ids) close() { demand(t.unused == 0, "replica that nothing refers to") }

// context is what was seen: for each replica its runs of events.
type context struct {
	ids  []plainID
	runs [][][2]uint64
}

func readSeen(v any) *context {
	c := new(context)
	for q := array(v); q.more(); {
		of := array(q.next())
		id, n := of.id(), len(c.ids)
		demand(id != plainID{}, "the zero replica writes nothing")
		demand(n == 0 || bytes.Compare(c.ids[n-1][:], id[:]) < 0, "ids out of order")
		c.ids = append(c.ids, id)
		c.runs = append(c.runs, runsOf(of))
	}
	return c
}

func runsOf(of *items) (runs [][2]uint64) {
	demand(of.more(), "replica without a run")
	for end := uint64(0); of.more(); {
		gap, more := of.uint(), of.uint()
		demand(gap > 0 || len(runs) == 0, "runs meet")
		demand(gap < math.MaxUint64-end, "beyond the last event")
		lo := end + gap + 1
		demand(more <= math.MaxUint64-lo, "beyond the last event")
		end = lo + more
		runs = append(runs, [2]uint64{lo, end})
	}
	return runs
}

func (c *context) has(d dot) bool {
	return slices.ContainsFunc(c.runs[d.index], func(run [2]uint64) bool { return run[0] <= d.seq && d.seq <= run[1] })
}

func (c *context) String() string {
	var of []string
	for i, id := range c.ids {
		var runs []string
		for _, run := range c.runs[i] {
			text := fmt.Sprint(run[0])
			if run[1] > run[0] {
				text += fmt.Sprint("-", run[1])
			}
			runs = append(runs, text)
		}
		of = append(of, id.String()+":"+strings.Join(runs, ","))
	}
	return "{" + strings.Join(of, " ") + "}"
}

// dot is an event of a context.
type dot struct{ index, seq uint64 }

func (c *context) dot(q *items) dot {
	d := dot{q.uint(), q.uint()}
	demand(d.index < uint64(len(c.ids)), "no such replica")
	demand(c.has(d), "dot outside of the context")
	return d
}

func (c *context) show(d dot) string { return fmt.Sprint(c.ids[d.index], ":", d.seq) }

// living checks that dots are in order, and that none of a state is there twice.
type living map[dot]bool

func (l living) add(d dot, before *dot) {
	demand(before == nil || cmp.Or(cmp.Compare(before.index, d.index), cmp.Compare(before.seq, d.seq)) < 0, "dots out of order")
	l.once(d)
}

func (l living) once(d dot) {
	demand(!l[d], "dot twice")
	l[d] = true
}

// dots reads a list of nothing but dots, and returns them in words.
func (c *context) dots(v any, l living) (words []string) {
	var before *dot
	for q := records(v, 2); q.more(); {
		d := c.dot(q)
		l.add(d, before)
		words, before = append(words, c.show(d)), &d
	}
	return words
}
