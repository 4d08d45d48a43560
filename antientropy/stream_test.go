package antientropy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// full is a store of n keys of about a hundred bytes.
func full(n int) *sets {
	s := newSets()
	for i := range n {
		s.add(fmt.Sprint("key ", i), elements(12)...)
	}
	return s
}

func bytesOf(x Exchange) int { return x.BytesSent + x.BytesReceived }

// An empty store is sent all there is in few full messages, and nothing twice.
func TestAnEmptyStoreIsStreamedTo(t *testing.T) {
	const n = 20_000
	for _, limit := range []int{small, 1 << 16} {
		a, b := newSets(), full(n)
		x := run(t, NewRound(a, RoundConfig{MaxMessage: limit}), &Responder{Store: b, MaxMessage: limit}, limit)
		require.Equal(t, a.root(), b.root())
		require.Equal(t, FullState, x.Strategy)
		require.Equal(t, n, x.KeysReceived)
		require.Equal(t, n, x.KeysNovel)
		require.Zero(t, x.KeysSent+x.Different)
		content := n * (8*12 + len("key 12345"))
		t.Logf("messages of %d: %d bytes for %d of content, %d round trips", limit, bytesOf(x), content, x.RoundTrips)
		if limit == 1<<16 {
			require.Less(t, float64(bytesOf(x)), 1.05*float64(content))
			require.Less(t, x.RoundTrips, 2*content/limit)
		}
	}
}

// What the empty store's side has written meanwhile is sent back afterwards.
func TestAStreamIsFollowedByAComparison(t *testing.T) {
	a, b := newSets(), full(2000)
	round, s := NewRound(a, RoundConfig{MaxMessage: small}), &Responder{Store: b, MaxMessage: small}
	for i := 0; ; i++ {
		method, req, more := round.Next()
		if !more {
			break
		}
		if method == methodStream && i%10 == 0 {
			a.add(fmt.Sprint("a", i), 1)
			b.add(fmt.Sprint("b", i), 1)
		}
		resp, err := s.ServeCall(t.Context(), "a", method, req)
		require.NoError(t, err)
		require.NoError(t, round.Step(t.Context(), resp))
	}
	require.Equal(t, a.root(), b.root())
	require.Positive(t, round.Result().KeysSent)
}

// A store with next to nothing, of its own, is streamed to as well.
func TestAStoreWithNextToNothingIsStreamedTo(t *testing.T) {
	a, b := newSets(), full(5000)
	for i := range 20 {
		a.add(fmt.Sprint("own ", i), 1)
	}
	x := run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
	require.Equal(t, FullState, x.Strategy)
	require.Equal(t, a.root(), b.root())
	require.Equal(t, 20, x.KeysSent)
	require.Equal(t, 5000, x.KeysReceived)

	a, b = full(1000), full(2500)
	x = run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
	require.Equal(t, Reconciliation, x.Strategy, "it is not much less than the peer has")
	require.Equal(t, 1500, x.KeysReceived)
}

// interrupted runs a round until it has moved so many keys, and returns it.
func interrupted(t *testing.T, round *Round, s *Responder, keys int) *Round {
	for {
		method, req, more := round.Next()
		if !more || round.Result().KeysReceived+round.Result().KeysSent >= keys {
			return round
		}
		resp, err := s.ServeCall(t.Context(), "a", method, req)
		require.NoError(t, err)
		require.NoError(t, round.Step(t.Context(), resp))
	}
}

// An exchange that was interrupted half way goes on where it stopped: the second
// half costs little more than half of all.
func TestAnInterruptedExchangeResumes(t *testing.T) {
	const n, limit = 10_000, 1 << 14
	for name, c := range map[string]struct {
		a, b func() *sets
		keys int
	}{
		"full state": {newSets, func() *sets { return full(n) }, n},
		"reconciliation": {func() *sets { return full(n) }, func() *sets {
			s := full(n)
			for i := range n / 2 {
				s.add(fmt.Sprint("more ", i), elements(12)...)
			}
			return s
		}, n / 2},
		"sending": {func() *sets {
			s := full(n)
			for i := range n / 2 {
				s.add(fmt.Sprint("more ", i), elements(12)...)
			}
			return s
		}, func() *sets { return full(n) }, n / 2},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := c.a(), c.b()
			whole := bytesOf(run(t, NewRound(a, RoundConfig{MaxMessage: limit}), &Responder{Store: b, MaxMessage: limit}, limit))
			a, b = c.a(), c.b()
			s := &Responder{Store: b, MaxMessage: limit}
			first := interrupted(t, NewRound(a, RoundConfig{MaxMessage: limit}), s, c.keys/2)
			x := run(t, NewRound(a, RoundConfig{MaxMessage: limit, Resume: first.Resume()}), s, limit)
			require.Equal(t, a.root(), b.root())
			moved := x.KeysReceived + x.KeysSent + first.Result().KeysReceived + first.Result().KeysSent
			t.Logf("%d bytes in all at once; interrupted %d and %d, %.2f; %d keys of %d moved",
				whole, bytesOf(first.Result()), bytesOf(x), float64(bytesOf(x))/float64(whole), moved, c.keys)
			require.LessOrEqual(t, float64(bytesOf(x)), 0.6*float64(whole))
			require.LessOrEqual(t, float64(moved), 1.02*float64(c.keys))
		})
	}
}

