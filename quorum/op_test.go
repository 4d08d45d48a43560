package quorum

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Operations at all levels, interleaved, while messages are lost, repeated and
// reordered, nodes fail and time runs out: a read at R contains every write
// acknowledged at W, and every state read at another level R', if R+W or R+R' is
// more than N. What a read returns is held by R nodes, what a write acknowledged by W.
func TestReadsIncludeWhatWasAcknowledged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "owners")
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
		newWorld(n, pick, t.Fatalf).run(rapid.IntRange(0, 200).Draw(t, "steps"))
	})
}

func TestReadsIncludeWhatWasAcknowledgedSeeds(t *testing.T) {
	for seed := range uint64(3000) {
		if fault := runSeed(seed, false); fault != "" {
			t.Fatalf("seed %d: %s", seed, fault)
		}
	}
}

// Trap 20, the negative control: the same checker, with reads that do
// not wait for their repairs.
func TestTrap20_WithoutBlockingRepairReadsAreNotMonotonic(t *testing.T) {
	for seed := range uint64(1000) {
		if fault := runSeed(seed, true); fault != "" {
			t.Logf("seed %d: %s", seed, fault)
			return
		}
	}
	t.Fatal("the checker accepts reads that do not wait for their repairs")
}

func runSeed(seed uint64, naive bool) (fault string) {
	random := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(1+int(seed%5), random.IntN, func(format string, args ...any) {
		if fault == "" {
			fault = fmt.Sprintf(format, args...)
		}
	})
	w.naive = naive
	w.run(300)
	return fault
}

// A script plays the nodes of one read: each answers what it was sent last, as a node
// that holds some state would.
type script struct {
	t     *testing.T
	op    *ReadOp
	sends map[transport.NodeID]Send
}

// scripted is a read of n owners by a node that is none. It prefers them in their order.
func scripted(t *testing.T, n int, opts ReadOptions) (s *script, asked []transport.NodeID) {
	return scriptedAs(t, ReadConfig{Key: "k", Placement: Placement{Owners: nodes(n)}, Self: "z", Options: opts, Join: union})
}

func scriptedAs(t *testing.T, cfg ReadConfig) (s *script, asked []transport.NodeID) {
	op, err := NewReadOp(cfg)
	require.NoError(t, err)
	s = &script{t, op, make(map[transport.NodeID]Send)}
	return s, s.keep(op.Start())
}

func at(l Level) ReadOptions { return ReadOptions{Level: l} }

func (s *script) keep(sends []Send) (to []transport.NodeID) {
	for _, m := range sends {
		s.sends[m.To] = m
		to = append(to, m.To)
	}
	return to
}

// answer returns whom the operation sends to next.
func (s *script) answer(node transport.NodeID, state ...byte) []transport.NodeID {
	s.t.Helper()
	m, ok := s.sends[node]
	require.True(s.t, ok, "%s was not asked", node)
	return s.keep(s.op.Answer(m, replyTo(&m.task, state), nil))
}

// replyTo is what a node that holds a state says to a task.
func replyTo(t *task, state []byte) []byte {
	d := digestOf(state)
	switch {
	case t.kind == taskMerge || t.kind == taskHint:
		return reply()
	case t.kind == taskDigest:
		return replyOf(statusDigest, d[:])
	case t.kind == taskUnless && digest(t.state) == d:
		return replyOf(statusSame, nil)
	}
	return reply(state...)
}

func (s *script) fail(node transport.NodeID) []transport.NodeID {
	return s.keep(s.op.Answer(s.sends[node], nil, errDown))
}

func (s *script) hedge() []transport.NodeID { return s.keep(s.op.Hedge()) }

func (s *script) result() ReadResult {
	s.t.Helper()
	require.True(s.t, s.op.Done())
	res, err := s.op.Result()
	require.NoError(s.t, err)
	return res
}

func (s *script) refusal() error {
	s.t.Helper()
	require.True(s.t, s.op.Done())
	res, err := s.op.Result()
	require.Error(s.t, err)
	require.Nil(s.t, res.State)
	require.False(s.t, res.Found)
	return err
}

func ids(all ...transport.NodeID) []transport.NodeID { return all }

