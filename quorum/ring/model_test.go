package ring

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/eventual-go/eventual/transport"
)

// A world is a small cluster with one partition and one write. Nodes run Transitions, and hold the
// write or not. A coordinator writes by any ring that there ever was, asking one node after the
// other; readers by each ring begin when it is acknowledged, and ask everybody who
// has not got it as soon as they may. That is the worst that readers can do: an answer of
// somebody who lacks the write only helps to miss it.
type world struct {
	rings   []*Ring // all there ever were, by epoch
	nodes   map[transport.NodeID]*station
	flights []flight
	writer  int // ring by which it is written, or less than 0
	took    map[transport.NodeID]bool
	acked   bool
	readers []map[transport.NodeID]bool // by ring: who answered without the write
}

type station struct {
	t     *Transition
	saved []byte
	has   bool
	gone  bool // for good: only its name is left, which says that the change is aborted
}

// A flight is a reconciliation under way: what both had when it began is what they compare, at
// worst.
type flight struct {
	node        transport.NodeID
	task        Task
	mine, yours bool
}

func newWorld(r *Ring, others ...transport.NodeID) *world {
	w := &world{nodes: map[transport.NodeID]*station{}, writer: -1, took: map[transport.NodeID]bool{}}
	w.know(r)
	for _, m := range r.nodes {
		s := w.node(m.ID)
		_ = s.t.Adopt(r, s.save)
	}
	for _, id := range others {
		w.node(id)
	}
	return w
}

func (s *station) save(b []byte) error { s.saved = b; return nil }

func (w *world) node(id transport.NodeID) *station {
	if w.nodes[id] == nil {
		w.nodes[id] = &station{t: &Transition{Self: id}}
	}
	return w.nodes[id]
}

func (w *world) know(r *Ring) {
	for _, k := range w.rings {
		if k.print == r.print {
			return
		}
	}
	w.rings = append(w.rings, r)
	w.readers = append(w.readers, map[transport.NodeID]bool{})
}

func (w *world) clone() *world {
	c := &world{rings: slices.Clone(w.rings), nodes: map[transport.NodeID]*station{}, flights: slices.Clone(w.flights),
		writer: w.writer, took: maps.Clone(w.took), acked: w.acked}
	for id, s := range w.nodes {
		t := *s.t
		t.with, t.met, t.busy = maps.Clone(t.with), maps.Clone(t.met), maps.Clone(t.busy)
		t.failed = maps.Clone(t.failed)
		c.nodes[id] = &station{&t, s.saved, s.has, s.gone}
	}
	for _, r := range w.readers {
		c.readers = append(c.readers, maps.Clone(r))
	}
	return c
}

// key tells worlds apart.
func (w *world) key() string {
	var b strings.Builder
	ids := slices.Sorted(maps.Keys(w.nodes))
	for _, id := range ids {
		s := w.nodes[id]
		print := ""
		if s.t.ring != nil {
			print = s.t.ring.print.String()[:4]
		}
		fmt.Fprintf(&b, "%s:%s %v %v %v %v %v %v;", id, print, s.gone, s.t.ready, s.t.owed, s.t.met, s.has, w.took[id])
		for _, r := range w.readers {
			fmt.Fprint(&b, r[id])
		}
	}
	for _, f := range w.flights {
		fmt.Fprint(&b, f.node, f.task.Peer, f.task.print.String()[:4], f.mine, f.yours)
	}
	fmt.Fprint(&b, w.writer, w.acked, len(w.rings)) // rings are known in one order
	return b.String()
}

func (s *station) version() uint64 {
	if s.t.ring == nil {
		return math.MaxUint64
	}
	return s.t.ring.At(0).Version
}

// quorum reports whether a majority of the owners, and of the next ones, is among nodes.
func quorumOf(r *Ring, in map[transport.NodeID]bool) bool {
	pl := r.At(0)
	for _, ids := range [][]transport.NodeID{pl.Owners, pl.Next} {
		n := 0
		for _, id := range ids {
			if in[id] {
				n++
			}
		}
		if len(ids) > 0 && n < len(ids)/2+1 {
			return false
		}
	}
	return true
}

