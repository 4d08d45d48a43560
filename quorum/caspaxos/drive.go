package caspaxos

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	mrand "math/rand/v2"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

const (
	looks   = 6                // rounds in which a read only looks, before it proposes what it found,
	still   = 2                // or how often one has to find what the one before has found
	least   = time.Millisecond // the most that the first wait for a rival may take, at least
	spacing = 1                // waits grow up to 1<<spacing times: rivals are nodes, not callers
	pause   = 3                // how many rounds they are given, at most, after a change of this node
)

// A call drives one proposal.
type call struct {
	r       *Registers
	o       proposal
	ctx     context.Context // of what is asked for
	parent  context.Context // the caller's
	when    condition       // what acceptors have to hold to be worth a promise
	looks   int
	still   int
	found   Ballot // by the last look
	tried   int    // rounds that a rival has ended
	rivals  bool   // somebody else is changing the key
	replies chan arrival
	took    time.Duration // the last round
	more    bool          // it has looked often enough, and knows nothing

	name    uint64 // in its ballots
	counter uint64 // of the last of them
	told    bool   // acceptors of this key have said
	most    uint64 // counter that they have heard of
	spare   *lease // that was not used
}

// An arrival is what came of a send.
type arrival struct {
	send  *send
	reply reply
	err   error
}

// A wish is what a call is for.
type wish struct {
	decide decide
	reads  bool
	when   condition
	guess  Ballot // that acceptors have heard of
}

// newCall returns a call that has not begun. It knows nothing of ballots but what its caller does.
func (r *Registers) newCall(ctx, parent context.Context, key string, w wish) *call {
	c := &call{r: r, ctx: ctx, parent: parent, when: w.when, most: w.guess.Counter}
	if w.reads {
		c.looks, c.still = looks, still
	}
	c.o = proposal{key: key, self: r.Self, decide: w.decide}
	return c
}

// look makes a call that only looks, if that is enough.
func (r *Registers) look(parent context.Context, key string) (v Value, err error, over bool) {
	if err := r.ready(parent); err != nil {
		return Value{}, err, true
	}
	ctx, cancel := context.WithTimeout(parent, r.timeout())
	defer cancel()
	c := r.newCall(ctx, parent, key, wish{decide: read, reads: true})
	v, err = c.run()
	return v, err, !c.more
}

// run makes rounds until the call is over, or has looked often enough.
func (c *call) run() (Value, error) {
	looks := c.looks > 0
	for {
		sends, err := c.begin()
		if err != nil {
			c.o.end(failed, Value{}, err)
			return c.close()
		}
		began := time.Now()
		c.drive(sends, began)
		c.took = time.Since(began)
		if !c.again(c.took) {
			return c.close()
		}
		if c.more = looks && c.looks == 0; c.more {
			return Value{}, nil
		}
	}
}

func (r *Registers) ready(ctx context.Context) error {
	if r.Ring == nil {
		return errNoRing
	}
	return ctx.Err()
}

// begin begins a round: of looks, by a promise that is at hand, or by a new ballot.
func (c *call) begin() ([]send, error) {
	place := c.r.Ring.Place(Prefix + c.o.key)
	c.replies = make(chan arrival, 3*(len(place.Owners)+len(place.Next)))
	if c.looks > 0 {
		c.looks--
		return c.o.look(place), nil
	}
	if l, ok := c.r.leases.take(c.o.key, place.Version); ok && c.r.Ahead {
		return c.lead(place, l), nil
	}
	b, err := c.next()
	if err != nil {
		return nil, err
	}
	c.spare, c.o.ahead = nil, Ballot{}
	if c.r.Ahead {
		c.counter += maxFold // so that there are versions for all that are then made at once
		c.o.ahead = Ballot{c.counter, b.Proposer}
	}
	return c.o.prepare(place, b, c.when), nil
}

// lead begins by a promise. The next one is to the ballot that follows, of the same proposer: so it is nobody else's.
func (c *call) lead(place quorum.Placement, l lease) []send {
	c.o.ahead = Ballot{l.ballot.Counter + maxFold, l.ballot.Proposer}
	if c.o.ahead.Counter >= maxCounter {
		c.o.ahead = Ballot{}
	}
	sends, used := c.o.lead(place, l.ballot, l.record)
	if !used {
		c.spare = &l
	}
	return sends
}

// drive takes answers until the round is over, time is, or a rival has been in the way for a while: those who have not
// answered might have helped against it, but it is quicker to outbid it.
func (c *call) drive(sends []send, began time.Time) {
	c.launch(sends)
	var patience <-chan time.Time
	for c.o.outcome == undecided {
		select {
		case a := <-c.replies:
			c.launch(c.answer(a.send, &a.reply, a.err))
			if patience == nil && c.o.stuck() {
				t := time.NewTimer(c.wait(time.Since(began)))
				defer t.Stop()
				patience = t.C
			}
		case <-patience:
			c.o.giveUp()
		case <-c.ctx.Done():
			return
		}
	}
}

// answer takes what came of a send.
func (c *call) answer(s *send, p *reply, err error) []send {
	c.rivals = c.rivals || p.said == saidOutbid || p.contested(c.name)
	sends := c.o.answer(s, p, err)
	if err == nil && p.said != saidMoved {
		c.observe(p.promised.Counter)
	}
	return sends
}

