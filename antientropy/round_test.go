package antientropy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

const small = 1024 // bytes of the smallest MaxMessage

// scatter fills two stores with keys both have, keys one has, and keys in two
// states, and returns how many of them differ.
func scatter(r *rand.Rand, a, b *sets, keys int) (different int) {
	for i := range keys {
		key := fmt.Sprintf("key/%d/%d", i, r.Uint32())
		v := r.Uint64N(1000)
		switch r.IntN(6) {
		case 0:
			a.add(key, v)
			different++
		case 1:
			b.add(key, v)
			different++
		case 2:
			a.add(key, v, v+1)
			b.add(key, v, v+2+r.Uint64N(40))
			different++
		default:
			a.add(key, v)
			b.add(key, v)
		}
	}
	return different
}

func TestRoundEqualsTheNaiveUnion(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		a, b, want := newSets(), newSets(), newSets()
		different := scatter(r, a, b, r.IntN(400))
		limit := []int{small, 3000, 1 << 20}[r.IntN(3)]
		for _, s := range []*sets{a, b} {
			for key, elements := range s.content() {
				want.add(key, elements...)
			}
		}
		var learned int
		round := NewRound(a, RoundConfig{MaxMessage: limit, Learned: func(string, []byte) { learned++ }})
		x := run(t, round, &Responder{Store: b, MaxMessage: limit}, limit)
		require.Equal(t, want.content(), a.content(), "seed %d", seed)
		require.Equal(t, want.content(), b.content(), "seed %d", seed)
		require.Equal(t, a.root(), b.root())
		require.Equal(t, different, x.Different, "seed %d", seed)
		require.Equal(t, x.KeysNovel, learned)
		require.Zero(t, x.KeysRefused)
	}
}

func TestRoundOfEqualStoresSendsNothing(t *testing.T) {
	a, b := newSets(), newSets()
	for i := range 1000 {
		a.add(fmt.Sprint(i), 1)
		b.add(fmt.Sprint(i), 1)
	}
	x := run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
	require.Equal(t, 1, x.RoundTrips)
	require.Less(t, x.BytesSent+x.BytesReceived, 200)
	require.Zero(t, a.loads+b.loads)
}

func TestRoundKeepsToItsRanges(t *testing.T) {
	a, b := newSets(), newSets()
	h := a.Index().Hasher()
	lower := merkle.Range{To: 1<<63 - 1}
	for i := range 200 {
		b.add(fmt.Sprint(i), 1)
	}
	run(t, NewRound(a, RoundConfig{Ranges: []merkle.Range{lower}}), &Responder{Store: b}, 1<<20)
	for key := range b.content() {
		require.Equal(t, lower.Contains(h.Position(key)), len(a.get(key)) > 0)
	}
}

func TestRoundNextRepeatsUntilStep(t *testing.T) {
	a, b := newSets(), newSets()
	scatter(rand.New(rand.NewPCG(1, 1)), a, b, 300)
	s, round := &Responder{Store: b, MaxMessage: small}, NewRound(a, RoundConfig{MaxMessage: small})
	for {
		method, req, more := round.Next()
		if !more {
			break
		}
		_, lost := s.ServeCall(t.Context(), "a", method, req) // its response is lost, and the call repeated
		require.NoError(t, lost)
		method2, req2, _ := round.Next()
		require.Equal(t, method, method2)
		require.Equal(t, req, req2)
		resp, err := s.ServeCall(t.Context(), "a", method2, req2)
		require.NoError(t, err)
		require.NoError(t, round.Step(t.Context(), resp))
	}
	require.Equal(t, a.root(), b.root())
}

func TestRoundIsDeterministic(t *testing.T) {
	trace := func() (all []byte) {
		a, b := newSets(), newSets()
		scatter(rand.New(rand.NewPCG(7, 7)), a, b, 500)
		s, round := &Responder{Store: b, MaxMessage: small}, NewRound(a, RoundConfig{MaxMessage: small})
		for {
			method, req, more := round.Next()
			if !more {
				return all
			}
			resp, err := s.ServeCall(t.Context(), "a", method, req)
			require.NoError(t, err)
			all = slices.Concat(all, []byte(method), req, resp)
			require.NoError(t, round.Step(t.Context(), resp))
		}
	}
	require.Equal(t, trace(), trace())
}

