package simulation

import (
	"errors"
	"strings"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/transport"
)

// collector is what drives antientropy.Collection at one node.
type collector struct {
	*replication
	busy bool
}

func (c *collector) tick() {
	r := c.run
	r.after(r.plan.collectEvery, c.node, collect, c.tick)
	if c.busy {
		return
	}
	under, err := antientropy.NewCollection(r.ctx, c.node.replica, &c.membership, antientropy.CollectionConfig{
		MaxMessage: r.plan.maxMessage,
		Quiet:      r.plan.quiet,
	})
	if under == nil {
		if !errors.Is(err, antientropy.ErrNotProposing) {
			r.explain(err)
		}
		return
	}
	c.busy = true
	c.next(under, err)
}

// next sends the next request of a collection, or ends it.
func (c *collector) next(under *antientropy.Collection, err error) {
	r := c.run
	peer, method, req, more := under.Next()
	if err != nil || !more || r.violation != nil {
		r.explain(err)
		c.busy = false
		c.over(under.Result())
		return
	}
	r.call(c.node, r.number(peer), method, req, &call{done: func(resp []byte, err error) {
		if err == nil {
			err = under.Step(r.ctx, resp)
		} else {
			r.explainCall(err)
			err = under.Failed(r.ctx, err)
		}
		c.next(under, err)
	}})
}

func (c *collector) over(done antientropy.Collected) {
	r := c.run
	switch {
	case done.Err != nil:
		r.did("a collection that ended early")
	case len(done.HeldUp) > 0:
		r.did("a collection that was held up")
	default:
		r.did("a collection of all there was")
	}
	if r.trace.print != nil {
		r.trace.say(r.now, c.node.index, "collection in epoch %d: %d records, held up by %v, %v", done.Epoch, done.Records, done.HeldUp, done.Err)
	}
}

// explained reports whether an error is one that generations and epochs explain, or
// that a departure is being agreed on and this contradicts it. If that were for ever,
// replicas would not become equal.
func (r *run) explained(err error) bool {
	if isFall(err) {
		return true
	}
	_, contrary := errors.AsType[*crdt.HandoverError](err)
	_, apart := errors.AsType[*antientropy.GenerationError](err)
	_, epoch := errors.AsType[*antientropy.EpochError](err)
	return r.plan.collects && (apart || epoch || isStale(err)) || r.plan.retires && contrary
}

// explainedCall is explained for an error of another node, which comes as words.
func (r *run) explainedCall(e *transport.RemoteError) bool {
	return strings.Contains(e.Message, "ahead of the clock") ||
		r.plan.collects && strings.Contains(e.Message, "store: of generation") ||
		r.plan.retires && strings.Contains(e.Message, "crdt: handover:")
}

// unforgotten finds a key at a node that shows nothing and should have been collected,
// "" if there is none.
func (r *run) unforgotten(n *node) string {
	limit := r.plan.maxMessage / 2
	for key := range n.replica.store.Index().All() {
		state, err := n.replica.store.Load(r.ctx, key)
		_, value := unseal(state)
		v, bad := r.kinds.Decode(value)
		if err != nil || bad != nil {
			r.fail(errorUnexplained, key, "load: %v, %v", err, bad)
			return ""
		}
		if v.Spent() && (limit == 0 || len(value) < limit) {
			return key
		}
	}
	return ""
}
