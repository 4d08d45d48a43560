package placed

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// An event is something that happens at a virtual moment.
type event struct {
	at   time.Duration // since the run began
	seq  uint64        // order of scheduling: breaks ties, so the order is total
	node *node         // where it happens; nil: nowhere in particular
	life int           // of the node: an event of an earlier life is void; anyLife: any
	kind kind
	mark uint64 // of what it is about, for the trace
	run  func()
}

const anyLife = -1

// A kind says what an event is; it is part of the trace.
type kind uint8

const (
	deliver  kind = iota // a request arrives
	reply                // an answer arrives
	timeout              // something has waited long enough
	routine              // a node does what it does from time to time
	operate              // a client does something
	decree               // the operator does something to the ring
	fault                // something breaks, or heals
	converse             // a client with a session does something
	agree                // somebody does something to what is linearizable
)

// events are a heap, the earliest first.
type events struct {
	all    []event
	issued uint64
}

func (h *events) Len() int { return len(h.all) }
func (h *events) Less(i, j int) bool {
	a, b := &h.all[i], &h.all[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}
func (h *events) Swap(i, j int) { h.all[i], h.all[j] = h.all[j], h.all[i] }
func (h *events) Push(e any)    { h.all = append(h.all, e.(event)) }
func (h *events) Pop() any {
	last := len(h.all) - 1
	e := h.all[last]
	h.all[last] = event{}
	h.all = h.all[:last]
	return e
}

func (h *events) add(e event) {
	h.issued++
	e.seq = h.issued
	heap.Push(h, e)
}

func (h *events) next() (event, bool) {
	if len(h.all) == 0 {
		return event{}, false
	}
	return heap.Pop(h).(event), true
}

// source is seeded randomness. Each subject has a stream of its own, so that a change to one
// does not reshuffle the others.
type source struct{ *rand.Rand }

func newSource(seed, stream uint64) source {
	return source{rand.New(rand.NewPCG(seed, stream*0x9e3779b97f4a7c15+1))}
}

const (
	streamPlan = iota
	streamLinks
	streamFaults
	streamClients
	streamNodes
	streamDecrees
	streamPromises
	streamSessions
	streamRegisters
)

// chance is true with probability p.
func (s source) chance(p float64) bool { return p > 0 && s.Float64() < p }

// between is uniform in [lo, hi).
func (s source) between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(s.Int64N(int64(hi-lo)))
}

// around is exponential with the given mean: mostly short, now and then long.
func (s source) around(mean time.Duration) time.Duration {
	return time.Duration(s.ExpFloat64() * float64(mean))
}

// one picks one of some things.
func one[T any](s source, of ...T) T { return of[s.IntN(len(of))] }