// A round cut short has claimed nothing about the keys it did not get to.
func TestTrap08_APartialAnswerNeverOverClaims(t *testing.T) {
	for stop := range 40 {
		a, b := newSets(), newSets()
		scatter(rand.New(rand.NewPCG(uint64(stop), 3)), a, b, 300)
		before, sent := a.content(), b.content()
		s, round := &Responder{Store: b, MaxMessage: small}, NewRound(a, RoundConfig{MaxMessage: small})
		for range stop {
			method, req, more := round.Next()
			if !more {
				break
			}
			resp, err := s.ServeCall(t.Context(), "a", method, req)
			require.NoError(t, err)
			require.NoError(t, round.Step(t.Context(), resp))
		}
		for key, had := range before {
			require.Subset(t, a.get(key), had, "lost")
		}
		for key, has := range a.content() {
			require.Subset(t, slices.Concat(before[key], sent[key]), has, "made up")
		}
		run(t, NewRound(a, RoundConfig{MaxMessage: small}), s, small)
		require.Equal(t, a.root(), b.root(), "the next round brings the rest")
	}
}

func TestTrap23_InFlightWritesAreNotDivergence(t *testing.T) {
	a, b := newSets(), newSets()
	for i := range 2000 {
		a.add(fmt.Sprint("k", i), 1)
		b.add(fmt.Sprint("k", i), 1)
	}
	different := 0
	for i := range 40 { // what is really missing
		a.add(fmt.Sprint("only a ", i), 1)
		b.add(fmt.Sprint("only b ", i), 1)
		different += 2
	}
	onTheWay := make(map[string]bool) // written at a, its delta not yet at b
	for i := range 100 {
		key := fmt.Sprint("k", i)
		a.add(key, 2)
		onTheWay[key] = true
	}
	for i := range 100 { // the same the other way
		b.add(fmt.Sprint("k", 500+i), 2)
	}
	s := &Responder{Store: b, InFlight: func(_ transport.NodeID, key string) bool {
		return len(a.get(key)) == 1 && len(b.get(key)) == 2
	}}
	round := NewRound(a, RoundConfig{InFlight: func(key string) bool { return onTheWay[key] }})
	written := 1000
	step := func() { // 20 keys written to between any two messages, the deltas of which arrive
		for range 20 {
			written++
			a.add(fmt.Sprint("k", written), 9)
			b.add(fmt.Sprint("k", written), 9)
		}
	}
	for {
		method, req, more := round.Next()
		if !more {
			break
		}
		step()
		resp, err := s.ServeCall(t.Context(), "a", method, req)
		require.NoError(t, err)
		step()
		require.NoError(t, round.Step(t.Context(), resp))
	}
	x := round.Result()
	require.Equal(t, different, x.KeysSent+x.KeysReceived, "row-exact while being written to")
	require.Equal(t, 200, x.Deferred)

	again := NewRound(a, RoundConfig{Insist: round.Deferred(), InFlight: func(key string) bool { return onTheWay[key] }})
	run(t, again, s, 1<<20)
	require.Equal(t, a.root(), b.root(), "nothing is left to deltas twice")
}

// A key that the peer is writing to while it answers is not sent back to it.
func TestTrap23_WrittenToWhileItIsRead(t *testing.T) {
	a, b := newSets(), newSets()
	b.add("hot", 1)
	n := uint64(1)
	b.onLoad = func(s *sets, key string) { n++; s.add(key, n) }
	round := NewRound(a, RoundConfig{})
	x := run(t, round, &Responder{Store: b}, 1<<20)
	require.Equal(t, 1, x.KeysReceived)
	require.Zero(t, x.KeysSent)
	require.Equal(t, 1, x.Deferred)

	a.add("hot", 1000) // and still what is only here gets there, though b never stops
	run(t, NewRound(a, RoundConfig{Insist: round.Deferred()}), &Responder{Store: b}, 1<<20)
	require.Contains(t, b.get("hot"), uint64(1000))
}

// Keys that only the peer has, and leaves to its deltas, are not forgotten: the
// next round insists on them.
func TestTrap23_UnderwayAtThePeerAlone(t *testing.T) {
	a, b := newSets(), newSets()
	for i := range 50 {
		b.add(fmt.Sprint("k", i), 1)
	}
	share(a, b)
	s := &Responder{Store: b, InFlight: func(transport.NodeID, string) bool { return true }}
	round := NewRound(a, RoundConfig{})
	x := run(t, round, s, 1<<20)
	require.Zero(t, x.KeysReceived)
	require.Equal(t, 50, x.Deferred)
	require.Len(t, round.Deferred(), 50)
	require.True(t, slices.IsSortedFunc(round.Deferred(), byPosition))

	x = run(t, NewRound(a, RoundConfig{Insist: round.Deferred()}), s, 1<<20)
	require.Equal(t, 50, x.KeysReceived)
	require.Equal(t, a.root(), b.root())
}

