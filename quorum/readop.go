package quorum

import "bytes"

// A Join merges two encoded states into one. An empty state is the least one, and
// equal states have equal bytes. It fails on bytes that are no state, and should
// fail on a state that replicas would refuse to merge, such as one from far in the
// future: the owner that answered with it then counts as failed, and a read goes
// on without it. It must neither change nor keep its arguments, and may return one
// of them.
type Join func(a, b []byte) ([]byte, error)

// A ReadOp is one quorum read with blocking read repair as a step machine: it says
// what to send, is told what came of it, and decides. It has no goroutine, no clock
// and no I/O, so a simulator runs it exactly as a [Coordinator] does. Answers may
// come in any order, repeatedly, late or never. It is for one goroutine at a time.
//
// It loads the key from every owner. When the level is reached, what those owners
// answered, merged, is the state that the read will return; owners that answered
// with less get it back, and the read is done when as many owners as the level
// asks for are known to hold it. What later answers add does not change what the
// read returns; it is sent to whoever lacks it, and nobody waits for that.
//
// Most users will not need a ReadOp: see [Coordinator.Read].
type ReadOp struct {
	key     string
	join    Join
	loads   Tally    // who answered the load
	holders Tally    // who is known to hold what the read returns
	copies  []copyOf // by position in the tallies
	repairs []repair // by ID, behind the IDs of the loads

	latest  []byte // all answers merged
	target  []byte // what the read returns: latest as the level was reached
	settled bool   // the level was reached
	mended  int    // repairs that made a holder
	expired bool
	done    bool
	result  ReadResult
	err     error
}

// copyOf is what one owner is known to hold.
type copyOf struct {
	state    []byte
	answered bool
	busy     bool // a repair is under way
	broken   bool // a repair failed: anti-entropy is left to mend it
}

type repair struct {
	owner int
	state []byte
	done  bool
}

// A ReadResult is what a read found.
type ReadResult struct {
	// State is the merged state, empty if the owners that answered hold nothing. It
	// is shared with the repairs that may still be under way: it may be kept, and
	// must not be changed.
	State []byte
	// Found reports whether any owner that answered holds something. It is false
	// only if as many as Needed answered that they hold nothing.
	Found    bool
	Needed   int // owners that had to answer, and to hold State
	Answered int // owners that had answered when the read was
	Repaired int // owners that were brought up to State before the read was answered
	Owners   int // distinct nodes that hold the key
}

// NewReadOp returns the read of key from its owners. The error is a [*LevelError].
func NewReadOp(key string, p Placement, level Level, join Join) (*ReadOp, error) {
	o := &ReadOp{key: key, join: join}
	if err := o.loads.init(p, level); err != nil {
		return nil, err
	}
	o.holders = o.loads.clone()
	o.copies = make([]copyOf, len(o.loads.members))
	return o, nil
}

// Start returns the first sends: a load, to every owner.
func (o *ReadOp) Start() []Send { return o.loads.sends(MethodLoad, o.key, nil) }

// Answer takes what came of s: the response or the error of the call. It returns
// what to send next. It keeps resp, which must not be changed afterwards. A Send
// that is not of this operation changes nothing.
func (o *ReadOp) Answer(s Send, resp []byte, err error) []Send {
	var state []byte
	if err == nil {
		state, err = parseResponse(s.Method, resp)
	}
	return o.answer(&s, state, err)
}

func (o *ReadOp) answer(s *Send, state []byte, err error) []Send {
	i := o.loads.index(s.To)
	if i < 0 || s.ID < 0 || o.expired || o.err != nil {
		return nil
	}
	if s.ID < len(o.copies) {
		o.loaded(i, s.ID, state, err)
	} else {
		o.repaired(i, s.ID-len(o.copies), err)
	}
	return o.advance()
}

