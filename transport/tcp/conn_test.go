package tcp

import (
	"context"
	"math"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// These tests run the two ends of a connection over a pipe, each against a peer
// made by hand, on the clock of a synctest bubble.

var testLimits = limits{message: 1 << 10, calls: 3, window: 2 << 10, ping: time.Second}

// A script is one end of a connection, played by hand.
type script struct {
	t    *testing.T
	conn net.Conn
	r    *frameReader
}

func newScript(t *testing.T, conn net.Conn) *script {
	return &script{t, conn, newFrameReader(conn, 1<<20, time.Hour)}
}

func (s *script) send(f frame) {
	s.t.Helper()
	_, err := s.conn.Write(appendFrame(nil, &f))
	require.NoError(s.t, err)
}

// expect reads the next frame of a kind, passing over pings and pongs, and returns
// its body.
func (s *script) expect(kind kind) (header, []byte) {
	s.t.Helper()
	for {
		h, err := s.r.next()
		require.NoError(s.t, err)
		body, err := s.r.read(nil, h.size)
		require.NoError(s.t, err)
		if h.kind == kind || h.kind != kindPing && h.kind != kindPong {
			require.Equal(s.t, kind, h.kind)
			return h, body
		}
	}
}

// gone waits until the other end has closed the connection.
func (s *script) gone() {
	for {
		if _, err := s.conn.Read(make([]byte, 1024)); err != nil {
			return
		}
	}
}

func withServer(t *testing.T, h transport.HandlerFunc, play func(t *testing.T, s *server, peer *script)) {
	withServerOf(t, testLimits, h, play)
}

func withServerOf(t *testing.T, own limits, h transport.HandlerFunc, play func(t *testing.T, s *server, peer *script)) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		s := newServer(near, "a", own, own, h, new(counters))
		var group sync.WaitGroup
		group.Go(s.run)
		defer group.Wait()
		defer far.Close()
		play(t, s, newScript(t, far))
	})
}

func withClient(t *testing.T, play func(t *testing.T, c *client, peer *script)) {
	withClientOf(t, testLimits, 0, play)
}

func withClientOf(t *testing.T, own limits, idle time.Duration, play func(t *testing.T, c *client, peer *script)) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := newClient(near, own, own, new(counters))
		c.idle = idle
		var group sync.WaitGroup
		group.Go(c.run)
		defer group.Wait()
		defer far.Close()
		play(t, c, newScript(t, far))
	})
}

func echo(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	return req, nil
}

