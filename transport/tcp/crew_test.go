package tcp

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/transport"
)

// As long as a call waits, somebody who is in no handler is on the way; at most one is;
// calls are taken in their order; and no more wait to be called than may.
func TestCrew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrew()
		var onTheWay, working int // goroutines
		var last, taken uint64
		hire := func(another bool) {
			if another {
				onTheWay++
			}
		}
		took := func(k *served) {
			if k == nil {
				if c.rest() {
					require.LessOrEqual(t, c.idle, maxIdle)
				}
				return
			}
			taken++
			require.Equal(t, taken, k.id)
			working++
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				last++
				hire(c.add(&served{id: last}))
			},
			"arrive": func(t *rapid.T) {
				if len(c.call) > 0 {
					<-c.call
					onTheWay++
				}
				if onTheWay == 0 {
					t.Skip()
				}
				onTheWay--
				k, another := c.arrive()
				hire(another)
				took(k)
			},
			"next": func(t *rapid.T) {
				if working == 0 {
					t.Skip()
				}
				working--
				took(c.next())
			},
			"": func(t *rapid.T) {
				coming := onTheWay + len(c.call)
				require.LessOrEqual(t, coming, 1)
				require.Len(t, c.list[c.first:], int(last-taken))
				if last > taken {
					require.Equal(t, 1, coming)
				}
				require.LessOrEqual(t, c.first, len(c.list)/2)
			},
		})
	})
}

// Handlers that wait for each other all run, and a handler that ends its goroutine
// takes no other call along.
func TestHandlersRunAtOnce(t *testing.T) {
	const many = 3 * maxIdle
	limits := limits{message: 1 << 10, calls: many, window: 1 << 20, ping: testLimits.ping}
	var begun sync.WaitGroup
	h := func(_ context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		if begun.Done(); method == "exit" {
			runtime.Goexit()
		}
		begun.Wait()
		return req, nil
	}
	withServerOf(t, limits, h, func(t *testing.T, s *server, peer *script) {
		for round := range 3 {
			begun.Add(many)
			for i := range many {
				peer.send(frame{kind: kindRequest, id: uint64(round*many + i), method: []string{"echo", "exit"}[i%2], payload: fmt.Append(nil, i)})
			}
			for range many {
				_, body := peer.expect(kindResponse)
				require.Contains(t, []byte{statusOK, statusFailed}, body[0])
			}
		}
		synctest.Wait()
		require.LessOrEqual(t, s.crew.idle, maxIdle)
		require.Zero(t, s.calls.n)
	})
}

// What was not run when the connection is lost never is.
func TestNothingRunsOnALostConnection(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	s := newServer(near, "a", testLimits, testLimits, transport.HandlerFunc(echo), new(counters))
	s.crew.came = false // somebody is on the way, and never comes
	for id := range uint64(testLimits.calls) {
		ok, err := s.enter(&served{server: s, id: id, ctx: new(callContext)})
		require.NoError(t, err)
		require.True(t, ok)
	}
	s.fail()
	require.Zero(t, s.calls.n)
	require.Nil(t, s.arrive())
	_, err := s.enter(&served{server: s, id: 11, ctx: new(callContext)})
	require.ErrorIs(t, err, errGone)
	s.running.Wait()
}
