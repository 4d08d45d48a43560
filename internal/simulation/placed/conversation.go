package placed

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/eventual-go/eventual/quorum"
)

// A conversation is code that waits for what it asks, such as a call of a session: it runs as a coroutine, which stands
// still from each question to its answer while all else happens. So it is as repeatable as all else. It is a
// session.Quorum, at one node, and goes with that in a crash.
type conversation struct {
	run    *run
	node   *node
	next   func() (*operation, bool)
	stop   func()
	yield  func(*operation) bool
	answer *operation
	gone   bool   // its node has crashed
	write  *write // what its client writes
}

// converse has code run at a node.
func (r *run) converse(n *node, body func(*conversation)) {
	c := &conversation{run: r, node: n}
	c.next, c.stop = iter.Pull(func(yield func(*operation) bool) {
		c.yield = yield
		body(c)
	})
	n.conversations = append(n.conversations, c)
	c.goOn(nil)
}

// goOn hands over an answer, and asks what is asked next.
func (c *conversation) goOn(answer *operation) {
	c.answer = answer
	o, more := c.next()
	if !more {
		c.node.conversations = slices.DeleteFunc(c.node.conversations, func(d *conversation) bool { return c == d })
		return
	}
	o.after = c.goOn
	c.run.begin(o)
}

// hush ends all conversations at a node. They are not told anything any more.
func (n *node) hush() {
	for _, c := range slices.Clone(n.conversations) {
		c.gone = true
		c.stop()
	}
	n.conversations = nil
}

func (c *conversation) ask(o *operation) (stepper, error) {
	o.node = c.node
	if c.gone || !c.yield(o) {
		c.gone = true
		return nil, errDown
	}
	return c.answer.op, c.answer.err
}

// Read reads a key.
func (c *conversation) Read(_ context.Context, name string, opts quorum.ReadOptions) (quorum.ReadResult, error) {
	o := &operation{key: c.run.byName[name], reads: opts, back: quorum.Demand{Level: quorum.Majority}}
	o.reads.Level = cmp.Or(opts.Level, quorum.Majority)
	o.reads.Fallbacks = cmp.Or(opts.Fallbacks, quorum.FallbacksNone)
	o.reads.Repair = cmp.Or(opts.Repair, quorum.RepairBlocking)
	o.reads.NotFound = cmp.Or(opts.NotFound, quorum.NotFoundCounts)
	op, err := c.ask(o)
	if err != nil {
		return quorum.ReadResult{}, err
	}
	return op.(*quorum.ReadOp).Result()
}

// Write writes what its client writes, or some state.
func (c *conversation) Write(_ context.Context, name string, delta []byte, opts quorum.WriteOptions) (quorum.WriteResult, error) {
	r := c.run
	o := &operation{key: r.byName[name], write: c.write, asks: opts, hints: r.clients.chance(r.plan.hinted)}
	o.asks.Level = cmp.Or(opts.Level, quorum.Majority)
	o.asks.Fallbacks = cmp.Or(opts.Fallbacks, quorum.FallbacksNone)
	if o.write == nil || o.write.key != o.key || !slices.Equal(o.write.delta, delta) {
		o.write = &write{key: o.key, view: r.meaning(o.key, delta), delta: delta}
	}
	op, err := c.ask(o)
	if err != nil {
		return quorum.WriteResult{}, err
	}
	return op.(*quorum.WriteOp).Result()
}