func untilDone(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func request(id uint64) frame {
	return frame{kind: kindRequest, id: id, method: "m", payload: []byte("x")}
}

func TestServerAnswersOutOfOrder(t *testing.T) {
	slow := func(ctx context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		if method == "slow" {
			time.Sleep(time.Second)
		}
		return []byte(method), nil
	}
	withServer(t, slow, func(t *testing.T, s *server, peer *script) {
		peer.send(frame{kind: kindRequest, id: 7, method: "slow"})
		peer.send(frame{kind: kindRequest, id: 5, method: "fast"})
		h, body := peer.expect(kindResponse)
		require.Equal(t, uint64(5), h.id)
		require.Equal(t, "\x00fast", string(body))
		h, body = peer.expect(kindResponse)
		require.Equal(t, uint64(7), h.id)
		require.Equal(t, "\x00slow", string(body))
	})
}

func TestServerCancelsHandler(t *testing.T) {
	withServer(t, untilDone, func(t *testing.T, s *server, peer *script) {
		peer.send(request(1))
		peer.send(request(2))
		peer.send(frame{kind: kindCancel, id: 99}) // no such call
		peer.send(frame{kind: kindCancel, id: 2})
		h, body := peer.expect(kindResponse)
		require.Equal(t, uint64(2), h.id)
		require.Equal(t, "\x01\x00context canceled", string(body))
	})
}

func TestServerKeepsCallersDeadline(t *testing.T) {
	withServer(t, untilDone, func(t *testing.T, s *server, peer *script) {
		start := time.Now()
		f := request(1)
		f.timeout = 1_500_000 // microseconds
		peer.send(f)
		_, body := peer.expect(kindResponse)
		require.Equal(t, "\x01\x00context deadline exceeded", string(body))
		require.Equal(t, 1500*time.Millisecond, time.Since(start))
	})
}

func TestServerRefusesDuplicateID(t *testing.T) {
	withServer(t, untilDone, func(t *testing.T, s *server, peer *script) {
		peer.send(request(1))
		peer.send(request(1))
		peer.gone()
		synctest.Wait()
		require.Equal(t, uint64(1), s.stats.violations.Load())
	})
}

func TestServerTakesIDAgainAfterReply(t *testing.T) {
	withServer(t, echo, func(t *testing.T, s *server, peer *script) {
		for range 10 {
			peer.send(request(1))
			peer.expect(kindResponse)
		}
		require.Zero(t, s.stats.violations.Load())
	})
}

func TestServerRefusesMoreCallsThanAllowed(t *testing.T) {
	withServer(t, untilDone, func(t *testing.T, s *server, peer *script) {
		for id := range testLimits.calls + 1 {
			peer.send(request(uint64(id)))
		}
		peer.gone()
		synctest.Wait()
		require.Equal(t, uint64(1), s.stats.violations.Load())
	})
}

// So are more bytes of requests than allowed, however few calls they are; those that
// were answered do not count.
func TestServerRefusesMoreBytesThanAllowed(t *testing.T) {
	sized := func(id, n int) frame {
		return frame{kind: kindRequest, id: uint64(id), method: "m", payload: make([]byte, n)}
	}
	withServer(t, echo, func(t *testing.T, s *server, peer *script) {
		for id := range 10 {
			peer.send(sized(id, testLimits.message))
			peer.expect(kindResponse)
		}
		require.Zero(t, s.stats.violations.Load())
	})
	withServer(t, untilDone, func(t *testing.T, s *server, peer *script) {
		peer.send(sized(1, testLimits.message))
		peer.send(sized(2, testLimits.window-testLimits.message))
		synctest.Wait()
		require.Zero(t, s.stats.violations.Load())
		peer.send(sized(3, 1))
		peer.gone()
		synctest.Wait()
		require.Equal(t, uint64(1), s.stats.violations.Load())
	})
}

func TestServerRefusesWrongKind(t *testing.T) {
	for _, kind := range []kind{kindResponse, kindAway} {
		withServer(t, echo, func(t *testing.T, s *server, peer *script) {
			f := frame{kind: kind}
			peer.send(f)
			peer.gone()
			synctest.Wait()
			require.Equal(t, uint64(1), s.stats.violations.Load())
		})
	}
}

// What is malformed is a violation as soon as it can be told, whatever else it claims
// to be followed by.
func TestServerRefusesMalformedFrames(t *testing.T) {
	for name, b := range map[string]string{
		"4 GiB":           "\x01\x01\x80\x80\x80\x80\x10",
		"id too long":     "\x02\x81\x80\x00",
		"id without end":  "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"number too high": "\x01\x01\x03\x00\x80\x01",
		"name too long":   "\x01\x01\x04\x00\x00\x80\x02",
		"name cut":        "\x01\x01\x04\x00\x00\x02m",
		"empty request":   "\x01\x01\x00",
	} {
		t.Run(name, func(t *testing.T) {
			withServer(t, echo, func(t *testing.T, s *server, peer *script) {
				start := time.Now()
				_, err := peer.conn.Write([]byte(b))
				require.NoError(t, err)
				peer.gone()
				synctest.Wait()
				require.Equal(t, uint64(1), s.stats.violations.Load())
				require.Zero(t, time.Since(start), "at once")
			})
		})
	}
}

// A peer that sends nothing is given up after three intervals; one that pings is not.
func TestServerGivesUpSilentPeer(t *testing.T) {
	withServer(t, untilDone, func(t *testing.T, s *server, peer *script) {
		peer.send(request(1))
		for range 20 {
			time.Sleep(testLimits.ping)
			peer.send(frame{kind: kindPing})
			peer.expect(kindPong)
		}
		start := time.Now()
		peer.gone()
		require.LessOrEqual(t, time.Since(start), 3*testLimits.ping)
		require.Greater(t, time.Since(start), 2*testLimits.ping)
	})
}

// A frame that trickles in does not keep the connection alive, be it in its header.
func TestServerGivesUpSlowLoris(t *testing.T) {
	withServer(t, echo, func(t *testing.T, s *server, peer *script) {
		f := request(math.MaxUint64)
		start := time.Now()
		for _, b := range appendFrame(nil, &f) {
			if _, err := peer.conn.Write([]byte{b}); err != nil {
				break
			}
			time.Sleep(testLimits.ping / 2)
		}
		require.Less(t, time.Since(start), 4*testLimits.ping)
		peer.gone()
	})
}

// A peer that takes no replies is given up, and its handlers' replies with it.
func TestServerGivesUpPeerThatDoesNotRead(t *testing.T) {
	withServer(t, echo, func(t *testing.T, s *server, peer *script) {
		start := time.Now()
		peer.send(request(1))
		for {
			if _, err := peer.conn.Write(appendFrame(nil, &frame{kind: kindPing})); err != nil {
				break
			}
			time.Sleep(testLimits.ping)
		}
		require.LessOrEqual(t, time.Since(start), 5*testLimits.ping)
	})
}

func TestServerLeaves(t *testing.T) {
	hold := func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		time.Sleep(2 * time.Second)
		return []byte("done"), nil
	}
	withServer(t, hold, func(t *testing.T, s *server, peer *script) {
		peer.send(request(1))
		synctest.Wait()
		s.leave()
		peer.expect(kindAway)
		peer.send(request(2))
		h, body := peer.expect(kindResponse)
		require.Equal(t, uint64(2), h.id)
		require.Equal(t, []byte{statusAway}, body)
		h, body = peer.expect(kindResponse)
		require.Equal(t, uint64(1), h.id)
		require.Equal(t, "\x00done", string(body))
	})
}

