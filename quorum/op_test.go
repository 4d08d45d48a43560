package quorum

import (
	"fmt"
	"math/rand/v2"
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

// Trap 20, the negative control: the same checker, without write-back.
func TestTrap20_WithoutWriteBackReadsAreNotMonotonic(t *testing.T) {
	for seed := range uint64(1000) {
		if fault := runSeed(seed, true); fault != "" {
			t.Logf("seed %d: %s", seed, fault)
			return
		}
	}
	t.Fatal("the checker accepts reads that do not write back")
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

// A script plays the nodes of one read: each answers what it was sent last.
type script struct {
	t     *testing.T
	op    *ReadOp
	sends map[transport.NodeID]Send
}

func scripted(t *testing.T, n int, level Level) *script {
	op, err := NewReadOp("k", Placement{Owners: nodes(n)}, level, union)
	require.NoError(t, err)
	s := &script{t, op, make(map[transport.NodeID]Send)}
	s.keep(op.Start())
	return s
}

func (s *script) keep(sends []Send) (to []transport.NodeID) {
	for _, m := range sends {
		s.sends[m.To] = m
		to = append(to, m.To)
	}
	return to
}

// answer returns whom the operation sends to next.
func (s *script) answer(node transport.NodeID, state ...byte) []transport.NodeID {
	return s.keep(s.op.Answer(s.sends[node], appendResponse(nil, state), nil))
}

func (s *script) fail(node transport.NodeID) []transport.NodeID {
	return s.keep(s.op.Answer(s.sends[node], nil, errDown))
}

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

func TestReadOfEqualAnswersRepairsNothing(t *testing.T) {
	s := scripted(t, 3, Majority)
	assert.Empty(t, s.answer("a", 1, 2))
	assert.False(t, s.op.Done())
	assert.Empty(t, s.answer("b", 1, 2))
	assert.Equal(t, ReadResult{State: set(1, 2), Found: true, Needed: 2, Answered: 2, Owners: 3}, s.result())
	assert.Empty(t, s.answer("c", 1, 2), "late, and lacks nothing")
}

// Trap 20: a write that reached one of three, and was refused, is seen by a read
// only when enough replicas have it for every later read to see it too.
func TestTrap20_MonotonicAfterAFailedWrite(t *testing.T) {
	t.Run("the read waits for its repair", func(t *testing.T) {
		s := scripted(t, 3, Majority)
		s.answer("a", 1)
		assert.Equal(t, []transport.NodeID{"b"}, s.answer("b"), "only b lacks something")
		assert.False(t, s.op.Done())
		s.answer("b")
		res := s.result()
		assert.Equal(t, set(1), res.State)
		assert.Equal(t, 1, res.Repaired)
	})
	t.Run("a third that has it will do", func(t *testing.T) {
		s := scripted(t, 3, Majority)
		s.answer("a", 1)
		s.answer("b")
		assert.Empty(t, s.answer("c", 1))
		assert.Equal(t, 0, s.result().Repaired)
	})
	t.Run("a third that lacks it is repaired too", func(t *testing.T) {
		s := scripted(t, 3, Majority)
		s.answer("a", 1)
		s.answer("b")
		assert.Equal(t, []transport.NodeID{"c"}, s.answer("c"))
		assert.False(t, s.op.Done())
		s.answer("c")
		assert.Equal(t, set(1), s.result().State)
	})
	t.Run("what cannot be repaired is not answered", func(t *testing.T) {
		s := scripted(t, 3, Majority)
		s.answer("a", 1)
		s.answer("b")
		s.fail("b")
		assert.False(t, s.op.Done(), "c may have it")
		s.fail("c")
		var e *UnavailableError
		require.ErrorAs(t, s.refusal(), &e)
		assert.Equal(t, OpRepair, e.Op)
		assert.Equal(t, []int{2, 1, 3}, []int{e.Needed, e.Answered, e.Owners})
		assert.Equal(t, []transport.NodeID{"b", "c"}, names(e.Failures))
	})
	t.Run("nor in time", func(t *testing.T) {
		s := scripted(t, 3, Majority)
		s.answer("a", 1)
		s.answer("b")
		s.op.Timeout()
		var e *TimeoutError
		require.ErrorAs(t, s.refusal(), &e)
		assert.Equal(t, OpRepair, e.Op)
		assert.Equal(t, []transport.NodeID{"b", "c"}, e.Silent)
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
	s := scripted(t, 3, Majority)
	for _, id := range reached {
		for _, to := range s.answer(id, held[id]...) {
			held[to] = s.sends[to].state
			s.answer(to)
		}
	}
	return s.result().State
}

// What comes in after the level was reached does not change the answer, but all
// that answered get it.
func TestReadSpreadsLateNews(t *testing.T) {
	s := scripted(t, 5, 2)
	s.answer("a", 1)
	s.answer("b", 1)
	assert.Equal(t, set(1), s.result().State)
	assert.Equal(t, []transport.NodeID{"a", "b", "c"}, s.answer("c", 2), "each lacks what the others have")
	assert.Equal(t, set(1, 2), s.sends["b"].state)
	assert.Empty(t, s.answer("d", 1, 2), "has all")
	assert.Equal(t, set(1), s.result().State)
}

// The limit that the package states: of two reads that overlap, each may contain a
// concurrent write that the other does not. What starts later contains both.
func TestOverlappingReadsMayDiffer(t *testing.T) {
	first, second := scripted(t, 3, Majority), scripted(t, 3, Majority)
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
	s := scripted(t, 3, One)
	s.answer("a", 1)
	assert.Equal(t, []transport.NodeID{"a"}, s.answer("b", 1, 2))
	old := s.sends["a"]
	assert.Equal(t, []transport.NodeID{"b"}, s.answer("c", 1, 2, 3), "one repair of a is under way")
	assert.Equal(t, []transport.NodeID{"a"}, s.answer("a"), "then it gets the rest")
	assert.Equal(t, set(1, 2, 3), s.sends["a"].state)
	assert.Empty(t, s.op.Answer(old, appendResponse(nil, nil), nil), "a repeated answer")
	assert.Empty(t, s.fail("a"), "one that fails is left to anti-entropy")
	assert.Equal(t, set(1), s.result().State)
}

// Trap 18: absence is said only by those who answered, never by those who failed,
// and never against one who has something.
func TestTrap18_NotFoundIsNotAnError(t *testing.T) {
	t.Run("all said not found", func(t *testing.T) {
		s := scripted(t, 3, Majority)
		s.answer("a")
		s.answer("b")
		assert.Equal(t, ReadResult{Needed: 2, Answered: 2, Owners: 3}, s.result())
	})
	t.Run("one has data, whoever answers first", func(t *testing.T) {
		for _, order := range [][2]transport.NodeID{{"a", "b"}, {"b", "a"}} {
			s := scripted(t, 3, Majority)
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
	t.Run("not found and errors", func(t *testing.T) {
		s := scripted(t, 3, Majority)
		s.answer("a")
		s.fail("b")
		assert.False(t, s.op.Done())
		s.fail("c")
		var e *UnavailableError
		require.ErrorAs(t, s.refusal(), &e)
		assert.Equal(t, OpRead, e.Op)
		assert.Equal(t, 1, e.Answered)
		assert.ErrorIs(t, e, errDown)
	})
	t.Run("only errors", func(t *testing.T) {
		s := scripted(t, 3, One)
		s.fail("a")
		s.fail("b")
		s.fail("c")
		var e *UnavailableError
		require.ErrorAs(t, s.refusal(), &e)
		assert.Equal(t, 0, e.Answered)
		assert.Len(t, e.Failures, 3)
	})
	t.Run("damaged is not absent", func(t *testing.T) {
		s := scripted(t, 1, One)
		s.keep(s.op.Answer(s.sends["a"], []byte{0xc1}, nil))
		var e *MessageError
		assert.ErrorAs(t, s.refusal(), &e)
	})
}

// Trap 21: a repair is merged by the replica like any delta. In these states a
// number above 100 removes the number below it.
func TestTrap21_ReadRepairIsAMerge(t *testing.T) {
	t.Run("it does not overwrite what came since the load", func(t *testing.T) {
		s := scripted(t, 3, Majority)
		s.answer("a", 1)
		s.answer("b")
		b := new(memory)
		b.put("k", 5) // written at b after it answered
		_, _, err := parseRequest(MethodMerge, s.sends["b"].Request)
		require.NoError(t, err)
		resp, err := (&Coordinator{Local: b}).Handler().ServeCall(t.Context(), "a", MethodMerge, s.sends["b"].Request)
		require.NoError(t, err)
		s.op.Answer(s.sends["b"], resp, nil)
		assert.Equal(t, set(1), s.result().State)
		assert.Equal(t, set(1, 5), b.at("k"))
	})
	t.Run("it does not resurrect", func(t *testing.T) {
		visible := func(state []byte, elem byte) bool {
			return contains(state, set(elem)) && !contains(state, set(elem+100))
		}
		s := scripted(t, 3, Majority)
		s.answer("a", 1, 101) // a saw the removal of 1
		s.answer("b", 1)
		assert.Equal(t, set(1, 101), s.sends["b"].state)
		s.answer("b")
		assert.False(t, visible(s.result().State, 1))
	})
}

// A replica whose bytes are damaged counts as failed, also if it was the first to
// answer and so what all others are joined into.
func TestReadLeavesDamagedStatesOut(t *testing.T) {
	for _, order := range [][]transport.NodeID{{"a", "b", "c"}, {"b", "a", "c"}, {"b", "c", "a"}} {
		s := scripted(t, 3, Majority)
		for _, id := range order {
			if id == "a" {
				s.answer(id, 9, 9)
			} else {
				s.answer(id, byte(id[0]))
			}
		}
		require.False(t, s.op.Done())
		s.answer("b")
		s.answer("c")
		assert.Equal(t, set('b', 'c'), s.result().State, "%v", order)
	}
	s := scripted(t, 3, Majority)
	s.answer("a", 9, 9)
	s.fail("b")
	s.answer("c", 1)
	assert.ErrorIs(t, s.refusal(), errDamaged)

	// Nor does it count where nobody has anything to disagree with.
	for _, order := range [][]transport.NodeID{{"a", "b", "c"}, {"b", "a", "c"}} {
		s := scripted(t, 3, Majority)
		for _, id := range order {
			switch id {
			case "a":
				s.answer(id, 9, 9)
			case "b":
				s.answer(id)
			case "c":
				s.answer(id, 1)
			}
		}
		s.answer("b")
		assert.Equal(t, set(1), s.result().State, "%v", order)
	}
	s = scripted(t, 2, One)
	s.answer("a", 9, 9)
	require.False(t, s.op.Done(), "damaged bytes are no answer, also at level One")
	s.answer("b", 1)
	assert.Equal(t, set(1), s.result().State)
}

func TestOpsIgnoreForeignSends(t *testing.T) {
	s := scripted(t, 3, One)
	for _, m := range []Send{
		{To: "z", ID: 0}, {To: "a", ID: 1}, {To: "a", ID: -1}, {To: "a", ID: 3}, {To: "a", ID: 99},
	} {
		assert.Empty(t, s.op.Answer(m, appendResponse(nil, set(1)), nil))
	}
	assert.False(t, s.op.Done())

	w, err := NewWriteOp("k", set(1), Placement{Owners: nodes(3)}, One)
	require.NoError(t, err)
	for _, m := range []Send{{To: "z", ID: 0}, {To: "a", ID: 1}, {To: "a", ID: -1}} {
		assert.Empty(t, w.Answer(m, appendResponse(nil, nil), nil))
	}
	assert.False(t, w.Done())
}

func TestWriteOpCounts(t *testing.T) {
	op, err := NewWriteOp("k", set(1), Placement{Owners: nodes(3)}, Majority)
	require.NoError(t, err)
	sends := op.Start()
	ok := appendResponse(nil, nil)
	op.Answer(sends[0], ok, nil)
	op.Answer(sends[0], ok, nil)
	assert.False(t, op.Done(), "the same owner twice")
	op.Answer(sends[1], []byte("nonsense"), nil)
	assert.False(t, op.Done())
	op.Answer(sends[2], ok, nil)
	require.True(t, op.Done())
	op.Timeout()
	res, err := op.Result()
	require.NoError(t, err)
	assert.Equal(t, WriteResult{Needed: 2, Answered: 2, Owners: 3}, res)
}

func TestWriteOpRefuses(t *testing.T) {
	op, err := NewWriteOp("k", set(1), Placement{Owners: nodes(3)}, Majority)
	require.NoError(t, err)
	sends := op.Start()
	op.Answer(sends[0], nil, errDown)
	assert.False(t, op.Done())
	op.Answer(sends[1], nil, errDown)
	require.True(t, op.Done(), "as soon as it cannot be reached any more")
	_, err = op.Result()
	var e *UnavailableError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, OpWrite, e.Op)
	op.Answer(sends[0], appendResponse(nil, nil), nil)
	op.Answer(sends[1], appendResponse(nil, nil), nil)
	_, still := op.Result()
	assert.Same(t, err, still)

	for _, level := range []Level{4, -9} {
		_, err := NewWriteOp("k", nil, Placement{Owners: nodes(3)}, level)
		var e *LevelError
		assert.ErrorAs(t, err, &e)
		_, err = NewReadOp("k", Placement{}, level, union)
		assert.ErrorAs(t, err, &e)
	}
}
