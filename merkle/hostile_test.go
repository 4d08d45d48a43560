package merkle_test

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

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

// What tables cost a responder is bounded by what it answers, and by one pass over its
// keys.
func TestTablesAreNotReadForNothing(t *testing.T) {
	h := merkle.NewHasher(secret)
	tree := numbered(70_000).tree(h)
	r := merkle.NewResponder(tree, merkle.SessionConfig{})
	s := merkle.NewSession(tree, merkle.SessionConfig{})
	half := merkle.Range{From: 0, To: 1<<63 - 1}
	part := merkle.Range{From: 0, To: 1<<59 - 1}

	for _, c := range []struct {
		request []byte
		rungs   []string
		size    int
	}{
		{merkle.CellsFor(tree, 8, part), []string{"cells"}, 50},
		{merkle.CellsFor(tree, 8, half), []string{"cells"}, 40}, // none: 35,000 keys for one
		{merkle.SketchFor(tree, half, 0), []string{"sketch"}, 260},
		{merkle.SketchFor(tree, merkle.Range{From: 1, To: merkle.Full.To}, 0), []string{"parts"}, 150}, // 70,000 keys
	} {
		reply, err := r.Step(c.request)
		require.NoError(t, err)
		require.Equal(t, c.rungs, s.Ops(reply))
		require.LessOrEqual(t, len(reply), c.size)
	}

	var bad *merkle.MessageError
	for _, ranges := range [][]merkle.Range{{part, half}, {part, part}, {{From: 1 << 60, To: 1 << 61}, part}} {
		_, err := r.Step(merkle.CellsFor(tree, 8, ranges...))
		require.ErrorAs(t, err, &bad)
		require.Equal(t, "tables of ranges out of order", bad.Reason)
	}

	var ranges []merkle.Range // for the last cell of a large table each
	for i := range merkle.Position(1000) {
		ranges = append(ranges, merkle.Range{From: i << 54, To: i<<54 + 1<<53})
	}
	request := merkle.CellsFor(tree, 1<<14-1, ranges...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	reply, err := r.Step(request)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(30*(len(request)+len(reply))))
}

// A session that is not given cells walks.
func TestCellsMayBeRefused(t *testing.T) {
	h := merkle.NewHasher(secret)
	a, b := numbered(5000), apart(rand.New(rand.NewPCG(8, 9)), numbered(5000), 200)
	for _, ranges := range [][]merkle.Range{everything, {{From: 1, To: merkle.Full.To}}} {
		s := merkle.NewSession(a.tree(h), merkle.SessionConfig{Ranges: ranges})
		refused := 0
		_, err := run(s, func(msg []byte) ([]byte, error) {
			if no := s.NoCells(); no != nil {
				refused++
				return no, nil
			}
			return merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step(msg)
		})
		require.NoError(t, err)
		require.Equal(t, 1, refused)
		require.True(t, s.Verified())
		requireFound(t, naive(h, a, b, ranges), s.Diff())
	}
}

// A peer that answers each message for another tree, as one does that replays what it
// said in other sessions, is taken for one that changed in between: what is found
// differed from one of them, and what differs from all of them is found.
func TestAnswersOfManyTrees(t *testing.T) {
	h := merkle.NewHasher(secret)
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		a := numbered(rapid.SampledFrom([]int{100, 300, 3000, 20_000}).Draw(t, "keys"))
		tree := a.tree(h)
		cfg := merkle.SessionConfig{
			MaxMessage: rapid.SampledFrom([]int{512, 4096, 0}).Draw(t, "limit"),
			Ranges:     rapid.SampledFrom([][]merkle.Range{everything, {{From: 1 << 58, To: 1 << 63}}}).Draw(t, "ranges"),
			MaxRounds:  3000,
		}
		ever, lasting := map[merkle.Position]merkle.Difference{}, map[merkle.Position]int{}
		var peers []*merkle.Responder
		for range 3 {
			b := drift(rng, a, rapid.SampledFrom([]int{0, 1, 30, 1000}).Draw(t, "differences"))
			peers = append(peers, merkle.NewResponder(b.tree(h), cfg))
			for p, d := range naive(h, a, b, cfg.Ranges) {
				ever[p] = d
				lasting[p]++
			}
		}
		s := merkle.NewSession(tree, cfg)
		_, err := run(s, func(msg []byte) ([]byte, error) { return peers[rng.IntN(len(peers))].Step(msg) })
		if err != nil {
			require.ErrorIs(t, err, merkle.ErrTooManyRounds)
			return
		}
		found := covers(t, ever, s.Diff())
		for p, peers := range lasting {
			require.True(t, peers < 3 || found[p], "differs from all")
		}
		require.True(t, tree.SketchHolds())
	})
}

// What cells say of own keys is taken only for keys that are there, once each.
func TestOwnIDsAreOfOneKeyEach(t *testing.T) {
	h := merkle.NewHasher(secret)
	s := merkle.NewSession(numbered(1000).tree(h), merkle.SessionConfig{})
	id, half := h.ID("5", state(5)), merkle.Range{From: 0, To: 1<<63 - 1}
	require.True(t, s.Resolves(merkle.Full, id))
	require.False(t, s.Resolves(merkle.Full, id, id))
	require.False(t, s.Resolves(merkle.Full, h.ID("5", state(6))))
	require.Equal(t, half.Contains(h.Position("5")), s.Resolves(half, id))
}

// Cells that say what is not so are no differences: ids of other ranges, and that
// nothing differs where nobody asked.
func TestCellsThatLie(t *testing.T) {
	h := merkle.NewHasher(secret)
	a, b := numbered(2000), apart(rand.New(rand.NewPCG(3, 4)), numbered(2000), 100)
	half := []merkle.Range{{From: 0, To: 1<<63 - 1}}
	s := merkle.NewSession(a.tree(h), merkle.SessionConfig{Ranges: half})
	lies := 0
	_, err := run(s, func(msg []byte) ([]byte, error) {
		if s.AsksForCells() && lies == 0 {
			_, err := s.Step(s.EqualAnswer(s.Round()))
			var bad *merkle.MessageError
			require.ErrorAs(t, err, &bad)
			lies++
			return s.StrayCells(1 << 63), nil
		}
		return merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step(msg)
	})
	require.NoError(t, err)
	require.Equal(t, 1, lies)
	require.True(t, s.Verified())
	requireFound(t, naive(h, a, b, half), s.Diff())
}