func TestReadAsksAsManyAsItNeeds(t *testing.T) {
	s, asked := scripted(t, 3, at(Majority))
	assert.Equal(t, ids("a", "b"), asked)
	assert.Equal(t, []uint8{taskLoad, taskDigest}, []uint8{s.sends["a"].task.kind, s.sends["b"].task.kind})
	assert.Empty(t, s.answer("a", 1, 2))
	assert.False(t, s.op.Done())
	assert.Empty(t, s.answer("b", 1, 2))
	assert.Equal(t, ReadResult{State: set(1, 2), Found: true, Answered: 2, Owners: 3}, s.result())
}

func TestDigestsThatDifferAreFollowedByStates(t *testing.T) {
	s, _ := scripted(t, 3, at(Majority))
	assert.Empty(t, s.answer("b", 2), "the state of a may be the same")
	assert.Equal(t, ids("b"), s.answer("a", 1))
	assert.Equal(t, uint8(taskLoad), s.sends["b"].task.kind)
	assert.Equal(t, ids("a", "b"), s.answer("b", 2), "both lack something")
	s.answer("a")
	s.answer("b")
	res := s.result()
	assert.Equal(t, set(1, 2), res.State)
	assert.True(t, res.Concurrent)
	assert.Equal(t, 2, res.Repaired)
}

func TestDigestsWithoutAStateAreFollowedByOne(t *testing.T) {
	s, _ := scripted(t, 3, at(Majority))
	assert.Empty(t, s.answer("b", 2))
	assert.Equal(t, ids("b", "c"), s.fail("a"), "what a was to tell has to come from b")
	assert.Equal(t, uint8(taskLoad), s.sends["b"].task.kind)
	assert.Empty(t, s.answer("b", 2))
	assert.Empty(t, s.answer("c", 2))
	assert.Equal(t, set(2), s.result().State)
}

// The node that asks, if it owns the key, asks the others whether they have the same.
func TestOwnStateSavesTheOthers(t *testing.T) {
	own := func(l Level) (*script, []transport.NodeID) {
		return scriptedAs(t, ReadConfig{Key: "k", Placement: Placement{Owners: nodes(3)}, Self: "b", Options: at(l), Join: union})
	}
	t.Run("equal", func(t *testing.T) {
		s, asked := own(Majority)
		assert.Equal(t, ids("b"), asked)
		assert.Equal(t, ids("a"), s.answer("b", 1))
		assert.Equal(t, uint8(taskUnless), s.sends["a"].task.kind)
		assert.Empty(t, s.answer("a", 1))
		assert.Equal(t, ReadResult{State: set(1), Found: true, Answered: 2, Owners: 3}, s.result())
	})
	t.Run("different, in one round trip", func(t *testing.T) {
		s, _ := own(Majority)
		s.answer("b", 1)
		assert.Equal(t, ids("b"), s.answer("a", 1, 2), "only the own replica lacks something")
		s.answer("b")
		res := s.result()
		assert.Equal(t, set(1, 2), res.State)
		assert.False(t, res.Concurrent)
	})
	t.Run("both have nothing", func(t *testing.T) {
		s, _ := own(Majority)
		s.answer("b")
		s.answer("a")
		assert.Equal(t, ReadResult{Answered: 2, Owners: 3}, s.result())
	})
	t.Run("it fails", func(t *testing.T) {
		s, _ := own(Majority)
		assert.Equal(t, ids("a", "c"), s.fail("b"))
	})
	t.Run("it is slow", func(t *testing.T) {
		s, _ := own(Majority)
		assert.ElementsMatch(t, ids("a", "c"), s.hedge())
		s.answer("a", 1)
		s.answer("c", 1)
		assert.Equal(t, set(1), s.result().State)
	})
	t.Run("it alone is enough", func(t *testing.T) {
		s, asked := own(One)
		assert.Equal(t, ids("b"), asked)
		assert.Empty(t, s.answer("b", 1))
		assert.Equal(t, set(1), s.result().State)
	})
}

func TestReadPrefersThoseThatAnswerQuickly(t *testing.T) {
	rank := map[transport.NodeID]int{"a": 9, "b": -1, "c": 3, "d": 1}
	cfg := ReadConfig{
		Key: "k", Placement: Placement{Owners: nodes(4)}, Self: "z", Options: at(2), Join: union,
		Prefer: func(id transport.NodeID) int { return rank[id] },
	}
	s, asked := scriptedAs(t, cfg)
	assert.Equal(t, ids("d", "c"), asked)
	assert.Equal(t, ids("a"), s.fail("c"))
	assert.Equal(t, ids("b"), s.fail("a"), "who is away is asked last")

	s, _ = scriptedAs(t, cfg)
	assert.Equal(t, ids("a", "b"), s.hedge(), "and all are, if those take too long")
	assert.Empty(t, s.hedge())
	s.answer("a", 1)
	s.answer("d", 1)
	assert.Equal(t, set(1), s.result().State)
}

