package antientropy

import (
	"fmt"
	"strings"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/transport"
)

// The messages by which nodes come to one generation, and collect.
const (
	methodSettle  = "antientropy/settle"
	methodPrepare = "antientropy/prepare"
)

const (
	maxGeneration  = 128 // bytes of one
	recordOverhead = 5   // of a record, in a message with others
	epochOverhead  = messageOverhead + 2*maxGeneration
)

// A position is two values: [..., generation or nil, [rank, least, promised], ...]. Nil
// says that there are no generations.

func (p *position) write(w *wire.Writer) {
	writeGeneration(w, p)
	w.Array(3)
	w.Uint(uint64(p.rank))
	w.Uint(uint64(p.least))
	w.Uint(uint64(p.promised))
}

func readPosition(r *wire.Reader) (p position) {
	p.generation, p.plain = readGeneration(r)
	r.ArrayOf(3)
	p.rank, p.least, p.promised = rank(r.Uint()), rank(r.Uint()), pledge(r.Uint())
	return p
}

func writeGeneration(w *wire.Writer, p *position) {
	if p.plain {
		w.Nil()
		return
	}
	w.Bytes([]byte(p.generation))
}

func readGeneration(r *wire.Reader) (generation string, plain bool) {
	if r.IsNil() {
		return "", true
	}
	b := r.Bytes()
	if len(b) > maxGeneration {
		r.Fail("generation too long")
	}
	return string(b), false
}

// readRecords returns so many records, which alias the message.
func readRecords(r *wire.Reader, n int) (records [][]byte) {
	for range n {
		records = append(records, r.Bytes())
		if r.Err() != nil {
			break
		}
	}
	return records
}

// fitting are as many of the records as one message holds beside the rest of it. It is
// an error if there are some and not one fits.
func fitting(records [][]byte, limit int) ([][]byte, error) {
	size := epochOverhead
	for i, b := range records {
		if size += len(b) + recordOverhead; size > limit {
			if i == 0 {
				return nil, fmt.Errorf("antientropy: a record: %w", &TooLargeError{Size: len(b), Max: limit})
			}
			return records[:i], nil
		}
	}
	return records, nil
}

// elsewhere is the answer to a reconcile, a pull or a stream of a peer of another
// generation: [version, generation, [rank, least, promised], [from, record, ...]]. The records
// lead to the generation, from that of the peer if the way from there is known, and else
// from another, for a peer that is to adopt it. There is no way to where nothing leads, or
// who asks is not to go, and none in answer to a pull or a stream, after which the peer is
// to begin anew.
type elsewhere struct {
	position
	way way
}

const elsewhereHead = 0x94 // of an array of four; no other answer to these is one

func (wa *way) write(w *wire.Writer) {
	if wa.from == "" {
		w.Array(0)
		return
	}
	w.Array(1 + len(wa.records))
	w.Bytes([]byte(wa.from))
	for _, b := range wa.records {
		w.Bytes(b)
	}
}

func readWay(r *wire.Reader) (wa way) {
	n := r.Array()
	if n == 0 {
		return way{}
	}
	if wa.from, _ = readGeneration(r); wa.from == "" {
		r.Fail("a way from nowhere")
	}
	wa.records = readRecords(r, n-1)
	return wa
}

func encodeElsewhere(e *elsewhere) []byte {
	w := message(3)
	e.position.write(w)
	e.way.write(w)
	return w.Done()
}

func isElsewhere(b []byte) bool { return len(b) > 0 && b[0] == elsewhereHead }

func decodeElsewhere(method string, b []byte) (*elsewhere, error) {
	r, err := open(method, b, 3)
	if err != nil {
		return nil, err
	}
	e := &elsewhere{position: readPosition(r), way: readWay(r)}
	if e.plain {
		r.Fail("another generation than none")
	}
	return e, closed(method, r)
}

// settle: [version, rank, promised, [from, record, ...]]
// → [version, generation or nil, [rank, least, promised]]. What is promised is what the peer
// said last.

func encodeSettle(s rank, promised pledge, wa way) []byte {
	w := message(3)
	w.Uint(uint64(s))
	w.Uint(uint64(promised))
	wa.write(w)
	return w.Done()
}

func decodeSettle(b []byte) (s rank, promised pledge, wa way, err error) {
	r, err := open(methodSettle, b, 3)
	if err != nil {
		return 0, 0, way{}, err
	}
	s, promised, wa = rank(r.Uint()), pledge(r.Uint()), readWay(r)
	return s, promised, wa, closed(methodSettle, r)
}

func encodeSettled(p *position) []byte {
	w := message(2)
	p.write(w)
	return w.Done()
}

func decodeSettled(b []byte) (position, error) {
	r, err := open(methodSettle, b, 2)
	if err != nil {
		return position{}, err
	}
	p := readPosition(r)
	return p, closed(methodSettle, r)
}

// prepare: [version, epoch, generation, rank, promised, proposal]
// → [version, status, epoch, generation, [rank, least, promised], reply or reason, [from, record, ...]].
// Without a proposal it asks only whether the member could prepare one.

// A question whether a member is ready to forget, and what.
type asking struct {
	epoch      uint64
	generation string
	rank       rank
	promised   pledge // as the member said, of no use without a proposal
	proposal   []byte
}

func encodePrepare(q *asking) []byte {
	w := message(5)
	w.Uint(q.epoch)
	w.Bytes([]byte(q.generation))
	w.Uint(uint64(q.rank))
	w.Uint(uint64(q.promised))
	w.Bytes(q.proposal)
	return w.Done()
}

func decodePrepare(b []byte) (*asking, error) {
	r, err := open(methodPrepare, b, 5)
	if err != nil {
		return nil, err
	}
	q := &asking{epoch: r.Uint()}
	q.generation, _ = readGeneration(r)
	if q.generation == "" {
		r.Fail("no generation")
	}
	q.rank, q.promised, q.proposal = rank(r.Uint()), pledge(r.Uint()), r.Bytes()
	return q, closed(methodPrepare, r)
}

// What a member says to that.
const (
	statusReady     = iota // with the reply to a proposal, if there was one
	statusEpoch            // it is of another epoch, or of none
	statusElsewhere        // it is of another generation; with the way there, if it is known
	statusRefused          // it does not do that, with the reason
)

type prepared struct {
	status int
	epoch  uint64 // that it is a member of
	position
	reply []byte
	way   way
}

func encodePrepared(a *prepared) []byte {
	w := message(6)
	w.Uint(uint64(a.status))
	w.Uint(a.epoch)
	a.position.write(w)
	w.Bytes(a.reply)
	a.way.write(w)
	return w.Done()
}

func decodePrepared(b []byte) (*prepared, error) {
	r, err := open(methodPrepare, b, 6)
	if err != nil {
		return nil, err
	}
	a := &prepared{status: count(r, statusRefused), epoch: r.Uint(), position: readPosition(r), reply: r.Bytes(), way: readWay(r)}
	return a, closed(methodPrepare, r)
}

// err is what an answer says that is not ready.
func (a *prepared) err(peer transport.NodeID, epoch uint64, generation string) error {
	switch a.status {
	case statusEpoch:
		return &EpochError{Peer: peer, Own: epoch, Theirs: a.epoch}
	case statusElsewhere:
		return &GenerationError{Peer: peer, Own: generation, Theirs: a.generation}
	}
	return &RefusedError{Reason: cut(strings.ToValidUTF8(string(a.reply), "?"), maxReason)}
}
