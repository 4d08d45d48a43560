package quorum

import "github.com/eventual-go/eventual/transport"

// A Send is one task that an operation wants done: call [Method] of the node To with
// Request, and hand the outcome back to the operation, together with the Send.
type Send struct {
	To transport.NodeID
	// ID tells the Sends of one operation apart. It says nothing to others.
	ID int

	task task
	role role
}

// A role is what a send is for.
type role uint8

const (
	roleLoad role = iota
	roleWrite
	roleRepair
	roleHint
)

// Request returns the bytes to send. The caller may keep them.
func (s *Send) Request() []byte {
	return appendRequest(make([]byte, 0, 16+s.task.size()), 1, func(int) *task { return &s.task })
}

// parse decodes the response to the Send alone.
func (s *Send) parse(resp []byte, err error) (a answer, failure error) {
	if err != nil {
		return a, err
	}
	err = parseResponse(resp, 1, func(_ int, got answer, e error) { a, failure = got, e })
	if err == nil && failure == nil {
		failure = s.verify(&a)
	}
	if err != nil {
		failure = err
	}
	return a, failure
}

// verify checks that an answer is one to this task, and turns a refusal into an error.
func (s *Send) verify(a *answer) error {
	ok := false
	switch s.task.kind {
	case taskLoad:
		ok = a.kind == statusDone || a.kind == statusNothing
	case taskUnless:
		ok = a.kind == statusDone || a.kind == statusSame || a.kind == statusNothing
	case taskDigest:
		ok = a.kind == statusDigest || a.kind == statusNothing
	case taskMerge, taskHint:
		ok = a.kind == statusDone || a.kind == statusDurable
	}
	switch {
	case a.kind == statusMoved:
		return &RingError{Key: s.task.key, Mine: a.version, Theirs: s.task.version}
	case !ok:
		return &MessageError{Reason: "not an answer to what was asked"}
	}
	return nil
}

// A ledger numbers the Sends of one operation, and lets each be answered once.
type ledger struct {
	sent []sent
	room [6]sent
}

type sent struct {
	to     transport.NodeID
	member int // that it is to, or for
	role   role
	over   bool
	digest digest // of what was sent, or asked about
}

func (l *ledger) add(s Send, member int, d digest) Send {
	if l.sent == nil {
		l.sent = l.room[:0]
	}
	s.ID = len(l.sent)
	l.sent = append(l.sent, sent{to: s.To, member: member, role: s.role, digest: d})
	return s
}

// take returns what a Send was for, nil if it is not of this operation or was answered.
func (l *ledger) take(s *Send) *sent {
	if s.ID < 0 || s.ID >= len(l.sent) {
		return nil
	}
	e := &l.sent[s.ID]
	if e.over || e.to != s.To || e.role != s.role {
		return nil
	}
	e.over = true
	return e
}

// has reports whether a member was sent something of a role.
func (l *ledger) has(member int, r role) bool {
	for i := range l.sent {
		if l.sent[i].member == member && l.sent[i].role == r {
			return true
		}
	}
	return false
}
