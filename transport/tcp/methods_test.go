package tcp

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/transport"
)

// Whatever methods are called in whatever order, both sides mean the same by the
// numbers, and a method is named once while there are numbers left.
func TestNumbersMeanTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWriter(nil, time.Second, nil, new(sync.Mutex))
		var known names
		named := make(map[string]int)
		most := rapid.IntRange(1, 3*maxNumbered).Draw(t, "methods")
		for range rapid.IntRange(1, 1000).Draw(t, "calls") {
			method := fmt.Sprint("method ", rapid.IntRange(1, most).Draw(t, "method"))
			w.force(&frame{kind: kindRequest, method: method})
			queue, _ := w.take(nil)
			q := requestIn(t, queue)
			got, err := known.take(q)
			require.NoError(t, err)
			require.Equal(t, method, got)
			if q.number == 0 {
				named[method]++
			}
			if len(known) < maxNumbered {
				require.Equal(t, 1, named[method])
			}
		}
		require.Len(t, known, min(len(named), maxNumbered))
		require.Len(t, w.numbers, len(known))
	})
}

// requestIn parses one request frame.
func requestIn(t require.TestingT, b []byte) asked {
	r := reader(b, requestSlack+maxMessage)
	h, err := r.next()
	require.NoError(t, err)
	body, err := r.read(nil, h.size)
	require.NoError(t, err)
	q, err := parseRequest(body, maxMessage)
	require.NoError(t, err)
	return q
}

func method(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
	return []byte(method), nil
}

// A peer that names 10,000 methods fills no memory, and is served.
func TestServerTakesManyNames(t *testing.T) {
	withServer(t, method, func(t *testing.T, s *server, peer *script) {
		ask := func(f frame) string {
			f.kind, f.id = kindRequest, 1
			peer.send(f)
			_, body := peer.expect(kindResponse)
			return string(body[1:])
		}
		for i := range 10_000 {
			require.Equal(t, fmt.Sprint(i), ask(frame{method: fmt.Sprint(i)}))
		}
		for number := range maxNumbered {
			require.Equal(t, fmt.Sprint(number), ask(frame{number: uint64(number + 1)}))
		}
		require.Len(t, s.names, maxNumbered)
		peer.send(frame{kind: kindRequest, id: 1, number: maxNumbered + 1})
		peer.gone()
		synctest.Wait()
		require.Equal(t, uint64(1), s.stats.violations.Load())
	})
}

// A number that was given to no method yet is no method's, also if another connection
// has given it.
func TestServerRefusesNumberWithoutName(t *testing.T) {
	for _, named := range []int{2, 1, 0} {
		withServer(t, method, func(t *testing.T, s *server, peer *script) {
			for id := range named {
				peer.send(frame{kind: kindRequest, id: uint64(id), method: fmt.Sprint(id)})
				peer.expect(kindResponse)
			}
			peer.send(frame{kind: kindRequest, id: 9, number: uint64(named + 1)})
			peer.gone()
			synctest.Wait()
			require.Equal(t, uint64(1), s.stats.violations.Load())
		})
	}
}

// A request that is refused has named its method.
func TestRefusedRequestNamesItsMethod(t *testing.T) {
	withServer(t, method, func(t *testing.T, s *server, peer *script) {
		s.leave()
		peer.expect(kindAway)
		for number, name := range []string{"late", ""} {
			peer.send(frame{kind: kindRequest, id: 1, number: uint64(number), method: name})
			_, body := peer.expect(kindResponse)
			require.Equal(t, []byte{statusAway}, body)
		}
		require.Zero(t, s.stats.violations.Load())
	})
}

// A request that is not sent takes no number: the next one names its method.
func TestUnsentRequestTakesNoNumber(t *testing.T) {
	w := newWriter(nil, time.Second, nil, new(sync.Mutex))
	given := make(chan struct{})
	close(given)
	require.True(t, w.put(&frame{kind: kindRequest, method: "large", payload: make([]byte, queueSize)}, nil))
	require.False(t, w.put(&frame{kind: kindRequest, method: "given up"}, given))
	w.take(nil)
	for _, next := range []struct {
		method string
		number int
	}{{"given up", 0}, {"given up", 2}, {"large", 1}} {
		require.True(t, w.put(&frame{kind: kindRequest, method: next.method}, nil))
		queue, _ := w.take(nil)
		require.Equal(t, next.number, requestIn(t, queue).number)
	}
}

// Calls of many methods at a time, some of them given up, reach the method they name.
func TestCallsReachTheirMethods(t *testing.T) {
	a, b := &Transport{Plain: true}, &Transport{Plain: true}
	node(t, a, b, transport.HandlerFunc(method))
	var group sync.WaitGroup
	for g := range 16 {
		group.Go(func() {
			for i := range 200 {
				name := fmt.Sprint((g*37 + i) % 200)
				ctx, cancel := context.WithCancel(t.Context())
				if i%5 == 0 {
					go cancel()
				}
				resp, err := a.Call(ctx, "b", name, make([]byte, i*i))
				if err == nil && name != string(resp) || err != nil && err != context.Canceled {
					t.Error(name, string(resp), err)
				}
				cancel()
			}
		})
	}
	group.Wait()
	require.Equal(t, uint64(1), a.Stats().Dialed)
	require.Zero(t, b.Stats().Violations)
}

// meter counts the bytes that a connection carries, both ways.
type meter struct {
	net.Conn
	bytes *atomic.Int64
}

func (m meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.bytes.Add(int64(n))
	return n, err
}

func (m meter) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.bytes.Add(int64(n))
	return n, err
}

// What calls cost on the wire beside the request and the response.
func TestCallIsCheap(t *testing.T) {
	const name = "antientropy/reconcile"
	for _, c := range []struct {
		what    string
		calls   uint64 // before
		size    int
		timeout time.Duration
		cost    int
	}{
		{what: "first of a method", size: 100, timeout: 5 * time.Second, cost: 12 + 1 + len(name)},
		{what: "small", calls: 2, size: 100, timeout: 5 * time.Second, cost: 12},
		{what: "without deadline", calls: 2, size: 100, cost: 9},
		{what: "typical at most", calls: 1<<14 - 2, size: 1<<14 - 7, timeout: 4 * time.Minute, cost: 16},
		{what: "a million calls later, a megabyte", calls: 1e6, size: 1 << 20, timeout: 4 * time.Minute, cost: 20},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				var bytes atomic.Int64
				client := newClient(meter{near, &bytes}, wide, wide, new(counters))
				server := newServer(far, "a", wide, wide, transport.HandlerFunc(echo), new(counters))
				var group sync.WaitGroup
				defer group.Wait()
				defer near.Close()
				group.Go(client.run)
				group.Go(server.run)
				call := func(method string, n int) int {
					ctx := t.Context()
					if c.timeout > 0 {
						d, cancel := context.WithTimeout(ctx, c.timeout)
						defer cancel()
						ctx = d
					}
					before := bytes.Load()
					_, err := client.call(ctx, method, make([]byte, n))
					require.NoError(t, err)
					synctest.Wait()
					return int(bytes.Load()-before) - 2*n
				}
				call("another", 0) // with which both sides say that they read
				if c.calls > 0 {
					call(name, 0)
					client.next = c.calls
				}
				require.Equal(t, c.cost, call(name, c.size))
			})
		})
	}
}
