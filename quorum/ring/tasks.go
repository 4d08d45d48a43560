package ring

import (
	"cmp"
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// taskParts is how many partitions one task has at most: what is done is noted task by task. A partition
// whose task failed is in one of half as many the next time, and in the end alone.
const taskParts = 64

// A leg is the reconciliation of one partition with one peer.
type leg struct {
	peer transport.NodeID
	part int
}

// Ask returns whom this node has to hear of to go on, by ID: those it has to reconcile with that
// have not answered from its ring yet, and those that are not done.
func (t *Transition) Ask() []transport.NodeID {
	if t.ring == nil {
		return nil
	}
	ask := make(map[transport.NodeID]bool)
	for _, id := range t.needs {
		ask[id] = !t.with[id]
	}
	t.pending(func(p int, owed bool) {
		part := &t.ring.parts[p]
		for _, n := range slices.Concat(part.owners, part.next) {
			if id := t.ring.nodes[n].ID; !ask[id] {
				_, answered := t.with[id]
				ask[id] = !answered
			}
		}
	})
	var out []transport.NodeID
	for _, m := range t.ring.nodes {
		if ask[m.ID] && m.ID != t.Self {
			out = append(out, m.ID)
		}
	}
	return out
}

// pending calls f for each partition that has to be reconciled with somebody.
func (t *Transition) pending(f func(p int, owed bool)) {
	for _, p := range t.gather {
		if !t.ready && !t.complete(p, false) {
			f(p, false)
		}
	}
	for _, p := range t.owed {
		if !t.complete(p, true) {
			f(p, true)
		}
	}
}

// Begin returns tasks that can begin now, at most so many, each with another peer: with those
// that are free, have no task, and have answered from the present ring. What has failed less often with
// a peer goes first, and what has failed goes with less beside it: a partition that cannot be reconciled holds
// up the others a few times, and then waits by itself. Each task has to be ended by
// [Transition.Finish].
func (t *Transition) Begin(most int, free func(peer transport.NodeID) bool) []Task {
	if t.ring == nil || most <= 0 {
		return nil
	}
	plan := errands{most: most, tasks: make(map[transport.NodeID]*Task), failed: t.failed}
	for _, o := range t.offers(free) {
		if *o.want > 0 && plan.add(o.leg, o.owed) {
			*o.want--
		}
	}
	out := make([]Task, 0, len(plan.peers))
	for _, id := range plan.peers {
		task := plan.tasks[id]
		slices.Sort(task.parts)
		task.Ranges, task.print = t.rangesOf(task.parts), t.ring.print
		t.busy[id] = *task
		out = append(out, *task)
	}
	return out
}

// An offer is a leg that can begin, if one is still wanted of its partition's group.
type offer struct {
	leg
	owed bool
	want *int
}

// offers returns the legs that can begin, in the order of partitions, and of the ranks of peers, but
// what has failed less often first.
func (t *Transition) offers(free func(peer transport.NodeID) bool) (out []offer) {
	under := t.underway()
	t.pending(func(p int, owed bool) {
		want := t.lacks(p, owed)
		for group, ids := range [][]transport.NodeID{t.ring.places[p].Owners, t.ring.places[p].Next} {
			if want[group] -= under[p]; want[group] <= 0 {
				continue
			}
			for _, id := range ids {
				if t.able(id, p) && free(id) {
					out = append(out, offer{leg{id, p}, owed, &want[group]})
				}
			}
		}
	})
	if len(t.failed) > 0 {
		slices.SortStableFunc(out, func(a, b offer) int { return cmp.Compare(t.failed[a.leg], t.failed[b.leg]) })
	}
	return out
}

// Errands are tasks that are to begin, one for a peer.
type errands struct {
	most   int
	peers  []transport.NodeID
	tasks  map[transport.NodeID]*Task
	failed map[leg]int
}

// add has a partition be part of the task with a peer, if it can be. What comes later has
// failed as often as what is there, or oftener, and says how large the task may be.
func (l *errands) add(to leg, give bool) bool {
	task := l.tasks[to.peer]
	switch {
	case task == nil && len(l.peers) == l.most:
		return false
	case task == nil:
		task = &Task{Peer: to.peer, Give: give}
		l.peers, l.tasks[to.peer] = append(l.peers, to.peer), task
	case task.Give != give || len(task.parts) >= taskParts>>l.failed[to] || slices.Contains(task.parts, to.part):
		return false
	}
	task.parts = append(task.parts, to.part)
	return true
}

// underway is in how many tasks of the present ring each partition is.
func (t *Transition) underway() map[int]int {
	n := make(map[int]int)
	for _, task := range t.busy {
		if task.print == t.ring.print {
			for _, p := range task.parts {
				n[p]++
			}
		}
	}
	return n
}

// able reports whether a partition can be reconciled with a peer, and was not.
func (t *Transition) able(id transport.NodeID, p int) bool {
	_, answered := t.with[id]
	_, busy := t.busy[id]
	if id == t.Self || !answered || busy {
		return false
	}
	n, _ := t.ring.node(id)
	for i, nodes := range [][]uint16{t.ring.parts[p].owners, t.ring.parts[p].next} {
		if at := slices.Index(nodes, n); at >= 0 && t.met[p][i]&(1<<at) == 0 {
			return true
		}
	}
	return false
}

func (t *Transition) rangesOf(parts []int) []merkle.Range {
	return t.ring.ranges(func(p int) bool {
		_, ok := slices.BinarySearch(parts, p)
		return ok
	})
}

// Finish ends a task. It counts if all of it was reconciled, and the ring is still the one it
// began under.
func (t *Transition) Finish(task Task, reconciled bool) {
	delete(t.busy, task.Peer)
	if t.ring == nil || task.print != t.ring.print {
		return
	}
	n, _ := t.ring.node(task.Peer)
	for _, p := range task.parts {
		if !reconciled {
			t.failed[leg{task.Peer, p}]++
			continue
		}
		delete(t.failed, leg{task.Peer, p})
		t.note(p, n)
	}
}

// Find has this node hand over partitions that it does not hold, but has something of: has
// reports whether there is something in a range. It need not survive a crash, after which it is
// to be called again.
func (t *Transition) Find(has func(merkle.Range) bool) {
	if t.ring == nil {
		return
	}
	known := slices.Clone(t.owed)
	foreign := func(p int) bool {
		_, owed := slices.BinarySearch(known, p)
		return !owed && !t.ring.Owns(t.Self, p)
	}
	if !slices.ContainsFunc(t.ring.ranges(foreign), has) {
		return
	}
	for p := range t.ring.parts {
		if foreign(p) && slices.ContainsFunc(t.rangesOf([]int{p}), has) {
			t.owed = append(t.owed, p)
			delete(t.met, p)
		}
	}
	slices.Sort(t.owed)
}

// Again has partitions handed over once more that were Droppable, because there is more in them by now.
func (t *Transition) Again(parts []int) {
	for _, p := range parts {
		delete(t.met, p)
	}
}

// Droppable returns partitions that this node does not hold, and has handed over,
// and of which no task is under way, which would bring back what is dropped.
// What is dropped must be told by [Transition.Dropped] before the node goes on with another ring.
func (t *Transition) Droppable() (parts []int) {
	under := make(map[int]bool)
	for _, task := range t.busy {
		for _, p := range task.parts {
			under[p] = true
		}
	}
	for _, p := range t.owed {
		if planted.Bug == planted.DropBeforeHandover || t.complete(p, true) && !under[p] {
			parts = append(parts, p)
		}
	}
	return parts
}

// Dropped says that nothing of some partitions is held here any more.
func (t *Transition) Dropped(parts []int, save func([]byte) error) error {
	if len(parts) == 0 {
		return nil
	}
	before := t.owed
	t.owed = slices.DeleteFunc(slices.Clone(before), func(p int) bool { return slices.Contains(parts, p) })
	if err := save(t.Saved()); err != nil {
		t.owed = before
		return err
	}
	return nil
}

// Left is how many partitions have to be reconciled with somebody still: those that this node
// gets, and those that it hands over, where they count until they are dropped.
func (t *Transition) Left() (gets, gives int) {
	t.pending(func(_ int, owed bool) {
		if !owed {
			gets++
		}
	})
	return gets, len(t.owed)
}

// savedVersion is the version of saved states: [version, ring, done, partitions owed].
const savedVersion = 1

// Saved returns what must survive a crash, for [Transition.Restore]; nil if there is no ring.
func (t *Transition) Saved() []byte {
	if t.ring == nil {
		return nil
	}
	w := wire.NewWriter(nil)
	w.Array(4)
	w.Uint(savedVersion)
	w.Bytes(t.ring.encoded)
	w.Bool(t.ready)
	w.Array(len(t.owed))
	for _, p := range t.owed {
		w.Uint(uint64(p))
	}
	return w.Done()
}

// Restore goes on from what was saved last. The error is a [*CorruptError] or is [ErrVersion].
func (t *Transition) Restore(saved []byte) error {
	d, err := open(saved, savedVersion, 4)
	if err != nil {
		return corrupt("saved state", err)
	}
	next := &Transition{Self: t.Self}
	data := d.Bytes()
	next.ready = d.Bool()
	next.owed = make([]int, d.Array())
	for i := range next.owed {
		next.owed[i] = int(min(d.Uint(), MaxPartitions))
		if i > 0 && next.owed[i] <= next.owed[i-1] {
			d.Fail("partitions out of order")
		}
	}
	if err := d.Close(); err != nil {
		return corrupt("saved state", err)
	}
	if next.ring, err = Decode(data); err != nil {
		return err
	}
	if n := len(next.owed); n > 0 && next.owed[n-1] >= len(next.ring.parts) {
		return &CorruptError{What: "saved state", Reason: "there is no such partition"}
	}
	next.begin()
	*t = *next
	return nil
}
