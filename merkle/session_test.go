package merkle_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/merkle"
)

// traffic is what a session cost.
type traffic struct {
	rounds, sent, received, longest int
}

// run lets respond answer s until it ends.
func run(s *merkle.Session, respond func(msg []byte) ([]byte, error)) (tr traffic, err error) {
	for msg := s.Start(); msg != nil; {
		reply, err := respond(msg)
		if err != nil {
			return tr, err
		}
		tr.rounds++
		tr.sent += len(msg)
		tr.received += len(reply)
		tr.longest = max(tr.longest, len(msg), len(reply))
		if msg, err = s.Step(reply); err != nil {
			return tr, err
		}
	}
	return tr, nil
}

// naive is the difference between two contents, the slow way.
func naive(h *merkle.Hasher, mine, theirs content, ranges []merkle.Range) map[merkle.Position]merkle.Difference {
	out := map[merkle.Position]merkle.Difference{}
	add := func(key string, keys []string, mine, theirs bool) {
		pos := h.Position(key)
		if !slices.ContainsFunc(ranges, func(r merkle.Range) bool { return r.Contains(pos) }) {
			return
		}
		d := out[pos]
		d.Range, d.Mine, d.Theirs = merkle.Range{From: pos, To: pos}, d.Mine || mine, d.Theirs || theirs
		d.Keys = append(d.Keys, keys...)
		slices.Sort(d.Keys)
		out[pos] = d
	}
	for key, st := range mine {
		if other, found := theirs[key]; !found || other != st {
			add(key, []string{key}, true, false)
		}
	}
	for key, st := range theirs {
		if other, found := mine[key]; !found || other != st {
			add(key, nil, false, true)
		}
	}
	return out
}

// requireFound says that got is what want is, where got may have several positions
// in one range.
func requireFound(t require.TestingT, want map[merkle.Position]merkle.Difference, got []merkle.Difference) {
	positions := slices.Sorted(maps.Keys(want))
	sorted := slices.SortedFunc(slices.Values(got), func(a, b merkle.Difference) int { return cmp.Compare(a.Range.From, b.Range.From) })
	for _, d := range sorted {
		exp := merkle.Difference{Range: d.Range}
		for len(positions) > 0 && d.Range.Contains(positions[0]) {
			w := want[positions[0]]
			exp.Mine, exp.Theirs = exp.Mine || w.Mine, exp.Theirs || w.Theirs
			exp.Keys = append(exp.Keys, w.Keys...)
			positions = positions[1:]
		}
		slices.Sort(exp.Keys)
		require.Equal(t, exp, d)
	}
	require.Empty(t, positions, "all is found, once")
}

// covers reports which of the positions lie in differences, and requires that each
// difference has one.
func covers(t require.TestingT, want map[merkle.Position]merkle.Difference, got []merkle.Difference) map[merkle.Position]bool {
	positions, out := slices.Sorted(maps.Keys(want)), map[merkle.Position]bool{}
	for _, d := range got {
		from, _ := slices.BinarySearch(positions, d.Range.From)
		for _, p := range positions[from:] {
			if !d.Range.Contains(p) {
				break
			}
			out[p] = true
		}
		require.True(t, from < len(positions) && d.Range.Contains(positions[from]), "%v never was different", d.Range)
	}
	return out
}

// drift changes n random keys of c: other states, missing keys, new keys.
func drift(rng *rand.Rand, c content, n int) content {
	out := maps.Clone(c)
	keys := slices.Sorted(maps.Keys(c))
	for i := range n {
		switch {
		case len(keys) == 0 || rng.IntN(3) == 0:
			out[fmt.Sprint("new", rng.Uint64())] = state(uint64(i))
		case rng.IntN(2) == 0:
			delete(out, keys[rng.IntN(len(keys))])
		default:
			out[keys[rng.IntN(len(keys))]] = state(rng.Uint64())
		}
	}
	return out
}

func numbered(n int) content {
	c := content{}
	for i := range n {
		c[fmt.Sprint(i)] = state(uint64(i))
	}
	return c
}