// Trap 20: a write that reached one of three, and was refused, is seen by a read
// only when enough replicas have it for every later read to see it too.
func TestTrap20_MonotonicAfterAFailedWrite(t *testing.T) {
	t.Run("the read waits for its repair", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a", 1)
		assert.Equal(t, ids("b"), s.answer("b"), "only b lacks something")
		assert.False(t, s.op.Done())
		s.answer("b")
		res := s.result()
		assert.Equal(t, set(1), res.State)
		assert.Equal(t, 1, res.Repaired)
	})
	t.Run("a third that has it will do", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a", 1)
		s.answer("b")
		assert.Equal(t, ids("c"), s.hedge())
		assert.Empty(t, s.answer("c", 1))
		assert.Equal(t, 0, s.result().Repaired)
	})
	t.Run("a third that lacks it is repaired too", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a", 1)
		s.answer("b")
		s.hedge()
		assert.Equal(t, ids("c"), s.answer("c"))
		assert.False(t, s.op.Done())
		s.answer("c")
		assert.Equal(t, set(1), s.result().State)
	})
	t.Run("a third is asked for one that cannot be repaired", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a", 1)
		s.answer("b")
		assert.Equal(t, ids("c"), s.fail("b"))
		s.answer("c")
		assert.False(t, s.op.Done())
		s.answer("c")
		assert.Equal(t, set(1), s.result().State)
	})
	t.Run("what cannot be repaired is not answered", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a", 1)
		s.answer("b")
		s.fail("b")
		assert.False(t, s.op.Done(), "c may have it")
		s.fail("c")
		var e *UnavailableError
		require.ErrorAs(t, s.refusal(), &e)
		assert.Equal(t, OpRepair, e.Op)
		assert.Equal(t, []int{2, 1, 3}, []int{e.Needed, e.Answered, e.Owners})
		assert.Equal(t, ids("b", "c"), names(e.Failures))
	})
	t.Run("nor in time", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a", 1)
		s.answer("b")
		s.hedge()
		s.op.Timeout()
		var e *TimeoutError
		require.ErrorAs(t, s.refusal(), &e)
		assert.Equal(t, OpRepair, e.Op)
		assert.Equal(t, ids("b", "c"), e.Silent)
		assert.Empty(t, s.answer("c", 1), "nothing is sent after the time is over")
	})
	t.Run("every later read sees it, whoever answers", func(t *testing.T) {
		for _, order := range [][]transport.NodeID{
			{"a", "b", "c"}, {"a", "c", "b"}, {"b", "a", "c"}, {"b", "c", "a"}, {"c", "a", "b"}, {"c", "b", "a"},
		} {
			held := map[transport.NodeID][]byte{"a": set(1)}
			first := readInOrder(t, held, order[:2])
			for _, pair := range [][]transport.NodeID{{"a", "b"}, {"a", "c"}, {"b", "c"}} {
				assert.True(t, contains(readInOrder(t, held, pair), first), "%v then %v", order, pair)
			}
		}
	})
}

// readInOrder is a majority read of which only the nodes named are reached.
func readInOrder(t *testing.T, held map[transport.NodeID][]byte, reached []transport.NodeID) []byte {
	s, _ := scriptedAs(t, ReadConfig{
		Key: "k", Placement: Placement{Owners: nodes(3)}, Self: "z", Options: at(Majority), Join: union,
		Prefer: func(id transport.NodeID) int { return slices.Index(reached, id) },
	})
	for !s.op.Done() {
		for _, id := range reached {
			m, ok := s.sends[id]
			if !ok {
				continue
			}
			delete(s.sends, id)
			if m.task.kind == taskMerge {
				held[id] = m.task.state
			}
			s.keep(s.op.Answer(m, replyTo(&m.task, held[id]), nil))
		}
	}
	return s.result().State
}

