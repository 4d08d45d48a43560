package quorum

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// In these tests a state was loaded where so much was forgotten as its last element says, from 100 on.
func generationOfSet(state []byte) string {
	if n := len(state); n > 0 && state[n-1] >= 100 {
		return string(state[n-1:])
	}
	return ""
}

func forgetfulRead(t *testing.T, since string) *script {
	s, asked := scriptedAs(t, ReadConfig{
		Key: "k", Placement: Placement{Owners: nodes(3)}, Self: "z", Options: at(Majority), Join: union,
		Generation: generationOfSet, Since: since,
	})
	require.Equal(t, ids("a", "b"), asked)
	return s
}

func (s *script) nothing(node transport.NodeID, generation string) []transport.NodeID {
	return s.keep(s.op.Answer(s.sends[node], replyOf(statusNothing, []byte(generation)), nil))
}

func TestWhatIsForgottenDoesNotComeBack(t *testing.T) {
	all := ids("a", "b", "c") // when a read begins anew
	t.Run("first the state, then nothing", func(t *testing.T) {
		s := forgetfulRead(t, "")
		assert.Empty(t, s.answer("a", 1, 2))
		assert.Equal(t, all, s.nothing("b", "d"), "a may have answered before it had the deletion")
		assert.Empty(t, s.nothing("b", "d"))
		assert.Empty(t, s.nothing("a", "d"))
		assert.Equal(t, ReadResult{Answered: 2, Owners: 3}, s.result())
	})
	t.Run("first nothing, then the state", func(t *testing.T) {
		s := forgetfulRead(t, "")
		s.nothing("b", "d")
		assert.Equal(t, all, s.answer("a", 1, 2))
	})
	t.Run("a key that was made anew", func(t *testing.T) {
		s := forgetfulRead(t, "")
		s.answer("a", 1, 2)
		assert.Equal(t, ids("b"), s.answer("b", 7, 100), "its digest is another")
		assert.Equal(t, all, s.answer("b", 7, 100))
		s.answer("a", 7, 100)
		s.answer("b", 7, 100)
		assert.Equal(t, set(7, 100), s.result().State)
	})
	t.Run("who is behind and was asked since", func(t *testing.T) {
		s := forgetfulRead(t, "")
		s.answer("a", 1, 2)
		s.nothing("b", "d")
		s.answer("a", 1, 2, 3) // the deletion, and no generation yet
		s.nothing("b", "d")
		s.answer("b")
		assert.Equal(t, set(1, 2, 3), s.result().State)
	})
	t.Run("what was known before", func(t *testing.T) {
		s := forgetfulRead(t, "d")
		s.answer("a", 1, 2)
		assert.Equal(t, ids("b"), s.nothing("b", "d"), "is a repair")
		assert.Equal(t, uint8(taskMerge), s.sends["b"].task.kind)
	})
	t.Run("more than was known", func(t *testing.T) {
		s := forgetfulRead(t, "c")
		s.answer("a", 1, 2)
		assert.Equal(t, all, s.nothing("b", "d"))
	})
	t.Run("nothing, and nothing forgotten", func(t *testing.T) {
		s := forgetfulRead(t, "")
		s.answer("a", 1, 2)
		assert.Equal(t, ids("b"), s.answer("b"), "is a repair")
		assert.Equal(t, uint8(taskMerge), s.sends["b"].task.kind)
	})
	t.Run("one who stands in", func(t *testing.T) {
		s, _ := scriptedAs(t, ReadConfig{
			Key: "k", Placement: Placement{Owners: nodes(3), Fallbacks: ids("d")}, Self: "z", Join: union, Generation: generationOfSet,
			Options: ReadOptions{Level: Majority, Fallbacks: FallbacksCount},
		})
		s.answer("a", 1, 2)
		s.fail("b")
		require.Equal(t, ids("d"), s.fail("c"))
		assert.Equal(t, all, s.nothing("d", "d"))
	})
}

func TestAnswersFromBeforeARestartDoNotCount(t *testing.T) {
	s := forgetfulRead(t, "")
	s.answer("a", 1, 2)
	late := s.sends["b"]
	require.Equal(t, ids("a", "b", "c"), s.nothing("b", "d"))
	assert.NotEqual(t, late.ID, s.sends["b"].ID)
	assert.Empty(t, s.keep(s.op.Answer(late, reply(1, 2), nil)))
	assert.False(t, s.op.Done())
	s.fail("a")
	s.nothing("b", "d")
	s.nothing("c", "d")
	assert.Equal(t, ReadResult{Answered: 2, Owners: 3}, s.result())
}

// What is not understood says nothing of what is forgotten.
func TestARefusedStateBeginsNothingAnew(t *testing.T) {
	s := forgetfulRead(t, "")
	s.answer("a", 1, 2)
	require.Equal(t, ids("b"), s.answer("b", 7, 7, 255), "its digest is another")
	assert.Equal(t, ids("c"), s.answer("b", 7, 7, 255), "in the place of b")
	s.answer("c", 1, 2)
	assert.Equal(t, set(1, 2), s.result().State)
}