func TestSessionFindsExactlyWhatDiffers(t *testing.T) {
	h := merkle.NewHasher(secret)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 30, 33, 200, 1000, 5000}).Draw(t, "keys")
		d := rapid.SampledFrom([]int{0, 1, 2, 10, 100, n}).Draw(t, "differences")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		a := numbered(n)
		b := drift(rng, a, d)
		cfg := merkle.SessionConfig{MaxMessage: rapid.SampledFrom([]int{1, 512, 700, 4096, 0}).Draw(t, "limit")}
		theirs := cfg
		theirs.MaxMessage = rapid.SampledFrom([]int{512, 1000, 0}).Draw(t, "their limit")
		cfg.Ranges = []merkle.Range{merkle.Full}
		if rapid.Bool().Draw(t, "some ranges") {
			cfg.Ranges = []merkle.Range{drawRange(t), drawRange(t)}
		}
		width := rapid.SampledFrom([]int{1, 2, 6, 16}).Draw(t, "width")

		s := merkle.NewSession(a.tree(h), cfg.Width(width))
		_, err := run(s, merkle.NewResponder(b.tree(h), theirs).Step)
		require.NoError(t, err)
		require.True(t, s.Done())
		require.True(t, s.Verified())
		want := naive(h, a, b, cfg.Ranges)
		if width >= 6 {
			requireFound(t, want, s.Diff())
			return
		}
		found := covers(t, want, s.Diff()) // a state may look like the peer's; the range is right
		require.Len(t, found, len(want))
	})
}

// With so short fingerprints, most differences are hidden at first. The check
// with whole ones notices, and the second look finds them.
func TestTheCheckFindsWhatShortFingerprintsHide(t *testing.T) {
	h := merkle.NewHasher(secret)
	var all []merkle.Range // each with too few keys for a sketch
	for i := range merkle.Position(16) {
		all = append(all, merkle.Range{From: i<<60 + 1, To: i<<60 + (1<<60 - 1)})
	}
	hidden := 0
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 0))
		a := numbered(3000)
		b := drift(rng, a, 300)
		want := naive(h, a, b, []merkle.Range{merkle.Full})
		s := merkle.NewSession(a.tree(h), merkle.SessionConfig{MaxMessage: 2048, Ranges: all}.Width(1))
		var wide bool
		_, err := run(s, func(msg []byte) ([]byte, error) {
			wide = wide || s.WholeWidth()
			return merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step(msg)
		})
		require.NoError(t, err)
		require.True(t, s.Verified())
		require.Len(t, covers(t, want, s.Diff()), len(want))
		if wide {
			hidden++
		}
	}
	require.Greater(t, hidden, 2, "the case is tested")
}

// So it does where a session asked for a sketch and got ranges, as the peer's sketch
// does not go with its tree.
func TestTheCheckFollowsRefusedSketches(t *testing.T) {
	h := merkle.NewHasher(secret)
	hidden := 0
	for seed := range uint64(10) {
		a := numbered(3000)
		b := drift(rand.New(rand.NewPCG(seed, 0)), a, 300)
		want, treeB := naive(h, a, b, everything), b.tree(h)
		treeB.Poison(merkle.Faults(0)["told by the sum"])
		s := merkle.NewSession(a.tree(h), merkle.SessionConfig{}.Width(1))
		_, err := run(s, func(msg []byte) ([]byte, error) {
			if s.WholeWidth() {
				hidden++
			}
			treeB.Spend()
			reply, err := merkle.NewResponder(treeB, merkle.SessionConfig{}).Step(msg)
			require.NotContains(t, s.Ops(reply), "sketch")
			return reply, err
		})
		require.NoError(t, err)
		require.True(t, s.Verified())
		require.Len(t, covers(t, want, s.Diff()), len(want))
	}
	require.Positive(t, hidden)
}

func TestPositionsMayBeShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		masks := []merkle.Position{0, 0xf, 0xf000000000000000, 0xff00000000000000, 0x8000000000000001, 0x00000000ffff0000}
		h := merkle.Masked(secret, rapid.SampledFrom(masks).Draw(t, "mask"))
		n := rapid.SampledFrom([]int{2, 20, 60, 700}).Draw(t, "keys")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		a := numbered(n)
		b := drift(rng, a, rapid.IntRange(0, 8).Draw(t, "differences"))

		exact := merkle.NewSession(a.tree(h), merkle.SessionConfig{})
		_, err := run(exact, merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step)
		require.NoError(t, err)
		require.True(t, exact.Verified())
		want := naive(h, a, b, []merkle.Range{merkle.Full})
		requireFound(t, want, exact.Diff())

		// Where a position is too full for a message, it is reported as a whole.
		tiny := merkle.NewSession(a.tree(h), merkle.SessionConfig{MaxMessage: 512})
		tr, err := run(tiny, merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step)
		require.NoError(t, err)
		require.LessOrEqual(t, tr.longest, 512)
		require.True(t, tiny.Verified())
		require.Len(t, covers(t, want, tiny.Diff()), len(want))
		for _, d := range tiny.Diff() {
			for p, w := range want {
				if d.Range.Contains(p) {
					require.Subset(t, d.Keys, w.Keys)
					require.True(t, (d.Mine || !w.Mine) && (d.Theirs || !w.Theirs))
				}
			}
		}
	})
}