// What a read returns with RepairAsync is what it found, and it repairs afterwards;
// with RepairOff it does not.
func TestRepairModes(t *testing.T) {
	t.Run("async", func(t *testing.T) {
		s, _ := scripted(t, 3, ReadOptions{Repair: RepairAsync})
		s.answer("a", 1)
		assert.Equal(t, ids("b"), s.answer("b"))
		assert.Equal(t, set(1), s.result().State)
	})
	t.Run("off", func(t *testing.T) {
		s, _ := scripted(t, 3, ReadOptions{Repair: RepairOff})
		s.answer("a", 1)
		assert.Empty(t, s.answer("b"))
		assert.Equal(t, set(1), s.result().State)
	})
	t.Run("write-back", func(t *testing.T) {
		s, asked := scriptedAs(t, ReadConfig{
			Key: "k", Placement: Placement{Owners: nodes(3)}, Self: "z", Join: union,
			Options: ReadOptions{Level: One, Repair: RepairWriteBack}, WriteBack: Demand{Level: All},
		})
		assert.Equal(t, ids("a"), asked)
		assert.Equal(t, ids("b", "c"), s.answer("a", 1), "of these nobody knows what they have")
		s.answer("b")
		assert.False(t, s.op.Done())
		s.answer("c")
		assert.Equal(t, set(1), s.result().State)
	})
	t.Run("nothing is written back of nothing", func(t *testing.T) {
		s, _ := scriptedAs(t, ReadConfig{
			Key: "k", Placement: Placement{Owners: nodes(3)}, Self: "z", Join: union,
			Options: ReadOptions{Repair: RepairWriteBack}, WriteBack: Demand{Level: Majority},
		})
		s.answer("a")
		s.answer("b")
		assert.False(t, s.result().Found)
	})
}

// What comes in after the level was reached does not change the answer, but all
// that answered get it.
func TestReadSpreadsLateNews(t *testing.T) {
	s, _ := scripted(t, 5, at(2))
	s.answer("a", 1)
	s.hedge()
	s.answer("b", 1)
	assert.Equal(t, set(1), s.result().State)
	assert.Equal(t, ids("a", "b", "c"), s.answer("c", 2), "each lacks what the others have")
	assert.Equal(t, set(1, 2), s.sends["b"].task.state)
	assert.Empty(t, s.answer("d", 1, 2), "has all")
	assert.Equal(t, set(1), s.result().State)
}

// The limit that the package states: of two reads that overlap, each may contain a
// concurrent write that the other does not. What starts later contains both.
func TestOverlappingReadsMayDiffer(t *testing.T) {
	first, _ := scripted(t, 3, at(Majority))
	second, _ := scriptedAs(t, ReadConfig{
		Key: "k", Placement: Placement{Owners: ids("c", "b", "a")}, Self: "z", Options: at(Majority), Join: union,
	})
	first.answer("a", 1)
	first.answer("b")
	second.answer("c", 2)
	second.answer("b")
	first.answer("b") // b now holds 1, and with the next also 2
	second.answer("b")
	assert.Equal(t, set(1), first.result().State)
	assert.Equal(t, set(2), second.result().State)

	held := map[transport.NodeID][]byte{"a": set(1), "b": set(1, 2), "c": set(2)}
	for _, pair := range [][]transport.NodeID{{"a", "b"}, {"a", "c"}, {"b", "c"}} {
		assert.Equal(t, set(1, 2), readInOrder(t, held, pair))
	}
}

func TestReadRepairsOneAtATime(t *testing.T) {
	s, _ := scripted(t, 3, at(One))
	s.hedge()
	s.answer("a", 1)
	assert.Equal(t, ids("a"), s.answer("b", 1, 2))
	old := s.sends["a"]
	assert.Equal(t, ids("b"), s.answer("c", 1, 2, 3), "one repair of a is under way")
	assert.Equal(t, ids("a"), s.answer("a"), "then it gets the rest")
	assert.Equal(t, set(1, 2, 3), s.sends["a"].task.state)
	assert.Empty(t, s.op.Answer(old, reply(), nil), "a repeated answer")
	assert.Empty(t, s.fail("a"), "one that fails is left to anti-entropy")
	assert.Equal(t, set(1), s.result().State)
}

