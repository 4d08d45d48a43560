package antientropy

import (
	"time"

	"github.com/eventual-go/eventual/transport"
)

// An order has what was merged handed on in the order in which the merges began,
// though they run at once and end as they like. So whoever merges a second delta
// knowing that the first was merged, by itself or by somebody else, is handed on
// after that one: the order that a node put its deltas in goes on through those
// who forward them. It is a core: no lock, no goroutine.
type order struct {
	first   uint64 // ticket of the first in line
	waiting []arrival
}

// An arrival is what one merge brought.
type arrival struct {
	ended bool
	from  transport.NodeID
	key   string
	novel []byte        // nothing: nothing is to be handed on
	age   time.Duration // how long it has been on its way,
	aged  bool          // which is known

	addressed bool               // it is not for all,
	to        []transport.NodeID // but for these
}

// begin is called before so many states are merged: one, or several while no others are. Each
// ticket is to be ended, whatever became of it.
func (o *order) begin(states int) (ticket uint64) {
	ticket = o.first + uint64(len(o.waiting))
	o.waiting = append(o.waiting, make([]arrival, states)...)
	return ticket
}

// end is called after that with what became of all of them, and calls pass for all that none is
// to wait for.
func (o *order) end(ticket uint64, all []arrival, pass func(arrival)) {
	for i, a := range all {
		a.ended = true
		o.waiting[ticket-o.first+uint64(i)] = a
	}
	n := 0
	for n < len(o.waiting) && o.waiting[n].ended {
		if len(o.waiting[n].novel) > 0 {
			pass(o.waiting[n])
		}
		n++
	}
	o.first += uint64(n)
	rest := copy(o.waiting, o.waiting[n:])
	clear(o.waiting[rest:])
	o.waiting = o.waiting[:rest]
}