func TestEqualCopiesCostOneShortRoundTrip(t *testing.T) {
	h := merkle.NewHasher(secret)
	a := numbered(10_000)
	s := merkle.NewSession(a.tree(h), merkle.SessionConfig{})
	tr, err := run(s, merkle.NewResponder(a.tree(h), merkle.SessionConfig{}).Step)
	require.NoError(t, err)
	require.True(t, s.Done() && s.Verified())
	require.Empty(t, s.Diff())
	require.Equal(t, 1, tr.rounds)
	require.LessOrEqual(t, tr.sent+tr.received, 36)
}

func TestNothingToCompare(t *testing.T) {
	s := merkle.NewSession(merkle.New(nil), merkle.SessionConfig{Ranges: []merkle.Range{}})
	require.Nil(t, s.Start())
	require.True(t, s.Done() && s.Verified())
	_, err := s.Step(nil)
	require.ErrorIs(t, err, merkle.ErrFinished)
}

// Both sides are written to between all messages, and every message is answered
// from the responder's newest content. What is found was a difference between
// the initiator's snapshot and what the responder held at some time; what was
// different throughout is found; a second session, when all is quiet, is exact.
func TestTrap23_InFlightWritesAreNotDivergence(t *testing.T) {
	h := merkle.NewHasher(secret)
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		a := numbered(rapid.SampledFrom([]int{10, 300, 3000}).Draw(t, "keys"))
		b := drift(rng, a, rapid.IntRange(0, 100).Draw(t, "differences"))
		treeA, treeB := a.tree(h), b.tree(h)
		frozen := maps.Clone(a)
		lasting := naive(h, a, b, []merkle.Range{merkle.Full})
		ever := maps.Clone(lasting)

		fresh := rapid.Bool().Draw(t, "a fresh responder for each message")
		cfg := merkle.SessionConfig{MaxMessage: rapid.SampledFrom([]int{512, 4096, 0}).Draw(t, "limit")}
		s := merkle.NewSession(treeA, cfg)
		responder := merkle.NewResponder(treeB, cfg)
		_, err := run(s, func(msg []byte) ([]byte, error) {
			if fresh {
				responder = merkle.NewResponder(treeB, cfg)
				now := naive(h, frozen, b, []merkle.Range{merkle.Full})
				maps.Copy(ever, now)
				maps.DeleteFunc(lasting, func(p merkle.Position, _ merkle.Difference) bool { _, still := now[p]; return !still })
			}
			for range rng.IntN(5) { // the same write on both sides, or on one
				key, st := fmt.Sprint(rng.IntN(4000)), state(rng.Uint64())
				if rng.IntN(3) > 0 {
					a[key] = st
					treeA.Set(key, st)
				}
				if rng.IntN(3) > 0 {
					b[key] = st
					treeB.Set(key, st)
				}
			}
			return responder.Step(msg)
		})
		require.NoError(t, err)
		found := covers(t, ever, s.Diff())
		for p := range lasting {
			require.True(t, found[p], "was different all the time")
		}
		require.True(t, fresh || s.Verified())

		// Repair: push what is mine, pull what is theirs; then all is equal.
		second := merkle.NewSession(treeA, cfg)
		_, err = run(second, merkle.NewResponder(treeB, cfg).Step)
		require.NoError(t, err)
		require.True(t, second.Verified())
		requireFound(t, naive(h, a, b, []merkle.Range{merkle.Full}), second.Diff())
		for _, d := range second.Diff() {
			for key, st := range b {
				if d.Range.Contains(h.Position(key)) {
					a[key] = st
					treeA.Set(key, st)
				}
			}
			for _, key := range d.Keys {
				if _, theirs := b[key]; !theirs {
					treeB.Set(key, a[key])
				}
			}
		}
		require.Equal(t, treeA.Root(), treeB.Root())
	})
}

