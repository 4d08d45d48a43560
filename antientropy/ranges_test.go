package antientropy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/merkle"
	"github.com/stretchr/testify/require"
)

// somewhere are a few ranges, in disorder, some of which meet or overlap, some empty.
func somewhere(r *rand.Rand) (ranges []merkle.Range) {
	for range 1 + r.IntN(12) {
		at := merkle.Range{From: merkle.Position(r.Uint64())}
		at.To = at.From + merkle.Position(r.Uint64()>>(2+r.IntN(8)))
		ranges = append(ranges, at)
		if r.IntN(3) == 0 && at.From <= at.To {
			ranges = append(ranges, merkle.Range{From: at.To + 1, To: at.To + 1<<58})
		}
	}
	return ranges
}

func inAny(ranges []merkle.Range, at merkle.Position) bool {
	return slices.ContainsFunc(ranges, func(r merkle.Range) bool { return r.Contains(at) })
}

func TestRangesAreWhatTheyWere(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		ranges := somewhere(r)
		all := joined(ranges)
		for i := range all {
			require.LessOrEqual(t, all[i].From, all[i].To)
			require.True(t, i == 0 || all[i-1].To+1 < all[i].From, "%v", all)
		}
		edge := merkle.Position(r.Uint64())
		rest := restOf(all, edge)
		for range 200 {
			at := merkle.Position(r.Uint64())
			if at%2 == 0 {
				any := ranges[r.IntN(len(ranges))]
				at = []merkle.Position{any.From - 1, any.From, any.To, any.To + 1}[r.IntN(4)]
			}
			require.Equal(t, inAny(ranges, at), contains(all, at), "%v in %v", at, ranges)
			require.Equal(t, contains(all, at) && at >= edge, contains(rest, at))
		}
	}
	require.Empty(t, joined(nil))
	require.Equal(t, []merkle.Range{merkle.Full}, joined([]merkle.Range{{From: 1 << 63, To: merkle.Full.To}, {To: 1<<63 - 1}}))
}

func TestAStreamOfRangesIsRefusedIfTheyDoNotAscend(t *testing.T) {
	good := &starting{limit: 1 << 20, from: Cursor{at: 5, skip: 1}, own: position{plain: true}, ranges: []merkle.Range{{From: 5, To: 7}, {From: 9, To: 9}}}
	got, err := decodeStream(encodeStream(good))
	require.NoError(t, err)
	require.Equal(t, good, got)
	for _, bad := range [][]merkle.Range{{{From: 2, To: 1}}, {{From: 1, To: 3}, {From: 3, To: 4}}, {{From: 5, To: 6}, {From: 1, To: 2}}} {
		_, err := decodeStream(encodeStream(&starting{ranges: bad}))
		_, corrupt := errors.AsType[*CorruptError](err)
		require.True(t, corrupt, "%v", bad)
	}
}

// What was written once is read for ever.
func TestGoldenStream(t *testing.T) {
	for golden, want := range map[string]*starting{
		"9502cd10000702c0": {limit: 4096, from: Cursor{at: 7, skip: 2}, own: position{plain: true}},
		"9602cd10000702c0c420000000000000000700000000000000ff10000000000000001fffffffffffffff": {
			limit: 4096, from: Cursor{at: 7, skip: 2}, own: position{plain: true},
			ranges: []merkle.Range{{From: 7, To: 255}, {From: 1 << 60, To: 1<<61 - 1}},
		},
	} {
		require.Equal(t, golden, hex.EncodeToString(encodeStream(want)))
		got, err := decodeStream(encodeStream(want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// A round of ranges brings both sides together there, and moves nothing else: whatever the
// ranges, the stores and the messages, also if it is broken off on the way and gone on with.
func TestARoundOfRangesIsExact(t *testing.T) {
	streamed := 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 0))
		a, b := newSets(), newSets()
		scatter(r, a, b, r.IntN(1500))
		ranges := somewhere(r)
		if r.IntN(2) == 0 { // a has next to nothing there
			a = newSets()
		}
		h, limit := a.Index().Hasher(), []int{small, 1 << 13, 1 << 20}[r.IntN(3)]
		hadA, hadB := a.content(), b.content()
		s := &Responder{Store: b, MaxMessage: limit}
		first := interrupted(t, NewRound(a, RoundConfig{MaxMessage: limit, Ranges: ranges}), s, r.IntN(300))
		x := run(t, NewRound(a, RoundConfig{MaxMessage: limit, Ranges: ranges, Resume: first.Resume()}), s, limit)
		if x.Strategy == FullState {
			streamed++
		}
		for _, key := range slices.Concat(names(hadA), names(hadB)) {
			union := slices.Compact(slices.Sorted(slices.Values(slices.Concat(hadA[key], hadB[key]))))
			if !inAny(ranges, h.Position(key)) {
				require.ElementsMatch(t, hadA[key], a.get(key), "seed %d: %s is of no range", seed, key)
				require.ElementsMatch(t, hadB[key], b.get(key), "seed %d: %s is of no range", seed, key)
				continue
			}
			require.Equal(t, union, a.get(key), "seed %d", seed)
			require.Equal(t, union, b.get(key), "seed %d", seed)
		}
		require.Zero(t, x.KeysRefused)
	}
	require.Positive(t, streamed)
}

func names(m map[string][]uint64) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// A store that has much, and nothing in some ranges, has those streamed, in few messages also
// if they are many.
func TestRangesThatAreEmptyAreStreamed(t *testing.T) {
	a, b := newSets(), newSets()
	for i := range 20_000 {
		b.add(fmt.Sprint("key ", i), elements(12)...)
	}
	ranges := stripes(64)
	h := a.Index().Hasher()
	want := 0
	for key, e := range b.content() {
		if contains(ranges, h.Position(key)) {
			want++
		} else {
			a.add(key, e...)
		}
	}
	x := run(t, NewRound(a, RoundConfig{Ranges: ranges, MaxMessage: 1 << 16}), &Responder{Store: b, MaxMessage: 1 << 16}, 1<<16)
	require.Equal(t, FullState, x.Strategy)
	require.Equal(t, want, x.KeysReceived)
	require.Zero(t, x.KeysSent)
	require.Equal(t, a.root(), b.root())
	t.Logf("%d keys, %d bytes, %d round trips", want, bytesOf(x), x.RoundTrips)
	require.Less(t, x.RoundTrips, 2*want*120/(1<<16))
}

// stripes are every other one of twice so many equal parts.
func stripes(n int) (ranges []merkle.Range) {
	width := merkle.Full.To/merkle.Position(2*n) + 1
	for i := range n {
		at := merkle.Position(2*i) * width
		ranges = append(ranges, merkle.Range{From: at, To: at + width - 1})
	}
	return ranges
}

// A peer that streams what it was not asked for is not believed.
func TestAStreamKeepsToItsRanges(t *testing.T) {
	a, b := newSets(), full(2000)
	round, s := NewRound(a, RoundConfig{Ranges: stripes(8)}), &Responder{Store: b}
	for {
		method, req, more := round.Next()
		require.True(t, more)
		if method == methodStream {
			q, err := decodeStream(req)
			require.NoError(t, err)
			q.ranges = nil
			req = encodeStream(q)
		}
		resp, err := s.ServeCall(t.Context(), "a", method, req)
		require.NoError(t, err)
		if err = round.Step(t.Context(), resp); err != nil {
			_, corrupt := errors.AsType[*CorruptError](err)
			require.True(t, corrupt, "%v", err)
			require.Empty(t, a.content())
			return
		}
	}
}
