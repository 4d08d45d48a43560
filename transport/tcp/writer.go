package tcp

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	queueSize = 256 << 10 // a queue with more than this takes nothing but small frames
	keepSize  = 1 << 20   // a larger buffer is not kept
)

var (
	errGone = errors.New("tcp: connection is gone")
	errDone = errors.New("tcp: connection closed by this side")
)

// A writer sends frames in batches: while one batch is being written, the next one
// collects. Its goroutine is run. What it holds is guarded by its owner's mutex, so that
// a call is registered and queued in one step.
type writer struct {
	line  *line
	taken *atomic.Bool    // set when the other side says that it reads
	dead  <-chan struct{} // closed when the connection is given up
	wake  chan struct{}   // holds one: there is something to do

	mu      *sync.Mutex // its owner's; guards what follows
	queue   []byte
	space   chan struct{} // closed when the queue has been taken; nil if nobody waits
	ponged  bool          // there is a pong in the queue
	numbers numbers       // of the methods of the requests that were queued
	closing bool
}

// newWriter returns a writer that gives up, as wire.send does, after patience.
func newWriter(conn net.Conn, patience time.Duration, dead <-chan struct{}, mu *sync.Mutex) *writer {
	l := newLine(conn)
	l.wire.begin(patience)
	return &writer{line: l, taken: &l.wire.taken, dead: dead, wake: make(chan struct{}, 1), mu: mu, numbers: make(numbers)}
}

// put queues a frame, copying its payload. While the queue is full it waits, until
// done is closed or the connection is given up: then it returns false and the frame
// is not sent. It needs w.mu to be free.
func (w *writer) put(f *frame, done <-chan struct{}) bool {
	for {
		space := w.offer(f)
		if space == nil {
			return true
		}
		select {
		case <-space:
		case <-done:
			return false
		case <-w.dead:
			return false
		}
	}
}

func (w *writer) offer(f *frame) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tryPut(f)
}

// tryPut returns nil when the frame is queued, else what to wait for. It needs w.mu.
func (w *writer) tryPut(f *frame) <-chan struct{} {
	if len(w.queue) < queueSize {
		w.force(f)
		return nil
	}
	if w.space == nil {
		w.space = make(chan struct{})
	}
	return w.space
}

// pong queues a pong, unless there is one in the queue: however little the other
// side reads, its pings fill no memory and hold nobody up. It needs w.mu to be free.
func (w *writer) pong() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ponged {
		w.ponged = true
		w.force(&frame{kind: kindPong})
	}
}

// force queues a frame however full the queue is: for frames without payload, of which
// there are no more than there are calls. What is queued is written, or nothing after it
// is: so a method gets its number here. It needs w.mu.
func (w *writer) force(f *frame) {
	if f.kind == kindRequest {
		f.number = w.numbers.next(f.method)
	}
	first := len(w.queue) == 0
	w.queue = appendFrame(w.queue, f)
	if first {
		w.signal()
	}
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// close has run return errDone once everything queued is written. It needs w.mu.
func (w *writer) close() {
	w.closing = true
	w.signal()
}

// run writes until close, an error, or the end of the connection. It calls beat at
// each tick at which nothing is being written.
func (w *writer) run(tick <-chan time.Time, beat func()) error {
	var buf []byte
	for {
		select {
		case <-w.wake:
		case <-tick:
			beat()
			continue
		case <-w.dead:
			return errGone
		}
		runtime.Gosched() // who has something to send too is to come first: one write for all
		for {
			var closing bool
			if buf, closing = w.take(buf); len(buf) == 0 {
				if closing {
					return errDone
				}
				break
			}
			if err := w.line.write(buf); err != nil {
				return err
			}
		}
	}
}

// take swaps the queue for the buffer written before.
func (w *writer) take(last []byte) (queue []byte, closing bool) {
	if cap(last) > keepSize {
		last = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	queue, w.queue, w.ponged = w.queue, last[:0], false
	if w.space != nil {
		close(w.space)
		w.space = nil
	}
	return queue, w.closing
}
