package antientropy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
)

// neighbours are two keys whose positions share 32 bits, in order of position.
func neighbours(t *testing.T, h *merkle.Hasher) (low, high string) {
	t.Helper()
	seen := map[uint32]string{}
	for i := range 1 << 20 {
		key := fmt.Sprint("n", i)
		at := uint32(h.Position(key) >> 32)
		if other, found := seen[at]; found {
			if h.Position(other) < h.Position(key) {
				return other, key
			}
			return key, other
		}
		seen[at] = key
	}
	t.Fatal("none")
	return "", ""
}

// A difference is known to 32 bits of its position. Keys that only stand nearby are
// not exchanged, whichever side has them.
func TestTrap24_NeighboursAreLeftOut(t *testing.T) {
	low, high := neighbours(t, newSets().Index().Hasher())
	for _, c := range []struct {
		same, differs string
	}{{low, high}, {high, low}} {
		for _, where := range []string{"here", "there", "both"} {
			a, b := newSets(), newSets()
			a.add(c.same, 1)
			b.add(c.same, 1)
			if where != "there" {
				a.add(c.differs, 2)
			}
			if where != "here" {
				b.add(c.differs, 3)
			}
			x := run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
			require.Equal(t, a.root(), b.root())
			received, sent := 1, 1
			if where == "here" {
				received = 0
			}
			if where == "there" {
				sent = 0
			}
			require.Equal(t, []int{1, received, sent}, []int{x.Different, x.KeysReceived, x.KeysSent}, where)
		}
	}
}

// The ends of the ranges of a round may lie between two such keys.
func TestRangesEndBetweenNeighbours(t *testing.T) {
	h := newSets().Index().Hasher()
	low, high := neighbours(t, h)
	for _, c := range []struct {
		key string
		at  merkle.Range
	}{
		{low, merkle.Range{To: h.Position(low)}},
		{high, merkle.Range{From: h.Position(high), To: merkle.Full.To}},
	} {
		a, b := newSets(), newSets()
		for _, key := range []string{low, high} {
			a.add(key, 1)
			b.add(key, 2)
		}
		x := run(t, NewRound(a, RoundConfig{Ranges: []merkle.Range{c.at}}), &Responder{Store: b}, 1<<20)
		require.Equal(t, []int{1, 1}, []int{x.KeysReceived, x.KeysSent})
		require.Equal(t, []uint64{1, 2}, a.get(c.key))
		require.Equal(t, []uint64{1, 2}, b.get(c.key))
	}
}

func TestQuestionsAreWhatTheyWere(t *testing.T) {
	q := &questions{limit: 1000, skip: 2, items: []question{
		{at: blockAt(3), insist: true},
		{at: blockAt(4), own: []hold{{sum: 1}, {sum: 1 << 63}}},
		{at: merkle.Range{From: 5<<32 + 1, To: 5<<32 + 1}, own: []hold{{sum: 7}}},
	}}
	b := encodeQuestions(q)
	got, err := decodeQuestions(b)
	require.NoError(t, err)
	require.Equal(t, q, got)
	size := 0
	for i := range q.items {
		size += q.items[i].size()
	}
	require.Equal(t, 5+(5+16)+(17+8), size)
	require.LessOrEqual(t, len(b), size+messageOverhead)
}

// Questions that are asked again, of what has become more meanwhile, keep to the limit.
func TestTrap28_QuestionsAskedAgainFit(t *testing.T) {
	a := newSets()
	r := NewRound(a, RoundConfig{MaxMessage: minMaxMessage})
	for i := range uint32(400) { // as many as would fit if nothing were held
		r.asked = append(r.asked, question{at: blockAt(i)})
	}
	r.todo = []merkle.Range{blockAt(1000)}
	require.NoError(t, r.pull(t.Context()))
	_, req, _ := r.Next()
	require.LessOrEqual(t, len(req), minMaxMessage)
	require.Greater(t, len(req), minMaxMessage*3/4)
	left := len(r.asked)
	require.Equal(t, blockAt(uint32(left)), r.todo[0])
	require.Len(t, r.todo, 400-left+1)
	require.Equal(t, blockAt(1000), r.todo[len(r.todo)-1])
}
