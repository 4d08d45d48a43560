package faults

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// An Event is something that happened on a [Network]. Which of the fields mean
// something depends on What:
//
//	send    a message was sent; Delays say after which times it arrives, none that it is lost
//	arrive  one copy of it has arrived
//	lose    a copy, or all of it, was lost; Why is "loss", "cut" or "frozen"
//	step    something was done to the network: Step is the text of a [Step]
//	call    a call from From to To has come to its end; it took Took, and failed if Why is not empty
type Event struct {
	At        time.Duration    `json:"at"` // since the first event, in nanoseconds
	What      string           `json:"what"`
	From      transport.NodeID `json:"from,omitempty"`
	To        transport.NodeID `json:"to,omitempty"`
	Kind      Kind             `json:"kind,omitempty"`
	N         uint64           `json:"n,omitempty"` // see Message.N
	Method    string           `json:"method,omitempty"`
	Size      int              `json:"size,omitempty"` // bytes of the message, or of the call's request
	Delays    []time.Duration  `json:"delays,omitempty"`
	Reordered bool             `json:"reordered,omitempty"`
	Why       string           `json:"why,omitempty"`
	Took      time.Duration    `json:"took,omitempty"`
	Step      string           `json:"step,omitempty"`
}

// A Trace is the record of what happened on a [Network]: what was sent, what became
// of it, how calls ended, and what was done to the network. It holds the last Limit
// events, each of some 200 bytes, and counts the others. The zero value is ready to
// use; it is safe for concurrent use, and must not be copied.
type Trace struct {
	// Limit is the most events that are held. If zero, 65,536.
	Limit int

	mu      sync.Mutex
	began   time.Time
	events  []Event
	next    int    // where the next event goes once there are Limit
	dropped uint64 // events that gave way to later ones
}

// Events returns the events that are held, the oldest first. A nil Trace has none.
func (t *Trace) Events() []Event {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Concat(t.events[t.next:], t.events[:t.next])
}

// Dropped returns how many events are not held any more.
func (t *Trace) Dropped() uint64 {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped
}

// Script returns what was done to the network, as far as it is held, so that it can be
// done again at the same times.
func (t *Trace) Script() Script {
	var s Script
	for _, e := range t.Events() {
		if e.What != "step" {
			continue
		}
		if step, err := parseAction(e.Step); err == nil {
			step.At = e.At
			s = append(s, step)
		}
	}
	return s
}

// Record adds an event, which happens now. A nil Trace records nothing. It is for
// those who write a transport, and for marks of one's own: events with another What
// are kept and not drawn.
func (t *Trace) Record(e Event) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.began.IsZero() {
		t.began = now
	}
	e.At = now.Sub(t.began)
	t.add(e)
}

// add needs t.mu.
func (t *Trace) add(e Event) {
	if len(t.events) < cmp.Or(max(t.Limit, 0), 1<<16) {
		t.events = append(t.events, e)
		return
	}
	t.events[t.next] = e
	t.next = (t.next + 1) % len(t.events)
	t.dropped++
}

// Called records the end of a call that began at some time. It is for those who
// write a transport.
func (t *Trace) Called(m Message, began time.Time, err error) {
	if t == nil {
		return
	}
	e := of("call", m)
	e.N, e.Took = 0, time.Since(began)
	if err != nil {
		e.Why = err.Error()
	}
	t.Record(e)
}

func of(what string, m Message) Event {
	return Event{What: what, From: m.From, To: m.To, Kind: m.Kind, N: m.N, Method: m.Method, Size: m.Size}
}

func (t *Trace) send(m Message, f fate) {
	if t == nil {
		return
	}
	e := of("send", m)
	e.Delays, e.Reordered = slices.Clone(f.list()), f.reordered
	t.Record(e)
}

func (t *Trace) arrive(m Message) { t.Record(of("arrive", m)) }

func (t *Trace) lose(m Message, why string) {
	e := of("lose", m)
	e.Why = why
	t.Record(e)
}

func (t *Trace) step(s Step) {
	if t != nil {
		t.Record(Event{What: "step", Step: s.action()})
	}
}

// A recorded message is one that a trace knows of.
type recorded struct {
	on   pair
	kind Kind
	n    uint64
}

// decisions returns what was decided about each message, as far as the trace has it.
func (t *Trace) decisions() map[recorded]fate {
	all := make(map[recorded]fate)
	for _, e := range t.Events() {
		if e.What == "send" {
			f := fate{reordered: e.Reordered}
			f.copies = copy(f.delays[:], e.Delays)
			all[recorded{pair{e.From, e.To}, e.Kind, e.N}] = f
		}
	}
	return all
}