// A change on the other side between the walk and the check is not mistaken for
// a fault, nor passed over: the session is not verified, and the next one is.
func TestTrap23_NotVerifiedWhereTheResponderMoved(t *testing.T) {
	h := merkle.NewHasher(secret)
	a, b := numbered(100), numbered(101)
	treeA, treeB := a.tree(h), b.tree(h)
	for _, want := range []bool{false, true} {
		s := merkle.NewSession(treeA, merkle.SessionConfig{})
		tr, err := run(s, func(msg []byte) ([]byte, error) {
			if !want && len(s.Diff()) > 0 { // all is found, the check comes
				treeB.Set("0", state(99))
			}
			return merkle.NewResponder(treeB, merkle.SessionConfig{}).Step(msg)
		})
		require.NoError(t, err)
		require.True(t, s.Done())
		require.Equal(t, want, s.Verified())
		require.LessOrEqual(t, tr.rounds, 4, "what moved is not looked for again")
	}
}

func TestBothMayStartAtOnce(t *testing.T) {
	h := merkle.NewHasher(secret)
	rng := rand.New(rand.NewPCG(1, 2))
	a := numbered(4000)
	b := drift(rng, a, 150)
	cfg := merkle.SessionConfig{MaxMessage: 1024}
	ab, ba := merkle.NewSession(a.tree(h), cfg), merkle.NewSession(b.tree(h), cfg)
	atA, atB := merkle.NewResponder(a.tree(h), cfg), merkle.NewResponder(b.tree(h), cfg)
	step := func(s *merkle.Session, at *merkle.Responder, msg []byte) []byte {
		if msg == nil {
			return nil
		}
		reply, err := at.Step(msg)
		require.NoError(t, err)
		next, err := s.Step(reply)
		require.NoError(t, err)
		return next
	}
	for x, y := ab.Start(), ba.Start(); x != nil || y != nil; {
		if len(x) > 0 { // the peer's own request is no answer
			_, err := ba.Step(x)
			require.Error(t, err)
		}
		x, y = step(ab, atB, x), step(ba, atA, y)
	}
	requireFound(t, naive(h, a, b, []merkle.Range{merkle.Full}), ab.Diff())
	requireFound(t, naive(h, b, a, []merkle.Range{merkle.Full}), ba.Diff())
}

func TestTrap24_RowExact(t *testing.T) {
	h := merkle.NewHasher(secret)
	base := numbered(50_000)
	tree := base.tree(h)
	for _, d := range []int{1, 10, 500} {
		rng := rand.New(rand.NewPCG(uint64(d), 0))
		other := tree.Snapshot()
		changed := map[string]bool{}
		for len(changed) < d {
			key := fmt.Sprint(rng.IntN(len(base)))
			changed[key] = true
			other.Set(key, state(rng.Uint64()))
		}
		s := merkle.NewSession(tree, merkle.SessionConfig{})
		_, err := run(s, merkle.NewResponder(other, merkle.SessionConfig{}).Step)
		require.NoError(t, err)
		keys := 0
		for _, diff := range s.Diff() {
			require.True(t, diff.Mine && diff.Theirs)
			for _, key := range diff.Keys {
				require.True(t, changed[key])
				keys++
			}
		}
		require.Equal(t, d, keys)
	}
}

func TestTrap28_NoMessageAboveTheLimit(t *testing.T) {
	require.LessOrEqual(t, merkle.LongestHead(), merkle.HeadSize)

	h := merkle.NewHasher(secret)
	rng := rand.New(rand.NewPCG(3, 4))
	a := numbered(5000)
	b := drift(rng, a, 5000)
	want := naive(h, a, b, []merkle.Range{merkle.Full})
	for _, limit := range []int{512, 513, 1000, 1 << 16} {
		for _, width := range []int{8, 16} {
			s := merkle.NewSession(a.tree(h), merkle.SessionConfig{MaxMessage: limit, Epoch: 1<<64 - 1}.Width(width))
			tr, err := run(s, merkle.NewResponder(b.tree(h), merkle.SessionConfig{Epoch: 1<<64 - 1}).Step)
			require.NoError(t, err)
			require.LessOrEqual(t, tr.longest, limit)
			require.Greater(t, tr.longest, limit*3/4, "messages are filled")
			requireFound(t, want, s.Diff())
		}
	}
	// The hints of some ranges do not fit an answer.
	var wide []merkle.Range
	for i := range merkle.Position(8) {
		wide = append(wide, merkle.Range{From: i<<61 + 1, To: i<<61 + (1<<61 - 1)})
	}
	for _, limit := range []int{512, 900} {
		s := merkle.NewSession(a.tree(h), merkle.SessionConfig{MaxMessage: limit, Ranges: wide})
		tr, err := run(s, merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step)
		require.NoError(t, err)
		require.LessOrEqual(t, tr.longest, limit)
		requireFound(t, naive(h, a, b, wide), s.Diff())
	}
	// Many small ranges do not fit the first message either.
	var ranges []merkle.Range
	for i := range merkle.Position(500) {
		ranges = append(ranges, merkle.Range{From: i << 55, To: i<<55 + 1<<54})
	}
	s := merkle.NewSession(a.tree(h), merkle.SessionConfig{MaxMessage: 512, Ranges: ranges})
	tr, err := run(s, merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step)
	require.NoError(t, err)
	require.LessOrEqual(t, tr.longest, 512)
	requireFound(t, naive(h, a, b, ranges), s.Diff())
}

