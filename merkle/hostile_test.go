package merkle_test

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
)

// An initiator gets no more than a message for all that it asks, and asking
// costs the responder memory in proportion to the question.
func TestHostileInitiatorGetsOneMessage(t *testing.T) {
	tree := numbered(5000).tree(merkle.NewHasher(secret))
	r := merkle.NewResponder(tree, merkle.SessionConfig{MaxMessage: 4096})
	request := merkle.Greedy(tree, 20_000, 1<<30)
	reply, err := r.Step(request)
	require.NoError(t, err)
	require.LessOrEqual(t, len(reply), 4096)

	const runs = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		r.Step(request)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/runs, uint64(30*len(request)+10*4096))
}

// A responder that claims that everything differs, for ever, is given up on.
func TestHostileResponderIsGivenUpOn(t *testing.T) {
	h := merkle.NewHasher(secret)
	s := merkle.NewSession(numbered(1000).tree(h), merkle.SessionConfig{MaxMessage: 2048, MaxRounds: 500})
	most := 0
	tr, err := run(s, func([]byte) ([]byte, error) {
		most = max(most, s.Pending())
		return s.ForgedAnswer(), nil
	})
	require.ErrorIs(t, err, merkle.ErrTooManyRounds)
	require.True(t, s.Done())
	require.False(t, s.Verified())
	require.Equal(t, 500, tr.rounds)
	require.Less(t, most, 16*16*(2048/20), "depth × parts × questions in a message")
	_, err = s.Step(s.ForgedAnswer())
	require.True(t, errors.Is(err, merkle.ErrFinished))
}

// A responder that only ever says that something differs makes no progress.
func TestAnswersMustSaySomething(t *testing.T) {
	h := merkle.NewHasher(secret)
	s := merkle.NewSession(numbered(1000).tree(h), merkle.SessionConfig{})
	s.Start()
	_, err := s.Step(s.EmptyAnswer())
	var bad *merkle.MessageError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "answer that says nothing", bad.Reason)
	require.False(t, s.Done())
}

// One responder serves several sessions at once.
func TestRespondersMayBeShared(t *testing.T) {
	h := merkle.NewHasher(secret)
	a, b := numbered(2000), numbered(2100)
	r := merkle.NewResponder(b.tree(h), merkle.SessionConfig{})
	tree := a.tree(h)
	want := naive(h, a, b, []merkle.Range{merkle.Full})
	var wg sync.WaitGroup
	for range 4 {
		s := merkle.NewSession(tree, merkle.SessionConfig{MaxMessage: 1024})
		wg.Go(func() {
			if _, err := run(s, r.Step); err != nil || len(s.Diff()) != len(want) {
				t.Error(err, len(s.Diff()))
			}
		})
	}
	wg.Wait()
}

func TestAnswersToOtherMessagesAreRefused(t *testing.T) {
	h := merkle.NewHasher(secret)
	a, b := numbered(1000), numbered(1100)
	s := merkle.NewSession(a.tree(h), merkle.SessionConfig{})
	reply, err := merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step(s.Start())
	require.NoError(t, err)
	_, err = s.Step(reply)
	require.NoError(t, err)
	for _, round := range []uint64{0, 1, 3} {
		_, err = s.Step(s.EqualAnswer(round))
		var bad *merkle.MessageError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, "answer to another message", bad.Reason)
	}
	require.False(t, s.Done())
}

func TestListsStayInTheirRange(t *testing.T) {
	h := merkle.NewHasher(secret)
	s := merkle.NewSession(numbered(10).tree(h), merkle.SessionConfig{Ranges: []merkle.Range{{From: 1 << 40, To: merkle.Full.To}}})
	s.Start()
	_, err := s.Step(s.StrayAnswer())
	var bad *merkle.MessageError
	require.ErrorAs(t, err, &bad)
	require.Empty(t, s.Diff())
}

func TestNoRangeAtAllIsRefused(t *testing.T) {
	tree := numbered(100).tree(merkle.NewHasher(secret))
	r := merkle.NewResponder(tree, merkle.SessionConfig{})
	_, err := r.Step(merkle.RequestFor(tree, merkle.Range{From: 5, To: 1 << 62}))
	require.NoError(t, err)
	_, err = r.Step(merkle.RequestFor(tree, merkle.Range{From: 1 << 62, To: 5}))
	var bad *merkle.MessageError
	require.ErrorAs(t, err, &bad)
}
