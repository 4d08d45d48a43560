package tcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Each side begins with a hello: the side that dialled first, the other in answer.
//
//	8 bytes  "eventual"
//	2 bytes  length of the rest, at most maxHello
//	1 byte   lowest protocol version spoken · 1 byte highest · 1 byte verdict
//	1+n      cluster · 1+n own node · 1+n the other node
//	4 bytes each: largest message taken, calls at a time, bytes of requests at a time, ms between pings
//
// What follows is for later versions and is skipped.
type hello struct {
	oldest, newest uint8
	verdict        verdict
	cluster        string
	self, peer     transport.NodeID
	limits         limits
}

// limits is what a side takes from the other.
type limits struct {
	message int // bytes of a request or a response
	calls   int // calls that are running at a time
	window  int // bytes of the requests of these calls
	ping    time.Duration
}

// A verdict is what the accepting side says about the hello it got. One that is not
// known is a refusal.
type verdict uint8

const (
	accepted     verdict = 0
	wrongVersion verdict = 1
	wrongCluster verdict = 2
	wrongNode    verdict = 3
	wrongName    verdict = 4 // its certificate is not that of the node
	wrongMode    verdict = 5 // it speaks TLS, and this side does not
	tooMany      verdict = 6 // connections
)

const (
	magic       = "eventual"
	version     = 1
	maxHello    = 4 << 10
	limitsSize  = 16
	minMessage  = 1 << 10
	maxMessage  = 1 << 30
	maxInterval = time.Hour
)

var (
	errHello = errors.New("malformed hello")
	errMode  = errors.New("it speaks TLS, this node does not")
)

func (h hello) append(b []byte) []byte {
	b = append(b, magic...)
	at := len(b)
	b = append(b, 0, 0, h.oldest, h.newest, byte(h.verdict))
	for _, s := range []string{h.cluster, string(h.self), string(h.peer)} {
		b = append(append(b, byte(len(s))), s...)
	}
	for _, n := range []int{h.limits.message, h.limits.calls, h.limits.window, int(h.limits.ping.Milliseconds())} {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}

// readHello reads a hello, and not a byte more.
func readHello(r io.Reader) (hello, error) {
	var head [len(magic) + 2]byte
	n, err := io.ReadFull(r, head[:len(magic)])
	switch {
	case looksLikeTLS(head[:n]):
		return hello{}, errMode
	case err != nil:
		return hello{}, err
	case string(head[:len(magic)]) != magic:
		return hello{}, fmt.Errorf("%w: not this protocol", errHello)
	}
	if _, err := io.ReadFull(r, head[len(magic):]); err != nil {
		return hello{}, err
	}
	n = int(binary.BigEndian.Uint16(head[len(magic):]))
	if n > maxHello {
		return hello{}, fmt.Errorf("%w: %d bytes", errHello, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return hello{}, err
	}
	return parseHello(body)
}

// looksLikeTLS says whether b begins as a handshake of TLS does, or an alert.
func looksLikeTLS(b []byte) bool { return len(b) > 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3 }

func parseHello(b []byte) (hello, error) {
	if len(b) < 3 {
		return hello{}, fmt.Errorf("%w: cut short", errHello)
	}
	h := hello{oldest: b[0], newest: b[1], verdict: verdict(b[2])}
	b = b[3:]
	var names [3]string
	for i := range names {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return hello{}, fmt.Errorf("%w: cut short", errHello)
		}
		end := 1 + int(b[0])
		names[i], b = string(b[1:end]), b[end:]
	}
	if len(b) < limitsSize {
		return hello{}, fmt.Errorf("%w: cut short", errHello)
	}
	h.cluster, h.self, h.peer = names[0], transport.NodeID(names[1]), transport.NodeID(names[2])
	h.limits = parseLimits(b)
	switch {
	case h.self == "":
		return hello{}, fmt.Errorf("%w: node has no name", errHello)
	case h.limits.message == 0 || h.limits.calls == 0 || h.limits.window == 0:
		return hello{}, fmt.Errorf("%w: node takes no calls", errHello)
	}
	return h, nil
}

func parseLimits(b []byte) limits {
	n := func(i int) int { return int(min(binary.BigEndian.Uint32(b[4*i:]), maxMessage)) }
	return limits{message: n(0), calls: n(1), window: n(2), ping: time.Duration(n(3)) * time.Millisecond}
}

// judge compares an arriving hello with the own one. An accepting side's own hello
// names no peer; a dialling side's does.
func (h hello) judge(own hello) verdict {
	switch {
	case min(h.newest, own.newest) < max(h.oldest, own.oldest):
		return wrongVersion
	case h.cluster != own.cluster:
		return wrongCluster
	case h.peer != own.self, own.peer != "" && h.self != own.peer:
		return wrongNode
	}
	return accepted
}

// text makes a peer's text fit for an error: valid UTF-8 of bounded length.
func text(b []byte) string {
	return strings.ToValidUTF8(string(b[:min(len(b), transport.MaxErrorText)]), "")
}