// Trap 18: absence is said only by those who answered, never by those who failed,
// and never against one who has something.
func TestTrap18_NotFoundIsNotAnError(t *testing.T) {
	t.Run("all said not found", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a")
		s.answer("b")
		assert.Equal(t, ReadResult{Answered: 2, Owners: 3}, s.result())
	})
	t.Run("one has data, whoever answers first", func(t *testing.T) {
		for _, order := range [][2]transport.NodeID{{"a", "b"}, {"b", "a"}} {
			s, _ := scripted(t, 3, at(Majority))
			for _, id := range order {
				if id == "a" {
					s.answer(id, 7)
				} else {
					s.answer(id)
				}
			}
			s.answer("b") // to the repair
			assert.True(t, s.result().Found)
		}
	})
	t.Run("one has told that it has data", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a")
		assert.Equal(t, ids("b"), s.answer("b", 7), "it told a digest")
		s.hedge()
		s.answer("c")
		assert.False(t, s.op.Done())
		s.answer("b", 7)
		s.answer("a")
		assert.Equal(t, set(7), s.result().State)
	})
	t.Run("one has told that it has data, which is lost then", func(t *testing.T) {
		for _, least := range []Level{0, One} {
			s, _ := scripted(t, 3, ReadOptions{Level: Majority, Least: least})
			s.answer("a")
			assert.Equal(t, ids("b"), s.answer("b", 7), "it told a digest")
			s.fail("b")
			s.answer("c")
			var e *UnavailableError
			require.ErrorAs(t, s.refusal(), &e)
			assert.Equal(t, "states that owners say they have", e.Condition)
			assert.Equal(t, []transport.NodeID{"b"}, names(e.Failures))
		}
	})
	t.Run("nothing is not written back", func(t *testing.T) {
		s, _ := scripted(t, 3, ReadOptions{Level: One, Repair: RepairWriteBack})
		s.answer("a")
		assert.Equal(t, ReadResult{Answered: 1, Owners: 3}, s.result())
	})
	t.Run("not found and errors", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a")
		s.fail("b")
		assert.False(t, s.op.Done())
		s.fail("c")
		var e *UnavailableError
		require.ErrorAs(t, s.refusal(), &e)
		assert.Equal(t, OpRead, e.Op)
		assert.Equal(t, 1, e.Answered)
		assert.Equal(t, ids("a"), e.Answers)
		assert.ErrorIs(t, e, errDown)
	})
	t.Run("only errors", func(t *testing.T) {
		s, _ := scripted(t, 3, at(One))
		assert.Equal(t, ids("b"), s.fail("a"))
		assert.Equal(t, ids("c"), s.fail("b"))
		s.fail("c")
		var e *UnavailableError
		require.ErrorAs(t, s.refusal(), &e)
		assert.Equal(t, 0, e.Answered)
		assert.Len(t, e.Failures, 3)
	})
	t.Run("damaged is not absent", func(t *testing.T) {
		s, _ := scripted(t, 1, at(One))
		s.keep(s.op.Answer(s.sends["a"], []byte{0xc1}, nil))
		var e *MessageError
		assert.ErrorAs(t, s.refusal(), &e)
	})
	t.Run("not found by all", func(t *testing.T) {
		s, _ := scripted(t, 3, ReadOptions{NotFound: NotFoundByAll})
		assert.Equal(t, ids("c"), s.answer("a"), "two would be enough, and a third may have it")
		assert.Empty(t, s.answer("b"))
		assert.Equal(t, ids("c"), s.answer("c", 7), "it told a digest")
		s.answer("c", 7)
		assert.False(t, s.op.Done())
		s.answer("a")
		assert.Equal(t, set(7), s.result().State)

		s, _ = scripted(t, 3, ReadOptions{NotFound: NotFoundByAll})
		s.answer("a")
		s.answer("b")
		s.fail("c")
		assert.Equal(t, ReadResult{Answered: 2, Owners: 3}, s.result())
	})
}

