package merkle

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/eventual-go/eventual/internal/wire"
)

// Messages are flat msgpack arrays: a head, then the values of the items.
//
//	request: 0, version, format, secret, epoch, round<<4 | width−1, limit, items...
//	answer:  1, round                                  (nothing that was asked about differs)
//	answer:  1, round, answered, [state (4 bytes), items...]
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
	messageVersion = 3
	elementFormat  = 2 // what Hasher computes

	headValues    = 7
	answerValues  = 4 // with items
	refusalValues = 5

	headSize = 40 // the most that a head takes
)

type op uint8

const (
	// Asked: is this your sum of the range? data: width or 16 bytes.
	// Answered to opRest: the sum outside of the blocks. data: 16 bytes.
	opSum op = iota
	// Both ways: the sums of the range's parts. data: width bytes each.
	// Answered without data: the range differs, ask again in another way.
	opParts
	// Asked: what do you have in the range? data: none.
	// Answered: the elements in the range. data: position and width bytes each.
	opList
	// Asked: what is your sum of the range without these blocks?
	// data: depth and position of each, ascending.
	// Answered: too many to list, all at one position. data: none.
	opRest
	// Asked: is this your sum of the range? If not, what is its table like? data: 16
	// bytes, and the depth of a sample if it is not the kept sketch that tells.
	// Answered: the most cells that it has, as a power of two, the state of the range,
	// the estimator and the first cells of the sample; see scan.go.
	opSketch
	// Asked: cells of the table of the range. data: the state that the cells before
	// belong to, the first cell, how many the table is to have, and perhaps 16 bytes:
	// is this your sum of the range?
	// Answered: the state, and cells, from the first, or all if the state is another;
	// or nothing, where too many keys would have to be read.
	opCells
	// Asked: look whether your sketch holds. data: none. Not answered.
	opDoubt

	ops
)

// item is a question about a range, or the answer to one.
type item struct {
	op   op
	r    Range
	data []byte

	list bool // not sent: the range is to be listed, if that fits a message
}

// size is an upper bound of what the item takes in a message.
func (it *item) size() int { return sizeOf(it.r, len(it.data)) }

func sizeOf(r Range, data int) int {
	if depth, ok := r.aligned(); ok {
		return 1 + (1 + (depth+1)/2) + 3 + data
	}
	return 1 + (2 + 16) + 3 + data
}

// An item is a code of operation and depth, the range, which has no value if it is
// everything, and the data.
const (
	explicit = maxDepth + 1 // the depth written for a range that is not one block
	depths   = explicit + 1
)

func (it *item) values() int {
	if it.r == Full {
		return 2
	}
	return 3
}

func (it *item) write(w *wire.Writer) {
	depth, ok := it.r.aligned()
	switch {
	case !ok:
		w.Uint(uint64(it.op)*depths + explicit)
		ends := binary.BigEndian.AppendUint64(nil, uint64(it.r.From))
		w.Bytes(binary.BigEndian.AppendUint64(ends, uint64(it.r.To)))
	case depth == 0:
		w.Uint(uint64(it.op) * depths)
	default:
		w.Uint(uint64(it.op)*depths + uint64(depth))
		w.Uint(uint64(it.r.From) >> (64 - 4*depth))
	}
	w.Bytes(it.data)
}

func readItem(r *wire.Reader) item {
	code := r.Uint()
	if code >= uint64(ops)*depths {
		r.Fail("unknown item")
	}
	it := item{op: op(code / depths)}
	switch depth := int(code % depths); depth {
	case explicit:
		it.r = readEnds(r)
	case 0:
		it.r = Full
	default:
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
	if depth < maxDepth && prefix>>(4*depth) != 0 {
		r.Fail("block out of range")
		return Range{}
	}
	return block(Position(prefix<<(64-4*depth)), depth)
}

// limitCode is a number of bytes of at least minMessage in one value below 169:
// the code of the largest number that has one and is no larger.
func limitCode(n int) uint64 {
	shift := bits.Len(uint(n)) - 10
	return uint64(8*shift + n>>(shift+6) - 8)
}

func limitOf(code uint64) int { return int(8+code%8) << (code/8 + 6) }

const maxLimitCode = 168 // of 1 << 30

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
	w.Array(headValues + valuesOf(items))
	w.Uint(kindRequest)
	h.writeAspects(w)
	w.Uint(h.round<<4 | uint64(h.width-1))
	w.Uint(limitCode(h.limit))
	for i := range items {
		items[i].write(w)
	}
	return w.Done()
}

func valuesOf(items []item) (n int) {
	for i := range items {
		n += items[i].values()
	}
	return n
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
	round := r.Uint()
	o.round, o.width = round>>4, int(round&15)+1
	o.limit = limitOf(uint64(small(r, maxLimitCode)))
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
	if values < 0 {
		r.Fail("array of another length")
		return nil
	}
	items := make([]item, 0, values/2)
	for values > 0 && r.Err() == nil {
		it := readItem(r)
		values -= it.values()
		items = append(items, it)
	}
	if values < 0 {
		r.Fail("array of another length")
	}
	if r.Err() != nil {
		return nil
	}
	return items
}

// answer is what a responder says to a request.
type answer struct {
	round    uint64
	all      bool   // nothing that was asked about differs
	answered int    // so many pieces of the request, from its start
	state    []byte // changes when the responder's tree does; of answers with items
	items    []item // for the pieces that differ, in the request's order
}

func (a *answer) encode() []byte {
	w := wire.NewWriter(nil)
	switch {
	case a.all:
		w.Array(answerValues - 2)
	case len(a.items) == 0:
		w.Array(answerValues - 1)
	default:
		w.Array(answerValues + valuesOf(a.items))
	}
	w.Uint(kindAnswer)
	w.Uint(a.round)
	if !a.all {
		w.Uint(uint64(a.answered))
	}
	if len(a.items) > 0 {
		w.Bytes(a.state)
	}
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
	a.round = r.Uint()
	if a.all = n == answerValues-2; !a.all {
		a.answered = small(r, 1<<30)
	}
	if n >= answerValues {
		a.state = r.Bytes()
		a.items = readItems(r, n-answerValues)
		if len(a.state) != stateSize || len(a.items) == 0 {
			r.Fail("state of another length, or of nothing")
		}
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
