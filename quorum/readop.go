package quorum

import (
	"errors"
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

// A Join merges two encoded states into one. An empty state is the least one, and
// equal states have equal bytes. It fails on bytes that are no state, and should
// fail on a state that replicas would refuse to merge, such as one from far in the
// future: the owner that answered with it then counts as failed, and a read goes
// on without it. It must neither change nor keep its arguments, and may return one
// of them.
type Join func(a, b []byte) ([]byte, error)

// A ReadConfig says what a [ReadOp] is about.
type ReadConfig struct {
	Key       string
	Placement Placement
	Self      transport.NodeID // the node that asks
	Options   ReadOptions
	Join      Join
	// WriteBack is what must hold what is read before it is answered, for
	// RepairWriteBack: that of writes.
	WriteBack Demand
	// Prefer, if not nil, orders nodes: those with lower numbers are asked first. A
	// negative number is that of a node which is taken to be away. It is called by
	// NewReadOp alone. Self comes first where it is an owner.
	Prefer func(transport.NodeID) int
	// Generation, if not nil, returns how much had been forgotten where a state was loaded; what has forgotten more is
	// greater. Since is how much was known to be forgotten before the read. Where answers differ in it, the read may have
	// to begin anew, so that nothing that was deleted and forgotten comes back. See
	// [github.com/eventual-go/eventual/crdt/store.Store.GenerationOf].
	Generation func(state []byte) string
	Since      string
}

// A ReadOp is one quorum read as a step machine: it says what to send, is told what
// came of it, and decides. It has no goroutine, no clock and no I/O, so a simulator
// runs it exactly as a [Coordinator] does. Answers may come in any order,
// repeatedly, late or never. It is for one goroutine at a time.
//
// It asks as many owners as it needs, and others only if one of those fails, or is
// slow ([ReadOp.Hedge]). One of them, the node itself if it is an owner, answers with
// its state, the others by a digest if they have the same. When the demand is met,
// what those owners hold, merged, is the state that the read will return; owners
// that have less get it. When that is waited for is up to ReadOptions.Repair. What
// later answers add does not change what the read returns; it is sent to whoever
// lacks it, and nobody waits for that.
//
// Most users will not need a ReadOp: see [Coordinator.Read].
type ReadOp struct {
	cfg     ReadConfig
	loads   Tally  // who answered the load
	holders Tally  // who is known to hold what the read returns
	least   *Tally // that of ReadOptions.Least, if there is one
	order   []int  // members, the preferred first
	copies  []copyOf
	ledger  ledger
	used    int // fallbacks asked so far

	elder elder

	waiting bool // for the node's own state: the others are asked by its digest
	parted  bool // no single owner had all of it
	settled bool // the demand was met
	expired bool
	done    bool
	latest  []byte // all answers merged
	sum     digest // of latest
	target  []byte // what the read returns: latest as the demand was met
	goal    digest // of target
	mended  int    // repairs that made a holder
	moved   uint64 // the highest version of the placement that an owner knows of
	hearsay bool   // no owner said so
	by      transport.NodeID
	result  ReadResult
	err     error

	copyRoom  [4]copyOf
	orderRoom [4]int
}

// copyOf is what one owner is known to hold.
type copyOf struct {
	asked    bool
	away     bool // it is asked last
	answered bool // it is known what it holds, by its digest at least
	counted  bool // it counts
	whole    bool // its whole state was asked for
	absorbed bool // and is in what is merged
	busy     bool // a repair is under way
	broken   bool // a repair failed: anti-entropy is left to mend it
	sum      digest
}

// A ReadResult is what a read found.
type ReadResult struct {
	// State is the merged state, empty if the owners that answered hold nothing. It
	// is shared with the repairs that may still be under way: it may be kept, and
	// must not be changed.
	State []byte
	// Found reports whether any owner that answered holds something.
	Found bool
	// Stale reports that ReadOptions.Least was reached, and Level was not.
	Stale bool
	// Concurrent reports that no single owner held all of State: some were written to
	// without what others had.
	Concurrent bool

	Answered int // owners that had answered when the read was
	StoodIn  int // others that had answered in the place of owners, and counted
	Repaired int // owners that were brought up to State before the read was answered
	Owners   int // distinct nodes that hold the key

	// Holders are owners that each hold all of State, if ReadOptions.Holders asks for them. With
	// RepairAsync and RepairOff, or if Stale, it may be that nobody does. If not asked for, nil.
	Holders *Holders
}

// NewReadOp returns the read of a key from its owners. The error is a [*LevelError].
func NewReadOp(cfg ReadConfig) (*ReadOp, error) {
	o := &ReadOp{cfg: cfg}
	o.cfg.Options = cfg.Options.or(ReadOptions{})
	if o.cfg.Options.Level == Any {
		return nil, &LevelError{Level: Any, Reason: "it is for writes"}
	}
	if err := o.loads.init(cfg.Placement, cfg.Self, o.cfg.Options.demand()); err != nil {
		return nil, err
	}
	if err := o.loads.after(cfg.Options.After); err != nil {
		return nil, err
	}
	o.learnOf(cfg.Options.After)
	hold := o.cfg.Options.demand()
	if o.cfg.Options.Repair == RepairWriteBack {
		hold = Demand{Level: o.cfg.WriteBack.Level, Primary: o.cfg.WriteBack.Primary}
		if hold.Level == Any {
			hold.Level = One
		}
	}
	if err := o.holders.init(cfg.Placement, cfg.Self, hold); err != nil {
		return nil, err
	}
	if least := o.cfg.Options.Least; least != 0 {
		o.least = new(Tally)
		if err := o.least.init(cfg.Placement, cfg.Self, Demand{Level: least}); err != nil {
			return nil, err
		}
		if err := o.least.after(cfg.Options.After); err != nil {
			return nil, err
		}
	}
	o.elder.since, o.elder.newest = cfg.Since, cfg.Since
	o.copies = append(o.copyRoom[:0], make([]copyOf, len(o.loads.members))...)
	o.arrange()
	o.lead()
	return o, nil
}

// Answer takes what came of s: the response or the error of the call. It returns
// what to send next. It keeps resp, which must not be changed afterwards. A Send
// that is not of this operation changes nothing.
func (o *ReadOp) Answer(s Send, resp []byte, err error) []Send {
	a, err := s.parse(resp, err)
	return o.answer(&s, &a, err)
}

func (o *ReadOp) answer(s *Send, a *answer, err error) (sends []Send) {
	if o.expired || o.err != nil {
		return nil
	}
	e := o.ledger.take(s)
	if e == nil {
		return nil
	}
	if err == nil && e.role != roleRepair {
		err = o.forgetful(a)
	}
	switch e.role {
	case roleLoad:
		sends = o.loaded(e, s.task.kind, a, err)
	case roleHint:
		sends = o.stoodIn(e, a, err)
	case roleRepair:
		o.repaired(e, err)
	}
	return append(sends, o.advance()...)
}

// loaded takes the answer of an owner to a load.
func (o *ReadOp) loaded(e *sent, kind uint8, a *answer, err error) (sends []Send) {
	i := e.member
	c := &o.copies[i]
	if err == nil && a.kind == statusDone {
		err = o.absorb(a.state)
	}
	if err == nil && o.meet(a) {
		return o.restart()
	}
	if err != nil {
		o.superseded(e.to, err)
		if !c.answered || kind == taskLoad {
			o.fail(i, err)
		}
	} else {
		c.answered = true
		switch a.kind {
		case statusDone, statusNothing:
			c.sum, c.absorbed = digestOf(a.state), true
		case statusSame:
			c.sum, c.absorbed = e.digest, true // which was merged before it was asked about
		case statusDigest:
			c.sum = a.digest
		}
	}
	if e.to == o.cfg.Self {
		sends = o.release()
	}
	return append(sends, o.reckon()...)
}

// reckon counts the answers that are understood, and asks for the states of those
// that are not. That somebody has nothing comes last: it may depend on the others.
func (o *ReadOp) reckon() (sends []Send) {
	for i := range o.copies {
		c := &o.copies[i]
		if !o.open(i) || c.sum == (digest{}) {
			continue
		}
		switch {
		case c.absorbed || c.sum == o.sum || o.seen(c.sum):
			o.count(i)
		case !c.whole && !o.pending():
			sends = append(sends, o.fetch(i))
		}
	}
	for i := range o.copies {
		if o.open(i) && o.copies[i].sum == (digest{}) && o.emptyCounts() {
			o.count(i)
		}
	}
	return sends
}

// open reports whether an owner has answered, and does not count yet.
func (o *ReadOp) open(i int) bool {
	return o.copies[i].answered && !o.copies[i].counted && o.loads.members[i].verdict == silent
}

func (o *ReadOp) count(i int) {
	o.copies[i].counted = true
	o.loads.answer(i, false)
	if o.least != nil {
		o.least.answer(i, false)
	}
}

// seen reports whether the state of a digest has been merged.
func (o *ReadOp) seen(d digest) bool {
	for i := range o.copies {
		if c := &o.copies[i]; c.counted && c.sum == d {
			return true
		}
	}
	return false
}

// pending reports whether a state is under way that digests may be those of.
func (o *ReadOp) pending() bool {
	for i := range o.copies {
		if c := &o.copies[i]; c.whole && !c.answered && o.loads.members[i].verdict == silent {
			return true
		}
	}
	return false
}

// emptyCounts reports whether it counts that an owner has nothing.
func (o *ReadOp) emptyCounts() bool {
	if o.cfg.Options.NotFound != NotFoundByAll {
		return true
	}
	for i := range o.copies {
		if o.open(i) && o.copies[i].sum != (digest{}) {
			return false // its state is on its way
		}
	}
	if len(o.latest) > 0 {
		return true // it is found
	}
	for i := range o.copies {
		if !o.copies[i].answered && o.loads.members[i].verdict == silent {
			return false
		}
	}
	return !o.hidden()
}

// promised reports whether an owner has something that is not known here: not yet, or its
// digest has come and its state was lost.
func (o *ReadOp) promised() bool {
	for i := range o.copies {
		if c := &o.copies[i]; c.answered && !c.counted && !c.absorbed && c.sum != (digest{}) && c.sum != o.sum {
			return true
		}
	}
	return false
}

// hidden reports whether it is known that the key is there, and not what it has.
func (o *ReadOp) hidden() bool { return len(o.latest) == 0 && o.promised() }

func (o *ReadOp) fail(i int, err error) {
	o.loads.fail(i, err)
	o.holders.fail(i, err)
	if o.least != nil {
		o.least.fail(i, err)
	}
}

// superseded notes who knows of a later placement. That is better than who is only said to.
func (o *ReadOp) superseded(by transport.NodeID, err error) {
	e, ok := errors.AsType[*RingError](err)
	if ok && e.learnable() && (e.Mine > o.moved || o.hearsay && e.Mine > o.cfg.Placement.Version) && !o.done {
		o.moved, o.by, o.hearsay = e.Mine, by, false
	}
}

// advance decides what the answers so far allow to be decided.
func (o *ReadOp) advance() (sends []Send) {
	if !o.settled {
		if !o.loads.Reached() || o.hidden() {
			switch sends = o.extend(); {
			case len(sends) > 0 || o.underway(roleHint):
			case o.hopeless():
				o.fall(o.loads.Unavailable(OpRead, o.cfg.Key))
			case o.hidden() && !o.underway(roleLoad):
				o.fall(o.lost())
			}
			return sends
		}
		o.settled, o.target, o.goal = true, o.latest, o.sum
	}
	sends = o.spread()
	switch mode := o.cfg.Options.Repair; {
	case len(o.target) == 0: // that everybody holds
		o.decide(nil)
	case mode == RepairAsync || mode == RepairOff || o.holders.Reached() || planted.Bug == planted.RepairNotAwaited,
		mode == RepairWriteBack && planted.Bug == planted.WriteBackNotAwaited:
		o.decide(nil)
	default:
		sends = append(sends, o.recruit(false)...)
		if o.holders.Impossible() {
			o.fall(o.holders.Unavailable(OpRepair, o.cfg.Key))
		}
	}
	return sends
}

// hopeless is that of the Tally, of a node that may have left itself out.
func (o *ReadOp) hopeless() bool {
	i := o.loads.index(o.cfg.Self)
	return o.loads.hopeless() || i >= 0 && !o.copies[i].asked && o.loads.Impossible()
}

func (o *ReadOp) underway(r role) bool {
	return slices.ContainsFunc(o.ledger.sent, func(e sent) bool { return e.role == r && !e.over })
}

// absorb joins one owner's state into the latest. An error says that the state
// does not count. The first one is joined with nothing, for Join to look at it:
// otherwise bytes that are no state would stand until another answer disagrees.
func (o *ReadOp) absorb(state []byte) error {
	d := digestOf(state)
	if len(state) == 0 || d == o.sum {
		return nil
	}
	merged, err := o.cfg.Join(o.latest, state)
	if err != nil {
		return err
	}
	if len(o.latest) == 0 {
		merged = state // what the owner holds, to the byte
	}
	sum := digestOf(merged)
	o.parted = sum != d && (sum != o.sum || o.parted)
	o.latest, o.sum = merged, sum
	return nil
}

// Timeout says that the time for this read is over: nothing will be sent any more.
// What is decided stays decided.
func (o *ReadOp) Timeout() []Send {
	switch {
	case o.done:
	case o.settled:
		o.fall(o.holders.Timeout(OpRepair, o.cfg.Key))
	default:
		o.fall(o.loads.Timeout(OpRead, o.cfg.Key))
	}
	o.expired = true
	return nil
}

// lost is the refusal where an owner has something that nobody can tell any more.
func (o *ReadOp) lost() error {
	e := o.loads.Unavailable(OpRead, o.cfg.Key)
	e.Condition, e.Needed, e.Answered = "states that owners say they have", 1, 0
	return e
}

// fall has the read end by an error, unless a lower level will do.
func (o *ReadOp) fall(err error) {
	if o.done || o.least == nil || !o.least.Reached() || o.hidden() {
		o.decide(err)
		return
	}
	o.target, o.goal, o.settled = o.latest, o.sum, true
	o.decide(nil)
	o.result.Stale = true
}

// decide fixes the outcome, once: it may be read while late answers come in.
func (o *ReadOp) decide(err error) {
	if o.done {
		return
	}
	o.done, o.err = true, err
	o.result = ReadResult{
		Answered: o.loads.Answered(), StoodIn: o.loads.stoodIn(),
		Repaired: o.mended, Owners: o.loads.owners,
	}
	if err == nil {
		o.result.State, o.result.Found, o.result.Concurrent = o.target, len(o.target) > 0, o.parted
		if o.cfg.Options.Holders {
			o.result.Holders = o.loads.holders(o.cfg.Placement.Version, o.held)
		}
	}
}

// Done reports whether the outcome is decided. It then stays as it is. If no call
// is under way, the operation is done.
func (o *ReadOp) Done() bool { return o.done }

// Result returns the outcome of an operation that is done: the error is nil, an
// [*UnavailableError] or a [*TimeoutError], and with an error there is no state.
func (o *ReadOp) Result() (ReadResult, error) { return o.result, o.err }

// outdated says who knows of a later placement, if anybody does.
func (o *ReadOp) outdated() (by transport.NodeID, version uint64) { return o.by, o.moved }

// awaits calls each with the nodes that are to answer first.
func (o *ReadOp) awaits(each func(transport.NodeID)) {
	for i := range o.copies {
		if o.copies[i].asked {
			each(o.loads.members[i].node)
		}
	}
}
