package quorum

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type carryKey struct{}

// withName is a context with a name.
func withName(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, carryKey{}, name)
}

func carried(ctx context.Context) []string {
	names, _ := ctx.Value(carryKey{}).([]string)
	return names
}

// gathered is a Carry that has a message carry the names of its calls.
func gathered(ctx context.Context, calls []context.Context) context.Context {
	var names []string
	for _, call := range calls {
		name, _ := call.Value(carryKey{}).(string)
		names = append(names, name)
	}
	return context.WithValue(ctx, carryKey{}, names)
}

// watching is a Caller that keeps the values that it sees.
type watching struct {
	transport.Caller
	mu  sync.Mutex
	all map[transport.NodeID][][]string
}

func (s *watching) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	s.mu.Lock()
	if s.all == nil {
		s.all = make(map[transport.NodeID][][]string)
	}
	s.all[to] = append(s.all[to], carried(ctx))
	s.mu.Unlock()
	return s.Caller.Call(ctx, to, method, req)
}

// What a message carries is of the calls that have something in it, and of no others.
func TestMessagesCarryWhatTheirCallsDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		for _, id := range ids("b", "c") {
			f.delay[id] = time.Millisecond
		}
		s := &watching{Caller: f}
		c.Caller, c.Carry = s, gathered
		_, err := c.Write(withName(t.Context(), "alone"), "k", set(1), WriteOptions{Level: All})
		require.NoError(t, err)
		require.Equal(t, map[transport.NodeID][][]string{"b": {{"alone"}}, "c": {{"alone"}}}, s.all)

		s.all = nil
		var all sync.WaitGroup
		var names []string
		for i := range 100 {
			name := string(rune('A' + i))
			names = append(names, name)
			all.Go(func() {
				_, err := c.Write(withName(t.Context(), name), "k", set(byte(i+1)), WriteOptions{Level: All})
				assert.NoError(t, err)
			})
		}
		all.Wait()
		slices.Sort(names)
		for _, id := range ids("b", "c") {
			got := slices.Concat(s.all[id]...)
			slices.Sort(got)
			require.Equal(t, names, got, "each call in one message to each node")
			require.Less(t, len(s.all[id]), 50)
		}
	})
}

// What a call leaves behind carries its values still, but does not end with it.
func TestWhatIsCarriedDoesNotEndMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.delay["b"], f.delay["c"] = time.Millisecond, 300*time.Millisecond
		s := &watching{Caller: f}
		c.Caller, c.Carry = s, gathered
		ctx, cancel := context.WithCancel(withName(t.Context(), "w"))
		_, err := c.Write(ctx, "k", set(1), WriteOptions{Level: Majority})
		require.NoError(t, err)
		cancel()
		time.Sleep(time.Second)
		require.Equal(t, 3, f.holders("k", set(1)))
		require.Equal(t, [][]string{{"w"}}, s.all["c"])
	})
}

func TestNothingIsCarriedUnlessAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		s := &watching{Caller: f}
		c.Caller = s
		_, err := c.Write(withName(t.Context(), "w"), "k", set(1), WriteOptions{Level: All})
		require.NoError(t, err)
		require.Equal(t, map[transport.NodeID][][]string{"b": {nil}, "c": {nil}}, s.all)
	})
}
