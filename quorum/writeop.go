package quorum

import (
	"errors"
	"slices"

	"github.com/eventual-go/eventual/transport"
)

// A WriteConfig says what a [WriteOp] is about.
type WriteConfig struct {
	Key       string
	Delta     []byte // may be changed once the operation is done with: see there
	Placement Placement
	Self      transport.NodeID // the node that asks
	Options   WriteOptions
	// Durable reports whether what Self holds is on its disk, for Options.Applied.
	Durable bool
	// Hints reports whether hints are kept for owners that are away, by Self if nobody
	// stands in for them.
	Hints bool
	// Away, if not nil, reports whether a node is taken to be away: it is asked only
	// where the others are too few. It is called by NewWriteOp alone.
	Away func(transport.NodeID) bool
}

// A WriteOp is one quorum write as a step machine: it says what to send, is told
// what came of it, and decides. It has no goroutine, no clock and no I/O, so a
// simulator runs it exactly as a [Coordinator] does. Answers may come in any order,
// repeatedly, late or never. It is for one goroutine at a time.
//
// The delta goes to all owners, and to the owners to come. For each that fails, or
// has not answered when time is over, a hint goes to who stands in for it, or else
// to the node that asks. It must stay as it is as long as calls are under way.
//
// Most users will not need a WriteOp: see [Coordinator.Write].
type WriteOp struct {
	cfg    WriteConfig
	acks   Tally
	ledger ledger
	stood  []bool             // by member: a hint is kept for it, or on its way
	used   int                // fallbacks asked so far
	hinted int                // hints that are kept
	stands []transport.NodeID // who stands in for a member, and counts
	moved  uint64             // the highest version of the placement that an owner knows of
	by     transport.NodeID
	first  []Send
	done   bool
	result WriteResult
	err    error

	stoodRoom [4]bool
}

// A WriteResult says how a write was acknowledged.
type WriteResult struct {
	Answered int // owners that had merged the delta when the write was answered; the others may follow
	StoodIn  int // others that kept it as a hint in the place of owners, and counted
	Hinted   int // hints that were kept by then, those of StoodIn among them
	Owners   int // distinct nodes that hold the key

	// Holders are owners that had merged the delta, if WriteOptions.Holders asks for them;
	// otherwise nil.
	Holders *Holders
}

// NewWriteOp returns the write of a delta to the owners of a key. The error is a
// [*LevelError].
func NewWriteOp(cfg WriteConfig) (*WriteOp, error) {
	o := &WriteOp{cfg: cfg}
	o.cfg.Options = cfg.Options.or(WriteOptions{})
	if err := o.acks.init(cfg.Placement, cfg.Self, o.cfg.Options.demand()); err != nil {
		return nil, err
	}
	o.stood = append(o.stoodRoom[:0], make([]bool, len(o.acks.members))...)
	o.prepare()
	return o, nil
}

// prepare leaves out who is away, unless the others are too few.
func (o *WriteOp) prepare() {
	var left []int
	for i := range o.acks.members {
		if node := o.acks.members[i].node; o.cfg.Away != nil && node != o.cfg.Self && o.cfg.Away(node) {
			left = append(left, i)
		}
	}
	asked := func(i int) bool { return !slices.Contains(left, i) }
	for _, i := range slices.Clone(left) {
		if o.acks.useful(i, asked) {
			left = slices.DeleteFunc(left, func(k int) bool { return k == i })
		}
	}
	o.first = make([]Send, 0, len(o.acks.members))
	if i := o.acks.index(o.cfg.Self); i >= 0 && o.cfg.Options.Applied {
		o.acks.answer(i, o.cfg.Durable)
	}
	for i := range o.acks.members {
		if asked(i) && o.acks.members[i].verdict == silent {
			o.first = append(o.first, o.send(i, o.acks.members[i].node, roleWrite))
		}
	}
	for _, i := range left {
		o.acks.fail(i, ErrSuspected)
		o.first = append(o.first, o.stand(i)...)
	}
	o.advance()
}

// Start returns the first sends: the delta, to every owner that is not away.
func (o *WriteOp) Start() []Send {
	first := o.first
	o.first = nil
	return first
}

func (o *WriteOp) send(member int, to transport.NodeID, r role) Send {
	s := Send{To: to, role: r, task: task{
		kind: taskMerge, key: o.cfg.Key, version: o.cfg.Placement.Version, state: o.cfg.Delta,
	}}
	if r == roleHint {
		s.task.kind, s.task.target = taskHint, o.acks.members[member].node
	}
	return o.ledger.add(s, member, digest{})
}

// stand has somebody keep a hint for a member, once.
func (o *WriteOp) stand(i int) []Send {
	if !o.cfg.Hints || o.stood[i] {
		return nil
	}
	o.stood[i] = true
	return []Send{o.send(i, o.nextHolder(), roleHint)}
}

// nextHolder is who is to keep the next hint: a fallback that was not asked, or else
// the node that asks.
func (o *WriteOp) nextHolder() transport.NodeID {
	for o.cfg.Options.Fallbacks == FallbacksCount && o.used < len(o.cfg.Placement.Fallbacks) {
		node := o.cfg.Placement.Fallbacks[o.used]
		o.used++
		again := slices.Contains(o.cfg.Placement.Fallbacks[:o.used-1], node)
		if !again && o.acks.index(node) < 0 && (o.cfg.Away == nil || node == o.cfg.Self || !o.cfg.Away(node)) {
			return node
		}
	}
	return o.cfg.Self
}

