package antientropy

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

func TestHandlerRefusesWhatItDoesNotKnow(t *testing.T) {
	h := (&Loop{Store: newSets()}).Handler()
	_, err := h.ServeCall(t.Context(), "b", "antientropy/gossip", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)

	for _, method := range []string{methodPush, methodDeltas, methodTree, methodPull, methodStream, methodReconcile, methodSettle, methodPrepare} {
		for _, v := range []uint64{version - 1, version + 1} {
			other := wire.NewWriter(nil)
			other.Array(1)
			other.Uint(v)
			_, err := h.ServeCall(t.Context(), "b", method, other.Done())
			require.Equal(t, ErrVersion, err)
		}
		_, err = h.ServeCall(t.Context(), "b", method, []byte{0xdd, 0xff, 0xff, 0xff, 0xff})
		corrupt, ok := errors.AsType[*CorruptError](err)
		require.True(t, ok)
		require.Equal(t, method, corrupt.Method)
	}
}

// A question that names a range twice would have a state loaded twice.
func TestPullRefusesRangesThatDoNotAscend(t *testing.T) {
	q := encodeQuestions(&questions{limit: 1 << 20, items: []question{{at: blockAt(5)}, {at: blockAt(5)}}})
	_, err := (&Responder{Store: newSets()}).ServeCall(t.Context(), "b", methodPull, q)
	_, ok := errors.AsType[*CorruptError](err)
	require.True(t, ok)
}

func TestAnswersAreBounded(t *testing.T) {
	s := newSets()
	q := &questions{limit: 1}
	for i := range 1000 {
		s.add(fmt.Sprint(i), elements(10)...)
	}
	h := s.Index().Hasher()
	for i := range 1000 {
		q.items = append(q.items, question{at: blockAt(uint32(h.Position(fmt.Sprint(i)) >> 32))})
	}
	slices.SortFunc(q.items, func(a, b question) int { return byPosition(a.at, b.at) })
	resp, err := (&Responder{Store: s}).ServeCall(t.Context(), "b", methodPull, encodeQuestions(q))
	require.NoError(t, err)
	require.LessOrEqual(t, len(resp), small)
	a, err := decodeAnswers(resp, 1000)
	require.NoError(t, err)
	require.NotEmpty(t, a.at)
	require.Less(t, s.loads, 20, "no more is loaded than fits")
}

// Keys that share a position are told apart and continued in the next answer.
func TestAPositionContinued(t *testing.T) {
	a := &answers{more: true, at: []at{
		{equal: true},
		{keys: []found{
			{kind: foundState, key: "k", state: []byte("state")},
			{kind: foundMoving, key: "l", state: []byte("state")},
			{kind: foundUnderway, key: "m"},
			{kind: foundTooLarge, key: "n", size: 1 << 30},
			{kind: foundFailed, key: "o", reason: "disk"},
			{kind: foundSame, size: 1},
			{kind: foundPart, key: "p", sum: merkle.Fingerprint{Hi: 1, Lo: 2}, state: []byte("part"), seen: []byte("seen")},
		}},
	}}
	got, err := decodeAnswers(encodeAnswers(a), 2)
	require.NoError(t, err)
	require.Equal(t, a, got)
	r := &Round{skip: 3}
	skip, whole := r.partial(got, 2)
	require.Equal(t, []int{7, 1}, []int{skip, whole})
	skip, whole = r.partial(&answers{more: true, at: a.at[1:]}, 1)
	require.Equal(t, []int{10, 0}, []int{skip, whole})
}

// Of what keys were seen they name in ascending order, each once, and something.
func TestPullRefusesWhatWasSeenOutOfOrder(t *testing.T) {
	for reason, seen := range map[string][]sight{
		"twice":      {{at: 5, seen: []byte("x")}, {at: 5, seen: []byte("y")}},
		"descending": {{at: 5, seen: []byte("x")}, {at: 4, seen: []byte("y")}},
		"nothing":    {{at: 5}},
	} {
		_, err := decodeQuestions(encodeQuestions(&questions{limit: 1 << 20, seen: seen}))
		_, ok := errors.AsType[*CorruptError](err)
		require.True(t, ok, reason)
	}
	q := &questions{limit: 1 << 20, items: []question{}, seen: []sight{{1, []byte("x")}, {1 << 63, []byte("y")}}}
	got, err := decodeQuestions(encodeQuestions(q))
	require.NoError(t, err)
	require.Equal(t, q.seen, got.seen)
}

