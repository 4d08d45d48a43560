package simulation

import "time"

// An event is something that happens at a node at a virtual moment.
type event struct {
	at   time.Duration // since the run began
	seq  uint64        // order of scheduling: breaks ties, so the order is total
	node int           // where it happens; -1: nowhere in particular
	life int           // of the node: an event of an earlier life is void; -1: any life
	kind kind
	msg  *message // of deliver and reply
	run  func()   // of everything else
}

// kind says what an event is; it is part of the trace.
type kind uint8

const (
	deliver kind = iota // a request arrives
	reply               // an answer arrives
	timeout             // a call or an operation has waited long enough
	push                // a node sends what its outbox holds
	round               // a node reconciles with a peer
	collect             // a node has the members agree on what to forget
	operate             // a client does something
	fault               // something breaks, or heals
)

func (k kind) String() string {
	return [...]string{"deliver", "reply", "timeout", "push", "round", "collect", "operate", "fault"}[k]
}

// heap is a four-ary heap of events, earliest first.
type heap struct {
	events []event
	issued uint64
}

func (e *event) before(other *event) bool {
	if e.at != other.at {
		return e.at < other.at
	}
	return e.seq < other.seq
}

const arity = 4

func (h *heap) push(e event) {
	h.issued++
	e.seq = h.issued
	h.events = append(h.events, e)
	i := len(h.events) - 1
	for i > 0 {
		parent := (i - 1) / arity
		if !e.before(&h.events[parent]) {
			break
		}
		h.events[i] = h.events[parent]
		i = parent
	}
	h.events[i] = e
}

func (h *heap) pop() (event, bool) {
	if len(h.events) == 0 {
		return event{}, false
	}
	first, last := h.events[0], len(h.events)-1
	moved := h.events[last]
	h.events[last] = event{}
	h.events = h.events[:last]
	if last > 0 {
		h.sink(moved)
	}
	return first, true
}

// sink puts e where the root is missing.
func (h *heap) sink(e event) {
	i := 0
	for {
		child := h.leastChild(i)
		if child < 0 || !h.events[child].before(&e) {
			break
		}
		h.events[i] = h.events[child]
		i = child
	}
	h.events[i] = e
}

func (h *heap) leastChild(i int) int {
	first := i*arity + 1
	if first >= len(h.events) {
		return -1
	}
	least := first
	for c := first + 1; c < min(first+arity, len(h.events)); c++ {
		if h.events[c].before(&h.events[least]) {
			least = c
		}
	}
	return least
}
