package outage

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

var length = flag.Duration("length", time.Second, "how long each phase of the test takes")

const (
	clients = 16
	keys    = 1000
)

// Three members over TCP, N=3, R=W=2, with 16 clients: one is killed, then one is frozen.
// No read and no write fails, and what a member has missed it gets by hints, which are
// then gone. There is no anti-entropy here that could have brought it.
func TestKilledAndFrozenMembersAreNotNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts processes, and takes some seconds")
	}
	addrs, ln := addresses(t)
	a := newMember("a", addrs)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- a.run(ctx, ln) }()
	b := &process{t: t, name: "b", addrs: addrs}
	c := &process{t: t, name: "c", addrs: addrs}
	b.start()
	c.start()
	defer func() { b.kill(); c.kill() }()

	l := &load{member: a}
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() { l.client(ctx, i) })
	}
	before := l.phase("all are well")

	since := time.Now()
	c.kill()
	killed := l.phase("c was killed")
	assert.NotZero(t, a.hints.Stats().Hints, "hints are kept for it")
	c.start()
	l.phase("c is back")
	l.holds(t, "c", since)

	since = time.Now()
	b.signal(syscall.SIGSTOP)
	frozen := l.phase("b is frozen")
	b.signal(syscall.SIGCONT)
	l.phase("b goes on")
	l.holds(t, "b", since)

	cancel()
	group.Wait()
	assert.NoError(t, <-served)
	assert.Zero(t, l.failed.Load(), "%v", l.failure.Load())
	t.Logf("p99 beside that of before: %.1f where one was killed, %.1f where one was frozen",
		ratio(killed, before), ratio(frozen, before))
	t.Logf("kept %d hints, replayed %d", a.hints.Stats().Kept, a.hints.Stats().Replayed)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// addresses finds a place for each member, and listens at that of "a".
func addresses(t *testing.T) (addrs map[transport.NodeID]string, own net.Listener) {
	addrs = make(map[transport.NodeID]string)
	for _, name := range names {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addrs[name] = ln.Addr().String()
		if name == "a" {
			own = ln
		} else {
			require.NoError(t, ln.Close())
		}
	}
	return addrs, own
}

// A load is what the clients do, and what comes of it.
type load struct {
	member  *member
	failed  atomic.Int64
	failure atomic.Value // one of the errors
	written [keys]atomic.Int64

	pause sync.RWMutex // held by a client for one call, and by who looks while nothing is written

	mu    sync.Mutex
	times []time.Duration // of this phase
}

// client reads and writes by turns until ctx ends.
func (l *load) client(ctx context.Context, id int) {
	random := rand.New(rand.NewPCG(uint64(id), 1))
	for n := 0; ctx.Err() == nil; n++ {
		l.pause.RLock()
		k := random.IntN(keys)
		key, start := fmt.Sprint("key-", k), time.Now()
		var err error
		if n%2 == 0 {
			value := fmt.Sprintf("%s %d of %d %s", key, n, id, strings.Repeat("x", 80))
			if err = l.member.put(ctx, key, value); err == nil {
				l.written[k].Store(time.Now().UnixNano())
			}
		} else {
			var value string
			if value, err = l.member.get(ctx, key); err == nil && value != "" && !strings.HasPrefix(value, key+" ") {
				err = errors.New("somebody else's value: " + value)
			}
		}
		took := time.Since(start)
		l.pause.RUnlock()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.failed.Add(1)
			l.failure.Store(err)
		}
		l.mu.Lock()
		l.times = append(l.times, took)
		l.mu.Unlock()
	}
}

// phase lets some time pass, and returns the 99th percentile of what was done in it.
func (l *load) phase(what string) time.Duration {
	l.mu.Lock()
	l.times = l.times[:0]
	l.mu.Unlock()
	time.Sleep(*length)
	l.mu.Lock()
	all := slices.Clone(l.times)
	l.mu.Unlock()
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))] }
	fmt.Printf("%-14s %7d calls, %6.0f a second, p50 %v, p99 %v, p99.9 %v, longest %v\n", what, len(all),
		float64(len(all))/length.Seconds(), at(0.5), at(0.99), at(0.999), all[len(all)-1])
	return at(0.99)
}

// eventually asks until it is true.
func eventually(ok func() bool) bool {
	for range 1000 {
		if ok() {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// holds checks that no hint is left, and that a member has what was written to each key
// last, of those written to since a moment.
func (l *load) holds(t *testing.T, name transport.NodeID, since time.Time) {
	alone := &quorum.Coordinator{
		Self: "z", Ring: quorum.Everywhere{name}, Caller: l.member.net, Join: l.member.store.Join,
	}
	l.pause.Lock()
	defer l.pause.Unlock()
	require.True(t, eventually(func() bool { return l.member.hints.Stats().Hints == 0 }), "hints are left: %+v", l.member.hints.Stats())
	missed := 0
	for k := range keys {
		if l.written[k].Load() < since.UnixNano() {
			continue
		}
		missed++
		key := fmt.Sprint("key-", k)
		own, err := l.member.store.Load(t.Context(), key)
		require.NoError(t, err)
		has := func() bool { // what was written last may still be under way
			res, err := alone.Read(t.Context(), key, quorum.ReadOptions{Level: quorum.One})
			return err == nil && bytes.Equal(own, res.State)
		}
		require.True(t, eventually(has), "%s lacks some of %s", name, key)
	}
	assert.NotZero(t, missed)
	t.Logf("%s has all of the %d keys that were written to while it was away", name, missed)
}
