package quorum

import (
	"cmp"
	"context"
	"sync"
)

// machine is what a driver sees of a ReadOp or a WriteOp. An outcome that was not
// decoded by the machine itself comes by answer, which may keep state.
type machine interface {
	Start() []Send
	answer(s *Send, state []byte, err error) []Send
	Timeout()
	Done() bool
}

// A call drives one machine. Answers come from many goroutines, but one at a time
// steps the machine, without a lock: who brings an answer while nobody is stepping
// does so until no answer is left. So no goroutine has to wait for late answers.
type call struct {
	c      *Coordinator
	op     machine
	done   chan struct{} // closed when op is done
	cancel context.CancelFunc

	mu       sync.Mutex
	inbox    []outcome // all there ever were: they are few
	taken    int       // how many the machine has seen
	stepping bool

	under  int // calls under way; of who steps
	closed bool
}

// outcome is what came of a Send; of no Send, that time is over.
type outcome struct {
	send  *Send
	state []byte
	err   error
}

// run drives op until it is done or ctx ends, and leaves the rest to go on.
func (c *Coordinator) run(ctx context.Context, op machine) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	calls, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(c.Timeout, DefaultTimeout))
	sends := op.Start()
	x := &call{
		c: c, op: op, done: make(chan struct{}), cancel: cancel,
		inbox: make([]outcome, 0, len(sends)),
	}
	x.launch(calls, sends)
	timeout := calls.Done()
	for {
		select {
		case <-x.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			timeout = nil
			x.deliver(calls, outcome{})
		}
	}
}

// launch starts the goroutine of each send.
func (x *call) launch(ctx context.Context, sends []Send) {
	x.under += len(sends)
	for i := range sends {
		go x.send(ctx, &sends[i])
	}
}

func (x *call) send(ctx context.Context, s *Send) {
	state, err := x.c.exchange(ctx, s)
	x.deliver(ctx, outcome{s, state, err})
	x.c.Events.repaired(s, err)
}

// deliver brings an outcome, and steps the machine if nobody else does.
func (x *call) deliver(ctx context.Context, o outcome) {
	x.mu.Lock()
	x.inbox = append(x.inbox, o)
	if x.stepping {
		x.mu.Unlock()
		return
	}
	x.stepping = true
	for x.taken < len(x.inbox) {
		next := x.inbox[x.taken]
		x.taken++
		x.mu.Unlock()
		x.step(ctx, next)
		x.mu.Lock()
	}
	x.stepping = false
	x.mu.Unlock()
}

// step hands one outcome to the machine. A call that failed because time is over
// says nothing about its owner, so the machine learns of the time first.
func (x *call) step(ctx context.Context, o outcome) {
	if o.send == nil || o.err != nil && ctx.Err() != nil {
		x.op.Timeout()
	}
	if o.send != nil {
		x.under--
		x.launch(ctx, x.op.answer(o.send, o.state, o.err))
	}
	if !x.closed && x.op.Done() {
		x.closed = true
		close(x.done)
	}
	if x.under == 0 {
		x.cancel()
	}
}
