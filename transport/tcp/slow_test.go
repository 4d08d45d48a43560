package tcp

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A link carries bytes one way at a bounded rate, through a buffer like that of a
// kernel: once it was full, it takes nothing until a third of it is empty again.
type link struct {
	rate   int // bytes per second
	buffer int // bytes
	freeze <-chan struct{}
}

const piece = 4 << 10

// carry moves what src sends to dst until either is closed or the link freezes, and
// then until stop.
func (l link) carry(dst, src net.Conn, stop <-chan struct{}) {
	buffer := make(chan []byte, max(l.buffer/piece, 1))
	go func() {
		defer close(buffer)
		for {
			b := make([]byte, piece)
			n, err := src.Read(b)
			if err != nil {
				return
			}
			for full := len(buffer) == cap(buffer); full && len(buffer) > cap(buffer)*2/3; {
				time.Sleep(time.Millisecond)
			}
			buffer <- b[:n]
		}
	}()
	defer func() {
		for range buffer { // nobody is left waiting
		}
	}()
	for b := range buffer {
		time.Sleep(time.Duration(len(b)) * time.Second / time.Duration(l.rate))
		select {
		case <-l.freeze:
			<-stop
			return
		default:
		}
		if _, err := dst.Write(b); err != nil {
			break
		}
	}
	dst.Close()
}

// overLinks runs a connection whose ends meet over links.
func overLinks(t *testing.T, there, back link, dials, accepts limits, h transport.HandlerFunc, play func(t *testing.T, c *client, s *server)) {
	overLinksWith(t, false, there, back, dials, accepts, h, play)
}

func overLinksWith(t *testing.T, secure bool, there, back link, dials, accepts limits, h transport.HandlerFunc, play func(t *testing.T, c *client, s *server)) {
	synctest.Test(t, func(t *testing.T) {
		clientEnd, near := net.Pipe()
		far, serverEnd := net.Pipe()
		var group sync.WaitGroup
		stop := make(chan struct{})
		group.Go(func() { there.carry(far, near, stop) })
		group.Go(func() { back.carry(near, far, stop) })
		clientLine, serverLine := newLine(clientEnd), newLine(serverEnd)
		if secure {
			shakeHands(t, clientLine, serverLine)
		}
		c := newClient(clientLine, dials, accepts, new(counters))
		s := newServer(serverLine, "a", accepts, dials, h, new(counters))
		group.Go(c.run)
		group.Go(s.run)
		play(t, c, s)
		close(stop)
		for _, conn := range []net.Conn{clientEnd, near, far, serverEnd} {
			conn.Close()
		}
		group.Wait()
	})
}

// shakeHands puts TLS on both ends of a connection.
func shakeHands(t *testing.T, a, b *line) {
	ca := NewAuthority(t)
	done := make(chan error, 1)
	go func() {
		_, err := ca.TLS("", "b").accept(b)
		done <- err
	}()
	_, err := ca.TLS("", "a").dial(a, "", "b")
	require.NoError(t, err)
	require.NoError(t, <-done)
}

const (
	slowRate = 800 << 10 // bytes per second
	large    = 28 << 20  // bytes
)

var wide = limits{message: 64 << 20, calls: 8, window: 2512 << 20, ping: 500 * time.Millisecond}

// sized answers the method "large" at length, and any other with nothing.
func sized(_ context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
	if method == "large" {
		return make([]byte, large), nil
	}
	return nil, nil
}

// A message that takes longer than three intervals goes through, either way, also
// over a network that buffers so much that neither end sees anything move for longer
// than that. So it does where the ends have different ideas of the interval.
func TestSlowTransfers(t *testing.T) {
	patient := wide
	patient.ping = time.Minute
	for name, c := range map[string]struct {
		buffer          int
		dials, accepts  limits
		request, method string
	}{
		"request":                   {buffer: 64 << 10, dials: wide, accepts: wide, request: "large"},
		"request to patient node":   {buffer: 64 << 10, dials: wide, accepts: patient, request: "large"},
		"request from patient node": {buffer: 64 << 10, dials: patient, accepts: wide, request: "large"},
		"request, large buffers":    {buffer: 12 << 20, dials: wide, accepts: wide, request: "large"},
		"response":                  {buffer: 64 << 10, dials: wide, accepts: wide, method: "large"},
		"response of patient node":  {buffer: 64 << 10, dials: wide, accepts: patient, method: "large"},
		"response to patient node":  {buffer: 64 << 10, dials: patient, accepts: wide, method: "large"},
		"response, large buffers":   {buffer: 12 << 20, dials: wide, accepts: wide, method: "large"},
		"both":                      {buffer: 64 << 10, dials: wide, accepts: wide, request: "large", method: "large"},
		"both, large buffers":       {buffer: 12 << 20, dials: wide, accepts: wide, request: "large", method: "large"},
	} {
		t.Run(name, func(t *testing.T) {
			l := link{rate: slowRate, buffer: c.buffer}
			overLinks(t, l, l, c.dials, c.accepts, sized, func(t *testing.T, client *client, s *server) {
				var req []byte
				if c.request != "" {
					req = make([]byte, large)
				}
				for range 2 {
					start := time.Now()
					resp, err := client.call(t.Context(), c.method, req)
					require.NoError(t, err)
					require.Greater(t, time.Since(start), 10*wide.ping)
					if c.method != "" {
						require.Len(t, resp, large)
					}
				}
				require.True(t, client.usable())
			})
		})
	}
}