// start makes a call and returns where its result comes.
func start(ctx context.Context, c *client) <-chan result {
	done := make(chan result, 1)
	go func() {
		resp, err := c.call(ctx, "m", []byte("x"))
		done <- result{resp, err}
	}()
	return done
}

// Replies are matched on the connection and the id; late, repeated and unknown ones
// are dropped and counted, and disturb nobody.
func TestTrap39_LateAndUnknownRepliesAreDroppedAndCounted(t *testing.T) {
	withClient(t, func(t *testing.T, c *client, peer *script) {
		ctx, cancel := context.WithCancel(t.Context())
		given := start(ctx, c)
		first, _ := peer.expect(kindRequest)
		cancel()
		require.Equal(t, context.Canceled, (<-given).err)
		told, _ := peer.expect(kindCancel)
		require.Equal(t, first.id, told.id)
		peer.send(frame{kind: kindResponse, id: first.id, payload: []byte("late")})
		peer.send(frame{kind: kindResponse, id: first.id, payload: []byte("late and twice")})
		peer.send(frame{kind: kindResponse, id: 1 << 60, payload: []byte("of another connection")})

		done := start(t.Context(), c)
		second, _ := peer.expect(kindRequest)
		require.NotEqual(t, first.id, second.id)
		peer.send(frame{kind: kindResponse, id: second.id, payload: []byte("mine")})
		peer.send(frame{kind: kindResponse, id: second.id, payload: []byte("twice")})
		require.Equal(t, result{[]byte("mine"), nil}, <-done)
		synctest.Wait()
		require.Equal(t, uint64(1), c.stats.late.Load())
		require.Equal(t, uint64(3), c.stats.unknown.Load())
	})
}

// A call that was given up keeps its place until the other side has answered: it may
// still be running there.
func TestClientCountsAbandonedCalls(t *testing.T) {
	withClient(t, func(t *testing.T, c *client, peer *script) {
		ctx, cancel := context.WithCancel(t.Context())
		var ids []uint64
		var given []<-chan result
		for range testLimits.calls {
			given = append(given, start(ctx, c))
			h, _ := peer.expect(kindRequest)
			ids = append(ids, h.id)
		}
		cancel()
		for _, g := range given {
			require.Equal(t, context.Canceled, (<-g).err)
			peer.expect(kindCancel)
		}
		short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		require.Equal(t, context.DeadlineExceeded, (<-start(short, c)).err)
		next := start(t.Context(), c)
		peer.send(frame{kind: kindResponse, id: ids[1]})
		h, _ := peer.expect(kindRequest)
		peer.send(frame{kind: kindResponse, id: h.id, payload: []byte("ok")})
		require.Equal(t, "ok", string((<-next).resp))
	})
}

// Requests that are more bytes together than the other side takes wait for their
// turn, however few they are.
func TestClientKeepsByteWindow(t *testing.T) {
	withClient(t, func(t *testing.T, c *client, peer *script) {
		call := func(ctx context.Context) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := c.call(ctx, "m", make([]byte, testLimits.message))
				done <- err
			}()
			return done
		}
		one, two := call(t.Context()), call(t.Context())
		first, _ := peer.expect(kindRequest)
		second, _ := peer.expect(kindRequest)
		short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		require.Equal(t, context.DeadlineExceeded, <-call(short))
		three := call(t.Context())
		synctest.Wait()
		peer.send(frame{kind: kindResponse, id: first.id})
		third, _ := peer.expect(kindRequest)
		peer.send(frame{kind: kindResponse, id: second.id})
		peer.send(frame{kind: kindResponse, id: third.id})
		for _, done := range []<-chan error{one, two, three} {
			require.NoError(t, <-done)
		}
		require.Equal(t, max(first.id, second.id)+1, third.id, "the call that was given up was never sent")
	})
}

