package ring

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// Why a ring was not adopted; test for them with [errors.Is].
var (
	// ErrOld says that the ring is older than the present one.
	ErrOld = errors.New("ring: older than the present ring")
	// ErrSkips says that the ring is neither a change of the present one, nor the end of a change
	// that is under way, nor, where there is none yet, the first one. The ring was made from another one than
	// this node has: call [Keeper.Refresh] first.
	ErrSkips = errors.New("ring: does not follow the present ring")
	// ErrEarly says that the change is not over yet: nodes settle by themselves when it is.
	ErrEarly = errors.New("ring: the change is not over yet")
	// ErrTooLate says that this node cannot abort the change: it has said that it is done with
	// it, or takes no part. Another one may.
	ErrTooLate = errors.New("ring: this node cannot abort the change any more")
)

// errStranger is ErrSkips to a node without a ring, which cannot know whether a change is over, or
// was aborted.
var errStranger = fmt.Errorf("%w: this node has none yet: Refresh first", ErrSkips)

// A ConflictError says that there are two different rings of one epoch, or of one cluster with
// different numbers of partitions. Rings must be decided in one place: what was acknowledged by one of
// the two may not be read by who has the other.
type ConflictError struct {
	Peer        transport.NodeID // who has the other ring; empty if it was given to Adopt
	Epoch       uint64
	Own, Theirs Fingerprint
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("ring: two rings of epoch %d: %v here, %v at %q", e.Epoch, e.Own, e.Theirs, e.Peer)
}

// A State is what a node tells others about itself.
type State struct {
	Epoch       uint64 // of its ring; 0 if it has none
	Fingerprint Fingerprint
	Done        bool // it has what it needs for the end of the ring's change
}

// A Task is a reconciliation with one peer: of partitions that this node gets, or gives away. What
// it gives away goes one way: what it took it would have to give away in its turn.
type Task struct {
	Peer   transport.NodeID
	Ranges []merkle.Range
	Give   bool
	print  Fingerprint
	parts  []int
}

// A Transition is what one node knows of the change of a ring, and what it does about it, as
// a step machine without goroutine, clock or I/O. Most users will not need it: a [Keeper] has
// one. It is for simulators. See the package documentation for the argument why nothing is lost.
//
// The zero Transition, with Self set, has no ring. It is for one goroutine at a time. Functions called save
// are given all that must survive a crash, before it takes effect: if one returns an error nothing
// has changed.
type Transition struct {
	Self transport.NodeID

	ring  *Ring
	ready bool  // this node is done, and may have said so
	owed  []int // partitions that it held, and does not any more: to be handed over

	gather []int                     // partitions that it will hold, of those that change
	needs  []transport.NodeID        // who must be done
	with   map[transport.NodeID]bool // who has answered from this ring: true if done
	met    map[int]met
	busy   map[transport.NodeID]Task
	failed map[leg]int // how often in a row, by this ring
}

// met says with whom a partition was reconciled: bits by place in its owners, and in next.
type met [2]uint64

// Ring is the present ring, or nil.
func (t *Transition) Ring() *Ring { return t.ring }

// State is what this node answers who asks.
func (t *Transition) State() State {
	if t.ring == nil {
		return State{}
	}
	return State{Epoch: t.ring.epoch, Fingerprint: t.ring.print, Done: t.ready}
}

// Adopt takes a ring that the operator has decided: the first one, a change of the present
// one, or the abort of the change under way. A change may be aborted at any node that takes
// part in it and is not done. That is what makes sure that it is not settled elsewhere.
//
// A node without a ring takes the first one only, of epoch 1: any other may be the end of a change
// that has ended otherwise, or not yet. Such a ring it takes from who has adopted it, by Heard.
//
// The error is a [*ConfigError] if r is nil or the zero Ring, a [*ConflictError], [ErrOld],
// [ErrSkips], [ErrEarly], [ErrTooLate], or that of save.
func (t *Transition) Adopt(r *Ring, save func([]byte) error) error {
	switch {
	case r.empty():
		return errEmpty
	case t.ring == nil && r.epoch > 1:
		return errStranger
	case t.ring == nil:
		return t.enter(r, save)
	}
	if same, err := t.compare("", r); same || err != nil {
		return err
	}
	switch {
	case r.epoch < t.ring.epoch:
		return ErrOld
	case !r.follows(t.ring):
		return ErrSkips
	case t.ring.changing:
		if s, _ := t.ring.Settle(); r.print == s.print && !t.allDone() {
			return ErrEarly
		} else if r.print != s.print && t.ready {
			return ErrTooLate
		}
	}
	return t.enter(r, save)
}

// compare reports whether a ring is the present one, and refuses one that cannot be of the
// same cluster.
func (t *Transition) compare(peer transport.NodeID, r *Ring) (same bool, err error) {
	if r.print == t.ring.print {
		return true, nil
	}
	if r.epoch == t.ring.epoch || len(r.parts) != len(t.ring.parts) {
		return false, &ConflictError{Peer: peer, Epoch: r.epoch, Own: t.ring.print, Theirs: r.print}
	}
	return false, nil
}