// Trap 18: what was written to others than the owners is not confirmed by owners, and
// the answers say so.
func TestTrap18_SloppyQuorums(t *testing.T) {
	place := Placement{Owners: nodes(3), Fallbacks: ids("x", "y")}
	write := func(opts WriteOptions) (*WriteOp, map[transport.NodeID]Send) {
		opts.Fallbacks = FallbacksCount
		op, err := NewWriteOp(WriteConfig{Key: "k", Delta: set(1), Placement: place, Self: "z", Options: opts, Hints: true})
		require.NoError(t, err)
		sends := make(map[transport.NodeID]Send)
		for _, s := range op.Start() {
			sends[s.To] = s
		}
		return op, sends
	}
	t.Run("written to fallbacks", func(t *testing.T) {
		op, sends := write(WriteOptions{Level: 2})
		for _, owner := range ids("b", "c") {
			for _, s := range op.Answer(sends[owner], nil, errDown) {
				assert.Equal(t, owner, s.task.target)
				sends[s.To] = s
			}
		}
		op.Answer(sends["a"], nil, errDown)
		assert.False(t, op.Done())
		op.Answer(sends["x"], reply(), nil)
		op.Answer(sends["y"], reply(), nil)
		res, err := op.Result()
		require.NoError(t, err)
		assert.Equal(t, WriteResult{Answered: 0, StoodIn: 2, Hinted: 2, Owners: 3}, res)
	})
	t.Run("owners themselves are asked for", func(t *testing.T) {
		op, sends := write(WriteOptions{Level: 2, Primary: 2})
		op.Answer(sends["a"], reply(), nil)
		op.Answer(sends["x"], nil, errDown)
		for _, owner := range ids("b", "c") {
			for _, s := range op.Answer(sends[owner], nil, errDown) {
				op.Answer(s, reply(), nil)
			}
		}
		_, err := op.Result()
		var e *UnavailableError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, "owners themselves", e.Condition)
		assert.Equal(t, []int{2, 1}, []int{e.Needed, e.Answered})
	})
	t.Run("read from fallbacks", func(t *testing.T) {
		s, _ := scriptedAs(t, ReadConfig{
			Key: "k", Placement: place, Self: "z", Options: ReadOptions{Level: 2, Fallbacks: FallbacksCount}, Join: union,
		})
		s.fail("a")
		assert.Equal(t, ids("x", "y"), s.fail("b"))
		s.answer("c")
		s.answer("x", 1)
		s.answer("c") // to the repair
		assert.Equal(t, ReadResult{State: set(1), Found: true, Answered: 1, StoodIn: 1, Repaired: 1, Owners: 3}, s.result())
	})
	t.Run("not found by owners alone", func(t *testing.T) {
		s, _ := scriptedAs(t, ReadConfig{
			Key: "k", Placement: place, Self: "z", Options: ReadOptions{Level: 2, Fallbacks: FallbacksCount}, Join: union,
		})
		s.answer("a")
		s.answer("b")
		assert.Equal(t, ReadResult{Answered: 2, Owners: 3}, s.result(), "said by two owners, and by nobody else")
	})
	t.Run("fallbacks fail too", func(t *testing.T) {
		s, _ := scriptedAs(t, ReadConfig{
			Key: "k", Placement: place, Self: "z", Options: ReadOptions{Level: 2, Fallbacks: FallbacksCount}, Join: union,
		})
		s.answer("a", 1)
		s.fail("b")
		assert.Equal(t, ids("x", "y"), s.fail("c"))
		s.fail("x")
		s.fail("y")
		var e *UnavailableError
		require.ErrorAs(t, s.refusal(), &e)
	})
}

// A lower level may do, and is told apart.
func TestLeast(t *testing.T) {
	for _, end := range []string{"failures", "time"} {
		s, _ := scripted(t, 3, ReadOptions{Level: Majority, Least: One})
		s.answer("a", 1)
		s.fail("b")
		if end == "time" {
			s.op.Timeout()
		} else {
			s.fail("c")
		}
		assert.Equal(t, ReadResult{State: set(1), Found: true, Stale: true, Answered: 1, Owners: 3}, s.result())
	}
	s, _ := scripted(t, 3, ReadOptions{Level: All, Least: Two})
	s.answer("a", 1)
	s.op.Timeout()
	var e *TimeoutError
	require.ErrorAs(t, s.refusal(), &e)
	assert.Equal(t, All, e.Level)
}

// Trap 21: a repair is merged by the replica like any delta. In these states a
// number above 100 removes the number below it.
func TestTrap21_ReadRepairIsAMerge(t *testing.T) {
	t.Run("it does not overwrite what came since the load", func(t *testing.T) {
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a", 1)
		s.answer("b")
		b := new(memory)
		b.put("k", 5) // written at b after it answered
		m := s.sends["b"]
		resp, err := (&Coordinator{Local: b}).Handler().ServeCall(t.Context(), "a", Method, m.Request())
		require.NoError(t, err)
		s.op.Answer(m, resp, nil)
		assert.Equal(t, set(1), s.result().State)
		assert.Equal(t, set(1, 5), b.at("k"))
	})
	t.Run("it does not resurrect", func(t *testing.T) {
		visible := func(state []byte, elem byte) bool {
			return contains(state, set(elem)) && !contains(state, set(elem+100))
		}
		s, _ := scripted(t, 3, at(Majority))
		s.answer("a", 1, 101) // a saw the removal of 1
		s.answer("b", 1)      // by its digest
		s.answer("b", 1)
		assert.Equal(t, set(1, 101), s.sends["b"].task.state)
		s.answer("b")
		assert.False(t, visible(s.result().State, 1))
	})
}