// A peer that is frozen, connection and all, is given up after three intervals, and
// calls without a deadline fail.
func TestClientGivesUpFrozenPeer(t *testing.T) {
	withClient(t, func(t *testing.T, c *client, peer *script) {
		begin := time.Now()
		done := start(t.Context(), c)
		peer.expect(kindRequest)
		require.ErrorIs(t, (<-done).err, transport.ErrUnreachable)
		require.LessOrEqual(t, time.Since(begin), 4*testLimits.ping)
		require.False(t, c.usable())
		_, err := c.call(t.Context(), "m", nil)
		require.Equal(t, errStale, err)
	})
}

func TestClientStaysWithQuietPeer(t *testing.T) {
	withClient(t, func(t *testing.T, c *client, peer *script) {
		done := start(t.Context(), c)
		h, _ := peer.expect(kindRequest)
		for range 20 {
			peer.expect(kindPing)
			peer.send(frame{kind: kindPong})
		}
		peer.send(frame{kind: kindResponse, id: h.id, payload: []byte("slowly")})
		require.Equal(t, "slowly", string((<-done).resp))
	})
}

// When the peer is leaving, calls under way finish and new ones go elsewhere; when
// the last has finished, the connection is closed by this side.
func TestClientLeavesWhenAskedTo(t *testing.T) {
	withClient(t, func(t *testing.T, c *client, peer *script) {
		one, two := start(t.Context(), c), start(t.Context(), c)
		first, _ := peer.expect(kindRequest)
		second, _ := peer.expect(kindRequest)
		peer.send(frame{kind: kindAway})
		synctest.Wait()
		require.False(t, c.usable())
		require.Equal(t, errStale, (<-start(t.Context(), c)).err)
		peer.send(frame{kind: kindResponse, id: first.id, payload: []byte("1")})
		peer.send(frame{kind: kindResponse, id: second.id, status: statusAway})
		results := []result{<-one, <-two}
		require.Contains(t, results, result{[]byte("1"), nil})
		require.Contains(t, results, result{nil, errAway})
		peer.gone()
		require.NoError(t, c.failure())
	})
}

func TestClientRefusesMalformedReplies(t *testing.T) {
	for _, f := range []frame{
		{kind: kindResponse, id: 1, status: 77},
		{kind: kindResponse, id: 1, payload: make([]byte, testLimits.message+1)},
		{kind: kindRequest, id: 1},
		{kind: kindCancel, id: 1},
	} {
		withClient(t, func(t *testing.T, c *client, peer *script) {
			done := start(t.Context(), c)
			peer.expect(kindRequest)
			peer.conn.Write(appendFrame(nil, &f))
			require.ErrorIs(t, (<-done).err, transport.ErrUnreachable)
		})
	}
}

// A peer that answers what was not asked yet harms only itself.
func TestClientAnsweredBeforeAsked(t *testing.T) {
	withClient(t, func(t *testing.T, c *client, peer *script) {
		peer.send(frame{kind: kindResponse, id: 1})
		synctest.Wait()
		done := start(t.Context(), c)
		peer.expect(kindRequest)
		peer.send(frame{kind: kindResponse, id: 1, payload: []byte("ok")})
		require.Equal(t, "ok", string((<-done).resp))
		synctest.Wait()
		require.Equal(t, testLimits.calls, c.gate.calls)
	})
}

// A full queue does not hold up a caller whose context ends.
func TestContextEndsWhileQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		dead := make(chan struct{})
		w := newWriter(near, time.Hour, dead, new(sync.Mutex))
		go w.run(nil, nil)
		big := &frame{kind: kindRequest, payload: make([]byte, queueSize)}
		require.True(t, w.put(big, nil)) // being written
		synctest.Wait()
		require.True(t, w.put(big, nil)) // fills the queue
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, w.put(big, ctx.Done()))
		w.mu.Lock()
		w.force(&frame{kind: kindCancel})
		w.mu.Unlock()
		close(dead)
		require.False(t, w.put(big, nil))
		near.Close()
	})
}

// A lost connection answers every call once: those whose request waits, those that
// wait for a reply, and the one whose reply was being read.
func TestLostConnectionAnswersAllCalls(t *testing.T) {
	withClient(t, func(t *testing.T, c *client, peer *script) {
		first, second := start(t.Context(), c), start(t.Context(), c)
		h, _ := peer.expect(kindRequest)
		peer.expect(kindRequest)
		whole := appendFrame(nil, &frame{kind: kindResponse, id: h.id, payload: []byte("cut short")})
		_, err := peer.conn.Write(whole[:len(whole)-1])
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, c.pending.n) // the other reply is being read
		peer.conn.Close()
		for _, done := range []<-chan result{first, second} {
			require.ErrorIs(t, (<-done).err, transport.ErrUnreachable)
		}
		synctest.Wait()
		require.Zero(t, c.pending.n)
		require.False(t, c.usable())
	})
}
