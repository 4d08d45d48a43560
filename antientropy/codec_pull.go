package antientropy

import (
	"encoding/binary"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/merkle"
)

// pull: [version, limit, skip, generation or nil, items, [position, seen, ...]]
// → [version, more, [answer, ...]], see pull.go, or elsewhere.
//
// Of the keys held, by their positions in ascending order, some come with what was seen
// of them, see [Differ].

// A question asks for what a peer has in one range, but for what is held there in
// the same state. It is a byte of flags, 4 bytes of the positions' first 32 bits or
// 16 of both ends, and 8 for each key held.
type question struct {
	at     merkle.Range
	own    []hold // what the one who asks has there
	insist bool   // answer also while it is under way or being written to
}

const (
	flagInsist = 1 << iota
	flagEnds
	flagHeld // and above: how many are held
)

// questions is a pull. Ranges ascend; the first skip keys of the first one have been
// received before.
type questions struct {
	limit int
	skip  int
	own   position // of which the generation is told
	items []question
	seen  []sight
}

// A sight is what was seen of one key.
type sight struct {
	at   merkle.Position
	seen []byte
}

const sightOverhead = 14 // beside the bytes

// size is what a question takes, with what was seen of the keys held.
func (q *question) size() int {
	size := 1 + 4 + 8*len(q.own)
	for i := range q.own {
		if n := len(q.own[i].seen); n > 0 {
			size += n + sightOverhead
		}
	}
	if q.at != blockAt(place(q.at)) {
		size += 12
	}
	return size
}

func (q *question) append(dst []byte) []byte {
	flags := byte(len(q.own) * flagHeld)
	if q.insist {
		flags |= flagInsist
	}
	if q.at == blockAt(place(q.at)) {
		dst = binary.BigEndian.AppendUint32(append(dst, flags), place(q.at))
	} else {
		dst = binary.BigEndian.AppendUint64(append(dst, flags|flagEnds), uint64(q.at.From))
		dst = binary.BigEndian.AppendUint64(dst, uint64(q.at.To))
	}
	for _, h := range q.own {
		dst = binary.BigEndian.AppendUint64(dst, h.sum)
	}
	return dst
}

// readQuestion reads one, and returns what follows it. ok is false if b is cut short.
func readQuestion(b []byte) (q question, rest []byte, ok bool) {
	flags, b := b[0], b[1:]
	q.insist = flags&flagInsist != 0
	n := int(flags / flagHeld)
	switch size := 8 * n; {
	case flags&flagEnds != 0 && len(b) >= 16+size:
		q.at = merkle.Range{From: merkle.Position(binary.BigEndian.Uint64(b)), To: merkle.Position(binary.BigEndian.Uint64(b[8:]))}
		b = b[16:]
	case flags&flagEnds == 0 && len(b) >= 4+size:
		q.at, b = blockAt(binary.BigEndian.Uint32(b)), b[4:]
	default:
		return q, nil, false
	}
	for range n {
		q.own, b = append(q.own, hold{sum: binary.BigEndian.Uint64(b)}), b[8:]
	}
	return q, b, true
}

// name puts the names of our own keys to what the peer has in the same state. It
// reports false where there is no such key.
func (q *question) name(keys []found) bool {
	for i := range keys {
		if f := &keys[i]; f.kind == foundSame {
			if f.size >= len(q.own) {
				return false
			}
			f.key = q.own[f.size].key
		}
	}
	return true
}

func encodeQuestions(q *questions) []byte {
	var items []byte
	for i := range q.items {
		items = q.items[i].append(items)
	}
	w := message(5)
	w.Uint(uint64(q.limit))
	w.Uint(uint64(q.skip))
	writeGeneration(w, &q.own)
	w.Bytes(items)
	w.Array(2 * len(q.seen))
	for _, s := range q.seen {
		w.Uint(uint64(s.at))
		w.Bytes(s.seen)
	}
	return w.Done()
}

// decodeQuestions reads a pull. What was seen aliases b.
func decodeQuestions(b []byte) (*questions, error) {
	r, err := open(methodPull, b, 5)
	if err != nil {
		return nil, err
	}
	const most = 1 << 30
	q := &questions{limit: count(r, most), skip: count(r, most)}
	q.own.generation, q.own.plain = readGeneration(r)
	items := r.Bytes()
	q.seen = readSights(r)
	if err := closed(methodPull, r); err != nil {
		return nil, err
	}
	for len(items) > 0 {
		it, rest, ok := readQuestion(items)
		n := len(q.items)
		if !ok || it.at.From > it.at.To || n > 0 && q.items[n-1].at.To >= it.at.From {
			return nil, &CorruptError{Method: methodPull, Offset: len(b) - len(items), Reason: "ranges cut short, or not ascending"}
		}
		q.items, items = append(q.items, it), rest
	}
	return q, nil
}

func readSights(r *wire.Reader) (all []sight) {
	n := r.Array()
	if n%2 != 0 {
		r.Fail("key of which nothing was seen")
	}
	for i := 0; i < n/2 && r.Err() == nil; i++ {
		s := sight{merkle.Position(r.Uint()), r.Bytes()}
		if len(s.seen) == 0 || i > 0 && s.at <= all[i-1].at {
			r.Fail("keys of which nothing was seen, or that do not ascend")
		}
		all = append(all, s)
	}
	return all
}