// look lets the readers ask, and reports what is wrong.
func (w *world) look() error {
	all := slices.Collect(maps.Values(w.nodes))
	lost := slices.ContainsFunc(all, func(s *station) bool { return s.gone }) // so is what was not acknowledged
	if (w.acked || len(w.took) > 0 && !lost) && !slices.ContainsFunc(all, func(s *station) bool { return s.has }) {
		return fmt.Errorf("the write is gone")
	}
	if !w.acked {
		return nil
	}
	for i, r := range w.rings {
		for id, s := range w.nodes {
			if r.Owns(id, 0) && !s.has && !s.gone && s.version() <= r.At(0).Version {
				w.readers[i][id] = true
			}
		}
		if quorumOf(r, w.readers[i]) {
			return fmt.Errorf("a read by the ring of epoch %d misses the write by that of %d", r.epoch, w.rings[w.writer].epoch)
		}
	}
	return nil
}

// A move is what may happen next.
type move struct {
	name string
	do   func(w *world)
}

// moves returns what may happen next, in an order that is always the same.
func (w *world) moves(flights int, crashes bool) (out []move) {
	add := func(do func(w *world), format string, args ...any) {
		out = append(out, move{fmt.Sprintf(format, args...), do})
	}
	ids := slices.Sorted(maps.Keys(w.nodes))
	for i := range w.rings {
		if w.writer < 0 || w.writer == i && !w.acked {
			for _, id := range ids {
				if w.rings[i].Owns(id, 0) && !w.took[id] && !w.nodes[id].gone && w.nodes[id].version() <= w.rings[i].At(0).Version {
					add(func(w *world) { w.write(i, id) }, "%s takes the write by epoch %d", id, w.rings[i].epoch)
				}
			}
		}
	}
	for i, f := range w.flights {
		add(func(w *world) { w.land(i) }, "%s is done with %s", f.node, f.task.Peer)
	}
	for _, id := range ids {
		for _, peer := range ids {
			if id != peer && w.useful(id, peer, flights) {
				add(func(w *world) { w.meet(id, peer, flights) }, "%s meets %s", id, peer)
			}
		}
		if w.nodes[id].gone {
			continue
		}
		if w.ends(id) {
			add(func(w *world) { w.hearAll(id) }, "%s hears all", id)
		}
		if w.nodes[id].t.ring == nil {
			for i, r := range w.rings {
				if r.changing {
					add(func(w *world) { w.told(i, id, (*Ring).Settle) }, "%s is told to settle epoch %d", id, r.epoch)
					add(func(w *world) { w.told(i, id, (*Ring).Abort) }, "%s is told to abort epoch %d", id, r.epoch)
				}
			}
		}
		if parts := w.nodes[id].t.Droppable(); len(parts) > 0 {
			add(func(w *world) { w.drop(id) }, "%s drops", id)
		}
		if crashes && w.nodes[id].saved != nil {
			add(func(w *world) { w.crash(id) }, "%s crashes", id)
			if w.mayGo(id) {
				add(func(w *world) { w.leave(id) }, "%s is gone, and its name aborts", id)
			}
		}
	}
	return out
}

func (w *world) write(ring int, id transport.NodeID) {
	w.writer = ring
	w.nodes[id].has, w.took[id] = true, true
	w.acked = quorumOf(w.rings[ring], w.took)
}

// told has an operator give the end of a change to a node without a ring, whether it may end so or not.
func (w *world) told(ring int, id transport.NodeID, end func(*Ring) (*Ring, error)) {
	next, err := end(w.rings[ring])
	if err == nil {
		_ = w.nodes[id].t.Adopt(next, w.nodes[id].save)
	}
	w.advance(id)
}

// hear has a node ask another one.
func (w *world) hear(id, peer transport.NodeID) {
	s, p := w.nodes[id], w.nodes[peer]
	var newer *Ring
	if p.t.State().Epoch > s.t.State().Epoch {
		newer = p.t.ring
	}
	_ = s.t.Heard(peer, p.t.State(), newer, s.save)
	w.advance(id)
}

func (w *world) advance(id transport.NodeID) {
	s := w.nodes[id]
	_ = s.t.Advance(s.save)
	if s.t.ring != nil {
		w.know(s.t.ring)
	}
}

