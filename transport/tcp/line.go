package tcp

import (
	"errors"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A line is a connection to another node: what frames are read from and written to,
// and the wire beneath it, which is the same unless there is TLS between them.
type line struct {
	net.Conn
	wire *wire
}

// newLine returns a line without TLS, or conn if it is a line already.
func newLine(conn net.Conn) *line {
	if l, ok := conn.(*line); ok {
		return l
	}
	w := &wire{Conn: conn, left: maxHandshake}
	return &line{Conn: w, wire: w}
}

// Close ends the connection without a farewell: that of TLS waits for a peer that
// reads nothing. Frames say themselves where they end, so nothing is missed.
func (l *line) Close() error { return l.wire.Conn.Close() }

// write writes all of b, or fails as wire.send does.
func (l *line) write(b []byte) error {
	if l.Conn == l.wire {
		return l.wire.send(b)
	}
	if _, err := l.Conn.Write(b); err != nil {
		return err
	}
	return l.wire.flush()
}

// A wire is the connection itself. What takes long to write is written in pieces, and
// whether it is too long is decided between them. That is below TLS because the state
// of a tls.Conn is lost with a write that ends early.
type wire struct {
	net.Conn
	taken atomic.Bool // set when the other side says that it reads
	left  int64       // bytes that the handshake may still bring; reading's alone

	mu       sync.Mutex
	patience time.Duration // for the network or the other side to take something; zero: in the handshake
	pending  []byte        // records of TLS, for one write of all
}

// maxHandshake is how many bytes a handshake may bring, certificates and all: TLS itself
// would take, and keep, several times as much of anybody.
const maxHandshake = 64 << 10

var errLong = errors.New("handshake too long")

// Read reads what there is, in the handshake no more than that may have.
func (w *wire) Read(b []byte) (int, error) {
	if w.left <= 0 {
		return 0, errLong
	}
	n, err := w.Conn.Read(b[:min(int64(len(b)), w.left)])
	w.left -= int64(n)
	return n, err
}

// begin ends the handshake: from now on writes are patient, and those of TLS collect
// until flush.
func (w *wire) begin(patience time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.patience, w.left = patience, math.MaxInt64
}

// Write is what TLS writes with.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.patience == 0 {
		return w.Conn.Write(b)
	}
	w.pending = append(w.pending, b...)
	if len(w.pending) < 2*chunk {
		return len(b), nil
	}
	return len(b), w.sendPending()
}

func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sendPending()
}

// sendPending needs w.mu.
func (w *wire) sendPending() error {
	b := w.pending
	w.pending = w.pending[:0]
	return w.send(b)
}

// stalled is how often its patience a wire believes who says that it reads, and takes
// nothing to speak of.
const stalled = 20

var errStalled = errors.New("the other side says that it reads, and takes nothing")

// send gives up when for the time of its patience the network has taken nothing to
// speak of, and the other side has not said that it reads: a large send buffer may
// take nothing for long although it empties steadily. For how long is bounded too, or
// who says so and reads nothing would be waited for without end.
func (w *wire) send(b []byte) error {
	var since time.Time // the network took so little; of what was sent last
	little := 0
	for len(b) > 0 {
		now := time.Now()
		if little >= progress || since.IsZero() {
			since, little = now, 0
		}
		if now.Sub(since) >= stalled*w.patience {
			return errStalled
		}
		w.taken.Store(false)
		if err := w.SetWriteDeadline(now.Add(w.patience)); err != nil {
			return err
		}
		n, err := w.Conn.Write(b[:min(len(b), 2*chunk)])
		slow := errors.Is(err, os.ErrDeadlineExceeded) && (n >= progress || w.taken.Load())
		if err != nil && !slow {
			return err
		}
		b, little = b[n:], little+n
	}
	return nil
}