func TestDifferencesCanBeTakenAsTheyCome(t *testing.T) {
	h := merkle.NewHasher(secret)
	a, b := numbered(3000), content{}
	s := merkle.NewSession(b.tree(h), merkle.SessionConfig{MaxMessage: 512})
	r := merkle.NewResponder(a.tree(h), merkle.SessionConfig{})
	var all []merkle.Difference
	most := 0
	_, err := run(s, func(msg []byte) ([]byte, error) {
		part := s.Take()
		require.Empty(t, s.Diff())
		most = max(most, len(part))
		all = append(all, part...)
		return r.Step(msg)
	})
	require.NoError(t, err)
	requireFound(t, naive(h, b, a, []merkle.Range{merkle.Full}), append(all, s.Take()...))
	require.Less(t, most, 60, "what one message holds")
	require.True(t, s.Verified())
}

func TestIncomparableCopiesSayWhy(t *testing.T) {
	h, other := merkle.NewHasher(secret), merkle.NewHasher([]byte("another"))
	half := merkle.SessionConfig{Ranges: []merkle.Range{{From: 0, To: 1 << 63}}}
	for _, c := range []struct {
		want   merkle.Aspect
		theirs *merkle.Hasher
		mine   merkle.SessionConfig
		cfg    merkle.SessionConfig
	}{
		{merkle.AspectSecret, other, merkle.SessionConfig{}, merkle.SessionConfig{}},
		{merkle.AspectEpoch, h, merkle.SessionConfig{Epoch: 7}, merkle.SessionConfig{Epoch: 8}},
		{merkle.AspectRanges, h, merkle.SessionConfig{}, half},
	} {
		s := merkle.NewSession(merkle.New(h), c.mine)
		_, err := run(s, merkle.NewResponder(merkle.New(c.theirs), c.cfg).Step)
		var incomparable *merkle.IncomparableError
		require.ErrorAs(t, err, &incomparable)
		require.Equal(t, c.want, incomparable.Aspect)
		require.Contains(t, err.Error(), c.want.String())
		require.True(t, s.Done())
		require.False(t, s.Verified())
	}
	s := merkle.NewSession(merkle.New(h), half)
	_, err := run(s, merkle.NewResponder(merkle.New(h), half).Step)
	require.NoError(t, err, "within what is served")
}

// A lost answer, an answer that comes twice or late, and an answer to another
// session leave the session as it was.
func TestWrongAnswersChangeNothing(t *testing.T) {
	h := merkle.NewHasher(secret)
	rng := rand.New(rand.NewPCG(5, 6))
	a := numbered(2000)
	b := drift(rng, a, 100)
	cfg := merkle.SessionConfig{MaxMessage: 600}
	s := merkle.NewSession(a.tree(h), cfg)
	require.Equal(t, s.Start(), s.Start())
	r := merkle.NewResponder(b.tree(h), cfg)
	var late []byte
	_, err := run(s, func(msg []byte) ([]byte, error) {
		for _, wrong := range [][]byte{late, msg, nil, {0x91}, make([]byte, 601)} {
			_, err := s.Step(wrong)
			var bad *merkle.MessageError
			require.ErrorAs(t, err, &bad)
		}
		reply, err := r.Step(msg)
		require.NoError(t, err)
		again, err := r.Step(msg)
		require.NoError(t, err)
		require.Equal(t, reply, again)
		late = reply
		return reply, nil
	})
	require.NoError(t, err)
	requireFound(t, naive(h, a, b, []merkle.Range{merkle.Full}), s.Diff())
	_, err = s.Step(late)
	require.ErrorIs(t, err, merkle.ErrFinished)
}