func TestTrap24_RowExact(t *testing.T) {
	for _, limit := range []int{small, 1 << 20} {
		a, b := newSets(), newSets()
		for i := range 20_000 {
			a.add(fmt.Sprint("k", i), 1)
			b.add(fmt.Sprint("k", i), 1)
		}
		for i := range 100 {
			a.add(fmt.Sprint("a", i), 1)
			b.add(fmt.Sprint("b", i), 1)
			a.add(fmt.Sprint("k", i), 2) // only here: b's state is asked for and mine sent
		}
		x := run(t, NewRound(a, RoundConfig{MaxMessage: limit}), &Responder{Store: b, MaxMessage: limit}, limit)
		require.Equal(t, 300, x.Different)
		require.Equal(t, 200, x.KeysSent, "what only a had, or had more of")
		require.Equal(t, 200, x.KeysReceived, "what only b had, and the 100 that differ")
		require.Equal(t, a.root(), b.root())
	}
}

func elements(n int) []uint64 {
	e := make([]uint64, n)
	for i := range e {
		e[i] = uint64(i)
	}
	return e
}

func TestTrap28_WhatIsTooLargeIsReportedAndTheRestGoesOn(t *testing.T) {
	a, b := newSets(), newSets()
	b.add("large at b", elements(200)...)
	a.add("large at a", elements(200)...)
	for i := range 100 {
		a.add(fmt.Sprint("a", i), 1)
		b.add(fmt.Sprint("b", i), 1)
	}
	var at, by refusals
	s := &Responder{Store: b, MaxMessage: small, Refused: by.add}
	x := run(t, NewRound(a, RoundConfig{Peer: "b", MaxMessage: small, Refused: at.add}), s, small)
	require.Equal(t, 2, x.KeysRefused)
	require.Len(t, at.all, 2)
	require.Len(t, by.all, 1, "told on both sides")
	for _, r := range at.all {
		large, ok := errors.AsType[*TooLargeError](r.Err)
		require.True(t, ok)
		require.Equal(t, 1600, large.Size)
		require.Equal(t, small, large.Max)
		require.Contains(t, []string{"large at a", "large at b"}, r.Key)
	}
	for i := range 100 {
		require.Len(t, a.get(fmt.Sprint("b", i)), 1)
		require.Len(t, b.get(fmt.Sprint("a", i)), 1)
	}
	run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
	require.Equal(t, a.root(), b.root(), "a larger limit brings them too")
}

func TestOneRefusedKeyDoesNotStopTheRest(t *testing.T) {
	a, b := newSets(), newSets()
	bad := func(key string) func(string) error {
		return func(k string) error {
			if k == key {
				return errRefused
			}
			return nil
		}
	}
	a.refuse, b.refuse = bad("b13"), bad("a13")
	a.broken, b.broken = bad("a14"), bad("b14")
	for i := range 100 {
		a.add(fmt.Sprint("a", i), 1)
		b.add(fmt.Sprint("b", i), 1)
	}
	var at refusals
	x := run(t, NewRound(a, RoundConfig{MaxMessage: small, Refused: at.add}), &Responder{Store: b, MaxMessage: small}, small)
	require.Equal(t, 4, x.KeysRefused)
	var keys []string
	for _, r := range at.all {
		keys = append(keys, r.Key)
	}
	slices.Sort(keys)
	require.Equal(t, []string{"a13", "a14", "b13", "b14"}, keys)
	require.Len(t, a.content(), 198)
	require.Len(t, b.content(), 198)
}

func TestRoundEndsWithItsContext(t *testing.T) {
	a, b := newSets(), newSets()
	scatter(rand.New(rand.NewPCG(1, 1)), a, b, 100)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, round := &Responder{Store: b}, NewRound(a, RoundConfig{})
	var err error
	for err == nil {
		method, req, more := round.Next()
		require.True(t, more)
		resp, failed := s.ServeCall(t.Context(), "a", method, req)
		require.NoError(t, failed)
		if method == methodPull {
			cancel()
		}
		err = round.Step(ctx, resp)
	}
	require.Equal(t, context.Canceled, err)
	_, _, more := round.Next()
	require.False(t, more)
}

func TestDifferentSecretsAreAnError(t *testing.T) {
	a, b := newSets(), newSets()
	b.index = merkle.New(merkle.NewHasher([]byte("another secret")))
	b.add("k", 1)
	err := tryRun(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
	_, incomparable := errors.AsType[*merkle.IncomparableError](err)
	require.True(t, incomparable, "%v", err)
}

func TestCorruptResponsesAreErrors(t *testing.T) {
	for _, method := range []string{methodReconcile, methodPull, methodPush} {
		a, b := newSets(), newSets()
		a.add("a", 1)
		b.add("b", 1)
		s, round := &Responder{Store: b}, NewRound(a, RoundConfig{})
		for {
			m, req, more := round.Next()
			require.True(t, more, method)
			resp, err := s.ServeCall(t.Context(), "a", m, req)
			require.NoError(t, err)
			if m == method {
				err := round.Step(t.Context(), resp[:len(resp)-1])
				corrupt, ok := errors.AsType[*CorruptError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, method, corrupt.Method)
				break
			}
			require.NoError(t, round.Step(t.Context(), resp))
		}
	}
}
