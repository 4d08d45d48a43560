package natstransport

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

const version = 1

// What is sent to a node.
const (
	kindRequest = 1
	kindCancel  = 2
	kindAsk     = 3 // are you serving this call?
)

// What is sent to the inbox of a call. No number is that of a kind, so that neither is
// taken for the other.
const (
	statusOK               = 16
	statusFailed           = 17 // the handler returned an error, or panicked
	statusResponseTooLarge = 18
	statusRequestTooLarge  = 19
	statusAway             = 20 // the call was not served, or is no longer: the node is stopping
	statusRefused          = 21
	statusServing          = 22 // the call is being served
	statusNone             = 23 // there is no such call
)

// overhead is what a message takes beside the request or response in it, and more.
const overhead = 512

var errMalformed = errors.New("natstransport: malformed message")

// A request is what is said of a call, beside its name.
type request struct {
	left    uint64        // µs until the deadline; 0: none
	every   time.Duration // at which the caller asks
	accepts int           // bytes of a response
	method  string
	payload []byte
}

// append writes a request, whose method has at most transport.MaxName bytes.
func (q *request) append(b []byte) []byte {
	b = append(b, version, kindRequest)
	b = binary.AppendUvarint(b, q.left)
	b = binary.AppendUvarint(b, uint64(q.every.Microseconds()))
	b = binary.AppendUvarint(b, uint64(q.accepts))
	b = append(append(b, byte(len(q.method))), q.method...)
	return append(b, q.payload...)
}

// parseRequest reads what follows the kind. The payload is a part of b.
func parseRequest(b []byte) (q request, err error) {
	p := parser{b: b}
	q.left = p.uvarint(math.MaxUint64)
	q.every = time.Duration(p.uvarint(math.MaxInt64/uint64(time.Microsecond))) * time.Microsecond
	q.accepts = int(p.uvarint(carry.MaxNumber))
	q.method = string(p.bytes(int(p.byte())))
	q.payload = p.b
	return q, p.err
}

// An answer is what comes to the inbox of a call.
type answer struct {
	resp []byte
	err  error // what the call failed with, if it did
}

func failed(e *transport.RemoteError) []byte {
	return append([]byte{version, statusFailed, byte(e.Code)}, e.Message...)
}

// tooLarge is for either status that says so.
func tooLarge(status byte, limit, size int) []byte {
	b := binary.AppendUvarint([]byte{version, status}, uint64(limit))
	return binary.AppendUvarint(b, uint64(size))
}

func refused(text string) []byte { return append([]byte{version, statusRefused}, text...) }

// A parser reads bytes of a stranger until something is wrong with them.
type parser struct {
	b   []byte
	err error
}

func (p *parser) byte() byte {
	if b := p.bytes(1); p.err == nil {
		return b[0]
	}
	return 0
}

func (p *parser) bytes(n int) []byte {
	if n > len(p.b) {
		p.err = errMalformed
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 || v > limit {
		p.err, p.b = errMalformed, nil
		return 0
	}
	p.b = p.b[n:]
	return v
}
