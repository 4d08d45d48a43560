package quorum

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// machine is what a driver sees of a ReadOp or a WriteOp. An outcome that was not
// decoded by the machine itself comes by answer, which may keep the state.
type machine interface {
	Start() []Send
	answer(s *Send, a *answer, err error) []Send
	Hedge() []Send
	Timeout() []Send
	Done() bool
	outdated() (by nodeID, version uint64)
}

// A call drives one machine. Answers come from many goroutines, but one at a time
// steps the machine, without a lock: who brings an answer while nobody is stepping
// does so until no answer is left. So no goroutine has to wait for late answers.
type call struct {
	c     *Coordinator
	op    machine
	start time.Time
	done  chan struct{}   // holds a token when op is done
	ctx   context.Context // of who called, for Carry alone; nil without one

	mu       sync.Mutex
	inbox    []outcome
	stepping bool

	closed bool // of who steps
	late   bool
}

// outcome is what came of a Send; of no Send, what a timer has to say.
type outcome struct {
	send   *Send
	answer answer
	err    error
	timer  timer
}

type timer uint8

const (
	noTimer timer = iota
	hedgeTimer
	endTimer
)

// run drives op until it is done, its time is over or ctx ends, and leaves the rest to go on.
func (c *Coordinator) run(ctx context.Context, op machine, start time.Time, timeout time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	x := &call{c: c, op: op, start: start, done: c.spares.token()}
	if c.Carry != nil {
		x.ctx = ctx
	}
	sends := op.Start()
	hedge := min(c.hedge(op), timeout)
	x.launch(sends)
	x.deliver(outcome{}) // so that what was decided at once is noticed
	select {
	case <-x.done:
		c.spares.tokens.Put(x.done)
		return nil
	default:
	}
	t := c.spares.timer(hedge)
	defer func() { t.Stop(); c.spares.timers.Put(t) }()
	next := hedgeTimer
	for {
		select {
		case <-x.done:
			c.spares.tokens.Put(x.done) // there will be no other one
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			x.deliver(outcome{timer: next})
			if next == hedgeTimer {
				next = endTimer
				t.Reset(timeout - hedge)
			}
		}
	}
}

// spares are what calls have used, and others may use again. They are a Coordinator's
// own, since what was made in a testing/synctest bubble stays there.
type spares struct {
	tokens sync.Pool // of chan struct{}, empty
	timers sync.Pool // of *time.Timer, stopped
}

func (s *spares) token() chan struct{} {
	if c, ok := s.tokens.Get().(chan struct{}); ok {
		return c
	}
	return make(chan struct{}, 1)
}

func (s *spares) timer(d time.Duration) *time.Timer {
	if t, ok := s.timers.Get().(*time.Timer); ok {
		t.Reset(d)
		return t
	}
	return time.NewTimer(d)
}

// launch has sends made.
func (x *call) launch(sends []Send) {
	own := false
	for i := range sends {
		if s := &sends[i]; s.To == x.c.Self {
			own = true
		} else {
			x.c.node(s.To).put(x, s)
		}
	}
	for i := range sends {
		switch s := &sends[i]; {
		case !own || s.To != x.c.Self:
		case x.c.immediate(s):
			x.perform(s)
		default:
			go x.perform(s)
		}
	}
}

// immediate reports whether this node does a task without waiting for a disk.
func (c *Coordinator) immediate(s *Send) bool {
	d, ok := c.Local.(lasting)
	return ok && s.task.kind != taskHint && !d.Durable()
}

// perform does what is asked of this node.
func (x *call) perform(s *Send) {
	asked := x.c.Events.now()
	a, err := x.c.perform(x.c.terms.context(cmp.Or(x.c.Timeout, DefaultTimeout)), &s.task)
	if err == nil {
		err = s.verify(&a)
	}
	x.tell(s, a, err)
	x.c.answered(s, asked, err)
}

// tell brings what came of a send.
func (x *call) tell(s *Send, a answer, err error) {
	x.deliver(outcome{send: s, answer: a, err: err})
	x.c.told(x, s, err)
}

// deliver brings an outcome, and steps the machine if nobody else does.
func (x *call) deliver(o outcome) {
	x.mu.Lock()
	if x.stepping {
		x.inbox = append(x.inbox, o)
		x.mu.Unlock()
		return
	}
	x.stepping = true
	x.mu.Unlock()
	x.step(&o)
	x.mu.Lock()
	for len(x.inbox) > 0 {
		all := x.inbox
		x.inbox = nil
		x.mu.Unlock()
		for i := range all {
			x.step(&all[i])
		}
		x.mu.Lock()
	}
	x.stepping = false
	x.mu.Unlock()
}

// step hands one outcome to the machine.
func (x *call) step(o *outcome) {
	switch {
	case o.send != nil:
		if isLate(o.err) && !x.late {
			x.late = true
			x.launch(x.op.Timeout())
		}
		x.launch(x.op.answer(o.send, &o.answer, o.err))
	case o.timer == hedgeTimer:
		x.launch(x.op.Hedge())
	case o.timer == endTimer && !x.late:
		x.late = true
		x.launch(x.op.Timeout())
	}
	if !x.closed && x.op.Done() {
		x.closed = true
		x.done <- struct{}{}
	}
}
