package antientropy

import "time"

// A queue is what waits for one peer, oldest first.
type queue struct {
	open     bool
	entries  []*delta // from head on; shared with the queues of other peers
	head     int
	bytes    int            // sum of the costs
	held     map[string]int // how many entries a key has
	flight   flight         // the batch on its way; always the first entries
	failures int            // of batches in a row
	transit  time.Duration  // half of what a batch took to be acknowledged, lately
}

// A flight is a batch on its way; none if its id is zero.
type flight struct {
	id   uint64
	n    int
	sent time.Duration
}

func (q *queue) len() int        { return len(q.entries) - q.head }
func (q *queue) at(i int) *delta { return q.entries[q.head+i] }

func (q *queue) put(e *delta) {
	if q.held == nil {
		q.held = make(map[string]int)
	}
	q.entries = append(q.entries, e)
	q.held[e.key]++
	q.bytes += e.cost()
}

// front returns the first entries that fit into a message, at least one.
func (q *queue) front(limit int) []*delta {
	size, n := messageOverhead, 0
	for n < q.len() && (n == 0 || size+q.at(n).cost() <= limit) {
		size += q.at(n).cost()
		n++
	}
	return q.entries[q.head : q.head+n]
}

// drop takes the first n entries away.
func (q *queue) drop(n int) {
	for i := range n {
		e := q.at(i)
		q.entries[q.head+i] = nil
		q.bytes -= e.cost()
		if q.held[e.key]--; q.held[e.key] == 0 {
			delete(q.held, e.key)
		}
	}
	q.head += n
	q.tidy()
}

// late reports whether the oldest entry was put before a time.
func (q *queue) late(before time.Duration) bool { return q.len() > 0 && q.at(0).at < before }

// landed notes how long the batch took that was on its way.
func (q *queue) landed(now time.Duration) {
	q.transit = (now - q.flight.sent) / 2
	q.flight, q.failures = flight{}, 0
}

// tidy keeps the memory within a constant factor of what waits.
func (q *queue) tidy() {
	const large = 1024
	switch {
	case q.len() == 0 && cap(q.entries) > large:
		q.entries, q.held, q.head = nil, nil, 0
	case q.len() == 0:
		q.entries, q.head = q.entries[:0], 0
	case q.head > large && q.head > q.len():
		q.entries, q.head = append([]*delta(nil), q.entries[q.head:]...), 0
	}
}
