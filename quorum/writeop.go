package quorum

// A WriteOp is one quorum write as a step machine: it says what to send, is told
// what came of it, and decides. It has no goroutine, no clock and no I/O, so a
// simulator runs it exactly as a [Coordinator] does. Answers may come in any order,
// repeatedly, late or never. It is for one goroutine at a time.
//
// Most users will not need a WriteOp: see [Coordinator.Write].
type WriteOp struct {
	key    string
	delta  []byte
	acks   Tally
	done   bool
	result WriteResult
	err    error
}

// A WriteResult says how a write was acknowledged.
type WriteResult struct {
	Needed   int // owners that had to merge the delta
	Answered int // owners that had when the write was answered; the others may follow
	Owners   int // distinct nodes that hold the key
}

// NewWriteOp returns the write of a delta to the owners of key. The error is a
// [*LevelError]. The delta is not used after Start.
func NewWriteOp(key string, delta []byte, p Placement, level Level) (*WriteOp, error) {
	o := &WriteOp{key: key, delta: delta}
	if err := o.acks.init(p, level); err != nil {
		return nil, err
	}
	return o, nil
}

// Start returns the first sends: the delta, to every owner.
func (o *WriteOp) Start() []Send {
	sends := o.acks.sends(MethodMerge, o.key, o.delta)
	o.delta = nil
	return sends
}

// Answer takes what came of s: the response or the error of the call. It returns
// what to send next. A Send that is not of this operation changes nothing.
func (o *WriteOp) Answer(s Send, resp []byte, err error) []Send {
	if err == nil {
		_, err = parseResponse(s.Method, resp)
	}
	return o.answer(&s, nil, err)
}

func (o *WriteOp) answer(s *Send, _ []byte, err error) []Send {
	i := o.acks.index(s.To)
	if i < 0 || i != s.ID {
		return nil
	}
	if err != nil {
		o.acks.fail(i, err)
	} else {
		o.acks.answer(i)
	}
	switch {
	case o.acks.Reached():
		o.decide(nil)
	case o.acks.hopeless():
		o.decide(o.acks.Unavailable(OpWrite, o.key))
	}
	return nil
}

// Timeout says that the time for this write is over. What is decided stays decided.
func (o *WriteOp) Timeout() {
	if !o.done {
		o.decide(o.acks.Timeout(OpWrite, o.key))
	}
}

// decide fixes the outcome, once: it may be read while late answers come in.
func (o *WriteOp) decide(err error) {
	if o.done {
		return
	}
	o.done, o.err = true, err
	o.result = WriteResult{Needed: o.acks.needed, Answered: o.acks.answered, Owners: len(o.acks.members)}
}

// Done reports whether the outcome is decided. It then stays as it is. If no call
// is under way, the operation is done.
func (o *WriteOp) Done() bool { return o.done }

// Result returns the outcome of an operation that is done: the error is nil, an
// [*UnavailableError] or a [*TimeoutError].
func (o *WriteOp) Result() (WriteResult, error) { return o.result, o.err }
