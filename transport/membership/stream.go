package membership

import (
	"bytes"
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
	msg, err := c.s.seal.readStream(c.Conn)
	if err == nil {
		err = inspectStream(msg)
	}
	if err != nil {
		if _, ok := errors.AsType[net.Error](err); !ok && err != io.EOF {
			c.s.counts.garbled.Add(1)
		}
		return err
	}
	c.in = bytes.NewReader(msg)
	return nil
}

func (c *stream) Write(msg []byte) (int, error) {
	if c.wrote {
		return 0, errSecond
	}
	c.wrote = true
	if _, err := c.Conn.Write(c.s.seal.stream(msg)); err != nil {
		return 0, err
	}
	return len(msg), nil
}

func (c *stream) Close() error {
	defer c.s.remove(c)
	return c.Conn.Close()
}
