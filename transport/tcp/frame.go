package tcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/eventual-go/eventual/transport"
)

// A frame on the wire:
//
//	request   kind · id · length · body: µs left (0: no deadline) · method · the request
//	response  kind · id · length · body: 1 byte status, then by status: the response · code and text · limit and size, 8 bytes each · nothing
//	cancel    kind · id
//	ping, pong, away: kind
//
// The kind is one byte. Id, length of the body, µs and the numbers in method are
// uvarints, as in encoding/binary, of which only the shortest form is taken. Method is
// the number that an earlier request on this connection gave to it, or 0, length and
// name, which gives it the next number: see numbers.
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
	headerSize   = 1 + 2*binary.MaxVarintLen64
	requestSlack = binary.MaxVarintLen64 + 1 + 2 + transport.MaxName // of a request, beside the request proper
	failureSlack = 2 + transport.MaxErrorText
	progress     = 4 << 10  // of a long frame, must arrive in the time that a short one has
	chunk        = 65 << 10 // what is allocated on the word of a peer alone: 64 KiB, and a little for the header
)

var (
	errFrame = errors.New("tcp: malformed frame")
	errShort = fmt.Errorf("%w: cut short", errFrame)
)

// ofCall says whether frames of a known kind have an id, that of a call.
func (k kind) ofCall() bool { return k.hasBody() || k == kindCancel }

func (k kind) hasBody() bool { return k == kindRequest || k == kindResponse }

type header struct {
	size int // of the body
	kind kind
	id   uint64
}

// parseHeader takes a header, whose body may have at most limit bytes, off the front
// of b, of which there is one byte at least. It returns errShort if there may be more
// to come.
func parseHeader(b []byte, limit int) (h header, rest []byte, err error) {
	h.kind, rest = kind(b[0]), b[1:]
	if h.kind < kindRequest || h.kind > kindAway {
		return header{}, nil, fmt.Errorf("%w: unknown kind %d", errFrame, h.kind)
	}
	if h.kind.ofCall() {
		h.id, rest, err = uvarint(rest)
	}
	if err == nil && h.kind.hasBody() {
		h.size, rest, err = bounded(rest, limit)
	}
	return h, rest, err
}

// uvarint takes a number off the front of b.
func uvarint(b []byte) (n uint64, rest []byte, err error) {
	for i, c := range b {
		if i > 0 && c == 0 || i == binary.MaxVarintLen64-1 && c > 1 {
			return 0, nil, fmt.Errorf("%w: a number too long", errFrame)
		}
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return n, b[i+1:], nil
		}
	}
	return 0, nil, errShort
}

// bounded takes a number that is at most limit off the front of b.
func bounded(b []byte, limit int) (n int, rest []byte, err error) {
	v, rest, err := uvarint(b)
	if err == nil && v > uint64(limit) {
		err = fmt.Errorf("%w: %d is over the limit of %d", errFrame, v, limit)
	}
	if err != nil {
		return 0, nil, err
	}
	return int(v), rest, nil
}

// A frame is a frame to be sent. Which fields matter depends on its kind.
type frame struct {
	kind    kind
	id      uint64
	timeout uint64 // request
	number  uint64 // request: of the method, which is named if it is zero
	method  string // request
	status  byte   // response
	code    byte   // response, statusFailed
	payload []byte
}

// appendFrame appends the frame's bytes to b. The payload is copied.
func appendFrame(b []byte, f *frame) []byte {
	b = appendHeader(b, f.kind, f.id, f.size())
	switch f.kind {
	case kindRequest:
		b = f.appendMethod(binary.AppendUvarint(b, f.timeout))
	case kindResponse:
		b = append(b, f.status)
		if f.status == statusFailed {
			b = append(b, f.code)
		}
	}
	return append(b, f.payload...)
}

// size returns how many bytes the body has.
func (f *frame) size() int {
	n := len(f.payload)
	switch {
	case f.kind == kindRequest:
		n += uvarintSize(f.timeout) + uvarintSize(f.number)
		if f.number == 0 {
			n += uvarintSize(uint64(len(f.method))) + len(f.method)
		}
	case f.status == statusFailed:
		n += 2
	default:
		n++
	}
	return n
}

func uvarintSize(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

func appendHeader(b []byte, k kind, id uint64, size int) []byte {
	b = append(b, byte(k))
	if k.ofCall() {
		b = binary.AppendUvarint(b, id)
	}
	if k.hasBody() {
		b = binary.AppendUvarint(b, uint64(size))
	}
	return b
}

func (f *frame) appendMethod(b []byte) []byte {
	b = binary.AppendUvarint(b, f.number)
	if f.number == 0 {
		b = binary.AppendUvarint(b, uint64(len(f.method)))
		b = append(b, f.method...)
	}
	return b
}

// asked is the body of a request; the slices are parts of it.
type asked struct {
	timeout uint64
	number  int // of the method; zero if it is named
	name    []byte
	payload []byte
}

// parseRequest takes the body of a request apart.
func parseRequest(body []byte, limit int) (q asked, err error) {
	rest := body
	if q.timeout, rest, err = uvarint(rest); err != nil {
		return asked{}, err
	}
	if q.number, rest, err = bounded(rest, maxNumbered); err != nil {
		return asked{}, err
	}
	if q.number == 0 {
		if q.name, rest, err = cutName(rest); err != nil {
			return asked{}, err
		}
	}
	if len(rest) > limit {
		return asked{}, fmt.Errorf("%w: request of %d bytes is over the limit of %d", errFrame, len(rest), limit)
	}
	q.payload = rest
	return q, nil
}

// cutName takes the name of a method off the front of b.
func cutName(b []byte) (name, rest []byte, err error) {
	n, rest, err := bounded(b, transport.MaxName)
	if err != nil {
		return nil, nil, err
	}
	if n > len(rest) {
		return nil, nil, errShort
	}
	return rest[:n], rest[n:], nil
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
