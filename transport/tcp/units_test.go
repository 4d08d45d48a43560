package tcp

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCallContextEndsAtDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := &callContext{deadline: start.Add(time.Minute)}
		require.NoError(t, c.Err())
		derived, cancel := context.WithTimeout(c, time.Hour)
		defer cancel()
		<-derived.Done()
		require.Equal(t, time.Minute, time.Since(start))
		require.Equal(t, context.DeadlineExceeded, derived.Err())
		<-c.Done()
		require.Equal(t, context.DeadlineExceeded, c.Err())
		require.Equal(t, context.DeadlineExceeded, context.Cause(c))
	})
}

// Without anybody waiting there is no timer, and Err knows nevertheless.
func TestCallContextErrWithoutTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &callContext{deadline: time.Now().Add(time.Minute)}
		time.Sleep(time.Minute)
		require.Nil(t, c.timer)
		require.Equal(t, context.DeadlineExceeded, c.Err())
		c.end(context.Canceled)
		require.Equal(t, context.DeadlineExceeded, c.Err())
	})
}

func TestCallContextCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(callContext)
		early, late := c.Done(), make(chan string, 4)
		stop := c.AfterFunc(func() { late <- "stopped" })
		c.AfterFunc(func() { late <- "ran" })
		require.True(t, stop())
		require.False(t, stop())
		derived, cancel := context.WithCancel(c)
		defer cancel()
		c.end(context.Canceled)
		<-early
		<-derived.Done()
		synctest.Wait()
		require.Equal(t, "ran", <-late)
		require.Empty(t, late)
		require.False(t, c.AfterFunc(func() { late <- "after" })())
		require.Equal(t, "after", <-late)
		_, ok := c.Deadline()
		require.False(t, ok)
		require.Nil(t, c.Value("anything"))
	})
}

// The gate is checked against a model: what is inside never passes the bounds, and
// nobody waits who could come in.
func TestGate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxCalls, maxBytes := rapid.IntRange(1, 4).Draw(t, "calls"), 10
		g := gate{calls: maxCalls, bytes: maxBytes}
		var inside []int
		var waiting []*ticket
		settle := func() { // take in those who were admitted, in order
			for len(waiting) > 0 && isClosed(waiting[0].ready) {
				inside = append(inside, waiting[0].bytes)
				waiting = waiting[1:]
			}
		}
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 2).Draw(t, "op"); {
			case op == 0:
				n := rapid.IntRange(0, maxBytes).Draw(t, "bytes")
				if w := g.enter(n); w != nil {
					waiting = append(waiting, w)
				} else {
					inside = append(inside, n)
				}
			case op == 1 && len(inside) > 0:
				g.leave(inside[0])
				inside = inside[1:]
			case op == 2 && len(waiting) > 0:
				i := rapid.IntRange(0, len(waiting)-1).Draw(t, "who")
				g.abandon(waiting[i])
				waiting = append(waiting[:i:i], waiting[i+1:]...)
			}
			settle()
			sum := 0
			for _, n := range inside {
				sum += n
			}
			require.Equal(t, maxCalls-len(inside), g.calls)
			require.Equal(t, maxBytes-sum, g.bytes)
			require.GreaterOrEqual(t, g.calls, 0)
			require.GreaterOrEqual(t, g.bytes, 0)
			require.Len(t, g.waiting, len(waiting))
			if len(waiting) > 0 {
				require.False(t, g.fits(waiting[0].bytes), "the first in line could come in")
			}
		}
	})
}

// A ticket that was admitted while it was being given back leaves no trace.
func TestGateAbandonAdmitted(t *testing.T) {
	g := gate{calls: 1, bytes: 10}
	require.Nil(t, g.enter(5))
	w := g.enter(10)
	g.leave(5)
	require.True(t, isClosed(w.ready))
	g.abandon(w)
	require.Nil(t, g.enter(10))
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// One large message does not pin its memory for as long as the connection lasts.
func TestWriterKeepsNoLargeBuffer(t *testing.T) {
	w := newWriter(nil, time.Second, nil, new(sync.Mutex))
	w.take(make([]byte, 0, keepSize))
	require.Equal(t, keepSize, cap(w.queue))
	w.take(make([]byte, 0, keepSize+1))
	require.Zero(t, cap(w.queue))
}

// However many pings arrive while nothing can be written, there is one pong.
func TestWriterQueuesOnePong(t *testing.T) {
	w := newWriter(nil, time.Second, nil, new(sync.Mutex))
	for range 2 {
		for range 100 {
			w.pong()
		}
		queue, _ := w.take(nil)
		require.Equal(t, appendFrame(nil, &frame{kind: kindPong}), queue)
	}
}

func TestBackoff(t *testing.T) {
	now := time.Unix(0, 0)
	var b backoff
	require.Zero(t, b.wait(now))
	for i := range 100 {
		b.failed(now, time.Second)
		whole := min(time.Second, firstBackoff<<min(i, 10))
		require.GreaterOrEqual(t, b.wait(now), whole/2)
		require.LessOrEqual(t, b.wait(now), whole)
		now = now.Add(b.wait(now))
		require.Zero(t, b.wait(now))
	}
}

func TestDefaultsAndBounds(t *testing.T) {
	require.Equal(t, limits{message: 4 << 20, calls: 1024, window: 16 << 20, ping: 2 * time.Second}, new(Transport).limits())
	low := &Transport{MaxFrame: -1, MaxCalls: -1, KeepAlive: -1, MaxConns: -1, MaxBackoff: -1, IdleTimeout: -1, Drain: -1, HandshakeTimeout: -1}
	require.Equal(t, limits{message: minMessage, calls: 1024, window: 4 * minMessage, ping: 10 * time.Millisecond}, low.limits())
	require.Equal(t, 1024, low.maxConns())
	require.Equal(t, time.Second, low.maxBackoff())
	require.Equal(t, time.Second, low.drain())
	require.Equal(t, 5*time.Minute, low.idleTimeout())
	require.Equal(t, 3*time.Second, low.handshakeTimeout())
	high := &Transport{MaxFrame: maxMessage + 1, KeepAlive: 24 * time.Hour}
	require.Equal(t, limits{message: maxMessage, calls: 1024, window: maxMessage, ping: maxInterval}, high.limits())
	require.Equal(t, time.Second, pingEvery(time.Second, 0))
	require.Equal(t, 10*time.Millisecond, pingEvery(time.Second, time.Microsecond))
	require.Equal(t, time.Second, pingEvery(time.Second, time.Minute))
}