// Whatever arrives, the handler answers or refuses, keeps to its bounds and does
// not fail later because of it.
func FuzzHandler(f *testing.F) {
	a, b := newParts(1), newParts(1)
	for i := range 20 {
		a.add(fmt.Sprint("a", i), uint64(i))
		b.add(fmt.Sprint("b", i), uint64(i))
		a.add(fmt.Sprint("k", i), uint64(2*i))
		b.add(fmt.Sprint("k", i), uint64(2*i+1))
	}
	methods := []string{methodPush, methodDeltas, methodTree, methodReconcile, methodPull, methodStream, "antientropy/"}
	round, s := NewRound(a, RoundConfig{MaxMessage: small}), &Responder{Store: b, MaxMessage: small}
	for {
		method, req, more := round.Next()
		if !more {
			break
		}
		f.Add(uint8(slices.Index(methods, method)), req)
		resp, _ := s.ServeCall(f.Context(), "a", method, req)
		_ = round.Step(f.Context(), resp)
	}
	f.Add(uint8(6), []byte{0x90})
	f.Add(uint8(5), encodeStream(&starting{limit: 1 << 20}))
	f.Add(uint8(5), encodeStream(&starting{limit: 1 << 20, ranges: stripes(8)}))
	f.Add(uint8(1), encodeDeltas([]*delta{{entry: entry{"k", encodeSet(3)}, age: time.Hour}}, 0, 0))
	sender := Broadcast{Self: 1}
	sender.Open("peer")
	_, _ = sender.Put("k", encodeSet(4), "")
	tree, _ := sender.Batch("peer")
	f.Add(uint8(2), tree.Request)
	f.Add(uint8(2+len(methods)), tree.Request)
	f.Fuzz(func(t *testing.T, m uint8, req []byte) {
		store := newParts(1)
		store.add("k", 1)
		l := &Loop{Store: store, MaxMessage: small, Propagation: Propagation(int(m) / len(methods) % 2)}
		if len(req)%2 == 1 {
			l.Store = struct {
				*parts
				Merger
			}{store, &disk{sets: store.sets}}
		}
		resp, err := l.Handler().ServeCall(t.Context(), "peer", methods[int(m)%len(methods)], slices.Clone(req))
		if err == nil && int(m)%len(methods) > 2 && len(resp) > small {
			t.Fatalf("an answer of %d bytes", len(resp))
		}
		if got := store.get("k"); !slices.Contains(got, 1) {
			t.Fatal("lost what it had")
		}
	})
}

// Whatever a peer answers, the initiator goes on or refuses.
func FuzzRound(f *testing.F) {
	script := func(t testing.TB, at uint8, resp []byte) {
		a, b := newParts(1), newParts(1)
		for i := range 12 {
			a.add(fmt.Sprint("a", i), uint64(i))
			b.add(fmt.Sprint("b", i), uint64(i))
			a.add(fmt.Sprint("k", i/2), uint64(2*i))
			b.add(fmt.Sprint("k", i/2), uint64(2*i+1))
		}
		round, s := NewRound(a, RoundConfig{MaxMessage: small}), &Responder{Store: b, MaxMessage: small}
		for step := range uint8(50) {
			method, req, more := round.Next()
			if !more {
				return
			}
			answer, err := s.ServeCall(t.Context(), "a", method, req)
			require.NoError(t, err)
			if resp == nil {
				f.Add(step, answer)
			} else if step == at {
				answer = resp
			}
			if round.Step(t.Context(), answer) != nil {
				return
			}
		}
		t.Fatal("does not end")
	}
	script(f, 0, nil)
	f.Fuzz(func(t *testing.T, at uint8, resp []byte) {
		if resp == nil {
			resp = []byte{}
		}
		script(t, at, resp)
	})
}
