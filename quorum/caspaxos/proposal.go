package caspaxos

import (
	"bytes"
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A step is how far a proposal has come.
type step uint8

const (
	looking   step = iota // asked what is held
	preparing             // asked for promises
	accepting             // asked to accept
	over                  // see outcome
)

// An outcome is what came of a round.
type outcome uint8

const (
	undecided outcome = iota
	decided           // result and err say what came of the whole call
	unsettled         // acceptors disagree: a later round, or a ballot of one's own, can tell
	outbid            // somebody else has a greater ballot
	unmet             // what is held is not as expected, and is to be changed all the same
	moved             // somebody knows of a later placement
	failed            // err says why no majority answers
)

// An attempt is a change that acceptors were asked for.
type attempt struct {
	ballot  Ballot
	version Ballot // of what they hold then: no greater
	value   Value
	results []result
}

// A decide says what is to follow a value: data, of which nil deletes, or nothing, if write is false; then err is what
// the caller gets.
type decide func(current Value) (data []byte, write bool, err error)

// A verdict is what a call makes of a value.
type verdict struct {
	data    []byte // that is to follow, of which nil deletes,
	write   bool   // or nothing is to
	version Ballot
	err     error    // what the caller gets, if nothing is to,
	results []result // or all of those whose changes are made as one
}

// A send is a request to one acceptor. The round says to which of several it belongs.
type send struct {
	to    transport.NodeID
	round int
	request
}

// A proposal is one call as a step machine: no goroutine, clock or I/O. It goes through rounds, each of which begins by
// look, prepare or lead, and ends when outcome is not undecided. It is pure as far as decide is.
type proposal struct {
	key    string
	self   transport.NodeID
	decide decide
	fold   *fold // decides if it is not nil

	ahead   Ballot // what is to be promised to with accepting, or zero
	round   int
	place   quorum.Placement
	ballot  Ballot
	step    step
	tally   *quorum.Tally
	best    Ballot // of the greatest proposal among answers
	record  record // that was proposed by it
	even    bool   // all answers so far are firm, and have that proposal
	answers int    // of those
	heard   []heard
	silent  []transport.NodeID // that have not answered yet

	mine  []attempt // changes that were sent, by ascending ballots
	rival Ballot    // the greatest promise to another that refused this round
	unmet bool      // somebody refused it since it holds something else than expected
	far   bool      // somebody refused the ballot, and
	near  uint64    // has promised to this counter, at most
	later uint64    // the version of a later placement,
	by    transport.NodeID

	goal     record // what acceptors are asked to accept
	writes   bool   // it is a change of this call
	accepted bool   // by a majority
	result   Value
	err      error
	results  []result // of the fold
	outcome
}

// look begins a round that asks what is held, and changes nothing.
func (o *proposal) look(p quorum.Placement) []send {
	return o.begin(p, Ballot{}, looking, &request{ask: askLook})
}

// prepare begins a round by a ballot that was never used, and has acceptors promise that hold what is expected.
func (o *proposal) prepare(p quorum.Placement, b Ballot, when condition) []send {
	return o.begin(p, b, preparing, &request{ask: askPrepare, ballot: b, when: when})
}

// lead begins a round by a ballot to which a majority has promised already, when it held a record. If that is not to be
// changed the ballot is not used, and it looks whether it is still what is held.
func (o *proposal) lead(p quorum.Placement, b Ballot, held record) (sends []send, used bool) {
	if !o.open(p, b, accepting) {
		return nil, false
	}
	o.record = held
	if sends = o.choose(); o.outcome == undecided && !o.writes {
		return o.look(p), false
	}
	return sends, true
}

func (o *proposal) begin(p quorum.Placement, b Ballot, s step, q *request) []send {
	if !o.open(p, b, s) {
		return nil
	}
	return o.ask(q)
}

func (o *proposal) open(p quorum.Placement, b Ballot, s step) bool {
	o.round++
	o.place, o.ballot, o.outcome = p, b, undecided
	if planted.Bug == planted.NextUnasked {
		o.place.Next = nil
	}
	o.best, o.record, o.even, o.heard = Ballot{}, record{}, true, o.heard[:0]
	o.answers, o.writes = 0, false
	o.rival, o.later, o.unmet, o.far, o.near = Ballot{}, 0, false, false, 0
	return o.enter(s)
}

// enter begins a step, for which nobody has answered yet.
func (o *proposal) enter(s step) bool {
	tally, err := quorum.NewTally(o.place, o.self, quorum.Demand{Level: quorum.Majority})
	if err != nil {
		o.end(failed, Value{}, err)
		return false
	}
	o.step, o.tally = s, tally
	return true
}

func (o *proposal) end(as outcome, v Value, err error) {
	o.step, o.outcome, o.result, o.err = over, as, v, err
}

// ask sends a request to all who hold the key, or are to.
func (o *proposal) ask(q *request) []send {
	q.key, q.placed, o.silent = o.key, o.place.Version, o.silent[:0]
	sends := make([]send, 0, len(o.place.Owners)+len(o.place.Next))
	for _, nodes := range [][]transport.NodeID{o.place.Owners, o.place.Next} {
		for _, node := range nodes {
			if !slices.Contains(o.silent, node) {
				o.silent = append(o.silent, node)
				sends = append(sends, send{to: node, round: o.round, request: *q})
			}
		}
	}
	return sends
}

// answer takes what came of a send. What belongs to a step that is over changes nothing.
func (o *proposal) answer(s *send, p *reply, err error) []send {
	if s.round != o.round || o.step == over || s.ask != [...]uint8{looking: askLook, preparing: askPrepare, accepting: askAccept}[o.step] {
		return nil
	}
	if at := slices.Index(o.silent, s.to); at >= 0 {
		o.silent = slices.Delete(o.silent, at, at+1)
	}
	var held []byte
	if err == nil {
		err = o.refusal(s, p)
		held = o.hear(s.to, p)
	}
	if err != nil {
		o.tally.Fail(s.to, err)
	} else if o.tally.Answer(s.to, false) && o.step != accepting {
		o.absorb(p, held)
	}
	return o.advance()
}

// refusal is the error in a reply, if it is none that counts.
func (o *proposal) refusal(s *send, p *reply) error {
	switch p.said {
	case saidOutbid:
		o.rival = latest(o.rival, p.promised)
		return errOutbid
	case saidUnmet:
		o.unmet = true
		return errUnmet
	case saidFar:
		o.far, o.near = true, max(o.near, p.promised.Counter)
		return errFar
	case saidMoved:
		if p.placed > o.later && p.placed > o.place.Version && p.placed < noRing {
			o.later, o.by = p.placed, s.to
		}
		return &quorum.RingError{Key: o.key, Mine: p.placed, Theirs: o.place.Version}
	}
	return nil
}

// noRing is the version of nodes that have no ring yet: there is nothing to learn from them.
const noRing = 1<<64 - 1

// giveUp ends a round that is stuck.
func (o *proposal) giveUp() {
	if o.step != accepting && o.compare() {
		return
	}
	o.outcome = outbid
	if o.rival.IsZero() {
		o.outcome = unsettled
	}
}

func (o *proposal) advance() []send {
	switch {
	case o.tally.Reached(), planted.Bug == planted.FewPromises && o.step == preparing && o.answers > 0:
		return o.proceed()
	case !o.tally.Impossible() || slices.Contains(o.silent, o.self): // its own answer is at hand, and the error is to count it
	case o.later > 0:
		o.end(moved, Value{}, o.tally.Unavailable(o.op(), o.key))
	case o.unmet || !o.rival.IsZero() || o.far:
		o.refused()
	default:
		o.end(failed, Value{}, o.tally.Unavailable(o.op(), o.key))
	}
	return nil
}

// refused ends a round that acceptors do not let go on. What they hold may be all that the call needs to know; those who
// have not answered yet may help, if it is not that others are in the way.
func (o *proposal) refused() {
	switch {
	case o.step == preparing && o.compare():
	case !o.rival.IsZero() || o.far:
		o.end(outbid, Value{}, o.tally.Unavailable(o.op(), o.key))
	case len(o.silent) == 0:
		o.end(unsettled, Value{}, o.tally.Unavailable(o.op(), o.key))
	}
}

// proceed goes on after a majority has said yes.
func (o *proposal) proceed() []send {
	switch o.step {
	case preparing:
		return o.choose()
	case accepting:
		o.accepted = true
		o.end(decided, o.result, o.err)
	case looking:
		if !o.compare() && len(o.silent) == 0 {
			o.end(unsettled, Value{}, o.tally.Unavailable(o.op(), o.key))
		}
	}
	return nil
}

// stuck reports whether a round may go on, and better begins anew: a rival is in the way, or those who have answered do
// not agree.
func (o *proposal) stuck() bool {
	return o.outcome == undecided && (!o.rival.IsZero() || o.unmet && o.tally.Impossible() || o.step == looking && o.tally.Reached())
}

// choose decides what is proposed by a ballot to which a majority has promised. What was found has to be proposed
// again also where nothing is to be changed, since it may never have been accepted by a majority; unless it is seen
// that it was.
func (o *proposal) choose() []send {
	f, at := o.record.fateOf(o.mine)
	if f == unknown {
		o.end(failed, Value{}, nil)
		return nil
	}
	goal, write := o.record, false
	var value Value
	var err error
	if f == applied {
		value, o.results = o.mine[at].value, o.mine[at].results
	} else {
		value = o.record.value()
		d := o.judge(value, o.ballot)
		if write, err, o.results = d.write, d.err, d.results; write {
			goal = o.record.with(bytes.Clone(d.data), d.version)
			value, err = goal.value(), nil
			o.mine = append(o.mine, attempt{o.ballot, d.version, value, d.results})
		}
	}
	if !write && o.settled() {
		o.end(decided, value, err)
		return nil
	}
	o.result, o.err, o.goal, o.writes = value, err, goal, write
	if !o.enter(accepting) {
		return nil
	}
	q := &request{ask: askAccept, ballot: o.ballot, record: goal.encode()}
	q.ahead = o.ahead.Counter
	return o.ask(q)
}

// judge decides what is to follow a value by a ballot.
func (o *proposal) judge(v Value, by Ballot) verdict {
	if o.fold != nil {
		return o.fold.decide(v, by)
	}
	data, write, err := o.decide(v)
	return verdict{data: data, write: write, version: by, err: err}
}

// settled reports whether a majority is seen to hold what was found, so that nothing but what follows from it will ever
// be accepted.
func (o *proposal) settled() bool { return o.step == preparing && o.even && o.after(o.best) }

// after reports whether nothing that this call has proposed comes later than a ballot. If something does, and was not
// heard, it may follow from what is held.
func (o *proposal) after(b Ballot) bool {
	return len(o.mine) == 0 || !b.before(o.mine[len(o.mine)-1].ballot)
}

// op is what a step is called in errors.
func (o *proposal) op() string {
	return [...]string{looking: quorum.OpRead, preparing: "prepare", accepting: "accept", over: "accept"}[o.step]
}