// A replica whose bytes are damaged counts as failed, also if it was the first to
// answer and so what all others are joined into.
func TestReadLeavesDamagedStatesOut(t *testing.T) {
	for _, order := range [][]transport.NodeID{{"a", "b", "c"}, {"b", "a", "c"}, {"b", "c", "a"}} {
		s, _ := scripted(t, 3, at(Majority))
		s.hedge()
		for _, id := range order {
			if id == "a" {
				s.answer(id, 9, 9)
			} else {
				s.answer(id, byte(id[0]))
			}
		}
		s.answer("b", 'b')
		require.False(t, s.op.Done())
		s.answer("b")
		s.answer("c")
		assert.Equal(t, set('b', 'c'), s.result().State, "%v", order)
	}
	s, _ := scripted(t, 3, at(Majority))
	s.answer("a", 9, 9)
	s.fail("b")
	s.answer("c", 1)
	assert.ErrorIs(t, s.refusal(), errDamaged)

	s, _ = scripted(t, 2, at(One))
	s.answer("a", 9, 9)
	require.False(t, s.op.Done(), "damaged bytes are no answer, also at level One")
	s.answer("b", 1)
	assert.Equal(t, set(1), s.result().State)
}

func TestOpsIgnoreForeignSends(t *testing.T) {
	s, _ := scripted(t, 3, at(One))
	for _, m := range []Send{
		{To: "z", ID: 0}, {To: "a", ID: 1}, {To: "a", ID: -1}, {To: "a", ID: 3}, {To: "a", ID: 99}, {To: "a", role: roleRepair},
	} {
		assert.Empty(t, s.op.Answer(m, reply(1), nil))
	}
	assert.False(t, s.op.Done())

	w := writing(t, WriteConfig{Options: WriteOptions{Level: One}})
	for _, m := range []Send{{To: "z", role: roleWrite}, {To: "a", ID: 1, role: roleWrite}, {To: "a", ID: -1, role: roleWrite}} {
		assert.Empty(t, w.Answer(m, reply(), nil))
	}
	assert.False(t, w.Done())
}

// writing is a write to three owners.
func writing(t *testing.T, cfg WriteConfig) *WriteOp {
	cfg.Key, cfg.Delta = "k", set(1)
	if cfg.Placement.Owners == nil {
		cfg.Placement.Owners = nodes(3)
	}
	op, err := NewWriteOp(cfg)
	require.NoError(t, err)
	return op
}

func TestWriteOpCounts(t *testing.T) {
	op := writing(t, WriteConfig{})
	sends := op.Start()
	op.Answer(sends[0], reply(), nil)
	op.Answer(sends[0], reply(), nil)
	assert.False(t, op.Done(), "the same owner twice")
	op.Answer(sends[1], []byte("nonsense"), nil)
	assert.False(t, op.Done())
	op.Answer(sends[2], reply(), nil)
	require.True(t, op.Done())
	op.Timeout()
	res, err := op.Result()
	require.NoError(t, err)
	assert.Equal(t, WriteResult{Answered: 2, Owners: 3}, res)
}

func TestWriteOpRefuses(t *testing.T) {
	op := writing(t, WriteConfig{})
	sends := op.Start()
	op.Answer(sends[0], nil, errDown)
	assert.False(t, op.Done())
	op.Answer(sends[1], nil, errDown)
	require.True(t, op.Done(), "as soon as it cannot be reached any more")
	_, err := op.Result()
	var e *UnavailableError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, OpWrite, e.Op)
	op.Answer(sends[2], reply(), nil)
	_, still := op.Result()
	assert.Same(t, err, still)

	for _, level := range []Level{4, -9} {
		_, err := NewWriteOp(WriteConfig{Key: "k", Placement: Placement{Owners: nodes(3)}, Options: WriteOptions{Level: level}})
		var e *LevelError
		assert.ErrorAs(t, err, &e)
		_, err = NewReadOp(ReadConfig{Key: "k", Options: at(level), Join: union})
		assert.ErrorAs(t, err, &e)
	}
	_, err = NewReadOp(ReadConfig{Key: "k", Placement: Placement{Owners: nodes(3)}, Options: at(Any), Join: union})
	assert.ErrorContains(t, err, "it is for writes")
}

