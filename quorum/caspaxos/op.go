package caspaxos

import (
	"context"

	"github.com/eventual-go/eventual/transport"
)

// An Op is one call as a step machine: it says what to send, is told what came of it, and decides. It has no goroutine,
// clock or I/O, and no randomness if it is given a Proposer, so a simulator runs what a [Registers] runs. Answers may
// come in any order, late or never. It is for one goroutine at a time.
//
// Most users will not need an Op: see [Registers.Read] and [Registers.Change].
type Op struct {
	c      call
	expire context.CancelFunc
	done   bool
	value  Value
	err    error
}

// An OpConfig says what an [Op] is about.
type OpConfig struct {
	// Registers is whose call it is: its Self, Ring, Ahead and ballots are used. Several may be under way. It must
	// be set, with a Ring.
	Registers *Registers
	Key       string
	// Change is that of [Registers.Change]. If nil, the call is a Read.
	Change func(current Value) ([]byte, error)
	// Proposer is in the ballots of the first call of the Registers, if this is it, and those of later calls follow from
	// it. No other Registers may ever have it, of this node or another. If zero, it is drawn at random.
	Proposer uint64
}

// A Send is a request of an [Op] to one node.
type Send struct {
	To   transport.NodeID
	send send
}

// Request returns the request to call the node with, by [Method]. Where that is the node of the [Op] its own Handler
// takes it, too.
func (s *Send) Request() []byte { return s.send.encode() }

// NewOp returns a call on a key.
func NewOp(cfg OpConfig) *Op {
	r := cfg.Registers
	if r == nil || r.Ring == nil {
		return &Op{done: true, err: errNoRing}
	}
	r.proposer.CompareAndSwap(0, cfg.Proposer)
	w := wish{decide: read, reads: true}
	if cfg.Change != nil {
		w = r.changing(cfg.Key, cfg.Change)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := &Op{expire: cancel}
	o.c = *r.newCall(ctx, context.Background(), cfg.Key, w)
	return o
}

// Start begins the first round, and returns what to send.
func (o *Op) Start() []Send { return o.Retry() }

// Retry begins another round by the placement of now, and returns what to send. It is for when [Op.Blocked] says so.
func (o *Op) Retry() []Send {
	if o.done {
		return nil
	}
	return o.round()
}

func (o *Op) round() []Send {
	if o.c.o.round > 0 {
		if o.c.o.stuck() {
			o.c.o.giveUp()
		}
		o.c.looked()
	}
	sends, err := o.c.begin()
	if err != nil {
		o.c.o.end(failed, Value{}, err)
	}
	return o.look(sends)
}

// Answer takes what came of s: the response or the error of the call. It returns what to send next.
func (o *Op) Answer(s Send, resp []byte, err error) []Send {
	if o.done {
		return nil
	}
	var p reply
	if err == nil {
		p, err = decodeReply(resp)
	}
	return o.look(o.c.answer(&s.send, &p, err))
}

// Blocked reports whether it goes on by a Retry alone: because a rival has a greater ballot, or acceptors disagree, so
// that Retry is best called after a random time; or because the node by has refused, since it knows of a later
// placement: then when the Ring knows that, too.
func (o *Op) Blocked() (by transport.NodeID, blocked bool) {
	switch p := &o.c.o; {
	case o.done:
	case p.outcome == moved:
		return p.by, true
	case p.outcome == outbid, p.outcome == unsettled, p.stuck():
		return "", true
	}
	return "", false
}

// Timeout says that the time for this call is over. What is decided stays decided.
func (o *Op) Timeout() {
	if !o.done {
		o.expire()
		o.close()
	}
}

// Done reports whether the outcome is decided. It then stays as it is.
func (o *Op) Done() bool { return o.done }

// Result returns the outcome of a call that is done; the errors are those of [Registers.Change].
func (o *Op) Result() (Value, error) { return o.value, o.err }

func (o *Op) look(sends []send) (out []Send) {
	switch o.c.o.outcome {
	case decided, failed:
		o.close()
	case unmet:
		return o.round()
	}
	for i := range sends {
		out = append(out, Send{sends[i].to, sends[i]})
	}
	return out
}

func (o *Op) close() {
	o.done = true
	o.value, o.err = o.c.close()
	o.expire()
}
