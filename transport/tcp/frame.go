package tcp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A frame on the wire: 4 bytes length of the body, 1 byte kind, 8 bytes id, body;
// numbers are big endian.
//
//	request   8 bytes time left in µs (0: no deadline), 1 byte n, n bytes method, the request
//	response  1 byte status, then by status: the response · code and text · limit and size, 8 bytes each · nothing
//	cancel, ping, pong, away: no body; the id is 0 except in cancel
//
// A pong says that something other than a pong has arrived: a ping, or some more of
// a long frame. While anything arrives there is one at least every KeepAlive.
type kind uint8

const (
	kindRequest  kind = 1 // from the side that dialled
	kindCancel   kind = 2 // from the side that dialled: the caller of id waits no longer
	kindPing     kind = 3 // from the side that dialled
	kindResponse kind = 4 // from the side that accepted
	kindPong     kind = 5 // from either side: I read what you send
	kindAway     kind = 6 // from the side that accepted: send no more requests
)

// The status of a response.
const (
	statusOK       = 0
	statusFailed   = 1 // the handler returned an error, or panicked
	statusTooLarge = 2 // the handler's response is over the limit
	statusAway     = 3 // the request came too late and was not run
)

const (
	headerSize   = 13
	requestSlack = 8 + 1 + transport.MaxName // of a request, beside the request proper
	failureSlack = 2 + transport.MaxErrorText
	progress     = 4 << 10  // of a long frame, must arrive in the time that a short one has
	chunk        = 65 << 10 // what is allocated on the word of a peer alone: 64 KiB, and a little for the header
)

var errFrame = errors.New("tcp: malformed frame")

type header struct {
	size int // of the body
	kind kind
	id   uint64
}

// parseHeader reads a header whose body may have at most limit bytes.
func parseHeader(b []byte, limit int) (header, error) {
	size := binary.BigEndian.Uint32(b)
	h := header{size: int(size), kind: kind(b[4]), id: binary.BigEndian.Uint64(b[5:])}
	switch {
	case uint64(size) > uint64(limit):
		return header{}, fmt.Errorf("%w: %d bytes are over the limit of %d", errFrame, size, limit)
	case h.kind < kindRequest || h.kind > kindAway:
		return header{}, fmt.Errorf("%w: unknown kind %d", errFrame, h.kind)
	case h.size > 0 && h.kind != kindRequest && h.kind != kindResponse:
		return header{}, fmt.Errorf("%w: kind %d with a body", errFrame, h.kind)
	}
	return h, nil
}

// A frame is a frame to be sent. Which fields matter depends on its kind.
type frame struct {
	kind    kind
	id      uint64
	timeout uint64 // request
	method  string // request
	status  byte   // response
	code    byte   // response, statusFailed
	payload []byte
}

// appendFrame appends the frame's bytes to b. The payload is copied.
func appendFrame(b []byte, f *frame) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, byte(f.kind))
	b = binary.BigEndian.AppendUint64(b, f.id)
	switch f.kind {
	case kindRequest:
		b = binary.BigEndian.AppendUint64(b, f.timeout)
		b = append(b, byte(len(f.method)))
		b = append(b, f.method...)
	case kindResponse:
		b = append(b, f.status)
		if f.status == statusFailed {
			b = append(b, f.code)
		}
	}
	b = append(b, f.payload...)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-headerSize))
	return b
}

// parseRequest takes the body of a request apart; the results are parts of it.
func parseRequest(body []byte, limit int) (timeout uint64, method, req []byte, err error) {
	if len(body) < 9 || len(body) < 9+int(body[8]) {
		return 0, nil, nil, fmt.Errorf("%w: request cut short", errFrame)
	}
	timeout, n := binary.BigEndian.Uint64(body), int(body[8])
	method, req = body[9:9+n], body[9+n:]
	if len(req) > limit {
		return 0, nil, nil, fmt.Errorf("%w: request of %d bytes is over the limit of %d", errFrame, len(req), limit)
	}
	return timeout, method, req, nil
}

// parseResponse returns what the call of method gets: body is what follows the
// status. An error in malformed is the peer's fault and not the call's.
func parseResponse(status byte, body []byte, method string, limit int) (resp []byte, err, malformed error) {
	switch {
	case status == statusOK && len(body) <= limit:
		return body, nil, nil
	case status == statusFailed && len(body) > 0 && len(body) <= failureSlack:
		return nil, &transport.RemoteError{Method: method, Code: transport.Code(body[0]), Message: text(body[1:])}, nil
	case status == statusTooLarge && len(body) == 16:
		return nil, &transport.TooLargeError{
			What:  "response",
			Limit: clampInt(binary.BigEndian.Uint64(body)),
			Size:  clampInt(binary.BigEndian.Uint64(body[8:])),
		}, nil
	case status == statusAway && len(body) == 0:
		return nil, errAway, nil
	}
	return nil, nil, fmt.Errorf("%w: response of status %d and %d bytes", errFrame, status, len(body))
}

func tooLarge(limit, size int) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(limit))
	return binary.BigEndian.AppendUint64(b, uint64(size))
}

func clampInt(n uint64) int { return int(min(n, math.MaxInt)) }

// microseconds returns the time left until a deadline as it is sent, rounded up.
func microseconds(left time.Duration) uint64 {
	return uint64(max((left+time.Microsecond-1)/time.Microsecond, 1))
}

// deadline is the inverse of microseconds: the zero time if there is no deadline,
// or one too far away to matter.
func deadline(timeout uint64, now time.Time) time.Time {
	if timeout == 0 || timeout > uint64(math.MaxInt64/time.Microsecond) {
		return time.Time{}
	}
	return now.Add(time.Duration(timeout) * time.Microsecond)
}

// A frameReader reads frames. A frame, and each few KiB of a long one, must arrive
// within patience of the one before, however the bytes trickle in.
type frameReader struct {
	conn     deadliner
	buf      *bufio.Reader
	limit    int // of a body
	patience time.Duration
	pong     func() // called now and then while something arrives; may be nil
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

// next reads the next header. Its body must be read by read or skip.
func (r *frameReader) next() (header, error) {
	r.arm(time.Now())
	b, err := r.buf.Peek(headerSize)
	if err != nil {
		return header{}, err
	}
	h, err := parseHeader(b, r.limit)
	r.buf.Discard(headerSize)
	if err == nil && h.kind != kindPong {
		r.arrived()
	}
	return h, err
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