// TLS is no less patient, and gives a frozen network up as soon.
func TestSlowTransfersOverTLS(t *testing.T) {
	for _, buffer := range []int{64 << 10, 12 << 20} {
		freeze := make(chan struct{})
		l := link{rate: slowRate, buffer: buffer, freeze: freeze}
		overLinksWith(t, true, l, l, wide, wide, sized, func(t *testing.T, c *client, s *server) {
			start := time.Now()
			resp, err := c.call(t.Context(), "large", make([]byte, large))
			require.NoError(t, err)
			require.Len(t, resp, large)
			require.Greater(t, time.Since(start), 20*wide.ping)
			done := make(chan error, 1)
			go func() {
				_, err := c.call(t.Context(), "large", make([]byte, large))
				done <- err
			}()
			time.Sleep(10 * wide.ping)
			require.Empty(t, done)
			close(freeze)
			start = time.Now()
			require.ErrorIs(t, <-done, transport.ErrUnreachable)
			<-s.dead
			require.LessOrEqual(t, time.Since(start), 4*wide.ping)
		})
	}
}

// While requests and responses are slow at the same time, on one connection, each
// end still knows of the other.
func TestSlowBothWaysAtOnce(t *testing.T) {
	l := link{rate: slowRate, buffer: 64 << 10}
	overLinks(t, l, l, wide, wide, sized, func(t *testing.T, c *client, s *server) {
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				_, err := c.call(t.Context(), "large", nil)
				require.NoError(t, err)
			})
			group.Go(func() {
				_, err := c.call(t.Context(), "small", make([]byte, large))
				require.NoError(t, err)
			})
		}
		group.Wait()
	})
}

// A network that freezes amid a long message is given up by both ends.
func TestFreezeAmidLongMessage(t *testing.T) {
	for name, req := range map[string][]byte{"large": nil, "small": make([]byte, large)} {
		for _, buffer := range []int{64 << 10, 12 << 20} {
			t.Run(name, func(t *testing.T) {
				freeze := make(chan struct{})
				l := link{rate: slowRate, buffer: buffer, freeze: freeze}
				overLinks(t, l, l, wide, wide, sized, func(t *testing.T, c *client, s *server) {
					done := make(chan error, 1)
					go func() {
						_, err := c.call(t.Context(), name, req)
						done <- err
					}()
					time.Sleep(10 * wide.ping)
					require.Empty(t, done)
					close(freeze)
					start := time.Now()
					require.ErrorIs(t, <-done, transport.ErrUnreachable)
					<-s.dead
					require.LessOrEqual(t, time.Since(start), 4*wide.ping)
				})
			})
		}
	}
}

// trickle is what a peer sends of a long body at a time, two intervals apart.
const trickle = 2 * progress

// A long request that trickles in is told from none at all, and so the caller is
// told that it arrives.
func TestServerStaysWithSlowRequest(t *testing.T) {
	withServerOf(t, wide, echo, func(t *testing.T, s *server, peer *script) {
		body := appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: make([]byte, 10*trickle)})
		for len(body) > 0 {
			n := min(len(body), trickle)
			_, err := peer.conn.Write(body[:n])
			require.NoError(t, err)
			body = body[n:]
			if len(body) > 0 {
				peer.expect(kindPong)
				time.Sleep(2 * wide.ping)
			}
		}
		h, _ := peer.expect(kindResponse)
		require.Equal(t, 1+10*trickle, h.size)
	})
}

