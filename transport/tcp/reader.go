package tcp

import (
	"bufio"
	"io"
	"time"
)

// A frameReader reads frames. A frame, and each few KiB of a long one, must arrive
// within patience of the one before, however the bytes trickle in.
type frameReader struct {
	conn     deadliner
	buf      *bufio.Reader
	limit    int // of a body
	patience time.Duration
	pong     func() // called now and then while something arrives; may be nil
	waited   bool   // for bytes, since something other than a pong was noted to have arrived
	armed    time.Time
	ponged   time.Time
}

type deadliner interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

func newFrameReader(conn deadliner, limit int, patience time.Duration) *frameReader {
	return &frameReader{conn: conn, buf: bufio.NewReaderSize(conn, 32<<10), limit: limit, patience: patience}
}

// next reads the next header. Its body must be read by read or skip. The clock is looked
// at where something has to be waited for, so not for each of many frames that came
// together.
func (r *frameReader) next() (header, error) {
	h, err := r.header()
	if err == errShort {
		r.arm(time.Now())
		h, err = r.awaitHeader()
		r.waited = true
	}
	if err == nil && h.kind != kindPong && (r.waited || h.size > r.buf.Buffered()) {
		r.arrived()
	}
	return h, err
}

// empty says whether next is sure to wait.
func (r *frameReader) empty() bool { return r.buf.Buffered() == 0 }

// header takes a header that has arrived.
func (r *frameReader) header() (header, error) {
	n := min(r.buf.Buffered(), headerSize)
	if n == 0 {
		return header{}, errShort
	}
	b, _ := r.buf.Peek(n)
	h, rest, err := parseHeader(b, r.limit)
	if err != errShort {
		r.buf.Discard(n - len(rest))
	}
	return h, err
}

// awaitHeader waits for no byte more than the header has.
func (r *frameReader) awaitHeader() (header, error) {
	for {
		if _, err := r.buf.Peek(min(r.buf.Buffered(), headerSize) + 1); err != nil {
			return header{}, err
		}
		if h, err := r.header(); err != errShort {
			return h, err
		}
	}
}

// arm moves the read deadline, if it has come notably closer since it was set.
func (r *frameReader) arm(now time.Time) {
	if now.Sub(r.armed) > r.patience/8 {
		r.conn.SetReadDeadline(now.Add(r.patience))
		r.armed = now
	}
}

// arrived notes that there was progress, and lets the other side know: all that it
// sent last, pings too, may still be on its way.
func (r *frameReader) arrived() {
	now := time.Now()
	r.waited = false
	r.arm(now)
	if r.pong != nil && now.Sub(r.ponged) > r.patience/8 {
		r.pong()
		r.ponged = now
	}
}

// read reads n bytes into dst, or a larger slice if dst has no room for them. What
// it allocates is at most a chunk or twice what has really arrived.
func (r *frameReader) read(dst []byte, n int) ([]byte, error) {
	dst = dst[:0]
	if cap(dst) < n && n <= chunk {
		dst = make([]byte, 0, n)
	}
	for len(dst) < n {
		if len(dst) == cap(dst) {
			dst = grow(dst, n)
		}
		have := len(dst)
		room := dst[have:min(n, cap(dst), have+chunk)]
		k, err := io.ReadAtLeast(r.buf, room, min(progress, len(room)))
		if err != nil {
			return nil, err
		}
		if dst = dst[:have+k]; len(dst) < n {
			r.arrived()
		}
	}
	return dst, nil
}

func grow(b []byte, n int) []byte {
	next := make([]byte, len(b), min(n, max(chunk, 2*len(b))))
	copy(next, b)
	return next
}

func (r *frameReader) skip(n int) error {
	for n > 0 {
		k, err := r.buf.Discard(min(n, progress))
		if n -= k; err != nil {
			return err
		}
		r.arrived()
	}
	return nil
}

func (r *frameReader) readByte() (byte, error) { return r.buf.ReadByte() }
