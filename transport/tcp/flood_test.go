package tcp

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// memory returns what is in use after a collection: the heap and the stacks.
func memory() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// stranger connects from another address than honest nodes do, where the machine has
// one.
func stranger(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		conn, err = net.Dial("tcp", addr)
	}
	require.NoError(t, err)
	tcp := conn.(*net.TCPConn)
	tcp.SetLinger(0) // a port that is used once is free at once
	t.Cleanup(func() { tcp.Close() })
	return tcp
}

// newcomer has a node that was not connected yet make a call.
func (s *secure) newcomer(id transport.NodeID) error {
	x, _ := s.caller(id, "blue", s.ca.TLS("blue", id))
	_, err := x.Call(s.Context(), "b", "m", nil)
	x.Close()
	return err
}

// 10,000 connections that say nothing, or next to it, keep nobody from being served,
// neither those that are connected nor new ones, and cost next to nothing.
func TestHalfOpenConnections(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 2_000
	}
	if may := openFiles() - 1_000; may < n {
		n = max(may, 100)
		t.Logf("%d connections: this process may open %d files", n, openFiles())
	}
	for name, says := range map[string]string{
		"silent":          "",
		"almost a record": "\x16\x03\x01\x40\x00" + string(make([]byte, 1<<10)),
		"part of a hello": "\x16\x03\x01\x40\x00\x01\x00\xff\xf0" + string(make([]byte, 16<<10-4)),
	} {
		t.Run(name, func(t *testing.T) {
			n := n
			if says != "" {
				n = min(n, 3_000)
			}
			s := newSecure(t, func(b *Transport) { b.HandshakeTimeout = time.Hour })
			require.NoError(t, s.newcomer("first"))
			before := memory()
			for i := range n {
				stranger(t, s.addr).Write([]byte(says))
				if i%(n/20) == 0 {
					require.NoError(t, s.newcomer(transport.NodeID(fmt.Sprint("during ", i))))
				}
			}
			eventually(t, func() bool { return s.b.Stats().Refused+1024 >= uint64(n) })
			require.NoError(t, s.newcomer("after"))
			grown := memory() - before
			s.honest.end()
			t.Logf("%d calls meanwhile, %.1f MB more in use, of which the other ends have their part", s.honest.calls, float64(grown)/1e6)
			require.Less(t, grown, 64<<20+1024*2*len(says))
			require.GreaterOrEqual(t, s.b.Stats().Crowded+1024, uint64(n))
			told := s.told.all()
			require.NotEmpty(t, told)
			require.Equal(t, ReasonBusy, told[0].Err.Reason)
			require.Less(t, len(told), 2_000, "what is told is bounded")
		})
	}
}

// From the address of the flood, too, who says at once what there is to say is served.
func TestHalfOpenConnectionsFromTheSameAddress(t *testing.T) {
	s := newSecure(t, func(b *Transport) { b.HandshakeTimeout, b.MaxConns = time.Hour, 32 })
	for i := range 500 {
		conn, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		defer conn.Close()
		if i%100 == 99 {
			eventually(t, func() bool { return s.newcomer(transport.NodeID(fmt.Sprint("node ", i))) == nil })
		}
	}
	eventually(t, func() bool { return s.newcomer("last") == nil })
}

// clientHello returns the first bytes of an honest handshake with TLS.
func clientHello(t testing.TB) []byte {
	near, far := net.Pipe()
	defer far.Close()
	go tls.Client(near, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}}).Handshake()
	b := make([]byte, 16<<10)
	n, err := far.Read(b)
	require.NoError(t, err)
	return b[:n]
}

