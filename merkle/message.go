package merkle

import (
	"encoding/binary"
	"errors"

	"github.com/eventual-go/eventual/internal/wire"
)

// Messages are flat msgpack arrays: a head, then three values for each item.
//
//	request: 0, version, format, secret, epoch, round, width, limit, items...
//	answer:  1, round, answered, state (8 bytes, or none where no item follows), items...
//	refusal: 2, version, format, secret, epoch
//
// The first value of a request and of a refusal and the refusal's fields are
// the same in every version, so that different versions can tell.
const (
	kindRequest = iota
	kindAnswer
	kindRefusal
)

const (
	messageVersion = 1
	elementFormat  = 1 // what Hasher computes

	headValues    = 8
	answerValues  = 4
	refusalValues = 5
	itemValues    = 3

	headSize = 40 // the most that a head takes
)

type op uint8

const (
	// Asked: is this your sum of the range? data: width or 16 bytes.
	// Answered to opCheck: the sum outside of the positions. data: 16 bytes.
	opSum op = iota
	// Both ways: the sums of the range's parts. data: width bytes each.
	// Answered without data: the range differs, ask again.
	opParts
	// Asked: what do you have in the range? data: none.
	// Answered: the elements in the range. data: position and width bytes each.
	opList
	// Asked: what is your sum of the range without these positions?
	// data: 8 bytes each, ascending.
	// Answered: too many to list, all at one position. data: none.
	opRest
)

// item is a question about a range, or the answer to one.
type item struct {
	op   op
	r    Range
	data []byte
}

// size is an upper bound of what the item takes in a message.
func (it *item) size() int { return sizeOf(it.r, len(it.data)) }

func sizeOf(r Range, data int) int {
	if depth, ok := r.aligned(); ok {
		return 1 + (1 + (depth+1)/2) + 3 + data
	}
	return 1 + (2 + 16) + 3 + data
}

// explicit is the depth written for a range that is not one block.
const explicit = maxDepth + 1

func (it *item) write(w *wire.Writer) {
	depth, ok := it.r.aligned()
	if !ok {
		w.Uint(uint64(it.op)<<5 | explicit)
		ends := binary.BigEndian.AppendUint64(nil, uint64(it.r.From))
		w.Bytes(binary.BigEndian.AppendUint64(ends, uint64(it.r.To)))
	} else {
		w.Uint(uint64(it.op)<<5 | uint64(depth))
		w.Uint(uint64(it.r.From) >> (64 - 4*depth))
	}
	w.Bytes(it.data)
}

func readItem(r *wire.Reader) item {
	code := r.Uint()
	if code >= 1<<7 {
		r.Fail("unknown item")
	}
	it := item{op: op(code >> 5)}
	if depth := int(code & 31); depth == explicit {
		it.r = readEnds(r)
	} else {
		it.r = readBlock(r, depth)
	}
	it.data = r.Bytes()
	return it
}

func readEnds(r *wire.Reader) Range {
	ends := r.Bytes()
	if len(ends) != 16 {
		r.Fail("range of another length")
		return Range{}
	}
	out := Range{
		From: Position(binary.BigEndian.Uint64(ends)),
		To:   Position(binary.BigEndian.Uint64(ends[8:])),
	}
	if _, ok := out.aligned(); ok || out.isEmpty() {
		r.Fail("range is empty or not in its short form")
	}
	return out
}

func readBlock(r *wire.Reader, depth int) Range {
	prefix := r.Uint()
	if depth > maxDepth || depth < maxDepth && prefix>>(4*depth) != 0 {
		r.Fail("block out of range")
		return Range{}
	}
	return block(Position(prefix<<(64-4*depth)), depth)
}

// head is what the two sides must agree on, and what the answer depends on.
type head struct {
	version, format, secret, epoch uint64

	round uint64
	width int // of short fingerprints, in bytes
	limit int // of the answer, in bytes
}

func headOf(t *Tree, cfg SessionConfig) head {
	return head{version: messageVersion, format: elementFormat, secret: uint64(t.hasher.id), epoch: cfg.Epoch}
}

// differs returns the first aspect in which h and o are not comparable, or nil.
func (h *head) differs(o *head) *IncomparableError {
	for _, p := range []IncomparableError{
		{AspectVersion, h.version, o.version},
		{AspectFormat, h.format, o.format},
		{AspectSecret, h.secret, o.secret},
		{AspectEpoch, h.epoch, o.epoch},
	} {
		if p.Mine != p.Theirs {
			return &p
		}
	}
	return nil
}