// An owner that has forgotten more each time that it is asked is done without.
func TestAReadBeginsAnewSoOften(t *testing.T) {
	s := forgetfulRead(t, "")
	for i := range maxRestarts {
		s.answer("a", 1, 2)
		require.Equal(t, ids("a", "b", "c"), s.nothing("b", string(rune('d'+i))))
	}
	s.answer("a", 1, 2)
	s.nothing("b", "z")
	require.False(t, s.op.Done())
	s.answer("c", 1, 2)
	assert.Equal(t, set(1, 2), s.result().State)

	s = forgetfulRead(t, "")
	for i := range maxRestarts {
		s.answer("a", 1, 2)
		s.nothing("b", string(rune('d'+i)))
	}
	s.nothing("b", "z")
	s.nothing("c", "z")
	var u *UnavailableError
	require.ErrorAs(t, s.refusal(), &u)
	assert.ErrorIs(t, u, errForgetful)
}

// forgetful is a replica that has forgotten something.
type forgetful struct {
	*memory
	generation string
}

func (f *forgetful) GenerationOf(state []byte) string {
	if len(state) > 0 {
		return generationOfSet(state)
	}
	return f.generation
}

// Lift takes 1 and 2 out of what is from before.
func (f *forgetful) Lift(_ string, state []byte) ([]byte, error) {
	if f.generation > f.GenerationOf(state) {
		state = slices.DeleteFunc(slices.Clone(state), func(b byte) bool { return b <= 2 })
	}
	return state, nil
}

func TestACoordinatorBeginsAReadAnew(t *testing.T) {
	own := &forgetful{memory: &memory{states: map[string][]byte{"k": set(1, 2)}}}
	other := &forgetful{memory: &memory{}, generation: "d"}
	h := (&Coordinator{Self: "b", Local: other, Join: union}).Handler()
	c := &Coordinator{Self: "a", Local: own, Ring: Everywhere{"a", "b"}, Join: union}
	calls := 0
	c.Caller = callerFunc(func(ctx context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		if calls++; calls == 1 {
			own.mu.Lock()
			delete(own.states, "k") // the deletion has come, and is forgotten
			own.mu.Unlock()
		}
		return h.ServeCall(ctx, "a", method, req)
	})
	res, err := c.Read(t.Context(), "k", at(All))
	require.NoError(t, err)
	assert.False(t, res.Found, "%v", res.State)
	assert.Equal(t, 2, calls)

	own.generation = "d"
	own.states["k"] = set(5)
	res, err = c.Read(t.Context(), "k", ReadOptions{Level: All, Repair: RepairOff})
	require.NoError(t, err)
	assert.Equal(t, set(5), res.State)
	assert.Equal(t, 3, calls, "it knew")
}

// Who hangs holds a read up no longer because it begins anew.
func TestAReadThatBeginsAnewWaitsForNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		behind := (&Coordinator{Self: "a", Local: &memory{states: map[string][]byte{"k": set(1, 2)}}, Join: union}).Handler()
		ahead := (&Coordinator{Self: "c", Local: &forgetful{memory: &memory{}, generation: "d"}, Join: union}).Handler()
		c := &Coordinator{Self: "z", Local: &forgetful{memory: &memory{}}, Ring: Everywhere{"a", "b", "c"}, Join: union}
		c.Caller = callerFunc(func(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
			switch to {
			case "a":
				return behind.ServeCall(ctx, "z", method, req)
			case "c":
				return ahead.ServeCall(ctx, "z", method, req)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		began := time.Now()
		_, err := c.Read(t.Context(), "k", ReadOptions{Level: Majority, Repair: RepairOff})
		require.NoError(t, err)
		assert.Less(t, time.Since(began), time.Second)
	})
}

// A hint from before a deletion that is forgotten brings nothing back.
func TestHintsAreLifted(t *testing.T) {
	for generation, found := range map[string][]byte{"": set(1, 2), "d": nil} {
		local := &forgetful{memory: &memory{}, generation: generation}
		c := &Coordinator{Self: "d", Local: local, Hints: kept{"b": set(1, 2)}, Join: union}
		a, err := c.perform(t.Context(), &task{kind: taskLoad, key: "k", target: "b"})
		require.NoError(t, err)
		assert.Equal(t, found, a.state)
	}
}

func TestGenerationsAreBounded(t *testing.T) {
	one := func(body string) (err error) {
		e := parseResponse(replyOf(statusNothing, []byte(body)), 1, func(_ int, a answer, failure error) {
			assert.Equal(t, body, a.generation)
			err = failure
		})
		if e != nil {
			return e
		}
		return err
	}
	require.NoError(t, one("d"))
	require.NoError(t, one(strings.Repeat("d", maxGeneration)))
	for _, bad := range []string{"", strings.Repeat("d", maxGeneration+1)} {
		var e *MessageError
		assert.ErrorAs(t, one(bad), &e)
	}
}