// trickleUntilClosed sends b a byte at a time, as long as the other side takes it, and returns
// when it has closed the connection.
func trickleUntilClosed(conn net.Conn, b []byte) {
	closed := make(chan struct{})
	go func() {
		buf := make([]byte, 1024)
		for {
			if _, err := conn.Read(buf); err != nil {
				close(closed)
				return
			}
		}
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(b) > 0 {
		select {
		case <-closed:
			return
		case <-tick.C:
			conn.Write(b[:1])
			b = b[1:]
		}
	}
	<-closed
}

// Who trickles is given up, wherever in the handshake or after it.
func TestSlowLoris(t *testing.T) {
	hello := hello{oldest: 1, newest: 1, cluster: "blue", self: "x", peer: "b", limits: testLimits}.append(nil)
	frame := appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: make([]byte, 1<<20)})
	for name, c := range map[string]struct {
		plain, greets, shakes bool
		says                  []byte
		reason                Reason
	}{
		"TLS":               {says: clientHello(t), reason: ReasonTimeout},
		"hello":             {plain: true, says: bytes.Repeat(hello, 100), reason: ReasonTimeout},
		"hello inside TLS":  {shakes: true, says: hello[:60], reason: ReasonTimeout},
		"frame":             {plain: true, greets: true, says: frame},
		"frame inside TLS":  {greets: true, says: frame},
		"record inside TLS": {shakes: true, greets: true, says: []byte("\x17\x03\x03\x40\x00" + string(make([]byte, 16<<10)))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSecure(t, func(b *Transport) {
				b.HandshakeTimeout, b.KeepAlive = 200*time.Millisecond, 100*time.Millisecond
				if b.Plain = c.plain; c.plain {
					b.TLS = nil
				}
			})
			conn := net.Conn(stranger(t, s.addr))
			raw := conn
			var security *TLS
			if !c.plain {
				security = s.ca.TLS("blue", "x")
			}
			x, _ := s.caller("x", "blue", security)
			switch {
			case c.greets:
				met, err := x.reach(conn, "b")
				require.NoError(t, err)
				conn = met.line
			case c.shakes:
				l := newLine(conn)
				_, err := security.dial(l, "blue", "b")
				require.NoError(t, err)
				conn = l
			}
			if name == "record inside TLS" {
				conn = raw
			}
			trickleUntilClosed(conn, c.says)
			if c.greets {
				require.Empty(t, s.told.all())
				require.Equal(t, uint64(2), s.b.Stats().Accepted)
			} else {
				require.Equal(t, []Reason{c.reason}, s.told.reasons(t, 1))
			}
		})
	}
}

// What a peer may claim, it may claim, and nothing is spent on it.
func TestClaimsCostNothing(t *testing.T) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprint("plain=", plain), func(t *testing.T) {
			s := newSecure(t, func(b *Transport) {
				b.MaxFrame = maxMessage
				if b.Plain = plain; plain {
					b.TLS = nil
				}
			})
			var callers []*Transport
			for i := range 100 { // nodes of their own: one has few connections
				id, security := transport.NodeID(fmt.Sprint("x", i)), (*TLS)(nil)
				if !plain {
					security = s.ca.TLS("blue", id)
				}
				x, _ := s.caller(id, "blue", security)
				callers = append(callers, x)
			}
			before := memory()
			for _, x := range callers { // a frame of 1 GiB, which may be sent, of which nothing comes
				conn := stranger(t, s.addr)
				met, err := x.reach(conn, "b")
				require.NoError(t, err)
				met.line.Write([]byte("\x01\x01\x80\x80\x80\x80\x04\x00\x00\x01m"))
			}
			grown := memory() - before
			t.Logf("%.2f MB in use for each claim of 1 GiB", float64(grown)/100e6)
			require.Less(t, grown, 100*(512<<10))
			require.Zero(t, s.b.Stats().Crowded)
			x, violations := callers[0], s.b.Stats().Violations
			for _, claim := range []string{"\x01\x01\x80\x80\x80\x80\x10", "\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} { // 4 GiB, and all there is
				conn := stranger(t, s.addr)
				met, err := x.reach(conn, "b")
				require.NoError(t, err)
				met.line.Write([]byte(claim))
				awaitClosed(t, met.line)
				violations++
				eventually(t, func() bool { return s.b.Stats().Violations == violations })
			}
		})
	}
}

// awaitClosed reads until the other side has closed a connection.
func awaitClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 4096)
	for {
		if _, err := conn.Read(buf); err != nil {
			timeout, ok := err.(net.Error)
			require.False(t, ok && timeout.Timeout(), "not closed")
			return
		}
	}
}