// loaded takes the answer of owner i to its load. The first one counts.
func (o *ReadOp) loaded(i, id int, state []byte, err error) {
	c := &o.copies[i]
	if i != id || c.answered {
		return
	}
	if err == nil {
		err = o.absorb(state)
	}
	if err != nil {
		o.loads.fail(i, err)
		o.holders.fail(i, err)
		return
	}
	c.answered, c.state = true, state
	o.loads.answer(i)
}

// repaired takes the answer of owner i to a repair.
func (o *ReadOp) repaired(i, id int, err error) {
	if id >= len(o.repairs) || o.repairs[id].owner != i || o.repairs[id].done {
		return
	}
	c, r := &o.copies[i], &o.repairs[id]
	c.busy = false
	if err != nil {
		c.broken = true
		o.holders.fail(i, err)
		return
	}
	r.done, c.state = true, r.state
	if o.holders.answer(i) {
		o.mended++
	}
}

// advance decides what the answers so far allow to be decided.
func (o *ReadOp) advance() []Send {
	if !o.settled {
		if o.loads.hopeless() {
			o.decide(o.loads.Unavailable(OpRead, o.key))
		}
		if !o.loads.Reached() {
			return nil
		}
		o.settled, o.target = true, o.latest
	}
	sends := o.spread()
	switch {
	case o.holders.Reached():
		o.decide(nil)
	case o.holders.Impossible():
		o.decide(o.holders.Unavailable(OpRepair, o.key))
	}
	return sends
}

// spread counts who holds the latest state, and sends it to those that answered
// with less. Of those that did not answer, nobody knows what they lack.
func (o *ReadOp) spread() (sends []Send) {
	var request []byte
	for i := range o.copies {
		c := &o.copies[i]
		switch {
		case !c.answered || c.busy || c.broken:
		case bytes.Equal(c.state, o.latest):
			o.holders.answer(i)
		default:
			if request == nil {
				request = appendRequest(nil, o.key, o.latest)
			}
			c.busy = true
			sends = append(sends, Send{
				To: o.loads.members[i].node, Method: MethodMerge, Request: request,
				ID: len(o.copies) + len(o.repairs), key: o.key, state: o.latest, repair: true,
			})
			o.repairs = append(o.repairs, repair{owner: i, state: o.latest})
		}
	}
	return sends
}

// absorb joins one owner's state into the latest. An error says that the state
// does not count. The first one is joined with nothing, for Join to look at it:
// otherwise bytes that are no state would stand until another answer disagrees.
func (o *ReadOp) absorb(state []byte) error {
	if len(state) == 0 || bytes.Equal(state, o.latest) {
		return nil
	}
	merged, err := o.join(o.latest, state)
	if err != nil {
		return err
	}
	if len(o.latest) == 0 {
		merged = state // what the owner holds, to the byte
	}
	o.latest = merged
	return nil
}

// Timeout says that the time for this read is over: nothing will be sent any more.
// What is decided stays decided.
func (o *ReadOp) Timeout() {
	o.expired = true
	switch {
	case o.done:
	case o.settled:
		o.decide(o.holders.Timeout(OpRepair, o.key))
	default:
		o.decide(o.loads.Timeout(OpRead, o.key))
	}
}

// decide fixes the outcome, once: it may be read while late answers come in.
func (o *ReadOp) decide(err error) {
	if o.done {
		return
	}
	o.done, o.err = true, err
	o.result = ReadResult{
		Needed: o.loads.needed, Answered: o.loads.answered,
		Repaired: o.mended, Owners: len(o.copies),
	}
	if err == nil {
		o.result.State, o.result.Found = o.target, len(o.target) > 0
	}
}

// Done reports whether the outcome is decided. It then stays as it is. If no call
// is under way, the operation is done.
func (o *ReadOp) Done() bool { return o.done }

// Result returns the outcome of an operation that is done: the error is nil, an
// [*UnavailableError] or a [*TimeoutError], and with an error there is no state.
func (o *ReadOp) Result() (ReadResult, error) { return o.result, o.err }
