package antientropy

import (
	"cmp"
	"slices"
	"time"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

// An Outbox holds the deltas that wait to be sent, for each peer in the order in
// which they were put, until the peer has acknowledged them. It is what [Loop]
// pushes from, and most users will not need it. It has no goroutine, clock, lock
// or I/O: equal calls have equal results. The time is what Tick was told last. An
// Outbox is for one goroutine at a time; the zero value has no peers.
//
// It keeps traffic down as Enes et al. (Efficient Synchronization of State-based
// CRDTs, ICDE 2019) do: a delta is never sent back to the peer it came from (BP),
// and what came from a peer is to be put here only as far as it was new, as Merge
// reports it (RR).
//
// A delta is kept once, however many peers it waits for, and it waits for no peer
// that is closed: one that failed, that has too much waiting for it, or for too
// long, or that was never opened. Such a peer needs a reconciliation, and is opened
// again before the snapshot that this starts from, so that nothing falls between
// the two.
//
// Deltas go to a peer in the order in which they were put, also when a batch failed
// and is repeated. If all who receive them merge in that order, and put what was new
// in the order in which they merged it, then what one node put in an order is merged
// at every other in that order, on whatever way it comes: an effect never shows
// before its cause. Not so what a reconciliation has to make up for, which brings
// keys in an order of its own, before and after deltas: what was dropped, too large
// or refused.
type Outbox struct {
	// MaxMessage is the most bytes of one batch. If zero, 1 MiB; at least 1 KiB.
	MaxMessage int

	// MaxBytes is the most bytes that may wait for one peer, each delta counted with
	// its key and 48 bytes. If zero, 8 MiB. A peer for which more would wait is
	// closed.
	MaxBytes int

	// MaxAge is how long a delta may wait for one peer. If zero, one minute. A peer
	// for which one waits longer is closed by the next Tick.
	MaxAge time.Duration

	// Attempts is how many times in a row a batch may fail before the peer is closed.
	// If zero, 2.
	Attempts int

	queues  map[transport.NodeID]*queue
	order   []transport.NodeID // of the queues, as they were opened first
	batches uint64
	now     time.Duration
}

// Tick says what time it is, since any moment: it never goes back. It returns the
// peers that it closed, each with the bytes dropped, because deltas waited for them
// for too long. Without it all happens at once: nothing gets old.
func (o *Outbox) Tick(now time.Duration) (overdue []Dropped) {
	o.now = max(o.now, now)
	for _, peer := range o.order {
		if o.queues[peer].late(o.now - cmp.Or(o.MaxAge, time.Minute)) {
			overdue = append(overdue, Dropped{Peer: peer, Bytes: o.Close(peer)})
		}
	}
	return overdue
}

// Open has deltas wait for peer from now on. It does nothing if they do already.
func (o *Outbox) Open(peer transport.NodeID) {
	if q, known := o.queues[peer]; known {
		q.open = true
		return
	}
	if o.queues == nil {
		o.queues = make(map[transport.NodeID]*queue)
	}
	o.queues[peer] = &queue{open: true}
	o.order = append(o.order, peer)
}

// Close drops all that waits for peer, and has nothing wait for it until it is
// opened again. It returns how many bytes were dropped.
func (o *Outbox) Close(peer transport.NodeID) (dropped int) {
	q, known := o.queues[peer]
	if !known {
		return 0
	}
	dropped = q.bytes
	*q = queue{}
	return dropped
}

// Forget drops all that is known of peer.
func (o *Outbox) Forget(peer transport.NodeID) {
	delete(o.queues, peer)
	o.order = slices.DeleteFunc(o.order, func(p transport.NodeID) bool { return p == peer })
}

// Put has a delta of key wait for every open peer but origin, from which it came;
// "" for a local update. It copies delta. It returns the peers that it closed,
// each with the bytes dropped, because too much waited for them, and a
// *[TooLargeError] if the delta does not fit into a message: then it waits for
// nobody, and reconciliation has to bring it.
func (o *Outbox) Put(key string, delta []byte, origin transport.NodeID) (overflowed []Dropped, err error) {
	return o.put(arrival{from: origin, key: key, novel: delta})
}

// put is Put of a delta that has been on its way for a while.
func (o *Outbox) put(a arrival) (overflowed []Dropped, err error) {
	if limit := maxMessage(o.MaxMessage); !fits(a.key, len(a.novel), limit) {
		return nil, &TooLargeError{Key: a.key, Size: len(a.novel), Max: limit}
	}
	var e *delta
	for _, peer := range o.order {
		q := o.queues[peer]
		if !q.open || peer == a.from && planted.Bug != planted.Echo || !a.isFor(peer) {
			continue
		}
		if e == nil {
			e = &delta{entry{a.key, slices.Clone(a.novel)}, o.now, a.age}
		}
		if q.bytes+e.cost() > cmp.Or(o.MaxBytes, 8<<20) {
			overflowed = append(overflowed, Dropped{Peer: peer, Bytes: o.Close(peer)})
			continue
		}
		q.put(e)
	}
	return overflowed, nil
}

// A Batch is a number of deltas on their way to one peer.
type Batch struct {
	ID      uint64 // for Acked and Failed
	Method  string
	Request []byte // to call Method with
	Keys    int    // how many deltas it holds
}

// Batch returns the oldest deltas that wait for peer, as many as fit into one
// message. They go on waiting until Acked. ok is false if there are none, or if a
// batch is on its way: one at a time keeps the order.
func (o *Outbox) Batch(peer transport.NodeID) (b Batch, ok bool) {
	q := o.queues[peer]
	if q == nil || q.flight.id != 0 || q.len() == 0 {
		return Batch{}, false
	}
	o.batches++
	entries := q.front(maxMessage(o.MaxMessage))
	q.flight = flight{id: o.batches, n: len(entries), sent: o.now}
	req := encodeDeltas(entries, o.now, q.transit)
	return Batch{ID: o.batches, Method: methodDeltas, Request: req, Keys: len(entries)}, true
}

// Acked takes the response to a batch, which no longer waits, and returns the keys
// that the peer refused; reconciliation will try them again. If the response is not
// to be understood it is an error, and the batch has failed. A batch that is not on
// its way any more is no error.
func (o *Outbox) Acked(peer transport.NodeID, id uint64, resp []byte) ([]Refused, error) {
	q := o.queues[peer]
	if q == nil || id == 0 || q.flight.id != id {
		return nil, nil
	}
	p, err := decodePushed(resp, q.flight.n)
	if err != nil {
		return nil, err
	}
	var refused []Refused
	for _, t := range p.told {
		refused = append(refused, Refused{Peer: peer, Key: q.at(t.index).key, Err: &RefusedError{Reason: t.reason}})
	}
	q.drop(q.flight.n)
	q.landed(o.now)
	return refused, nil
}

// Failed says that a batch was not acknowledged. It will be part of the next batch,
// unless that was one failure too many: then the peer is closed, and dropped is
// how many bytes waited for it.
func (o *Outbox) Failed(peer transport.NodeID, id uint64) (dropped int, closed bool) {
	q := o.queues[peer]
	if q == nil || id == 0 || q.flight.id != id {
		return 0, false
	}
	q.flight = flight{}
	q.failures++
	if q.failures < cmp.Or(o.Attempts, 2) {
		return 0, false
	}
	return o.Close(peer), true
}

// Closed reports whether deltas do not wait for peer, so that it needs a
// reconciliation.
func (o *Outbox) Closed(peer transport.NodeID) bool {
	q := o.queues[peer]
	return q == nil || !q.open
}

// Pending is how many bytes wait for peer, counted as for MaxBytes.
func (o *Outbox) Pending(peer transport.NodeID) int {
	if q := o.queues[peer]; q != nil {
		return q.bytes
	}
	return 0
}

// Holds reports whether a delta of key waits for peer.
func (o *Outbox) Holds(peer transport.NodeID, key string) bool {
	q := o.queues[peer]
	return q != nil && q.held[key] > 0
}