// Garbage is refused, before the handshake and after it, and is never answered but by
// an alert or a hello.
func TestGarbage(t *testing.T) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprint("plain=", plain), func(t *testing.T) {
			s := newSecure(t, func(b *Transport) {
				if b.Plain = plain; plain {
					b.TLS = nil
				}
			})
			var security *TLS
			if !plain {
				security = s.ca.TLS("blue", "x")
			}
			x, _ := s.caller("x", "blue", security)
			random := rand.NewChaCha8([32]byte{1})
			refused := uint64(0)
			for i := range 200 {
				garbage := make([]byte, 1+i*10)
				random.Read(garbage)
				conn := stranger(t, s.addr)
				if i%2 == 0 {
					garbage[0] |= 0x80 // no kind of frame
					met, err := x.reach(conn, "b")
					require.NoError(t, err)
					if i%4 == 0 {
						met.line.Write(garbage)
					} else {
						conn.Write(garbage)
					}
				} else {
					conn.Write(garbage)
					conn.CloseWrite()
					refused++
				}
				awaitClosed(t, conn)
			}
			eventually(t, func() bool { return s.b.Stats().Refused == refused })
			for _, r := range s.told.all() {
				require.Contains(t, []Reason{ReasonProtocol, ReasonTLS, ReasonLost}, r.Err.Reason, r.Err)
			}
		})
	}
}

// Pings and cancels without end cost nothing but their reading: one pong at a time
// waits to be written, and a cancel of nothing is nothing.
func TestFloodOfSmallFrames(t *testing.T) {
	s := newSecure(t, nil)
	x, _ := s.caller("x", "blue", s.ca.TLS("blue", "x"))
	met, err := x.reach(stranger(t, s.addr), "b")
	require.NoError(t, err)
	before := memory()
	var flood []byte
	for id := range uint64(10_000) {
		flood = appendFrame(flood, &frame{kind: kindPing})
		flood = appendFrame(flood, &frame{kind: kindPong})
		flood = appendFrame(flood, &frame{kind: kindCancel, id: id * id})
	}
	for range 50 { // of which nothing is read
		_, err := met.line.Write(flood)
		require.NoError(t, err)
	}
	require.Less(t, memory()-before-cap(flood), 16<<20)
	_, err = met.line.Write(appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m"}))
	require.NoError(t, err)
	r := newFrameReader(met.line, 1<<20, time.Minute)
	pongs := 0
	for {
		h, err := r.next()
		require.NoError(t, err)
		if h.kind == kindResponse {
			break
		}
		pongs++
	}
	require.Less(t, pongs, 1_000)
	require.Zero(t, s.b.Stats().Violations)
}

// Calls without end, cancelled at once, whose answers nobody reads, are bounded, and
// whoever makes more of them than he may is cut off.
func TestFloodOfCalls(t *testing.T) {
	s := newSecure(t, func(b *Transport) { b.MaxFrame = 64 << 10 })
	x, _ := s.caller("x", "blue", s.ca.TLS("blue", "x"))
	before := memory()
	met, err := x.reach(stranger(t, s.addr), "b")
	require.NoError(t, err)
	for id := range uint64(1 << 20) {
		b := appendFrame(nil, &frame{kind: kindRequest, id: id, method: "m", payload: make([]byte, 1<<10)})
		if _, err := met.line.Write(appendFrame(b, &frame{kind: kindCancel, id: id})); err != nil {
			break
		}
		if id%10_000 == 0 {
			require.Less(t, memory()-before, 48<<20)
		}
	}
	eventually(t, func() bool { return s.b.Stats().Violations == 1 })
}

// A node that makes more connections than it needs takes no other node's place: it
// loses its own, the oldest first.
func TestPlacesAreSharedAmongNodes(t *testing.T) {
	s := newSecure(t, func(b *Transport) { b.MaxConns = 3 })
	x, _ := s.caller("x", "blue", s.ca.TLS("blue", "x"))
	var conns []net.Conn
	for range 10 {
		conn := stranger(t, s.addr)
		_, err := x.reach(conn, "b")
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	for _, conn := range conns[:8] {
		awaitClosed(t, conn)
	}
	require.Equal(t, uint64(8), s.b.Stats().Crowded)
	y, _ := s.caller("y", "blue", s.ca.TLS("blue", "y"))
	_, err := y.Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)
	awaitClosed(t, conns[8])
	z, _ := s.caller("z", "blue", s.ca.TLS("blue", "z"))
	e := refused(t, z)
	require.Equal(t, ReasonBusy, e.Reason)
	require.True(t, e.Remote)
	_, err = y.Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)
}