// So does a long response, also one that nobody waits for any more.
func TestClientStaysWithSlowResponse(t *testing.T) {
	for _, wanted := range []bool{true, false} {
		withClientOf(t, wide, 0, func(t *testing.T, c *client, peer *script) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			slow := start(ctx, c)
			h, _ := peer.expect(kindRequest)
			if !wanted {
				cancel()
				require.Equal(t, context.Canceled, (<-slow).err)
				peer.expect(kindCancel)
			}
			body := appendFrame(nil, &frame{kind: kindResponse, id: h.id, payload: make([]byte, 10*trickle)})
			for len(body) > 0 {
				n := min(len(body), trickle)
				_, err := peer.conn.Write(body[:n])
				require.NoError(t, err)
				body = body[n:]
				peer.expect(kindPing)
				peer.expect(kindPing)
			}
			if wanted {
				require.Len(t, (<-slow).resp, 10*trickle)
			}
			next := start(t.Context(), c)
			h, _ = peer.expect(kindRequest)
			peer.send(frame{kind: kindResponse, id: h.id, payload: []byte("ok")})
			require.Equal(t, "ok", string((<-next).resp))
		})
	}
}

// A long body that comes a byte at a time does not keep the connection alive.
func TestServerGivesUpTricklingBody(t *testing.T) {
	withServerOf(t, wide, echo, func(t *testing.T, s *server, peer *script) {
		go func() {
			for {
				if _, err := peer.r.next(); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		b := appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: make([]byte, trickle)})
		_, err := peer.conn.Write(b[:len(b)-trickle])
		for _, b := range b[len(b)-trickle:] {
			if err != nil {
				break
			}
			time.Sleep(wide.ping / 10)
			_, err = peer.conn.Write([]byte{b})
		}
		require.Error(t, err)
		require.LessOrEqual(t, time.Since(start), 4*wide.ping)
	})
}

// A writer goes on while the network takes a little in each span of its patience, or
// the other side says that it reads, and only then.
func TestWriterPatience(t *testing.T) {
	for name, c := range map[string]struct {
		takes int  // by the network, shortly before patience ends
		says  bool // that it reads, by the other side
		lasts bool
	}{
		"takes a little":         {takes: progress, lasts: true},
		"says that it reads":     {says: true, lasts: true},
		"takes a byte":           {takes: 1},
		"neither takes nor says": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				const patience = 3 * time.Second
				w := newWriter(near, patience, nil, new(sync.Mutex))
				w.taken.Store(true) // said before, of what was sent before
				done := make(chan error, 1)
				go func() { done <- w.line.write(make([]byte, large)) }()
				for range 10 {
					time.Sleep(patience * 9 / 10)
					if c.says {
						w.taken.Store(true)
					}
					if c.takes > 0 {
						far.SetReadDeadline(time.Now().Add(time.Millisecond))
						io.ReadFull(far, make([]byte, c.takes))
					}
				}
				synctest.Wait()
				require.Equal(t, c.lasts, len(done) == 0)
				near.Close()
				<-done
			})
		})
	}
}

// Nobody waits for ever for a peer that says that it reads and takes nothing. It is so at
// either end of a connection.
func TestWriterGivesUpWhoOnlySaysThatItReads(t *testing.T) {
	for name, takes := range map[string]int{"nothing": 0, "next to nothing": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				const patience = 3 * time.Second
				w := newWriter(near, patience, nil, new(sync.Mutex))
				done := make(chan error, 1)
				start := time.Now()
				go func() { done <- w.line.write(make([]byte, large)) }()
				for len(done) == 0 && time.Since(start) < 100*patience {
					w.taken.Store(true)
					far.SetReadDeadline(time.Now().Add(patience / 2))
					io.ReadFull(far, make([]byte, takes))
					time.Sleep(patience / 2)
					synctest.Wait()
				}
				require.Len(t, done, 1)
				require.ErrorIs(t, <-done, errStalled)
				require.GreaterOrEqual(t, time.Since(start), stalled*patience)
				require.LessOrEqual(t, time.Since(start), (stalled+2)*patience)
			})
		})
	}
}

// Callers of a peer that takes no requests, and says that it reads them, are told why.
func TestClientGivesUpServerThatTakesNothing(t *testing.T) {
	withClientOf(t, wide, 0, func(t *testing.T, c *client, peer *script) {
		call := make(chan error, 1)
		go func() {
			_, err := c.call(t.Context(), "m", make([]byte, large))
			call <- err
		}()
		synctest.Wait()
		for range 4 * stalled { // intervals; patience is three
			if len(call) == 0 {
				peer.send(frame{kind: kindPong})
			}
			time.Sleep(wide.ping)
			synctest.Wait()
		}
		require.Len(t, call, 1)
		err := <-call
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.ErrorIs(t, err, errStalled)
	})
}

// Pongs are not answered by pongs: a quiet connection stays quiet.
func TestPongsAreNotAnswered(t *testing.T) {
	withClient(t, func(t *testing.T, c *client, peer *script) {
		for range 10 {
			h, err := peer.r.next()
			require.NoError(t, err)
			require.Equal(t, kindPing, h.kind)
			peer.send(frame{kind: kindPong})
		}
	})
}