// Answer takes what came of s: the response or the error of the call. It returns
// what to send next. A Send that is not of this operation changes nothing.
func (o *WriteOp) Answer(s Send, resp []byte, err error) []Send {
	a, err := s.parse(resp, err)
	return o.answer(&s, &a, err)
}

func (o *WriteOp) answer(s *Send, a *answer, err error) (sends []Send) {
	e := o.ledger.take(s)
	if e == nil {
		return nil
	}
	switch {
	case e.role == roleHint && err != nil:
		if e.to != o.cfg.Self {
			sends = append(sends, o.send(e.member, o.nextHolder(), roleHint))
		}
	case e.role == roleHint:
		o.kept(e, a)
	case err != nil:
		o.acks.fail(e.member, err)
		if moved, ok := errors.AsType[*RingError](err); ok {
			o.superseded(e.to, moved)
		} else {
			sends = o.stand(e.member)
		}
		sends = append(sends, o.insist()...)
	default:
		o.acks.answer(e.member, a.kind == statusDurable)
	}
	o.advance()
	return sends
}

// insist asks those after all who were left out, if it does not go without them.
func (o *WriteOp) insist() (sends []Send) {
	if !o.acks.Impossible() {
		return nil
	}
	for i := range o.acks.members {
		if m := &o.acks.members[i]; m.verdict == failed && m.err == ErrSuspected && !o.ledger.has(i, roleWrite) {
			m.verdict, m.err = silent, nil
			sends = append(sends, o.send(i, m.node, roleWrite))
		}
	}
	return sends
}

func (o *WriteOp) superseded(by transport.NodeID, e *RingError) {
	if e.learnable() && e.Mine > o.moved && !o.done { // what is decided is read while answers come in
		o.moved, o.by = e.Mine, by
	}
}

// kept counts a hint that is kept. A node stands in for one owner, however many hints it keeps, and an owner
// for none.
func (o *WriteOp) kept(e *sent, a *answer) {
	o.hinted++
	o.acks.Hinted()
	counts := o.cfg.Options.Fallbacks == FallbacksCount && slices.Contains(o.cfg.Placement.Fallbacks, e.to)
	if counts && o.acks.index(e.to) < 0 && !slices.Contains(o.stands, e.to) {
		o.stands = append(o.stands, e.to)
		o.acks.StandIn(o.acks.members[e.member].node, o.cfg.Placement.Zones[e.to], a.kind == statusDurable)
	}
}

func (o *WriteOp) advance() {
	switch {
	case o.acks.Reached():
		o.decide(nil)
	case o.acks.hopeless() && !o.standing():
		o.decide(o.acks.Unavailable(OpWrite, o.cfg.Key))
	}
}

// standing reports whether a hint is on its way that may count.
func (o *WriteOp) standing() bool {
	if o.cfg.Options.Fallbacks != FallbacksCount && o.cfg.Options.Level != Any {
		return false
	}
	return slices.ContainsFunc(o.ledger.sent, func(e sent) bool { return e.role == roleHint && !e.over })
}

// Hedge says that some owners take longer than they should. Where hints count, they
// are kept for these: it returns what to send.
func (o *WriteOp) Hedge() []Send {
	if o.done || o.cfg.Options.Fallbacks != FallbacksCount && o.cfg.Options.Level != Any {
		return nil
	}
	return o.standForSilent()
}

func (o *WriteOp) standForSilent() (sends []Send) {
	for i := range o.acks.members {
		if o.acks.members[i].verdict == silent {
			sends = append(sends, o.stand(i)...)
		}
	}
	return sends
}

// Timeout says that the time for this write is over. What is decided stays decided.
// It returns the hints to keep for the owners that said nothing.
func (o *WriteOp) Timeout() []Send {
	if !o.done {
		o.decide(o.acks.Timeout(OpWrite, o.cfg.Key))
	}
	return o.standForSilent()
}

// decide fixes the outcome, once: it may be read while late answers come in.
func (o *WriteOp) decide(err error) {
	if o.done {
		return
	}
	o.done, o.err = true, err
	o.result = WriteResult{
		Answered: o.acks.Answered(), StoodIn: o.acks.stoodIn(), Hinted: o.hinted, Owners: o.acks.owners,
	}
	if err == nil && o.cfg.Options.Holders {
		o.result.Holders = o.acks.holders(o.cfg.Placement.Version, o.acks.hasAnswered)
	}
}

// Done reports whether the outcome is decided. It then stays as it is. If no call
// is under way, the operation is done.
func (o *WriteOp) Done() bool { return o.done }

// Result returns the outcome of an operation that is done: the error is nil, an
// [*UnavailableError] or a [*TimeoutError].
func (o *WriteOp) Result() (WriteResult, error) { return o.result, o.err }

// outdated says who knows of a later placement, if anybody does.
func (o *WriteOp) outdated() (by transport.NodeID, version uint64) { return o.by, o.moved }

// awaits calls each with the nodes that are to answer.
func (o *WriteOp) awaits(each func(transport.NodeID)) {
	for i := range o.acks.members {
		if m := &o.acks.members[i]; m.verdict == silent {
			each(m.node)
		}
	}
}
