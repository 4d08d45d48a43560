package tcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// scripted accepts connections and answers each hello as told, until the test ends.
func scripted(t *testing.T, answer func(conn net.Conn, got hello)) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			if got, err := readHello(conn); err == nil {
				answer(conn, got)
			}
		}
	}()
	return ln.Addr().String()
}

// Both sides say of a later version that it is one, whoever dials, and whether the
// other side says so or leaves it to this one.
func TestLaterVersionIsRefused(t *testing.T) {
	for _, verdict := range []verdict{wrongVersion, accepted} {
		addr := scripted(t, func(conn net.Conn, got hello) {
			conn.Write(hello{oldest: 2, newest: 3, verdict: verdict, self: "b", peer: got.self, limits: testLimits}.append(nil))
		})
		a := &Transport{Self: "a", Plain: true, Peers: map[transport.NodeID]string{"b": addr}}
		defer a.Close()
		e := refused(t, a)
		require.Equal(t, ReasonVersion, e.Reason)
		require.ErrorContains(t, e, "it speaks versions 2 to 3, this node 1 to 1")
	}
	s := newSecure(t, func(b *Transport) { b.TLS, b.Plain = nil, true })
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	later := hello{oldest: 2, newest: 3, cluster: "blue", self: "x", peer: "b", limits: testLimits}
	_, err = greet(conn, later)
	e, ok := errors.AsType[*HandshakeError](err)
	require.True(t, ok, err)
	require.Equal(t, ReasonVersion, e.Reason)
	require.Equal(t, []Reason{ReasonVersion}, s.told.reasons(t, 1))
	require.ErrorContains(t, s.told.all()[0].Err, "it speaks versions 2 to 3, this node 1 to 1")
	require.Equal(t, transport.NodeID("x"), s.told.all()[0].Err.Node)
}

// With a node that speaks this version among others, this one is spoken; so it is with
// a node that says more than is known here.
func TestVersionIsNegotiated(t *testing.T) {
	s := newSecure(t, func(b *Transport) { b.TLS, b.Plain = nil, true })
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	later := hello{oldest: 1, newest: 9, cluster: "blue", self: "x", peer: "b", limits: testLimits}
	b := append(later.append(nil), "what version 9 says besides"...)
	b[9] += byte(len("what version 9 says besides"))
	_, err = conn.Write(appendFrame(b, &frame{kind: kindRequest, id: 1, method: "m"}))
	require.NoError(t, err)
	got, err := readHello(conn)
	require.NoError(t, err)
	require.Equal(t, accepted, got.verdict)
	require.Equal(t, uint8(1), got.newest)
	newScript(t, conn).expect(kindResponse)
}

// A refusal that only a later version has is a refusal.
func TestUnknownVerdictIsARefusal(t *testing.T) {
	addr := scripted(t, func(conn net.Conn, got hello) {
		conn.Write(hello{oldest: 1, newest: 9, verdict: 77, self: "b", peer: got.self, limits: testLimits}.append(nil))
	})
	a := &Transport{Self: "a", Plain: true, Peers: map[transport.NodeID]string{"b": addr}}
	defer a.Close()
	e := refused(t, a)
	require.Equal(t, ReasonUnknown, e.Reason)
	require.True(t, e.Remote)
	require.ErrorContains(t, e, "verdict 77")
}

// A node that has moved is found at its new address, once it is clear that it is gone
// from the old one: at once where that says so, else after three KeepAlive intervals.
func TestMovedNodeIsFound(t *testing.T) {
	for name, old := range map[string]func(t *testing.T, b *Transport) string{
		"frozen": func(t *testing.T, b *Transport) string { // says hello, and nothing more
			return scripted(t, func(conn net.Conn, got hello) {
				own := b.hello(got.self)
				conn.Write(own.append(nil))
			})
		},
		"closed": func(t *testing.T, b *Transport) string {
			return scripted(t, func(conn net.Conn, got hello) {
				own := b.hello(got.self)
				conn.Write(own.append(nil))
				conn.Close()
			})
		},
		"mute": func(t *testing.T, b *Transport) string { // takes connections, as a kernel does
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { ln.Close() })
			return ln.Addr().String()
		},
		"refuses": func(t *testing.T, b *Transport) string { return "127.0.0.1:1" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &Transport{KeepAlive: 50 * time.Millisecond, HandshakeTimeout: 100 * time.Millisecond, MaxBackoff: 20 * time.Millisecond, Plain: true}
			b := &Transport{Plain: true, KeepAlive: 50 * time.Millisecond}
			node(t, a, b, transport.HandlerFunc(echo))
			first := old(t, b)
			var asked atomic.Int32
			a.Resolve = func(_ context.Context, id transport.NodeID) (string, error) {
				if asked.Add(1) == 1 {
					return first, nil
				}
				return a.Peers[id], nil
			}
			_, err := a.Call(t.Context(), "b", "m", nil)
			require.ErrorIs(t, err, transport.ErrUnreachable)
			eventually(t, func() bool {
				_, err := a.Call(t.Context(), "b", "m", nil)
				return err == nil
			})
		})
	}
}

// deaf takes nothing, and has something to say.
type deaf struct{ io.Reader }

func (deaf) Write([]byte) (int, error) { return 0, net.ErrClosed }

// A node that has closed the connection before it was told anything has said why.
func TestRefusalIsHeardThoughNothingWasTaken(t *testing.T) {
	own := hello{oldest: 1, newest: 1, self: "a", peer: "b", limits: testLimits}
	busy := hello{oldest: 1, newest: 1, verdict: tooMany, self: "b", peer: "a", limits: testLimits}
	_, err := greet(deaf{bytes.NewReader([]byte("\x15\x03\x03\x00\x02\x02\x46"))}, own)
	require.Equal(t, ReasonPlain, reasonOf(err))
	_, err = greet(deaf{bytes.NewReader(nil)}, own)
	require.Equal(t, ReasonLost, reasonOf(err))
	_, err = greet(deaf{bytes.NewReader(busy.append(nil))}, own)
	e, ok := errors.AsType[*HandshakeError](err)
	require.True(t, ok)
	require.Equal(t, ReasonBusy, e.Reason)
	busy.verdict = accepted
	_, err = greet(deaf{bytes.NewReader(busy.append(nil))}, own)
	require.ErrorIs(t, err, net.ErrClosed)
}
