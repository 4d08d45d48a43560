package crdttest

import (
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// A History is what happened: events in the order in which they did, each with those that it had seen.
type History[O any] []Event[O]

// An Event is one operation, on one replica.
type Event[O any] struct {
	Replica int
	By      Writer
	Op      O
	Saw     Events // what had reached the replica before
}

// Events is a set of events of a history, by their places in it. A history has at most 64.
type Events uint64

// Has reports whether event e is in the set.
func (s Events) Has(e int) bool { return s>>e&1 == 1 }

// With returns the set with event e.
func (s Events) With(e int) Events { return s | 1<<e }

// All yields the events in order.
func (s Events) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for ; s != 0; s &= s - 1 {
			if !yield(bits.TrailingZeros64(uint64(s))) {
				return
			}
		}
	}
}

// String lists the events, a line for each.
func (h History[O]) String() string {
	var b strings.Builder
	for i, e := range h {
		fmt.Fprintf(&b, "  %d: replica %d, having seen", i, e.Replica)
		for k := range e.Saw.All() {
			fmt.Fprintf(&b, " %d", k)
		}
		fmt.Fprintf(&b, ": %+v\n", e.Op)
	}
	return b.String()
}
