package tcp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A greeting is what comes of a handshake.
type greeting struct {
	line  *line
	own   hello
	other hello
	trust *trust // nil without TLS
}

// reach is the handshake of the side that dialled the node id.
func (t *Transport) reach(conn net.Conn, id transport.NodeID) (g greeting, err error) {
	conn.SetDeadline(time.Now().Add(t.handshakeTimeout()))
	g = greeting{line: newLine(conn), own: t.hello(id)}
	if t.TLS != nil {
		if g.trust, err = t.TLS.dial(g.line, t.Cluster, id); err != nil {
			return g, err
		}
	}
	if g.other, err = greet(g.line, g.own); err != nil {
		return g, err
	}
	return g, conn.SetDeadline(time.Time{})
}

var errOwnName = errors.New("it is this node's certificate that says so")

// greet exchanges hellos, as the side that dialled.
func greet(conn io.ReadWriter, own hello) (hello, error) {
	_, unsaid := conn.Write(own.append(nil)) // the other side may have said before why it does not listen
	other, err := readHello(conn)
	if err != nil {
		return hello{}, err
	}
	if v := other.judge(own); v != accepted {
		return hello{}, refusal(v, own, other)
	}
	if other.verdict != accepted {
		e := refusal(other.verdict, own, other)
		if e.Remote = true; e.Reason == ReasonCluster { // by what it says, it is of the same
			e.Err = errOwnName
		}
		return hello{}, e
	}
	return other, unsaid
}

// welcome is the handshake of the side that accepted. It has seat say whether there is
// room for a node that would be accepted.
func (t *Transport) welcome(conn net.Conn, seat func(transport.NodeID) bool) (g greeting, err error) {
	conn.SetDeadline(time.Now().Add(t.handshakeTimeout()))
	g = greeting{line: newLine(conn), own: t.hello("")}
	if t.TLS != nil {
		if g.trust, err = t.TLS.accept(g.line); err != nil {
			return g, t.notTLS(g.line, err)
		}
	}
	if g.other, err = readHello(g.line); err != nil {
		return g, t.notPlain(g, err)
	}
	v, refused := t.judge(g, seat)
	answer := g.own
	answer.verdict, answer.peer = v, g.other.self
	if _, err := g.line.Write(answer.append(nil)); err != nil && refused == nil {
		return g, err
	}
	if refused != nil {
		return g, refused
	}
	return g, conn.SetDeadline(time.Time{})
}

// judge decides about a node that said hello.
func (t *Transport) judge(g greeting, seat func(transport.NodeID) bool) (verdict, error) {
	v := g.other.judge(g.own)
	if v == accepted && g.trust != nil {
		if err := t.TLS.allow(g.trust.chain[0], t.Cluster, g.other.self); err != nil {
			return nameVerdict(err), err
		}
	}
	if v == accepted && !seat(g.other.self) {
		v = tooMany
	}
	if v == accepted {
		return v, nil
	}
	return v, refusal(v, g.own, g.other)
}

// nameVerdict tells a node whose certificate is another's what is wrong with it.
func nameVerdict(err error) verdict {
	if e, ok := errors.AsType[*HandshakeError](err); ok && e.Reason == ReasonCluster {
		return wrongCluster
	}
	return wrongName
}

// notTLS tells a node that speaks without TLS, in a way that it takes notice of.
func (t *Transport) notTLS(l *line, err error) error {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		l.wire.Write([]byte{0x15, 3, 3, 0, 2, 2, 70}) // an alert in the clear: fatal, protocol_version
	}
	return err
}

// notPlain tells a node that speaks TLS, in a way that it takes notice of.
func (t *Transport) notPlain(g greeting, err error) error {
	if errors.Is(err, errMode) {
		g.own.verdict = wrongMode
		g.line.Write(g.own.append(nil))
	}
	return err
}

// linger lets the other side read what it was told last: closing a connection on which
// something is unread may take that away. It returns when the other side has closed
// too, or after patience.
func linger(conn net.Conn, patience time.Duration) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	io.CopyN(io.Discard, conn, 16<<10)
}

// refusal words a verdict other than accepted, for either side.
func refusal(v verdict, own, other hello) *HandshakeError {
	e := &HandshakeError{Node: other.self}
	switch v {
	case wrongVersion:
		e.Reason = ReasonVersion
		e.Err = fmt.Errorf("it speaks versions %d to %d, this node %d to %d", other.oldest, other.newest, own.oldest, own.newest)
	case wrongCluster:
		e.Reason = ReasonCluster
		e.Err = fmt.Errorf("it is of cluster %q, this node of %q", other.cluster, own.cluster)
	case wrongNode:
		e.Reason = ReasonNode
		e.Err = fmt.Errorf("it is node %q and looks for %q, this node is %q and looks for %q", other.self, other.peer, own.self, own.peer)
	case wrongName:
		e.Reason = ReasonName
	case wrongMode:
		e.Reason = ReasonPlain
	case tooMany:
		e.Reason = ReasonBusy
	default:
		e.Err = fmt.Errorf("verdict %d", v)
	}
	return e
}
