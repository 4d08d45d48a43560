package tcp

import (
	"errors"
	"net"
	"os"
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
// collects. Its goroutine is run; everything else is safe for concurrent use.
type writer struct {
	conn     net.Conn
	patience time.Duration   // for the network or the other side to take something
	dead     <-chan struct{} // closed when the connection is given up
	wake     chan struct{}   // holds one: there is something to do
	taken    atomic.Bool     // set when the other side says that it reads

	mu      sync.Mutex
	queue   []byte
	space   chan struct{} // closed when the queue has been taken; nil if nobody waits
	ponged  bool          // there is a pong in the queue
	numbers numbers       // of the methods of the requests that were queued
	closing bool
}

func newWriter(conn net.Conn, patience time.Duration, dead <-chan struct{}) *writer {
	return &writer{conn: conn, patience: patience, dead: dead, wake: make(chan struct{}, 1), numbers: make(numbers)}
}

// put queues a frame, copying its payload. While the queue is full it waits, until
// done is closed or the connection is given up: then it returns false and the frame
// is not sent.
func (w *writer) put(f *frame, done <-chan struct{}) bool {
	for {
		space := w.tryPut(f, queueSize)
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

// force queues a frame however full the queue is. It is for frames without payload,
// of which there are no more than there are calls.
func (w *writer) force(f *frame) { w.tryPut(f, int(^uint(0)>>1)) }

// tryPut returns nil when the frame is queued, else what to wait for.
func (w *writer) tryPut(f *frame, limit int) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= limit {
		if w.space == nil {
			w.space = make(chan struct{})
		}
		return w.space
	}
	w.add(f)
	return nil
}

// pong queues a pong, unless there is one in the queue: however little the other
// side reads, its pings fill no memory and hold nobody up.
func (w *writer) pong() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ponged {
		w.ponged = true
		w.add(&frame{kind: kindPong})
	}
}

// add needs w.mu. What is added is written, or nothing after it is: so a method gets
// its number here.
func (w *writer) add(f *frame) {
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

// close has run return errDone once everything queued is written.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
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
		for {
			var closing bool
			if buf, closing = w.take(buf); len(buf) == 0 {
				if closing {
					return errDone
				}
				break
			}
			if err := w.write(buf); err != nil {
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

// write gives up when for the time of its patience the network has taken nothing to
// speak of, and the other side has not said that it reads: a large send buffer may
// take nothing for long although it empties steadily.
func (w *writer) write(b []byte) error {
	for len(b) > 0 {
		w.taken.Store(false)
		if err := w.conn.SetWriteDeadline(time.Now().Add(w.patience)); err != nil {
			return err
		}
		n, err := w.conn.Write(b[:min(len(b), 2*chunk)])
		slow := errors.Is(err, os.ErrDeadlineExceeded) && (n >= progress || w.taken.Load())
		if err != nil && !slow {
			return err
		}
		b = b[n:]
	}
	return nil
}