// Heard takes what a peer answered when it was asked: its state, and its ring, or nil where that
// is not newer; the zero Ring is none. The error is a [*ConflictError], or that of save.
func (t *Transition) Heard(peer transport.NodeID, s State, r *Ring, save func([]byte) error) error {
	switch {
	case r.empty():
	case t.ring == nil:
		if err := t.enter(r, save); err != nil {
			return err
		}
	case r.epoch >= t.ring.epoch:
		same, err := t.compare(peer, r)
		if err == nil && !same {
			err = t.enter(r, save)
		}
		if err != nil {
			return err
		}
	}
	if t.ring == nil || s.Epoch != t.ring.epoch {
		return nil
	}
	if s.Fingerprint != t.ring.print {
		return &ConflictError{Peer: peer, Epoch: s.Epoch, Own: t.ring.print, Theirs: s.Fingerprint}
	}
	t.with[peer] = t.with[peer] || s.Done
	return nil
}

// enter goes on with another ring. What this node held, and does not by the new one, it has to
// hand over.
func (t *Transition) enter(r *Ring, save func([]byte) error) error {
	next := &Transition{Self: t.Self, ring: r, busy: t.busy, owed: t.disowned(r)}
	next.begin()
	next.ready = next.gathered()
	if err := save(next.Saved()); err != nil {
		return err
	}
	*t = *next
	return nil
}

func (t *Transition) disowned(r *Ring) (out []int) {
	for p := range r.parts {
		held := t.ring != nil && t.ring.Owns(t.Self, p) || slices.Contains(t.owed, p)
		if held && !r.Owns(t.Self, p) {
			out = append(out, p)
		}
	}
	return out
}

// begin sets what follows from the ring.
func (t *Transition) begin() {
	t.with, t.met, t.gather = make(map[transport.NodeID]bool), make(map[int]met), nil
	t.failed = make(map[leg]int)
	if t.busy == nil {
		t.busy = make(map[transport.NodeID]Task)
	}
	self, known := t.ring.node(t.Self)
	needs := make(map[uint16]bool)
	for p := range t.ring.parts {
		part := &t.ring.parts[p]
		for _, n := range part.next {
			needs[n] = true
		}
		if known && slices.Contains(part.next, self) {
			t.gather = append(t.gather, p)
			t.note(p, self)
		}
	}
	t.needs = nil
	for _, n := range slices.Sorted(maps.Keys(needs)) {
		t.needs = append(t.needs, t.ring.nodes[n].ID)
	}
}

// note notes that a partition was reconciled with a node.
func (t *Transition) note(p int, node uint16) {
	m := t.met[p]
	for i, nodes := range [][]uint16{t.ring.parts[p].owners, t.ring.parts[p].next} {
		if at := slices.Index(nodes, node); at >= 0 {
			m[i] |= 1 << at
		}
	}
	t.met[p] = m
}

// lacks is with how many more of the owners, and of the next ones, a partition must be
// reconciled: what is got, with a majority of the owners; what is handed over, with one of
// the next ones as well.
func (t *Transition) lacks(p int, owed bool) (n [2]int) {
	part := &t.ring.parts[p]
	n[0] = len(part.owners)/2 + 1 - bits.OnesCount64(t.met[p][0])
	if owed && len(part.next) > 0 {
		n[1] = len(part.next)/2 + 1 - bits.OnesCount64(t.met[p][1])
	}
	return n
}

func (t *Transition) complete(p int, owed bool) bool {
	n := t.lacks(p, owed)
	return n[0] <= 0 && n[1] <= 0
}

// gathered reports whether this node has all that it needs for the end of the change. Who
// gets nothing is done from the beginning, and can therefore not abort the change.
func (t *Transition) gathered() bool {
	return t.ring.changing && !slices.ContainsFunc(t.gather, func(p int) bool { return !t.complete(p, false) })
}

// allDone reports whether everybody who must be is done with the change, this node's own
// word included.
func (t *Transition) allDone() bool {
	if planted.Bug == planted.SettleEarly {
		return true
	}
	for _, id := range t.needs {
		if id == t.Self && !t.ready || id != t.Self && !t.with[id] {
			return false
		}
	}
	return true
}

// Advance does what can be done after something was heard or finished: this node is done with a
// change when it has all it needs, and goes on with the settled ring when everybody is.
// The error is that of save.
func (t *Transition) Advance(save func([]byte) error) error {
	if t.ring == nil || !t.ring.changing {
		return nil
	}
	if !t.ready && t.gathered() {
		t.ready = true
		if err := save(t.Saved()); err != nil {
			t.ready = false
			return err
		}
	}
	if !t.allDone() {
		return nil
	}
	settled, err := t.ring.Settle()
	if err != nil {
		return err
	}
	return t.enter(settled, save)
}
