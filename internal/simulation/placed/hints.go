package placed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/transport"
)

// hints are those that a node keeps: the real buffer, with a log that outlives crashes, if its node is
// not volatile. Each row is decoded, so that it is known what is kept for whom.
type hints struct {
	node   *node
	buffer *handoff.Buffer
	log    map[string][]byte
	rows   map[string]row
}

// A row is what the log has for a target under a key.
type row struct {
	to    transport.NodeID
	key   *key
	state []byte
	view  view
}

// open begins with what the log has.
func (h *hints) open() {
	r := h.node.run
	h.buffer = &handoff.Buffer{Join: r.join, Limits: r.plan.limits, Seed: r.seed + uint64(h.node.index) + 1}
	h.buffer.Tick(epoch.Add(r.now))
	if h.log == nil {
		h.log, h.rows = make(map[string][]byte), make(map[string]row)
	}
	if err := h.buffer.Load(h.all()); err != nil {
		r.fail(hintsWrong, "", "load: %v", err)
	}
	if len(h.rows) > 0 {
		r.did("hints that outlive a crash")
	}
}

func (h *hints) all() iter.Seq2[handoff.Row, error] {
	return func(yield func(handoff.Row, error) bool) {
		for _, id := range slices.Sorted(maps.Keys(h.log)) {
			if !yield(handoff.Row{ID: id, Value: h.log[id]}, nil) {
				return
			}
		}
	}
}

// lose takes the log away.
func (h *hints) lose() { h.log, h.rows = nil, nil }

// Keep holds delta for a node that is away.
func (h *hints) Keep(_ context.Context, to transport.NodeID, name string, delta []byte) error {
	r := h.node.run
	if to == h.node.id {
		return errors.New("simulation: a node keeps no hints for itself")
	}
	k := r.byName[name]
	h.buffer.Tick(epoch.Add(r.now))
	err := h.buffer.Keep(to, name, delta)
	h.settle()
	if err != nil {
		full, ok := errors.AsType[*handoff.FullError](err)
		if !ok {
			r.fail(unexplained, name, "keep: %v", err)
			return err
		}
		r.did(fmt.Sprint("a hint not taken: ", full.Reason))
		return err
	}
	r.did("a hint kept")
	if got := h.held(to, k); !k.covers(got, r.meaning(k, delta)) {
		r.fail(hintsWrong, name, "%s keeps %x for %s, and was given %x", h.node.id, got, to, r.meaning(k, delta))
	}
	return nil
}

// held is what is held for a node under a key.
func (h *hints) held(to transport.NodeID, k *key) (v view) {
	for _, w := range h.rows {
		if w.to == to && w.key == k {
			v = k.join(v, w.view)
		}
	}
	return v
}

// of is what is held for anybody under a key.
func (h *hints) of(k *key) (v view) {
	for _, w := range h.rows {
		if w.key == k {
			v = k.join(v, w.view)
		}
	}
	return v
}

// Held returns what is held under a key for anybody.
func (h *hints) Held(_ context.Context, name string) (state []byte, err error) {
	for _, id := range slices.Sorted(maps.Keys(h.rows)) {
		if w := h.rows[id]; w.key.name == name && err == nil {
			state, err = h.node.run.join(state, w.state)
		}
	}
	return state, err
}

// Durable reports whether hints outlive a crash.
func (h *hints) Durable() bool { return !h.node.volatile }

// settle makes durable what has changed, and checks that nothing is gone of which nobody was told.
func (h *hints) settle() {
	r := h.node.run
	c := h.buffer.Changes()
	told := map[transport.NodeID]int{}
	for _, d := range c.Dropped {
		told[d.Target] += d.Hints
		r.did(fmt.Sprint("hints dropped: ", d.Reason))
	}
	var gone []row
	for _, w := range c.Rows {
		if was := h.apply(w); was.key != nil {
			gone = append(gone, was)
		}
	}
	for _, was := range gone {
		k, to := was.key, r.node(was.to)
		if len(to.lostAt) > 0 {
			r.doubt(k) // it may have been delivered and lost
		}
		if k.covers(k.join(h.held(was.to, k), to.ever[k.index]), was.view) {
			continue // it is held, or was delivered
		}
		if told[was.to]--; told[was.to] < 0 {
			r.fail(hintLost, k.name, "%s kept %x for %s", h.node.id, was.view, was.to)
		}
		r.doubt(k)
	}
	h.check()
}

// apply puts a row into the log, and returns the one that was there.
func (h *hints) apply(w handoff.Row) (was row) {
	r := h.node.run
	was = h.rows[w.ID]
	if len(w.Value) == 0 {
		delete(h.log, w.ID)
		delete(h.rows, w.ID)
		return was
	}
	h.log[w.ID] = slices.Clone(w.Value)
	id, err := wire.NewReader([]byte(w.ID))
	if err != nil || id.Array() != 2 {
		return row{} // marks
	}
	is := row{to: transport.NodeID(id.String())}
	is.key = r.byName[id.String()]
	value, err := wire.NewReader(w.Value)
	if err != nil || value.Array() != 3 || is.key == nil {
		r.fail(hintsWrong, "", "row %q", w.ID)
		return was
	}
	value.Uint()
	value.Int()
	is.state = slices.Clone(value.Bytes())
	is.view = r.meaning(is.key, is.state)
	h.rows[w.ID] = is
	return was
}

// check compares the buffer with its log, and with its limits.
func (h *hints) check() {
	r, s := h.node.run, h.buffer.Stats()
	l := r.plan.limits
	if s.Hints != len(h.rows) {
		r.fail(hintsWrong, "", "%s holds %d hints, its log %d", h.node.id, s.Hints, len(h.rows))
	}
	over := l.MaxBytes > 0 && s.Bytes > l.MaxBytes
	for _, t := range s.Targets {
		over = over || l.MaxTargetBytes > 0 && t.Bytes > l.MaxTargetBytes || l.MaxTargetHints > 0 && t.Hints > l.MaxTargetHints
	}
	if over {
		r.fail(hintsOver, "", "%s: %+v", h.node.id, s)
	}
}

// replay sends what waits, to whoever takes it.
func (r *run) replay(n *node) {
	h := n.hints
	h.buffer.Tick(epoch.Add(r.now))
	ready, _ := h.buffer.Ready()
	h.settle()
	for _, id := range ready {
		b, ok := h.buffer.Batch(id)
		h.settle()
		if !ok {
			continue
		}
		r.did("hints sent")
		r.call(n, &message{to: r.node(id), method: b.Method, body: b.Request}, &call{done: func(a *message, err error) {
			if err != nil {
				h.buffer.Failed(id, b.ID, err)
			} else if done, err := h.buffer.Acked(id, b.ID, a.body); err != nil {
				r.fail(unexplained, "", "replay: %v", err)
			} else if done.Hints > 0 {
				r.did("hints delivered")
			}
			h.settle()
		}})
	}
}
