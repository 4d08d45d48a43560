package tcp

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func FuzzHello(f *testing.F) {
	f.Add(hello{oldest: 1, newest: 1, cluster: "c", self: "a", peer: "b", limits: testLimits}.append(nil))
	f.Add(hello{cluster: strings.Repeat("c", 255), self: "a", limits: testLimits}.append(nil))
	f.Add([]byte("eventual\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHello(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := readHello(bytes.NewReader(h.append(nil)))
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}

// FuzzFrames reads anything as frames: what is taken is written with the same bytes.
func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: []byte("x")}))
	f.Add(appendFrame(nil, &frame{kind: kindRequest, id: 300, timeout: 5_000_000, number: 1, payload: []byte("x")}))
	f.Add(appendFrame(nil, &frame{kind: kindResponse, id: 1, status: statusTooLarge, payload: tooLarge(1, 2)}))
	f.Add([]byte("\x04\x01\x80\x80\x80\x80\x10"))
	f.Add([]byte("\x03\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 10
		r := reader(b, limit)
		var again []byte
		for {
			h, err := r.next()
			if err != nil {
				return
			}
			body, err := r.read(nil, h.size)
			if err != nil {
				return
			}
			require.Len(t, body, h.size)
			again = append(appendHeader(again, h.kind, h.id, h.size), body...)
			require.Equal(t, b[:len(again)], again)
			if q, err := parseRequest(body, limit); err == nil {
				request := frame{kind: kindRequest, timeout: q.timeout, number: uint64(q.number), method: string(q.name), payload: q.payload}
				require.Equal(t, append(appendHeader(nil, kindRequest, 0, h.size), body...), appendFrame(nil, &request))
			}
			if len(body) > 0 {
				parseResponse(body[0], body[1:], "m", limit)
			}
		}
	})
}

// FuzzServer sends anything to a server that has greeted its peer: it must end the
// connection without harm, and keep its bounds.
func FuzzServer(f *testing.F) {
	request := appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: []byte("x")})
	f.Add(request)
	f.Add(append(request, request...))
	f.Add(appendFrame(slices.Clone(request), &frame{kind: kindRequest, id: 2, number: 1}))
	f.Add(appendFrame(slices.Clone(request), &frame{kind: kindRequest, id: 2, number: 2}))
	f.Add(appendFrame(request, &frame{kind: kindCancel, id: 1}))
	f.Add(appendFrame(nil, &frame{kind: kindPing}))
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		own := limits{message: minMessage, calls: 4, window: 4 * minMessage, ping: time.Second}
		s := newServer(near, "fuzz", own, own, transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
			return req, nil
		}), new(counters))
		done := make(chan struct{})
		go func() { s.run(); close(done) }()
		go io.Copy(io.Discard, far)
		far.Write(b)
		far.Close()
		<-done
		require.Zero(t, s.calls.n)
		require.LessOrEqual(t, len(s.names), maxNumbered)
	})
}

// FuzzClient answers a call with anything.
func FuzzClient(f *testing.F) {
	f.Add(appendFrame(nil, &frame{kind: kindResponse, id: 1, payload: []byte("x")}))
	f.Add(appendFrame(nil, &frame{kind: kindResponse, id: 2, status: statusFailed, code: 1, payload: []byte("x")}))
	f.Add(appendFrame(nil, &frame{kind: kindAway}))
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		own := limits{message: minMessage, calls: 4, window: 4 * minMessage, ping: time.Second}
		c := newClient(near, own, own, new(counters))
		done := make(chan struct{})
		go func() { c.run(); close(done) }()
		go io.Copy(io.Discard, far)
		called := make(chan struct{})
		go func() { c.call(context.Background(), "m", []byte("x")); close(called) }()
		far.Write(b)
		far.Close()
		<-done
		<-called
	})
}

// pipes is a listener that has one connection.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.conns) })
	return nil
}

func (p *pipes) Addr() net.Addr { return nil }

// FuzzServe sends anything to a node, from the first byte on.
func FuzzServe(f *testing.F) {
	security := NewAuthority(f).TLS("", "b")
	greeting := hello{oldest: 1, newest: 1, self: "a", peer: "b", limits: testLimits}.append(nil)
	request := appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: []byte("x")})
	f.Add(greeting, false)
	f.Add(append(slices.Clone(greeting), request...), false)
	f.Add(appendFrame(append(slices.Clone(greeting), request...), &frame{kind: kindRequest, id: 2, number: 1}), false)
	f.Add(clientHello(f), true)
	f.Add(clientHello(f), false)
	f.Add(greeting, true)
	f.Fuzz(func(t *testing.T, b []byte, secure bool) {
		near, far := net.Pipe()
		node := &Transport{Self: "b", Plain: !secure, MaxFrame: minMessage}
		if secure {
			node.TLS = security
		}
		ln := &pipes{conns: make(chan net.Conn, 1)}
		ln.conns <- near
		done := make(chan error)
		go func() { done <- node.Serve(context.Background(), ln, transport.HandlerFunc(echo)) }()
		read := make(chan struct{})
		go func() { io.Copy(io.Discard, far); close(read) }()
		far.Write(b)
		far.Close()
		<-read
		ln.Close()
		require.ErrorIs(t, <-done, net.ErrClosed)
		require.NoError(t, node.Close())
	})
}

// FuzzDial answers a node that dials with anything, from the first byte on.
func FuzzDial(f *testing.F) {
	security := NewAuthority(f).TLS("", "a")
	greeting := hello{oldest: 1, newest: 1, self: "b", peer: "a", limits: testLimits}.append(nil)
	f.Add(greeting, false)
	f.Add(greeting, true)
	f.Add(appendFrame(slices.Clone(greeting), &frame{kind: kindResponse, id: 1, payload: []byte("x")}), false)
	f.Add([]byte{0x15, 3, 3, 0, 2, 2, 70}, true)
	f.Add([]byte{0x15, 3, 3, 0, 2, 2, 70}, false)
	f.Fuzz(func(t *testing.T, b []byte, secure bool) {
		near, far := net.Pipe()
		node := &Transport{Self: "a", Plain: !secure, MaxFrame: minMessage}
		if secure {
			node.TLS = security
		}
		read := make(chan struct{})
		go func() { io.Copy(io.Discard, far); close(read) }()
		go func() {
			far.Write(b)
			far.Close()
		}()
		met, err := node.reach(near, "b")
		if err != nil {
			near.Close()
			require.Less(t, explain(err, near, "b").Reason, allReasons)
			require.NotEmpty(t, explain(err, near, "b").Error())
		} else {
			c := newClient(met.line, met.own.limits, met.other.limits, new(counters))
			done := make(chan struct{})
			go func() { c.run(); close(done) }()
			c.call(context.Background(), "m", []byte("x"))
			<-done
		}
		<-read
	})
}
