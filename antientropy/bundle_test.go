package antientropy

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/stretchr/testify/require"
)

// Bundles are stores of sets whose delta may be of several keys, under the name of the first of them. What
// is new of it may lack that one. Nothing here knows.
type bundles struct{ *sets }

const bundleMark = 0xb0 // no small number begins like this

func bundled(all ...*entry) []byte {
	b := []byte{bundleMark}
	for _, e := range all {
		b = append(append(b, byte(len(e.key))), e.key...)
		b = append(append(b, byte(len(e.state))), e.state...)
	}
	return b
}

func unbundled(b []byte) (all []*entry) {
	cut := func() (part []byte) {
		n := int(b[0])
		part, b = b[1:1+n], b[1+n:]
		return part
	}
	for b = b[1:]; len(b) > 0; {
		key := string(cut())
		all = append(all, &entry{key, cut()})
	}
	return all
}

func (s *bundles) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	if len(state) == 0 || state[0] != bundleMark {
		return s.sets.Merge(ctx, key, state)
	}
	var novel []*entry
	for _, e := range unbundled(state) { // all or nothing is refused
		if s.refuse != nil && s.refuse(e.key) != nil {
			return nil, errRefused
		}
	}
	for _, e := range unbundled(state) {
		n, err := s.sets.Merge(ctx, e.key, e.state)
		if err != nil {
			return nil, err
		}
		if len(n) > 0 {
			novel = append(novel, &entry{e.key, n})
		}
	}
	if len(novel) == 0 {
		return nil, nil
	}
	return bundled(novel...), nil
}

// write is a local update of several keys, each by one element.
func (s *bundles) write(element uint64, keys ...string) (key string, delta []byte) {
	var all []*entry
	for _, k := range keys {
		s.mu.Lock()
		s.join(k, []uint64{element})
		s.mu.Unlock()
		all = append(all, &entry{k, encodeSet(element)})
	}
	return keys[0], bundled(all...)
}

// A round that meets a bundle under way leaves its first key to it, for one exchange at most, and sends
// the others, which the bundle brings once more.
func TestARoundBesideABundle(t *testing.T) {
	a, b := &bundles{newSets()}, &bundles{newSets()}
	share(a.sets, b.sets)
	var out Outbox
	out.Open("b")
	key, delta := a.write(7, "k", "l", "m")
	_, err := out.Put(key, delta, "")
	require.NoError(t, err)
	inFlight := func(key string) bool { return out.Holds("b", key) }
	round := NewRound(a, RoundConfig{InFlight: inFlight})
	x := run(t, round, &Responder{Store: b}, 1<<20)
	require.Equal(t, []int{1, 2}, []int{x.Deferred, x.KeysSent})
	require.Empty(t, b.get("k"))
	require.NotEmpty(t, b.get("l"))

	var learned []string
	s := &Responder{Store: b, Learned: func(_ transport.NodeID, key string, novel []byte) {
		learned = append(learned, key)
		require.Equal(t, bundled(&entry{"k", encodeSet(7)}), novel)
	}}
	batch, _ := out.Batch("b")
	_, err = s.ServeCall(t.Context(), "a", batch.Method, batch.Request)
	require.NoError(t, err)
	require.Equal(t, []string{"k"}, learned)
	require.Equal(t, a.root(), b.root())

	a.write(8, "k", "l") // and if the bundle never comes, the next round insists
	x = run(t, NewRound(a, RoundConfig{InFlight: inFlight, Insist: round.Deferred()}), &Responder{Store: b}, 1<<20)
	require.Zero(t, x.Deferred)
	require.Equal(t, a.root(), b.root())
}

// A bundle that a peer refuses is told by its first key; a round brings what was not refused.
func TestABundleThatIsRefused(t *testing.T) {
	a, b := &bundles{newSets()}, &bundles{newSets()}
	share(a.sets, b.sets)
	b.refuse = func(key string) error {
		if key == "l" {
			return errRefused
		}
		return nil
	}
	var out Outbox
	out.Open("b")
	key, delta := a.write(7, "k", "l", "m")
	_, err := out.Put(key, delta, "")
	require.NoError(t, err)
	batch, _ := out.Batch("b")
	resp, err := (&Responder{Store: b}).ServeCall(t.Context(), "a", batch.Method, batch.Request)
	require.NoError(t, err)
	told, err := out.Acked("b", batch.ID, resp)
	require.NoError(t, err)
	require.Equal(t, []Refused{{"b", "k", &RefusedError{Reason: errRefused.Error()}}}, told)
	x := run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
	require.Equal(t, 1, x.KeysRefused)
	require.NotEmpty(t, b.get("k"))
	require.NotEmpty(t, b.get("m"))
	require.Empty(t, b.get("l"))
}

// Loops hand on bundles, and what is new of them, by deltas alone; what does not fit into a message a
// reconciliation brings key by key.
func TestLoopsHandOnBundles(t *testing.T) {
	kinds(t, func(t *testing.T, kind Propagation) {
		bubble(t, func(t *testing.T) {
			c := startCluster(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond, Jitter: 3 * time.Millisecond}}, func(l *Loop) {
				l.Interval, l.Propagation, l.MaxMessage = 10*time.Second, kind, small
				l.Store = &bundles{l.Store.(*sets)}
			}, "a", "b", "c", "d")
			time.Sleep(time.Second)
			before := c.count(func(x Exchange) bool { return x.Strategy != Deltas && x.KeysSent+x.KeysReceived > 0 })
			for i := range 200 {
				id := c.ids[i%4]
				var keys []string
				for j := range 1 + i%5 {
					keys = append(keys, fmt.Sprint("k", (i+j)%30))
				}
				s := c.loops[id].Store.(*bundles)
				key, delta := s.write(uint64(i%60), keys...)
				require.NoError(t, c.loops[id].Push(t.Context(), key, delta))
				time.Sleep(2 * time.Millisecond)
			}
			require.Less(t, c.untilAgreed(time.Second), 200*time.Millisecond)
			require.Equal(t, before, c.count(func(x Exchange) bool { return x.Strategy != Deltas && x.KeysSent+x.KeysReceived > 0 }))

			var keys []string
			for i := range 200 {
				keys = append(keys, fmt.Sprint("many ", i))
			}
			key, delta := c.loops["a"].Store.(*bundles).write(1, keys...)
			_, large := errors.AsType[*TooLargeError](c.loops["a"].Push(t.Context(), key, delta))
			require.True(t, large)
			c.untilAgreed(time.Minute)
		})
	})
}
