package antientropy

import (
	"github.com/eventual-go/eventual/merkle"
)

// methodStream asks for all keys from a position on, in the order of the index.
const methodStream = "antientropy/stream"

// stream: [version, limit, position, skip, generation or nil], and after that the ranges that it
// is of, if it is not of all
// → [version, position, skip, left, [key, state, ...], [key, size, reason, ...]], or elsewhere.

// A Cursor is how far a peer's keys have been streamed: all before a position, and
// so many at it. The zero Cursor is the start.
type Cursor struct {
	at   merkle.Position
	skip int
	end  bool
	left int // keys that the peer had from there on
	had  int // keys that this side had by then
}

// before reports whether c is nearer to the start than d.
func (c Cursor) before(d Cursor) bool {
	switch {
	case c.end || d.end:
		return !c.end
	case c.at != d.at:
		return c.at < d.at
	}
	return c.skip < d.skip
}

// A streamed is the answer: what comes next, and where the rest begins.
type streamed struct {
	next    Cursor
	left    int // keys from next on
	entries []entry
	refused []withheld
}

// A withheld is a key that could not be sent: its state is too large if it has a
// size, and could not be loaded if it has not.
type withheld struct {
	key    string
	size   int
	reason string
}

func (w *withheld) err(limit int) error {
	if w.size > 0 {
		return &TooLargeError{Key: w.key, Size: w.size, Max: limit}
	}
	return &RefusedError{Reason: w.reason}
}

// A request of a stream: from where on, by whom.
type starting struct {
	limit int
	from  Cursor
	own   position // of which the generation is told

	ranges []merkle.Range // ascending; all if there are none
}

func encodeStream(q *starting) []byte {
	fields := 4
	if len(q.ranges) > 0 {
		fields++
	}
	w := message(fields)
	w.Uint(uint64(q.limit))
	w.Uint(uint64(q.from.at))
	w.Uint(uint64(q.from.skip))
	writeGeneration(w, &q.own)
	if len(q.ranges) > 0 {
		writeRanges(w, q.ranges)
	}
	return w.Done()
}

func decodeStream(b []byte) (*starting, error) {
	r, fields, err := openEither(methodStream, b, 4, 5)
	if err != nil {
		return nil, err
	}
	q := &starting{limit: count(r, 1<<30)}
	q.from = Cursor{at: merkle.Position(r.Uint()), skip: count(r, 1<<30)}
	q.own.generation, q.own.plain = readGeneration(r)
	if fields == 5 {
		q.ranges = readRanges(r)
	}
	return q, closed(methodStream, r)
}

func encodeStreamed(s *streamed) []byte {
	w := message(5)
	w.Uint(uint64(s.next.at))
	w.Uint(uint64(s.next.skip))
	w.Uint(uint64(s.left))
	w.Array(2 * len(s.entries))
	for _, e := range s.entries {
		w.String(e.key)
		w.Bytes(e.state)
	}
	w.Array(3 * len(s.refused))
	for _, k := range s.refused {
		w.String(k.key)
		w.Uint(uint64(k.size))
		w.String(k.reason)
	}
	return w.Done()
}

// decodeStreamed reads the answer to a stream from a cursor on. States alias b. With
// nothing left it is the end; before, each answer has to bring the cursor further.
func decodeStreamed(b []byte, from Cursor) (*streamed, error) {
	r, err := open(methodStream, b, 5)
	if err != nil {
		return nil, err
	}
	s := &streamed{next: Cursor{at: merkle.Position(r.Uint()), skip: count(r, 1<<30)}, left: count(r, 1<<48)}
	s.next.end, s.next.left = s.left == 0, s.left
	if !from.before(s.next) {
		r.Fail("nothing further")
	}
	n := r.Array()
	if n%2 != 0 {
		r.Fail("key without a state")
	}
	for i := 0; i < n/2 && r.Err() == nil; i++ {
		s.entries = append(s.entries, entry{r.String(), r.Bytes()})
	}
	if n = r.Array(); n%3 != 0 {
		r.Fail("key without a reason")
	}
	for i := 0; i < n/3 && r.Err() == nil; i++ {
		s.refused = append(s.refused, withheld{r.String(), count(r, 1<<40), cut(r.String(), maxReason)})
	}
	return s, closed(methodStream, r)
}
