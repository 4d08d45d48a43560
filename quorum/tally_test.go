package quorum

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Every level × every number of owners up to 6 × every pattern of what each owner
// says: nothing, an answer, a failure.
func TestTallyEveryPattern(t *testing.T) {
	for n := 1; n <= 6; n++ {
		for level := All; level <= Level(n); level++ {
			needed := level.of(n)
			t.Run(fmt.Sprintf("%v of %d", level, n), func(t *testing.T) {
				for pattern := range power(3, n) {
					checkPattern(t, n, level, needed, pattern)
				}
			})
		}
	}
}

func checkPattern(t *testing.T, n int, level Level, needed, pattern int) {
	ids := nodes(n)
	tally, err := NewTally(Placement{Owners: ids}, "", Demand{Level: level})
	require.NoError(t, err)
	var acks int
	var bad, quiet []transport.NodeID
	for _, id := range ids {
		switch pattern % 3 {
		case 0:
			quiet = append(quiet, id)
		case 1:
			acks++
			require.True(t, tally.Answer(id, false))
		case 2:
			bad = append(bad, id)
			require.True(t, tally.Fail(id, errDown))
		}
		pattern /= 3
	}
	require.Equal(t, acks >= needed, tally.Reached())
	require.Equal(t, acks+len(quiet) < needed, tally.Impossible())
	require.Equal(t, [2]int{acks, n}, [2]int{tally.Answered(), tally.Owners()})

	refusal := tally.Timeout(OpRead, "k")
	require.Equal(t, bad, names(refusal.Failures))
	require.Equal(t, quiet, refusal.Silent)
	require.Equal(t, needed, refusal.Needed)
	require.Equal(t, refusal.Failures, tally.Unavailable(OpRead, "k").Failures)
}

func power(base, n int) int {
	p := 1
	for range n {
		p *= base
	}
	return p
}

// An owner's last word is the greatest of nothing, failure and answer, whatever the
// order and however often it is said; and once an outcome is reached it stays.
func TestTallyOrderAndRepetitionDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "owners")
		tally, err := NewTally(Placement{Owners: nodes(n)}, "", Demand{Level: Majority})
		require.NoError(t, err)
		best := make(map[transport.NodeID]verdict)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			id := rapid.SampledFrom(nodes(n+2)).Draw(t, "node") // two are not owners
			owner := tally.index(id) >= 0
			was, reached := best[id], tally.Reached()
			if rapid.Bool().Draw(t, "answers") {
				require.Equal(t, owner && was != answered, tally.Answer(id, false))
				best[id] = answered
			} else {
				require.Equal(t, owner && was == silent, tally.Fail(id, errDown))
				best[id] = max(was, failed)
			}
			require.True(t, tally.Reached() || !reached)
		}
		var acks, bad int
		for _, id := range nodes(n) {
			switch best[id] {
			case answered:
				acks++
			case failed:
				bad++
			}
		}
		require.Equal(t, acks, tally.Answered())
		refusal := tally.refusal(OpRead, "k")
		require.Len(t, refusal.Failures, bad)
		require.Len(t, refusal.Silent, n-acks-bad)
		require.Len(t, refusal.Answers, acks)
	})
}

func TestTallyKeepsTheFirstFailure(t *testing.T) {
	tally, err := NewTally(Placement{Owners: nodes(3)}, "", Demand{Level: Majority})
	require.NoError(t, err)
	first, second := errors.New("first"), errors.New("second")
	tally.Fail("b", first)
	tally.Fail("b", second)
	assert.Equal(t, []Failure{{"b", first}}, tally.Unavailable(OpWrite, "k").Failures)
	assert.False(t, tally.Impossible())
	tally.Fail("c", second)
	assert.True(t, tally.Impossible())
	tally.Answer("c", false) // it did merge after all, its first response was lost
	assert.False(t, tally.Impossible())
}

// Trap 17: what counts is who answered, not who was thought to be there, and a node
// that appears twice counts once.
func TestTrap17_CountedOnAnswersByDistinctOwners(t *testing.T) {
	t.Run("an answer of another node is not an owner's", func(t *testing.T) {
		tally, err := NewTally(Placement{Owners: nodes(3)}, "", Demand{Level: 2})
		require.NoError(t, err)
		tally.Answer("a", false)
		assert.False(t, tally.Answer("fallback", false))
		tally.Fail("b", errDown)
		tally.Fail("c", errDown)
		assert.False(t, tally.Reached())
		assert.True(t, tally.Impossible())
		assert.Equal(t, 1, tally.Unavailable(OpWrite, "k").Answered)
	})
	t.Run("two partitions on one machine", func(t *testing.T) {
		twice := Placement{Owners: []transport.NodeID{"a", "a", "b"}}
		tally, err := NewTally(twice, "", Demand{Level: All})
		require.NoError(t, err)
		assert.Equal(t, 2, tally.Owners())
		tally.Answer("a", false)
		tally.Answer("a", false)
		assert.False(t, tally.Reached())
		_, err = NewTally(twice, "", Demand{Level: 3})
		var e *LevelError
		assert.ErrorAs(t, err, &e)
	})
	t.Run("the request is made of each node once", func(t *testing.T) {
		op, err := NewWriteOp(WriteConfig{Key: "k", Delta: set(1), Placement: Placement{Owners: []transport.NodeID{"b", "a", "b"}}, Options: WriteOptions{Level: All}})
		require.NoError(t, err)
		sends := op.Start()
		require.Len(t, sends, 2)
		op.Answer(sends[0], reply(), nil)
		op.Answer(sends[0], reply(), nil)
		assert.False(t, op.Done())
	})
}

func TestRefusalsSayWhatHappened(t *testing.T) {
	tally, err := NewTally(Placement{Owners: nodes(3)}, "", Demand{Level: Majority})
	require.NoError(t, err)
	tally.Fail("b", errDown)
	timeout := tally.Timeout(OpRead, "cart")
	assert.EqualError(t, timeout, `quorum: read "cart": 0 of 2 needed owners answered `+
		`(level majority, 3 owners): b: node is down; a: no answer in time; c: no answer in time`)
	assert.ErrorIs(t, timeout, context.DeadlineExceeded)
	assert.ErrorIs(t, timeout, errDown)
	assert.True(t, timeout.Timeout())

	tally.Answer("a", false)
	tally.Fail("c", errDamaged)
	gone := tally.Unavailable(OpWrite, "cart")
	assert.EqualError(t, gone, `quorum: write "cart": 1 of 2 needed owners answered `+
		`(level majority, 3 owners): b: node is down; c: damaged state`)
	assert.ErrorIs(t, gone, errDamaged)
	assert.NotErrorIs(t, gone, context.DeadlineExceeded)
	assert.Contains(t, tally.Unavailable(OpRepair, "cart").Error(),
		`read "cart": 1 of 2 needed owners hold the merged answer`)
}
