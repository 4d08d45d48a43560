package caspaxos

import (
	"bytes"
	"slices"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A heard is what one acceptor holds. Also who refuses to promise tells.
type heard struct {
	node     transport.NodeID
	accepted Ballot
	record   []byte
	firm     bool
}

// hear notes what an acceptor holds, also if it refuses. What it says first counts, as it may say more later. It returns
// a copy of the record that is held.
func (o *proposal) hear(from transport.NodeID, p *reply) (held []byte) {
	if o.step == accepting || p.said == saidMoved {
		return nil
	}
	held = bytes.Clone(p.record)
	if !slices.ContainsFunc(o.heard, func(h heard) bool { return h.node == from }) {
		o.heard = append(o.heard, heard{node: from, accepted: p.accepted, record: held, firm: p.firm})
	}
	return held
}

// absorb takes what an acceptor holds that said yes. Its record was looked at when the reply was decoded.
func (o *proposal) absorb(p *reply, held []byte) {
	first := o.answers == 0
	o.answers++
	o.even = o.even && p.firm && (first || p.accepted == o.best)
	if first || o.best.before(p.accepted) {
		o.best = p.accepted
		o.record, _ = decodeRecord(held)
	}
}

// common finds the proposal that a majority of those who were heard holds firmly. Others may hold a later one already:
// no majority had accepted that before these were asked.
func (o *proposal) common() (by Ballot, held record, found bool) {
	if o.even && o.tally.Reached() {
		return o.best, o.record, true
	}
	for i := range o.heard {
		by = o.heard[i].accepted
		tally, err := quorum.NewTally(o.place, o.self, quorum.Demand{Level: quorum.Majority})
		for j := range o.heard {
			if err == nil && o.heard[j].firm && o.heard[j].accepted == by {
				tally.Answer(o.heard[j].node, false)
			}
		}
		if err == nil && tally.Reached() {
			held, _ = decodeRecord(o.heard[i].record)
			return by, held, true
		}
	}
	return Ballot{}, record{}, false
}

// compare sees whether a majority agrees in what it holds, and what that means for the call. If it does not, those who
// have not answered may help.
func (o *proposal) compare() (ended bool) {
	by, held, found := o.common()
	if !found {
		return false
	}
	f, at := held.fateOf(o.mine)
	switch {
	case f == applied:
		o.results = o.mine[at].results
		o.end(decided, o.mine[at].value, nil)
	case f == unknown:
		o.end(failed, Value{}, nil)
	case !o.after(by):
		return false
	default:
		v := held.value()
		d := o.judge(v, Ballot{})
		switch {
		case !d.write:
			o.results = d.results
			o.end(decided, v, d.err)
		case o.rival.IsZero():
			o.end(unmet, Value{}, nil)
		default:
			return false
		}
	}
	return true
}
