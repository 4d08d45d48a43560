package crdttest

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
)

// An Oracle compares a type with its specification: what a state shows must be what the specification says about
// the events that reached it. Deltas travel one by one, so a replica may have seen an event and not its causes.
type Oracle[P crdt.State[P], O any] struct {
	// New returns an empty state.
	New func() P
	// Ops are the operations to choose from.
	Ops []O
	// Apply performs op on s and returns the delta.
	Apply func(s P, op O, by Writer) (delta P)
	// Carries, if not nil, tells which further events come with the delta of e. A delta of a counter, for
	// instance, has the sum of all that its replica added.
	Carries func(h History[O], e int) Events
	// Got describes what s shows.
	Got func(s P) string
	// Want describes what a state must show that those events of h have reached.
	Want func(h History[O], seen Events) string
}

// Exhaustive checks all histories of so many events on so many replicas: every choice of replica, operation and
// of the deltas that arrived before it. At the end of each it checks every subset of the deltas; and, of all
// deltas, every order of merging. It returns the number of histories.
func (o *Oracle[P, O]) Exhaustive(t testing.TB, events, replicas int) (histories int) {
	t.Helper()
	o.extend(t, newWorld(o, replicas), events, &histories)
	return histories
}

// Random checks histories of up to so many events, at most 64, on so many replicas.
func (o *Oracle[P, O]) Random(t *testing.T, events, replicas int) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(o, replicas)
		for range rapid.IntRange(1, events).Draw(t, "events") {
			i := rapid.IntRange(0, replicas-1).Draw(t, "replica")
			op := rapid.SampledFrom(o.Ops).Draw(t, "op")
			arrived := Events(rapid.Uint64().Draw(t, "arrived")) & w.unseen(i)
			w = w.next(i, op, arrived)
			w.check(t, w.states[i], w.seen[i])
		}
		state, seen := w.subset(Events(rapid.Uint64().Draw(t, "subset")) & w.all())
		w.check(t, state, seen)
		w.check(t, w.merged(), w.all())
	})
}

// fataler is what a test and a rapid test have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a history and what came of it.
type world[P crdt.State[P], O any] struct {
	*Oracle[P, O]
	history History[O]
	deltas  []P
	carried []Events // by each delta, its own event included
	states  []P      // of each replica
	seen    []Events // by each replica
}

func newWorld[P crdt.State[P], O any](o *Oracle[P, O], replicas int) *world[P, O] {
	w := &world[P, O]{Oracle: o, seen: make([]Events, replicas)}
	for range replicas {
		w.states = append(w.states, o.New())
	}
	return w
}

func (w *world[P, O]) all() Events { return 1<<len(w.history) - 1 }

// unseen are the events that have not reached replica i.
func (w *world[P, O]) unseen(i int) Events { return w.all() &^ w.seen[i] }

// next returns the world in which deltas have arrived at replica i, which then performed op.
func (w *world[P, O]) next(i int, op O, arrived Events) *world[P, O] {
	n := *w
	n.states, n.seen = slices.Clone(w.states), slices.Clone(w.seen)
	state := w.states[i].Clone()
	seen := w.seen[i] | w.deliver(state, arrived)
	e := len(w.history)
	by := writer(i, e)
	n.history = append(slices.Clip(w.history), Event[O]{Replica: i, By: by, Op: op, Saw: seen})
	n.deltas = append(slices.Clip(w.deltas), w.Apply(state, op, by))
	carried := Events(0).With(e)
	if w.Carries != nil {
		carried |= w.Carries(n.history, e)
	}
	n.carried = append(slices.Clip(w.carried), carried)
	n.states[i], n.seen[i] = state, seen.With(e)
	return &n
}

// deliver merges deltas into state and returns what has been seen by that.
func (w *world[P, O]) deliver(state P, arrived Events) (seen Events) {
	for e := range arrived.All() {
		state.Merge(w.deltas[e])
		seen |= w.carried[e]
	}
	return seen
}

func (w *world[P, O]) subset(s Events) (state P, seen Events) {
	state = w.New()
	return state, w.deliver(state, s)
}

// merged is what all replicas make together.
func (w *world[P, O]) merged() P {
	state := w.New()
	for _, s := range w.states {
		state.Merge(s)
	}
	return state
}

func (w *world[P, O]) check(t fataler, state P, seen Events) {
	t.Helper()
	if got, want := w.Got(state), w.Want(w.history, seen); got != want {
		t.Fatalf("got %s, want %s, when these have been seen: %v, of\n%v", got, want,
			slices.Collect(seen.All()), w.history)
	}
}

// extend tries all ways to go on.
func (o *Oracle[P, O]) extend(t testing.TB, w *world[P, O], events int, histories *int) {
	t.Helper()
	if events == 0 {
		*histories++
		w.checkSubsets(t)
		w.checkOrders(t, w.New(), w.all(), o.Want(w.history, w.all()))
		return
	}
	for i := range w.states {
		unseen := w.unseen(i)
		for arrived := unseen; ; arrived = (arrived - 1) & unseen {
			for _, op := range o.Ops {
				n := w.next(i, op, arrived)
				n.check(t, n.states[i], n.seen[i])
				o.extend(t, n, events-1, histories)
			}
			if arrived == 0 {
				break
			}
		}
	}
}

func (w *world[P, O]) checkSubsets(t testing.TB) {
	t.Helper()
	for s := range w.all() {
		state, seen := w.subset(s)
		w.check(t, state, seen)
	}
}

// checkOrders merges the deltas that are left in every order.
func (w *world[P, O]) checkOrders(t testing.TB, state P, left Events, want string) {
	t.Helper()
	if left == 0 && w.Got(state) != want {
		t.Fatalf("got %s, want %s, after some order of\n%v", w.Got(state), want, w.history)
	}
	for e := range left.All() {
		next := state.Clone()
		next.Merge(w.deltas[e])
		w.checkOrders(t, next, left&^Events(0).With(e), want)
	}
}