// useful reports whether a node gets anything out of asking another one.
func (w *world) useful(id, peer transport.NodeID, flights int) bool {
	s, p := w.nodes[id].t, w.nodes[peer].t
	if s.State().Epoch != p.State().Epoch {
		return s.State().Epoch < p.State().Epoch
	}
	if w.nodes[id].gone || w.nodes[peer].gone {
		return false
	}
	if s.ring == nil || len(w.flights) == flights || s.ring.node0(peer) < 0 {
		return false
	}
	try := *s
	try.with = map[transport.NodeID]bool{peer: true}
	return try.ring.print == p.ring.print && len(try.Begin(0, nil)) == 0 && try.wants(peer)
}

func (r *Ring) node0(id transport.NodeID) int {
	if i, ok := r.node(id); ok {
		return int(i)
	}
	return -1
}

// wants reports whether a task with a peer could begin.
func (t *Transition) wants(peer transport.NodeID) (yes bool) {
	t.pending(func(p int, owed bool) { yes = yes || t.able(peer, p) })
	return yes
}

// meet has a node ask another one, and begin to reconcile with it.
func (w *world) meet(id, peer transport.NodeID, flights int) {
	w.hear(id, peer)
	s := w.nodes[id]
	if len(w.flights) == flights || s.gone || w.nodes[peer].gone {
		return
	}
	for _, task := range s.t.Begin(1, func(p transport.NodeID) bool { return p == peer }) {
		w.flights = append(w.flights, flight{id, task, s.has, w.nodes[peer].has})
	}
}

func (w *world) land(i int) {
	f := w.flights[i]
	w.flights = slices.Delete(w.flights, i, i+1)
	s, p := w.nodes[f.node], w.nodes[f.task.Peer]
	s.has, p.has = s.has || f.yours && !f.task.Give, p.has || f.mine
	s.t.Finish(f.task, true)
	w.advance(f.node)
}

// ends reports whether a node would settle if it heard everybody.
func (w *world) ends(id transport.NodeID) bool {
	t := w.nodes[id].t
	if t.ring == nil || !t.ring.changing {
		return false
	}
	return !slices.ContainsFunc(t.needs, func(n transport.NodeID) bool {
		s := w.nodes[n].t.State()
		return s.Fingerprint != t.ring.print || !s.Done
	})
}

func (w *world) hearAll(id transport.NodeID) {
	for _, n := range w.nodes[id].t.needs {
		if n != id {
			w.hear(id, n)
		}
	}
	w.advance(id)
}

func (w *world) drop(id transport.NodeID) {
	s := w.nodes[id]
	parts := s.t.Droppable()
	s.has = false
	_ = s.t.Dropped(parts, s.save)
}

// crash has a node come back with what it has saved.
func (w *world) crash(id transport.NodeID) {
	s := w.nodes[id]
	s.t = &Transition{Self: id}
	if err := s.t.Restore(s.saved); err != nil {
		panic(err)
	}
	w.flights = slices.DeleteFunc(w.flights, func(f flight) bool { return f.node == id })
	w.advance(id)
}

// mayGo reports whether a node is one that a change waits for, at all others, so that nobody
// has settled or will.
func (w *world) mayGo(id transport.NodeID) bool {
	joint := w.rings[len(w.rings)-1]
	n, ok := joint.node(id)
	if p := joint.parts[0]; !ok || !joint.changing || !slices.Contains(p.next, n) || len(p.owners) == 1 && p.owners[0] == n {
		return false // by itself it would be done at once
	}
	for other, s := range w.nodes {
		if s.gone || other != id && s.t.State().Fingerprint == joint.print && s.t.with[id] {
			return false
		}
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(w.nodes)), func(s *station) bool { return s.t.State().Fingerprint == joint.print })
}

// leave has a node be gone for good, with all it had, and the operator abort the change in its name.
func (w *world) leave(id transport.NodeID) {
	for _, f := range w.flights {
		if f.task.Peer == id {
			w.nodes[f.node].t.Finish(f.task, false)
		}
	}
	w.flights = slices.DeleteFunc(w.flights, func(f flight) bool { return f.node == id || f.task.Peer == id })
	joint := w.rings[len(w.rings)-1]
	abort, _ := joint.Abort()
	s := &station{t: &Transition{Self: id}, gone: true}
	w.nodes[id] = s
	if err := errors.Join(s.t.Heard("", State{}, joint, s.save), s.t.Adopt(abort, s.save)); err != nil {
		panic(err)
	}
	w.know(abort)
}