// A cursor from long ago is no reason to have everything sent.
func TestAStoreThatWasFilledOtherwiseDoesNotResume(t *testing.T) {
	a, b := newSets(), full(2000)
	s := &Responder{Store: b, MaxMessage: small}
	first := interrupted(t, NewRound(a, RoundConfig{MaxMessage: small}), s, 10)
	for key, e := range b.content() {
		a.add(key, e...)
	}
	b.add("one", 1)
	x := run(t, NewRound(a, RoundConfig{MaxMessage: small, Resume: first.Resume()}), s, small)
	require.Equal(t, Reconciliation, x.Strategy)
	require.Equal(t, 1, x.KeysReceived)
}

func TestTrap28_AStreamTellsWhatIsTooLarge(t *testing.T) {
	a, b := newSets(), full(200)
	b.add("large", elements(200)...)
	b.broken = func(key string) error {
		if key == "key 7" {
			return errRefused
		}
		return nil
	}
	a.refuse = func(key string) error {
		if key == "key 8" {
			return errRefused
		}
		return nil
	}
	var at, by refusals
	x := run(t, NewRound(a, RoundConfig{MaxMessage: small, Refused: at.add}), &Responder{Store: b, MaxMessage: small, Refused: by.add}, small)
	require.Equal(t, 3, x.KeysRefused)
	require.Len(t, by.all, 2, "told on both sides")
	var keys []string
	for _, r := range at.all {
		keys = append(keys, r.Key)
	}
	require.ElementsMatch(t, []string{"large", "key 7", "key 8"}, keys)
	require.Len(t, a.content(), 198)
}

// A peer that does not come further is refused, so that no round is kept for ever.
func TestAStreamHasToComeFurther(t *testing.T) {
	for _, from := range []Cursor{{}, {at: 7}, {at: 7, skip: 3}} {
		_, err := decodeStreamed(encodeStreamed(&streamed{next: from, left: 1}), from)
		corrupt, ok := errors.AsType[*CorruptError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, methodStream, corrupt.Method)
		next := Cursor{at: from.at, skip: from.skip + 1}
		_, err = decodeStreamed(encodeStreamed(&streamed{next: next, left: 1}), from)
		require.NoError(t, err)
		got, err := decodeStreamed(encodeStreamed(&streamed{}), from)
		require.NoError(t, err)
		require.True(t, got.next.end)
	}
}

// However many peers an empty node starts with, it has all there is sent once. If
// one fails meanwhile the next goes on.
func TestAnEmptyNodeIsFilledOnce(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint("fails ", fails), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const n = 3000
				r := newRig(t, func(l *Loop) { l.MaxMessage = 1 << 14 }, "b", "c", "d")
				for _, id := range r.peers {
					r.there[id].Store = full(n)
				}
				streams := map[transport.NodeID]int{}
				r.fault = func(ctx context.Context, to transport.NodeID, method string, serve func() ([]byte, error)) ([]byte, error) {
					time.Sleep(10 * time.Millisecond)
					if method == methodStream {
						var fail bool
						r.set(func() {
							streams[to]++
							fail = fails && streams[to] > 5
						})
						if fail {
							return nil, transport.ErrUnreachable
						}
					}
					return serve()
				}
				r.run()
				again := fails
				for len(r.store.content()) < n {
					time.Sleep(10 * time.Millisecond)
					r.set(func() { fails = fails && len(streams) < 3 }) // the third one holds
				}
				time.Sleep(time.Minute)
				s := r.loop.Stats()
				require.Equal(t, again, len(streams) > 1)
				t.Log(s.KeysReceived, "keys received", streams, s.By[FullState])
				require.LessOrEqual(t, s.KeysReceived, uint64(n*105/100))
				require.Equal(t, s.Counts.BytesReceived, s.By[FullState].BytesReceived+s.By[Reconciliation].BytesReceived)
				require.Positive(t, s.By[FullState].KeysNovel)
				for _, id := range r.peers {
					r.agree(id, 0)
				}
				r.stop()
				require.True(t, slices.ContainsFunc(r.told, func(s string) bool { return strings.HasPrefix(s, "full state") }))
			})
		})
	}
}
