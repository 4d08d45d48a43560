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

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const header = 8 // of a frame: the length of its body and the id of its call

// startBare starts what the network alone takes: each caller has a connection to
// itself, and sends and reads whole messages by turns.
func startBare(context.Context) (system, error) {
	ln, err := listen()
	if err != nil {
		return system{}, err
	}
	go accept(ln, pingPong)
	var conns []net.Conn
	return system{
		caller: func() (func([]byte) ([]byte, error), error) {
			conn, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				return nil, err
			}
			conns = append(conns, conn)
			buf := make([]byte, header)
			return func(req []byte) ([]byte, error) {
				buf = append(append(buf[:0], make([]byte, header)...), req...)
				binary.BigEndian.PutUint32(buf, uint32(len(req)))
				if _, err := conn.Write(buf); err != nil {
					return nil, err
				}
				_, err := io.ReadFull(conn, buf)
				return buf[header:], err
			}, nil
		},
		close: func() (err error) {
			for _, c := range conns {
				err = errors.Join(err, c.Close())
			}
			return errors.Join(err, ln.Close())
		},
	}, nil
}

func accept(ln net.Listener, serve func(conn net.Conn)) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go serve(conn)
	}
}

func pingPong(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, header)
	for {
		if _, err := io.ReadFull(conn, buf[:header]); err != nil {
			return
		}
		n := header + int(binary.BigEndian.Uint32(buf))
		if n > len(buf) {
			buf = append(buf, make([]byte, n-len(buf))...)
		}
		if _, err := io.ReadFull(conn, buf[header:n]); err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

// startMinimal starts the least that carries calls of many over one connection: no
// limits, deadlines, errors or handlers. What accumulates while a write is under way
// is the next write, and who is about to write lets others go first.
func startMinimal(context.Context) (system, error) {
	ln, err := listen()
	if err != nil {
		return system{}, err
	}
	go accept(ln, serveMinimal)
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return system{}, errors.Join(err, ln.Close())
	}
	c := &minimal{out: conn, calls: make(map[uint32]chan []byte)}
	go c.read(conn)
	return system{
		caller: func() (func([]byte) ([]byte, error), error) {
			answer := make(chan []byte, 1)
			return func(req []byte) ([]byte, error) {
				c.call(req, answer)
				return <-answer, nil
			}, nil
		},
		close: func() error { return errors.Join(conn.Close(), ln.Close()) },
	}, nil
}

const bufferSize = 256 << 10

// serveMinimal answers all that has arrived by one write.
func serveMinimal(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, bufferSize)
	var out []byte
	for {
		head, err := in.Peek(header)
		if err != nil {
			return
		}
		frame, err := in.Peek(header + int(binary.BigEndian.Uint32(head)))
		if err != nil {
			return
		}
		out = append(out, frame...)
		if _, err := in.Discard(len(frame)); err != nil {
			return
		}
		if in.Buffered() >= header && len(out) < bufferSize {
			continue
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

// minimal is the calling end of a connection.
type minimal struct {
	out io.Writer

	mu         sync.Mutex
	calls      map[uint32]chan []byte
	last       uint32
	buf, spare []byte
	writing    bool
}

// call sends body, unless somebody is writing already, who takes it along.
func (c *minimal) call(body []byte, answer chan []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.calls[c.last] = answer
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(len(body)))
	c.buf = binary.BigEndian.AppendUint32(c.buf, c.last)
	c.buf = append(c.buf, body...)
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

func (c *minimal) read(conn net.Conn) {
	in := bufio.NewReaderSize(conn, bufferSize)
	head := make([]byte, header)
	for {
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head))
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		c.take(binary.BigEndian.Uint32(head[4:])) <- body
	}
}

func (c *minimal) take(id uint32) chan []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := c.calls[id]
	delete(c.calls, id)
	return answer
}

// startGRPC starts gRPC-Go as it is used directly: a unary method, from bytes to the
// same.
func startGRPC(ctx context.Context) (system, error) {
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "Bench",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.BytesValue)
			return in, decode(in)
		}}},
	}, nil)
	conn, err := serveGRPC(s)
	if err != nil {
		return system{}, err
	}
	call := func(req []byte) ([]byte, error) {
		var out wrapperspb.BytesValue
		err := conn.Invoke(ctx, "/Bench/Echo", &wrapperspb.BytesValue{Value: req}, &out)
		return out.Value, err
	}
	return system{
		caller: func() (func([]byte) ([]byte, error), error) { return call, nil },
		close: func() error {
			err := conn.Close()
			s.Stop()
			return err
		},
	}, nil
}
