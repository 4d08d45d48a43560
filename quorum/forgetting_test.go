package quorum

import (
	"context"
	"strings"
	"testing"

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
	t.Run("first the state, then nothing", func(t *testing.T) {
		s := forgetfulRead(t, "")
		assert.Empty(t, s.answer("a", 1, 2))
		assert.Equal(t, ids("a", "b"), s.nothing("b", "d"), "a may have answered before it had the deletion")
		assert.Empty(t, s.nothing("b", "d"))
		assert.Empty(t, s.nothing("a", "d"))
		assert.Equal(t, ReadResult{Answered: 2, Owners: 3}, s.result())
	})
	t.Run("first nothing, then the state", func(t *testing.T) {
		s := forgetfulRead(t, "")
		s.nothing("b", "d")
		assert.Equal(t, ids("a", "b"), s.answer("a", 1, 2))
	})
	t.Run("a key that was made anew", func(t *testing.T) {
		s := forgetfulRead(t, "")
		s.answer("a", 1, 2)
		assert.Equal(t, ids("b"), s.answer("b", 7, 100), "its digest is another")
		assert.Equal(t, ids("a", "b"), s.answer("b", 7, 100))
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
		assert.Equal(t, ids("a", "b"), s.nothing("b", "d"))
	})
	t.Run("nothing, and nothing forgotten", func(t *testing.T) {
		s := forgetfulRead(t, "")
		s.answer("a", 1, 2)
		assert.Equal(t, ids("b"), s.answer("b"), "is a repair")
		assert.Equal(t, uint8(taskMerge), s.sends["b"].task.kind)
	})
}

func TestAnswersFromBeforeARestartDoNotCount(t *testing.T) {
	s := forgetfulRead(t, "")
	s.answer("a", 1, 2)
	late := s.sends["b"]
	again := s.nothing("b", "d")
	require.Equal(t, ids("a", "b"), again)
	assert.NotEqual(t, late.ID, s.sends["b"].ID)
	assert.Empty(t, s.keep(s.op.Answer(late, reply(1, 2), nil)))
	assert.False(t, s.op.Done())
	s.fail("a")
	s.nothing("b", "d")
	s.nothing("c", "d")
	assert.Equal(t, ReadResult{Answered: 2, Owners: 3}, s.result())
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

func TestACoordinatorRemembersHowMuchIsForgotten(t *testing.T) {
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
	assert.Equal(t, "d", c.known())

	own.mu.Lock()
	own.states["k"] = set(5)
	own.mu.Unlock()
	res, err = c.Read(t.Context(), "k", ReadOptions{Level: All, Repair: RepairOff})
	require.NoError(t, err)
	assert.Equal(t, set(5), res.State)
	assert.Equal(t, 3, calls, "it did not have to begin anew")
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
