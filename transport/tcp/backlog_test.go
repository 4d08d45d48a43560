package tcp

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

var narrow = limits{message: 64 << 10, calls: 1000, window: 256 << 10, ping: time.Second}

// While a peer reads nothing, what handlers have returned is bounded, and no more of
// them run; when it reads again it gets all its answers, of which some say that the
// response was dropped.
func TestServerBoundsResponsesThatWait(t *testing.T) {
	var running, ran atomic.Int32
	h := func(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		running.Add(1)
		if method == "wait" {
			time.Sleep(100 * time.Millisecond)
		}
		ran.Add(1)
		return make([]byte, narrow.message), nil
	}
	const most = 16*64<<10 + 2*waitingCost*1000
	withServerOf(t, narrow, h, func(t *testing.T, s *server, peer *script) {
		waiting := func() int {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			require.LessOrEqual(t, s.backlog.bytes, most)
			return s.backlog.bytes
		}
		for id := range 300 { // they all run at once, and return more than may wait
			peer.send(frame{kind: kindRequest, id: uint64(id), method: "wait"})
		}
		synctest.Wait()
		require.EqualValues(t, 300, running.Load())
		time.Sleep(100 * time.Millisecond)
		require.Greater(t, waiting(), most-2*narrow.message)
		require.EqualValues(t, 300, ran.Load())
		dropped := int(s.stats.dropped.Load())
		require.Greater(t, dropped, 100)
		for id := range 500 {
			peer.send(frame{kind: kindRequest, id: 1000 + uint64(id), method: "later"})
		}
		require.Greater(t, waiting(), most-2*narrow.message)
		require.EqualValues(t, 300, running.Load(), "held")
		failed := 0
		for range 800 {
			_, body := peer.expect(kindResponse)
			if body[0] == statusFailed {
				require.Contains(t, string(body), "dropped")
				failed++
			} else {
				require.Len(t, body, 1+narrow.message)
			}
		}
		require.Zero(t, waiting())
		require.EqualValues(t, 800, ran.Load())
		require.Equal(t, uint64(failed), s.stats.dropped.Load())
		require.Equal(t, dropped, failed, "those that were held cost nobody an answer")
	})
}

// Small responses count too, for the goroutines that wait with them.
func TestServerBoundsCallsThatWait(t *testing.T) {
	var ran atomic.Int32
	const size = 64
	own := limits{message: 1 << 10, calls: 50, window: 1 << 20, ping: time.Second}
	h := func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		ran.Add(1)
		return make([]byte, size), nil
	}
	withServerOf(t, own, h, func(t *testing.T, s *server, peer *script) {
		sent := uint64(0)
		for s.stats.violations.Load() == 0 && sent < 20_000 {
			if _, err := peer.conn.Write(appendFrame(nil, &frame{kind: kindRequest, id: sent, method: "m"})); err != nil {
				break
			}
			sent++
			synctest.Wait()
		}
		require.Equal(t, uint64(1), s.stats.violations.Load(), "more calls than allowed wait to be run")
		require.Less(t, ran.Load(), int32(queueSize/size+200), "what the writer takes, and a few")
	})
}

// Calls that are held when the connection is lost are never run.
func TestHeldCallsEndWithTheConnection(t *testing.T) {
	var ran atomic.Int32
	h := func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		ran.Add(1)
		return make([]byte, narrow.message), nil
	}
	withServerOf(t, narrow, h, func(t *testing.T, s *server, peer *script) {
		for id := range 500 {
			peer.send(frame{kind: kindRequest, id: uint64(id), method: "m"})
			synctest.Wait()
		}
		before := ran.Load()
		require.Less(t, before, int32(400))
		peer.conn.Close()
		<-s.dead
		synctest.Wait()
		require.Equal(t, before, ran.Load())
	})
}

// Requests count as long as their answers wait: a peer that never reads holds no more of
// them than it may send.
func TestServerBoundsRequestsBehindAnswersThatWait(t *testing.T) {
	own := limits{message: 1 << 20, calls: 1000, window: 4 << 20, ping: time.Second}
	h := func(_ context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		if method == "fill" {
			return make([]byte, queueSize), nil
		}
		return req[:1], nil
	}
	for name, ends := range map[string]bool{"waiting": false, "handler ends its goroutine": true} {
		t.Run(name, func(t *testing.T) {
			handle := h
			if ends {
				handle = func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
					if method == "m" {
						runtime.Goexit()
					}
					return h(ctx, from, method, req)
				}
			}
			withServerOf(t, own, handle, func(t *testing.T, s *server, peer *script) {
				before := memory()
				for id := range 3 { // one is being written, one is queued, one waits
					peer.send(frame{kind: kindRequest, id: uint64(id), method: "fill"})
					synctest.Wait()
				}
				sent := 0
				for ; sent < 100; sent++ {
					f := frame{kind: kindRequest, id: 100 + uint64(sent), method: "m", payload: make([]byte, own.message)}
					if _, err := peer.conn.Write(appendFrame(nil, &f)); err != nil {
						break
					}
					synctest.Wait()
				}
				grown := memory() - before
				require.Less(t, grown, own.window+8<<20, "%d requests in use", sent)
				require.Equal(t, uint64(1), s.stats.violations.Load())
				require.Equal(t, own.window/own.message, sent-1, "those that it may send, and the one too many")
			})
		})
	}
}

// A small request does not hold the bytes of a large one that came before.
func TestSmallRequestsHoldLittle(t *testing.T) {
	own := limits{message: 128 << 10, calls: 1000, window: 4<<20 + 1<<12, ping: time.Second}
	h := func(ctx context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		if method == "wait" {
			<-ctx.Done()
		}
		time.Sleep(time.Second) // all at once
		return nil, nil
	}
	const together = 32
	withServerOf(t, own, h, func(t *testing.T, _ *server, peer *script) {
		before := memory()
		id := uint64(0)
		for range 20 {
			for _, f := range []frame{{method: "large", payload: make([]byte, own.message)}, {method: "wait", payload: make([]byte, 2)}} {
				for range together {
					id++
					f.kind, f.id = kindRequest, id
					peer.send(f)
				}
				if f.method == "large" {
					for range together {
						peer.expect(kindResponse)
					}
				}
				synctest.Wait()
			}
		}
		require.Less(t, memory()-before, 2*own.window+8<<20)
	})
}

// A caller that keeps to what it was told is not taken for one that does not, however
// slowly it reads: what it knows to be answered is answered.
func TestSlowReaderBreaksNoBound(t *testing.T) {
	own := limits{message: 64 << 10, calls: 16, window: 256 << 10, ping: time.Second}
	there, back := link{rate: 100 << 20, buffer: 64 << 10}, link{rate: 2 << 20, buffer: 8 << 10}
	h := func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
		return make([]byte, 64<<10-len(req)%1000), nil
	}
	overLinks(t, there, back, own, own, h, func(t *testing.T, c *client, s *server) {
		var group sync.WaitGroup
		for i := range 64 {
			group.Go(func() {
				for range 4 {
					_, err := c.call(t.Context(), "m", make([]byte, 1000*i+i))
					require.NoError(t, err)
				}
			})
		}
		group.Wait()
		require.Zero(t, s.stats.violations.Load())
		require.Zero(t, s.stats.dropped.Load())
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		require.Zero(t, s.backlog.bytes)
		require.Equal(t, own.calls, s.gate.calls)
		require.Equal(t, own.window, s.gate.bytes)
	})
}
