package antientropy

import (
	"fmt"

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

// A position is three values: [..., generation or nil, standing, takes, ...]. Nil says
// that there are no generations.

func (p *position) write(w *wire.Writer) {
	writeGeneration(w, p)
	w.Uint(p.standing)
	w.Bool(p.takes)
}

func readPosition(r *wire.Reader) (p position) {
	p.generation, p.plain = readGeneration(r)
	p.standing, p.takes = r.Uint(), r.Bool()
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

func writeRecords(w *wire.Writer, records [][]byte) {
	w.Array(len(records))
	for _, b := range records {
		w.Bytes(b)
	}
}

// readRecords returns records that alias the message.
func readRecords(r *wire.Reader) (records [][]byte) {
	for range r.Array() {
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

// lead returns what leads from one generation to that of a store, as much as one message
// holds. Nothing does from that of one that has met nobody.
func lead(f Follower, from string, limit int) (records [][]byte, err error) {
	if from == "" {
		return nil, nil
	}
	records, ok := f.Since(from, limit-epochOverhead)
	if !ok {
		return nil, nil
	}
	return fitting(records, limit)
}

// elsewhere is the answer to a reconcile, a pull or a stream of a peer of another
// generation: [version, generation, standing, takes, [record, ...]]. The records lead to
// the generation from that of the peer; there are none if that is not known, and to
// a pull or a stream, after which the peer is to begin anew.
type elsewhere struct {
	position
	records [][]byte
}

const elsewhereHead = 0x95 // of an array of five; no other answer to these is one

func encodeElsewhere(e *elsewhere) []byte {
	w := message(4)
	e.position.write(w)
	writeRecords(w, e.records)
	return w.Done()
}

func isElsewhere(b []byte) bool { return len(b) > 0 && b[0] == elsewhereHead }

func decodeElsewhere(method string, b []byte) (*elsewhere, error) {
	r, err := open(method, b, 4)
	if err != nil {
		return nil, err
	}
	e := &elsewhere{position: readPosition(r), records: readRecords(r)}
	if e.plain {
		r.Fail("another generation than none")
	}
	return e, closed(method, r)
}

// settle: [version, standing, [record, ...]] → [version, generation or nil, standing, takes].

func encodeSettle(standing uint64, records [][]byte) []byte {
	w := message(2)
	w.Uint(standing)
	writeRecords(w, records)
	return w.Done()
}

func decodeSettle(b []byte) (standing uint64, records [][]byte, err error) {
	r, err := open(methodSettle, b, 2)
	if err != nil {
		return 0, nil, err
	}
	standing, records = r.Uint(), readRecords(r)
	return standing, records, closed(methodSettle, r)
}

func encodeSettled(p *position) []byte {
	w := message(3)
	p.write(w)
	return w.Done()
}

func decodeSettled(b []byte) (position, error) {
	r, err := open(methodSettle, b, 3)
	if err != nil {
		return position{}, err
	}
	p := readPosition(r)
	return p, closed(methodSettle, r)
}

// prepare: [version, epoch, generation, standing, proposal]
// → [version, status, epoch, generation, standing, [reply], or [record, ...], or [reason]].
// Without a proposal it asks only whether the member could prepare one.

// A question whether a member is ready to forget, and what.
type asking struct {
	epoch      uint64
	generation string
	standing   uint64
	proposal   []byte
}

func encodePrepare(q *asking) []byte {
	w := message(4)
	w.Uint(q.epoch)
	w.Bytes([]byte(q.generation))
	w.Uint(q.standing)
	w.Bytes(q.proposal)
	return w.Done()
}

func decodePrepare(b []byte) (*asking, error) {
	r, err := open(methodPrepare, b, 4)
	if err != nil {
		return nil, err
	}
	q := &asking{epoch: r.Uint()}
	q.generation, _ = readGeneration(r)
	q.standing, q.proposal = r.Uint(), r.Bytes()
	return q, closed(methodPrepare, r)
}

// What a member says to that.
const (
	statusReady     = 0 // with the reply to a proposal, empty if there was none
	statusEpoch     = 1 // it is of another epoch, or asked by another than who proposes
	statusElsewhere = 2 // it is of another generation; with the records that lead there, if they are known
	statusRefused   = 3 // its store said no, with the reason
)

type prepared struct {
	status     int
	epoch      uint64
	generation string
	standing   uint64
	parts      [][]byte
}

func encodePrepared(a *prepared) []byte {
	w := message(5)
	w.Uint(uint64(a.status))
	w.Uint(a.epoch)
	w.Bytes([]byte(a.generation))
	w.Uint(a.standing)
	writeRecords(w, a.parts)
	return w.Done()
}

func decodePrepared(b []byte) (*prepared, error) {
	r, err := open(methodPrepare, b, 5)
	if err != nil {
		return nil, err
	}
	a := &prepared{status: count(r, statusRefused), epoch: r.Uint()}
	a.generation, _ = readGeneration(r)
	a.standing, a.parts = r.Uint(), readRecords(r)
	if a.status != statusElsewhere && len(a.parts) != partsOf(a.status) {
		r.Fail("not what goes with the status")
	}
	return a, closed(methodPrepare, r)
}

func partsOf(status int) int {
	if status == statusEpoch {
		return 0
	}
	return 1
}

// err is what a member's answer says that is not ready.
func (a *prepared) err(peer transport.NodeID, epoch uint64, generation string) error {
	switch a.status {
	case statusEpoch:
		return &EpochError{Peer: peer, Own: epoch, Theirs: a.epoch}
	case statusElsewhere:
		return &GenerationError{Peer: peer, Own: generation, Theirs: a.generation}
	}
	return &RefusedError{Reason: cut(string(a.parts[0]), maxReason)}
}