// What an owner misses is kept as a hint by the node that asks, and does not count.
func TestHintsForThoseThatMissAWrite(t *testing.T) {
	op := writing(t, WriteConfig{Self: "a", Hints: true})
	sends := op.Start()
	op.Answer(sends[0], reply(), nil)
	hints := op.Answer(sends[1], nil, errDown)
	require.Len(t, hints, 1)
	assert.Equal(t, []any{transport.NodeID("a"), transport.NodeID("b"), uint8(taskHint)}, []any{hints[0].To, hints[0].task.target, hints[0].task.kind})
	op.Answer(hints[0], reply(), nil)
	assert.False(t, op.Done(), "a hint is no answer")

	late := op.Timeout()
	require.Len(t, late, 1)
	assert.Equal(t, transport.NodeID("c"), late[0].task.target)
	_, err := op.Result()
	var e *TimeoutError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, ids("a"), e.Answers)
	assert.Equal(t, ids("b"), names(e.Failures))
	assert.Equal(t, ids("c"), e.Silent)
	assert.Empty(t, op.Timeout(), "once")
}

func TestAnyIsSatisfiedByAHint(t *testing.T) {
	op := writing(t, WriteConfig{Self: "z", Hints: true, Options: WriteOptions{Level: Any}})
	sends := op.Start()
	var hints []Send
	for _, s := range sends {
		hints = append(hints, op.Answer(s, nil, errDown)...)
	}
	require.Len(t, hints, 3)
	assert.False(t, op.Done())
	op.Answer(hints[0], reply(), nil)
	res, err := op.Result()
	require.NoError(t, err)
	assert.Equal(t, WriteResult{Hinted: 1, Owners: 3}, res)

	op = writing(t, WriteConfig{Self: "z", Hints: true, Options: WriteOptions{Level: Any}})
	op.Start()
	assert.Len(t, op.Hedge(), 3, "it does not wait for those that are slow")
}

// Who is taken to be away is not asked where the others are enough, and is where not.
func TestThoseThatAreAwayAreLeftOut(t *testing.T) {
	away := func(all ...transport.NodeID) func(transport.NodeID) bool {
		return func(id transport.NodeID) bool { return slices.Contains(all, id) }
	}
	to := func(sends []Send) (merges, hints []transport.NodeID) {
		for _, s := range sends {
			if s.task.kind == taskHint {
				hints = append(hints, s.task.target)
			} else {
				merges = append(merges, s.To)
			}
		}
		return merges, hints
	}
	op := writing(t, WriteConfig{Self: "a", Hints: true, Away: away("c")})
	sends := op.Start()
	merges, hints := to(sends)
	assert.Equal(t, ids("a", "b"), merges)
	assert.Equal(t, ids("c"), hints)
	merges, hints = to(op.Answer(sends[1], nil, errDown))
	assert.Equal(t, ids("c"), merges, "now it is needed")
	assert.Equal(t, ids("b"), hints)

	op = writing(t, WriteConfig{Self: "a", Hints: true, Away: away("b", "c")})
	merges, hints = to(op.Start())
	assert.Len(t, merges, 2)
	assert.Len(t, hints, 1)

	op = writing(t, WriteConfig{Self: "a", Hints: true, Away: away("b", "c"), Options: WriteOptions{Level: All}})
	merges, hints = to(op.Start())
	assert.Len(t, merges, 3)
	assert.Empty(t, hints)
}

// Trap 19, of one operation: while the ring changes both sets of owners have to answer.
func TestTrap19_OwnersToComeCount(t *testing.T) {
	place := Placement{Owners: nodes(3), Next: ids("b", "d", "e")}
	op := writing(t, WriteConfig{Placement: place})
	sends := op.Start()
	require.Len(t, sends, 5)
	op.Answer(sends[0], reply(), nil)
	op.Answer(sends[1], reply(), nil)
	assert.False(t, op.Done(), "a and b are a majority of the owners, and one of three to come")
	op.Answer(sends[4], reply(), nil)
	assert.True(t, op.Done())

	s, asked := scriptedAs(t, ReadConfig{Key: "k", Placement: place, Self: "z", Options: at(Majority), Join: union})
	assert.Equal(t, ids("a", "b", "d"), asked)
	s.answer("a", 1)
	s.answer("b", 1)
	assert.False(t, s.op.Done())
	s.fail("d")
	s.fail("e")
	var e *UnavailableError
	require.ErrorAs(t, s.refusal(), &e)
	assert.Equal(t, "next owners", e.Condition)
}