// launch has requests made, each by a goroutine of its own: the caller's is for the machine. What others are asked to
// accept they should get also if a majority has it before.
func (c *call) launch(sends []send) {
	for i := range sends {
		s, replies := &sends[i], c.replies
		go func() {
			ctx := c.ctx
			if s.ask == askAccept {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(context.WithoutCancel(c.parent), c.r.timeout())
				defer cancel()
			}
			p, err := c.r.ask(ctx, s)
			replies <- arrival{s, p, err} // which has room for all
		}()
	}
}

// ask makes one request, of this node by itself.
func (r *Registers) ask(ctx context.Context, s *send) (reply, error) {
	if s.to == r.Self {
		return r.serve(ctx, &s.request)
	}
	if r.Caller == nil {
		return reply{}, errNoCaller
	}
	b, err := r.Caller.Call(ctx, s.to, Method, s.encode())
	if err != nil {
		return reply{}, err
	}
	return decodeReply(b)
}

// again reports whether there is to be another round, after a wait if it is for a rival.
func (c *call) again(took time.Duration) bool {
	switch c.o.outcome {
	case moved:
		return c.refresh()
	case unmet:
		c.looked()
		return c.ctx.Err() == nil
	case outbid, unsettled:
		c.tried++
		c.looked()
		return c.sleep(c.wait(took))
	}
	return false
}

// looked has the call look no more where nothing moves: then somebody has left things half done. Nor does it expect
// anything of acceptors that they did not all hold.
func (c *call) looked() {
	if c.o.outcome == unmet || c.o.outcome == unsettled {
		c.when = condition{}
	}
	if c.o.outcome == unsettled && c.o.best == c.found {
		if c.still--; c.still <= 0 {
			c.looks = 0
		}
	}
	c.found = c.o.best
}

// wait is how long a rival is given to end: a random part of as long as a round took, and longer each time.
func (c *call) wait(took time.Duration) time.Duration {
	most := min(max(took, least)<<min(c.tried, spacing), c.r.timeout()/4)
	return mrand.N(most + 1)
}

func (c *call) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// refresher is a [quorum.Ring] that can learn from another node.
type refresher interface {
	Refresh(ctx context.Context, from transport.NodeID) error
}

// refresh reports whether this node knows of a later placement than that of the last round.
func (c *call) refresh() bool {
	newer := func() bool { return c.r.Ring.Place(Prefix+c.o.key).Version > c.o.place.Version }
	if newer() {
		return c.ctx.Err() == nil
	}
	ring, ok := c.r.Ring.(refresher)
	return ok && ring.Refresh(c.ctx, c.o.by) == nil && newer()
}

// close is the end of a call.
func (c *call) close() (Value, error) {
	o := &c.o
	if o.outcome != decided {
		return Value{}, c.fail(o.err)
	}
	switch {
	case !o.ahead.IsZero() && o.accepted && !c.rivals: // who has rivals is better off to hear them first
		c.r.leases.put(o.key, lease{o.ahead, o.goal, o.place.Version})
	case c.spare != nil:
		c.r.leases.put(o.key, *c.spare)
	}
	if o.err != nil {
		return Value{}, o.err
	}
	return o.result, nil
}

// fail is the error of a call that was not decided.
func (c *call) fail(err error) error {
	switch {
	case c.parent.Err() != nil:
		err = c.parent.Err()
	case c.o.outcome != failed && c.ctx.Err() != nil:
		err = c.o.tally.Timeout(c.o.op(), c.o.key)
	}
	if c.o.fold != nil && len(c.o.fold.members) > 1 {
		return err
	}
	var versions []Ballot
	for _, a := range c.o.mine {
		versions = append(versions, a.version)
	}
	return unknownOf(c.o.key, versions, err)
}

// next returns a ballot that was never used, greater than those that acceptors of this key have spoken of.
func (c *call) next() (Ballot, error) {
	switch {
	case !c.told:
		c.counter = max(c.counter, c.most, c.r.guess.Load()) + 1
	case c.o.far && len(c.o.mine) == 0:
		c.counter = c.most + 1
	default:
		c.counter = max(c.counter, c.most) + 1
	}
	if c.o.fold != nil {
		c.counter += uint64(len(c.o.fold.members)) - 1
	}
	if c.counter >= maxCounter-maxFold {
		return Ballot{}, errExhausted
	}
	if c.name == 0 {
		c.name = c.r.nameCall()
	}
	return Ballot{c.counter, c.name}, nil
}

// observe takes note of what an acceptor has promised. Keys have much the same ballots, so it is a good guess for
// others; no more than that, since one message could put it out of reach.
func (c *call) observe(counter uint64) {
	c.told, c.most = true, max(c.most, counter)
	if c.o.far {
		c.most = c.o.near
		c.r.guess.Store(c.most)
		return
	}
	for {
		n := c.r.guess.Load()
		if c.most <= n || c.r.guess.CompareAndSwap(n, c.most) {
			return
		}
	}
}

// nameCall returns what names a call in its ballots: two calls must not have the same one. The first one is the
// proposer's own; the others are as if drawn at random (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, 2014).
func (r *Registers) nameCall() uint64 {
	for r.proposer.Load() == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		r.proposer.CompareAndSwap(0, binary.BigEndian.Uint64(b[:]))
	}
	first, n := r.proposer.Load(), r.calls.Add(1)-1
	if n == 0 {
		return first
	}
	z := first + n*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return max(z^z>>31, 1)
}