// A handshake may bring so much and no more.
func TestHandshakeIsBounded(t *testing.T) {
	s := newSecure(t, func(b *Transport) { b.HandshakeTimeout = time.Hour })
	part := []byte("\x16\x03\x01\x40\x00\x01\x00\xff\xf0" + string(make([]byte, 16<<10-4)))
	conn := stranger(t, s.addr)
	for range 4 {
		conn.Write(part)
	}
	require.Equal(t, []Reason{ReasonProtocol}, s.told.reasons(t, 1))
	require.ErrorIs(t, s.told.all()[0].Err, errLong)
}

// A peer that says all the while that it reads, and takes nothing of its answers, is
// given up, and it is told of. One that reads as slowly as it may is not: see
// TestSlowTransfers.
func TestPongsAloneKeepNobody(t *testing.T) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprint("plain=", plain), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told told
				b := &Transport{Self: "b", Plain: plain, Events: told.events()}
				x := &Transport{Self: "x", Plain: plain}
				if !plain {
					ca := NewAuthority(t)
					b.TLS, x.TLS = ca.TLS("", "b"), ca.TLS("", "x")
				}
				ln := &pipes{conns: make(chan net.Conn, 1)}
				near, far := net.Pipe()
				ln.conns <- far
				done := make(chan error, 1)
				go func() { done <- b.Serve(t.Context(), ln, transport.HandlerFunc(echo)) }()
				met, err := x.reach(near, "b")
				require.NoError(t, err)
				_, err = met.line.Write(appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: make([]byte, 1<<20)}))
				require.NoError(t, err)
				start := time.Now()
				for err == nil && time.Since(start) < 100*b.keepAlive() {
					time.Sleep(b.keepAlive())
					_, err = met.line.Write(appendFrame(nil, &frame{kind: kindPong}))
				}
				require.Error(t, err)
				require.GreaterOrEqual(t, time.Since(start), 60*b.keepAlive())
				synctest.Wait()
				require.Equal(t, []Reason{ReasonStalled}, told.reasons(t, 1))
				require.Equal(t, transport.NodeID("x"), told.all()[0].Err.Node)
				require.Equal(t, uint64(1), b.Stats().Stalled)
				require.Zero(t, b.Stats().Violations)
				require.NoError(t, b.Close())
				require.NoError(t, <-done)
			})
		})
	}
}

// A node has few connections however many there is room for: it loses its oldest.
func TestConnectionsOfOneNodeAreBounded(t *testing.T) {
	s := newSecure(t, nil)
	x, _ := s.caller("x", "blue", s.ca.TLS("blue", "x"))
	var conns []*line
	for range maxOfNode + 3 {
		met, err := x.reach(stranger(t, s.addr), "b")
		require.NoError(t, err)
		conns = append(conns, met.line)
	}
	for _, conn := range conns[:3] {
		awaitClosed(t, conn)
	}
	require.Equal(t, uint64(3), s.b.Stats().Crowded)
	for i, conn := range conns[3:] { // all others are served
		_, err := conn.Write(appendFrame(nil, &frame{kind: kindRequest, id: uint64(i), method: "m"}))
		require.NoError(t, err)
		h, _ := newScript(t, conn).expect(kindResponse)
		require.Equal(t, uint64(i), h.id)
	}
	y, _ := s.caller("y", "blue", s.ca.TLS("blue", "y"))
	_, err := y.Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)
	require.Equal(t, uint64(3), s.b.Stats().Crowded)
}