func (h *head) writeAspects(w *wire.Writer) {
	w.Uint(h.version)
	w.Uint(h.format)
	w.Uint(h.secret)
	w.Uint(h.epoch)
}

func (h *head) readAspects(r *wire.Reader) {
	h.version = r.Uint()
	h.format = r.Uint()
	h.secret = r.Uint()
	h.epoch = r.Uint()
}

func (h *head) request(items []item) []byte {
	w := wire.NewWriter(nil)
	w.Array(headValues + itemValues*len(items))
	w.Uint(kindRequest)
	h.writeAspects(w)
	w.Uint(h.round)
	w.Uint(uint64(h.width))
	w.Uint(uint64(h.limit))
	for i := range items {
		items[i].write(w)
	}
	return w.Done()
}

func (h *head) refusal() []byte {
	w := wire.NewWriter(nil)
	w.Array(refusalValues)
	w.Uint(kindRefusal)
	h.writeAspects(w)
	return w.Done()
}

// readRequest reads a request up to where it turns out not to be comparable.
func (h *head) readRequest(msg []byte) (o head, items []item, differ *IncomparableError, err error) {
	r, err := wire.NewReader(msg)
	if err != nil {
		return o, nil, nil, messageError(err)
	}
	n := r.Array()
	if r.Uint() != kindRequest {
		r.Fail("not a request")
	}
	o.readAspects(r)
	if differ = h.differs(&o); differ != nil && r.Err() == nil {
		return o, nil, differ, nil
	}
	o.round, o.width, o.limit = r.Uint(), small(r, maxWidth), small(r, 1<<30)
	if o.width < 1 || o.limit < minMessage {
		r.Fail("width or limit too small")
	}
	items = readItems(r, n-headValues)
	return o, items, nil, messageError(r.Close())
}

// small reads an integer that must not be above most.
func small(r *wire.Reader, most uint64) int {
	n := r.Uint()
	if n > most {
		r.Fail("integer out of range")
		return 0
	}
	return int(n)
}

func readItems(r *wire.Reader, values int) []item {
	if r.Err() != nil {
		return nil
	}
	if values < 0 || values%itemValues != 0 {
		r.Fail("array of another length")
		return nil
	}
	items := make([]item, 0, values/itemValues)
	for range values / itemValues {
		items = append(items, readItem(r))
		if r.Err() != nil {
			return nil
		}
	}
	return items
}

// answer is what a responder says to a request.
type answer struct {
	round    uint64
	answered int    // so many pieces of the request, from its start
	state    []byte // changes when the responder's tree does
	items    []item // for the pieces that differ, in the request's order
}

func (a *answer) encode() []byte {
	w := wire.NewWriter(nil)
	w.Array(answerValues + itemValues*len(a.items))
	w.Uint(kindAnswer)
	w.Uint(a.round)
	w.Uint(uint64(a.answered))
	w.Bytes(a.state)
	for i := range a.items {
		a.items[i].write(w)
	}
	return w.Done()
}

// readAnswer reads an answer; a refusal is an error.
func (h *head) readAnswer(msg []byte) (a answer, err error) {
	r, err := wire.NewReader(msg)
	if err != nil {
		return a, messageError(err)
	}
	n := r.Array()
	switch r.Uint() {
	case kindAnswer:
	case kindRefusal:
		return a, h.readRefusal(r, n)
	default:
		r.Fail("not an answer")
	}
	a.round, a.answered, a.state = r.Uint(), small(r, 1<<30), r.Bytes()
	a.items = readItems(r, n-answerValues)
	if len(a.items) == 0 && len(a.state) != 0 || len(a.items) > 0 && len(a.state) != stateSize {
		r.Fail("state of another length")
	}
	return a, messageError(r.Close())
}

// readRefusal returns why the peer refused, or what is wrong with its refusal.
func (h *head) readRefusal(r *wire.Reader, n int) error {
	var o head
	o.readAspects(r)
	if n != refusalValues {
		r.Fail("array of another length")
	}
	if err := r.Close(); err != nil {
		return messageError(err)
	}
	if differ := h.differs(&o); differ != nil {
		return differ
	}
	return &IncomparableError{Aspect: AspectRanges}
}

// messageError makes the wire's error ours.
func messageError(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &MessageError{Offset: e.Offset, Reason: e.Reason}
	}
	return err
}
