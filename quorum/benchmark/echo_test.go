package benchmark

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
)

// An echo is what the network costs, and no more: each member has one connection to
// each other one, over which the calls of all its clients go, and gets back what it
// sent. There are no limits, no deadlines, no errors and no values.
//
// A frame is the length of its body and the id of its call, of four bytes each, and
// the body. What accumulates while a write is under way is the next write, and who
// is about to write lets others go first: with 16 clients on two cores that makes the
// echo half as fast again, and so the bar higher.
type echo struct {
	answers int // that a client waits for
	serve   func(member int, body []byte) string
	peers   [members][]*echoClient
	ends    []io.Closer
}

const echoHeader = 8

// startEcho starts an echo whose clients wait for so many of the two other members.
func startEcho(answers int) (cluster, error) {
	e := &echo{answers: answers, serve: func(_ int, body []byte) string { return string(body) }}
	return e, e.start()
}

func (e *echo) start() error {
	for to := range members {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return errors.Join(err, e.close())
		}
		e.ends = append(e.ends, ln)
		go acceptEcho(ln, func(body []byte) string { return e.serve(to, body) })
		for from := range members {
			if from == to {
				continue
			}
			conn, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				return errors.Join(err, e.close())
			}
			e.ends = append(e.ends, conn)
			c := &echoClient{out: conn, calls: map[uint32]chan<- string{}}
			e.peers[from] = append(e.peers[from], c)
			go c.read(conn)
		}
	}
	return nil
}

func (e *echo) close() (err error) {
	for _, c := range e.ends {
		err = errors.Join(err, c.Close())
	}
	return err
}

func (e *echo) put(_ context.Context, member int, _, value string) error {
	e.exchange(member, value)
	return nil
}

// get gets back what it sent.
func (e *echo) get(_ context.Context, member int, key string) (string, error) {
	return e.exchange(member, valueOf(key, 0)), nil
}

func (e *echo) exchange(member int, value string) (answer string) {
	answers := make(chan string, len(e.peers[member])) // also for those who come too late
	for _, p := range e.peers[member] {
		p.call(value, answers)
	}
	for range e.answers {
		answer = <-answers
	}
	return answer
}

func acceptEcho(ln net.Listener, serve func(body []byte) string) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go serveEcho(conn, serve)
	}
}

// serveEcho answers all that has arrived by one write.
func serveEcho(conn net.Conn, serve func(body []byte) string) {
	defer conn.Close()
	var out []byte
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		id, body, err := readFrame(in)
		if err != nil {
			return
		}
		out = appendFrame(out, id, serve(body))
		if in.Buffered() >= echoHeader {
			continue
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

func appendFrame(b []byte, id uint32, body string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, id)
	return append(b, body...)
}

// readFrame returns a body that lasts until the next one.
func readFrame(in *bufio.Reader) (id uint32, body []byte, err error) {
	head, err := in.Peek(echoHeader)
	if err != nil {
		return 0, nil, err
	}
	n := echoHeader + int(binary.BigEndian.Uint32(head))
	id = binary.BigEndian.Uint32(head[4:])
	frame, err := in.Peek(n)
	if err != nil {
		return 0, nil, err
	}
	_, err = in.Discard(n)
	return id, frame[echoHeader:], err
}

// An echoClient is one end of a connection.
type echoClient struct {
	out io.Writer

	mu         sync.Mutex
	calls      map[uint32]chan<- string
	last       uint32
	buf, spare []byte
	writing    bool
}

// call sends body, unless somebody is writing already, who takes it along.
func (c *echoClient) call(body string, answer chan<- string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.calls[c.last] = answer
	c.buf = appendFrame(c.buf, c.last, body)
	if c.writing {
		return
	}
	c.writing = true
	c.mu.Unlock()
	runtime.Gosched() // others that are ready to call come along
	c.mu.Lock()
	for len(c.buf) > 0 {
		out := c.buf
		c.buf = c.spare[:0]
		c.mu.Unlock()
		_, _ = c.out.Write(out)
		c.mu.Lock()
		c.spare = out
	}
	c.writing = false
}

func (c *echoClient) read(conn net.Conn) {
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		id, body, err := readFrame(in)
		if err != nil {
			return
		}
		c.take(id) <- string(body)
	}
}

func (c *echoClient) take(id uint32) chan<- string {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := c.calls[id]
	delete(c.calls, id)
	return answer
}
