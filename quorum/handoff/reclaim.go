package handoff

import (
	"context"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// reclaimEvery is how often Run looks for hints whose target holds their key no more.
const reclaimEvery = 10 * time.Second

// A held is one hint as it is at a moment.
type held struct {
	to    transport.NodeID
	key   string
	state []byte
	hint  *hint // this one, and not another that came in its place
	seq   uint64
}

// Reclaim takes over the hints whose target does not hold their key any more, by Holds: what they
// have is merged into this node's own Replica, and they are let go of. It returns how many
// there were. Run does it at intervals; call it as well, once the ring has changed, before a node
// departs for good that held hints, and before [Handoff.Forget] of one that has departed.
//
// It costs a call of Holds for each hint. A hint that the Replica refuses stays, and its error is
// returned after all others were tried; other errors are that of ctx and *[LogError].
func (h *Handoff) Reclaim(ctx context.Context) (hints int, err error) {
	if h.Holds == nil || h.Replica == nil {
		return 0, nil
	}
	if err := h.load(ctx); err != nil {
		return 0, err
	}
	for _, m := range h.moved() {
		if ctx.Err() != nil {
			return hints, ctx.Err()
		}
		if _, failed := h.Replica.Merge(ctx, m.key, m.state); failed != nil {
			err = failed
			continue
		}
		failed := h.do(ctx, true, func() {
			h.change(func(b *Buffer) {
				if b.reclaimed(m) {
					hints++
				}
			})
		})
		if failed != nil {
			return hints, failed
		}
	}
	return hints, err
}

// moved is what is held for nodes that do not hold it any more.
func (h *Handoff) moved() (out []held) {
	h.mu.Lock()
	all := h.buffer.all()
	h.mu.Unlock()
	for _, m := range all {
		if !h.Holds(m.to, m.key) {
			out = append(out, m)
		}
	}
	return out
}

// all is all that is held, target by target, the oldest first.
func (b *Buffer) all() (out []held) {
	for _, id := range b.ids() {
		for h := b.targets[id].oldest; h != nil; h = h.newer {
			out = append(out, held{id, h.key, h.state, h, h.seq})
		}
	}
	return out
}

// reclaimed lets go of a hint, unless something has been joined to it since.
func (b *Buffer) reclaimed(m held) bool {
	t := b.targets[m.to]
	if t == nil {
		return false
	}
	h := t.hints[m.key]
	if h == nil || h != m.hint || h.seq != m.seq {
		return false
	}
	b.remove(h)
	b.counts.Reclaimed++
	b.tidy(t)
	return true
}
