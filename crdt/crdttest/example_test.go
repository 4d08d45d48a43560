package crdttest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt/crdttest"
)

// HighScore is a type of one's own: the highest number wins.
type HighScore struct{ n uint64 }

func (s *HighScore) Raise(n uint64) *HighScore { s.n = max(s.n, n); return &HighScore{n} }
func (s *HighScore) Clone() *HighScore         { return &HighScore{s.n} }
func (s *HighScore) Merge(o *HighScore) bool {
	before := s.n
	s.n = max(s.n, o.n)
	return s.n > before
}

func (s *HighScore) AppendBinary(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint64(b, s.n), nil
}

func (s *HighScore) UnmarshalBinary(b []byte) error {
	if len(b) != 8 {
		return errors.New("not a high score")
	}
	s.n = binary.BigEndian.Uint64(b)
	return nil
}

func TestHighScoreObeysTheLaws(t *testing.T) {
	crdttest.Laws(t, crdttest.Suite[*HighScore]{
		New: func() *HighScore { return new(HighScore) },
		Mutate: func(t *rapid.T, s *HighScore, _ crdttest.Writer) *HighScore {
			return s.Raise(rapid.Uint64().Draw(t, "score"))
		},
	})
}

func highScores() *crdttest.Oracle[*HighScore, uint64] {
	return &crdttest.Oracle[*HighScore, uint64]{
		New: func() *HighScore { return new(HighScore) },
		Ops: []uint64{1, 5, 9},
		Apply: func(s *HighScore, score uint64, _ crdttest.Writer) *HighScore {
			return s.Raise(score)
		},
		Got: func(s *HighScore) string { return fmt.Sprint(s.n) },
		Want: func(h crdttest.History[uint64], seen crdttest.Events) string {
			best := uint64(0)
			for e := range seen.All() {
				best = max(best, h[e].Op)
			}
			return fmt.Sprint(best)
		},
	}
}

func TestHighScoreMeansTheHighest(t *testing.T) {
	highScores().Exhaustive(t, 3, 3)
	highScores().Random(t, 20, 4)
}

// A test of a type of one's own is as long as this.
func ExampleLaws() {
	laws := func(t *testing.T) {
		crdttest.Laws(t, crdttest.Suite[*HighScore]{
			New: func() *HighScore { return new(HighScore) },
			Mutate: func(t *rapid.T, s *HighScore, _ crdttest.Writer) *HighScore {
				return s.Raise(rapid.Uint64().Draw(t, "score"))
			},
		})
	}
	_ = laws // func TestHighScore(t *testing.T)
	// Output:
}

func ExampleOracle_Exhaustive() {
	fmt.Println(highScores().Exhaustive(new(testing.B), 2, 2), "histories")
	// Output: 54 histories
}
