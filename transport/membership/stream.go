package membership

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net"
)

// A stream is one connection, which brings one message each way: memberlist writes each in one piece. It is used by one
// goroutine, but for Close.
type stream struct {
	net.Conn
	s        *sockets
	accepted bool
	origin   string // if it was accepted: where it comes from

	in    *bytes.Reader // what has come; nil before it is read
	err   error         // why there is none
	wrote bool

	held int // bytes that have come, if it was accepted; guarded by s.mu
}

var errSecond = errors.New("membership: a second message on a connection")

// Read returns what the message of the other side says, when all of it has come and it is one that members send.
func (c *stream) Read(b []byte) (int, error) {
	if c.in == nil && c.err == nil {
		c.err = c.receive()
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.in.Read(b)
}

func (c *stream) receive() error {
	msg, err := c.s.seal.readStream(counted{c})
	if err == nil {
		err = inspectStream(msg)
	}
	if err == nil {
		msg, err = c.s.numbers.come(msg)
	}
	if err != nil {
		if _, ok := errors.AsType[net.Error](err); !ok && err != io.EOF && err != net.ErrClosed {
			c.s.counts.garbled.Add(1)
		}
		return err
	}
	c.in = bytes.NewReader(msg)
	return nil
}

// counted is a stream as it comes in.
type counted struct{ *stream }

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.accepted && !c.s.hold(c.stream, n) {
		return 0, net.ErrClosed
	}
	return n, err
}

// hold counts bytes that a connection has brought, until it is closed. If all of them have brought too many, the one with
// the most is closed of where most of them come from; it reports whether that is another one.
func (s *sockets) hold(c *stream, n int) bool {
	out := s.charge(c, n)
	if out == nil {
		return true
	}
	s.counts.denied.Add(1)
	out.Close()
	return out != c
}

// charge returns the connection that has to go, if any.
func (s *sockets) charge(c *stream, n int) (out *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.conns[c]; !there {
		return nil // it is closed, and reads no more
	}
	c.held += n
	if s.held += n; s.held <= maxHeld {
		return nil
	}
	return s.largest()
}

// largest needs s.mu.
func (s *sockets) largest() (out *stream) {
	sums := make(map[string]int)
	for c := range s.taken.All() {
		sums[c.origin] += c.held
	}
	for c := range s.taken.All() {
		if out == nil || cmp.Or(sums[c.origin]-sums[out.origin], c.held-out.held) > 0 {
			out = c
		}
	}
	return out
}

func (c *stream) Write(msg []byte) (int, error) {
	if c.wrote {
		return 0, errSecond
	}
	c.wrote = true
	out, err := c.s.numbers.going(msg)
	if err != nil {
		return 0, err
	}
	if _, err := c.Conn.Write(c.s.seal.stream(out)); err != nil {
		return 0, err
	}
	return len(msg), nil
}

func (c *stream) Close() error {
	defer c.s.remove(c)
	return c.Conn.Close()
}
