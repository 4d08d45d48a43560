package caspaxos

import (
	"errors"

	"github.com/eventual-go/eventual/internal/wire"
)

// Method is what a [Registers] calls and its Handler serves. A [transport.Mux] takes it by the prefix "caspaxos/".
const Method = "caspaxos/do"

// version is that of all messages.
const version = 1

// What an acceptor is asked for.
const (
	askLook    = 0 // what do you hold
	askPrepare = 1 // promise to this ballot, if what you hold is as expected, and say what it is
	askAccept  = 2 // hold this record by this ballot, and promise to the one ahead
	asks       = 3
)

// What comes of it.
const (
	saidYes    = 0
	saidOutbid = 1 // there is a promise to a greater ballot
	saidMoved  = 2 // the key is placed anew
	saidUnmet  = 3 // what is held is not as expected, nothing was promised
	saidFar    = 4 // the ballot is farther ahead than any that will ever be needed
	sayings    = 5
)

// A request is what one acceptor is asked for: [version, ask, key, placement, ballot, ahead, record, when, expected]. A
// ballot is two numbers; ahead is the counter of a ballot of the same proposer, or zero.
type request struct {
	ask    uint8
	key    string
	placed uint64 // version of the placement
	ballot Ballot
	ahead  uint64
	record []byte
	when   condition
}

const requestFields = 11

func (q *request) encode() []byte {
	w := wire.NewWriter(make([]byte, 0, 64+len(q.key)+len(q.record)))
	w.Array(requestFields)
	w.Uint(version)
	w.Uint(uint64(q.ask))
	w.Bytes([]byte(q.key))
	w.Uint(q.placed)
	putBallot(w, q.ballot)
	w.Uint(q.ahead)
	w.Bytes(q.record)
	w.Uint(uint64(q.when.what))
	putBallot(w, q.when.version)
	return w.Done()
}

// decodeRequest returns the request in b, whose record aliases that.
func decodeRequest(b []byte) (q request, err error) {
	r, err := open(b, requestFields)
	if err != nil {
		return q, refused(err)
	}
	ask := r.Uint()
	q = request{ask: uint8(ask), key: string(r.Bytes()), placed: r.Uint(), ballot: ballot(r), ahead: r.Uint(), record: r.Bytes()}
	when := r.Uint()
	q.when = condition{uint8(when), ballot(r)}
	if r.Err() == nil {
		if why := q.wrong(ask, when); why != "" {
			r.Fail(why)
		}
	}
	if err := r.Close(); err != nil {
		return request{}, refused(err)
	}
	return q, nil
}

// wrong says why a request cannot be one, if so.
func (q *request) wrong(ask, when uint64) string {
	switch {
	case ask >= asks:
		return "no such request"
	case ask == askLook != q.ballot.IsZero():
		return "not a ballot of this request"
	case q.ahead != 0 && (ask != askAccept || q.ahead <= q.ballot.Counter || q.ahead >= maxCounter):
		return "not ahead of its ballot"
	case when >= conditions || when != whenVersion && !q.when.version.IsZero() || when != whenever && ask != askPrepare:
		return "no such condition"
	case ask != askAccept && len(q.record) > 0:
		return "a record where none belongs"
	case ask == askAccept:
		return unfit(q.ballot, q.record)
	}
	return ""
}

// A reply is what an acceptor answers: [version, said, promised, accepted, record, placement, firm]. It speaks of
// what there was before the request.
type reply struct {
	said     uint8
	promised Ballot
	accepted Ballot
	record   []byte
	placed   uint64
	firm     bool // see State.firm
}

const replyFields = 9

func (p *reply) encode() []byte {
	w := wire.NewWriter(make([]byte, 0, 64+len(p.record)))
	w.Array(replyFields)
	w.Uint(version)
	w.Uint(uint64(p.said))
	putBallot(w, p.promised)
	putBallot(w, p.accepted)
	w.Bytes(p.record)
	w.Uint(p.placed)
	w.Bool(p.firm)
	return w.Done()
}

// decodeReply returns the reply in b, whose record aliases that.
func decodeReply(b []byte) (p reply, err error) {
	r, err := open(b, replyFields)
	if err != nil {
		return p, refused(err)
	}
	said := r.Uint()
	p = reply{said: uint8(said), promised: ballot(r), accepted: ballot(r), record: r.Bytes(), placed: r.Uint(), firm: r.Bool()}
	if r.Err() == nil {
		if why := p.wrong(said); why != "" {
			r.Fail(why)
		}
	}
	if err := r.Close(); err != nil {
		return reply{}, refused(err)
	}
	return p, nil
}

func (p *reply) wrong(said uint64) string {
	switch {
	case said >= sayings:
		return "no such answer"
	case p.promised.before(p.accepted):
		return "not promised"
	case p.accepted.IsZero() && len(p.record) > 0:
		return "a record that nobody proposed"
	case !p.accepted.IsZero():
		return unfit(p.accepted, p.record)
	}
	return ""
}

// contested reports whether somebody proposes, who is not the one of that name, and not who has proposed what is held.
func (p *reply) contested(name uint64) bool {
	by := p.promised.Proposer
	return p.accepted.before(p.promised) && by != p.accepted.Proposer && by != name
}

// open reads the head of a message. The version is looked at first: a newer message may have another form.
func open(b []byte, fields int) (*wire.Reader, error) {
	r, err := wire.NewReader(b)
	if err != nil {
		return nil, err
	}
	n, v := r.Array(), r.Uint()
	switch {
	case r.Err() != nil:
	case v > version:
		return nil, ErrVersion
	case v != version || n != fields:
		r.Fail("not a message of this version")
	}
	return r, r.Err()
}

func refused(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &MessageError{Offset: e.Offset, Reason: e.Reason}
	}
	return err
}
