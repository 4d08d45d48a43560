package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// sets is a Replica of sets of numbers that is safe for concurrent use.
type sets struct {
	mu sync.Mutex
	replica
}

func (s *sets) Load(ctx context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replica.Load(ctx, key)
}

func (s *sets) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replica.Merge(ctx, key, state)
}

// forget is what a disk does that is lost.
func (s *sets) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.replica)
}

// Several goroutines use one session, by several coordinators and at level One, while messages are
// lost: each finds what it has written before, and in the end all is there.
func TestSessionIsSafeForConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &leaky{random: rand.New(rand.NewPCG(5, 5)), handlers: map[nodeID]transport.Handler{}}
		ring := quorum.Everywhere{"a", "b", "c"}
		var all []*quorum.Coordinator
		for _, id := range ring {
			c := &quorum.Coordinator{Self: id, Local: &sets{replica: replica{}}, Ring: ring, Caller: net, Join: union}
			all, net.handlers[id] = append(all, c), c.Handler()
		}
		s := &Session{Quorum: rotating(all), Max: 3}
		var wrote [6]map[string][]byte
		var wg sync.WaitGroup
		for k := range wrote {
			wrote[k] = map[string][]byte{}
			wg.Go(func() { work(t, s, byte(k), wrote[k]) })
		}
		wg.Wait()
		for _, by := range wrote {
			for key, state := range by {
				mustContain(t, s, key, state)
			}
		}
		time.Sleep(time.Minute) // of the bubble: what calls left behind ends
	})
}

// work writes and reads keys that others use, too, and notes what was acknowledged.
func work(t *testing.T, s *Session, by byte, wrote map[string][]byte) {
	for i := range byte(20) {
		key := fmt.Sprint((by + i) % 5)
		if _, err := s.Write(t.Context(), key, []byte{by*20 + i}, writes(quorum.One)); err == nil {
			wrote[key], _ = union(wrote[key], []byte{by*20 + i})
		}
		if res, err := s.Read(t.Context(), key, one); err == nil && !contains(res.State, wrote[key]) {
			t.Errorf("read %v after %v", res.State, wrote[key])
		}
	}
}

func mustContain(t *testing.T, s *Session, key string, state []byte) {
	for range 100 {
		if res, err := s.Read(t.Context(), key, one); err == nil {
			require.True(t, contains(res.State, state), "%v after %v", res.State, state)
			return
		}
	}
	t.Error("never answered")
}

// rotating asks some coordinator, as it comes.
type rotating []*quorum.Coordinator

func (r rotating) Read(ctx context.Context, key string, o quorum.ReadOptions) (quorum.ReadResult, error) {
	return r[rand.IntN(len(r))].Read(ctx, key, o)
}

func (r rotating) Write(ctx context.Context, key string, delta []byte, o quorum.WriteOptions) (quorum.WriteResult, error) {
	return r[rand.IntN(len(r))].Write(ctx, key, delta, o)
}
