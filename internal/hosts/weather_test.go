package hosts

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Weather is what happens to packets between two hosts, each way.
type weather struct {
	loss   float64       // the probability that a packet is lost
	delay  time.Duration // that each takes at least
	jitter time.Duration // and at most so much more, each by its own luck, so that they overtake one another
}

// A line is the way from one host to another.
type line struct {
	weather
	dice *rand.Rand
}

// newLine has a line whose packets share the fate of those of all lines with these names and
// this seed, one by one.
func newLine(w weather, seed uint64, from, to string) *line {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(from + ">" + to) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return &line{w, rand.New(rand.NewPCG(seed, h))}
}

// next says what becomes of the next packet. It draws as often for one that is lost.
func (l *line) next() (after time.Duration, lost bool) {
	lost = l.dice.Float64() < l.loss
	return l.delay + time.Duration(l.dice.Float64()*float64(l.jitter)), lost
}

func TestLinesLoseAndDelayByTheirSeed(t *testing.T) {
	w := weather{loss: 0.05, delay: 100 * time.Millisecond, jitter: 20 * time.Millisecond}
	one, same, back := newLine(w, 1, "a", "b"), newLine(w, 1, "a", "b"), newLine(w, 1, "b", "a")
	const packets = 10000
	lost, differ, overtaken := 0, 0, 0
	var before time.Duration
	for range packets {
		after, gone := one.next()
		sameAfter, sameGone := same.next()
		require.Equal(t, after, sameAfter)
		require.Equal(t, gone, sameGone)
		if otherAfter, _ := back.next(); otherAfter != after {
			differ++
		}
		require.GreaterOrEqual(t, after, w.delay)
		require.Less(t, after, w.delay+w.jitter)
		if gone {
			lost++
		}
		if after < before {
			overtaken++
		}
		before = after
	}
	require.InDelta(t, w.loss*packets, lost, 100)
	require.InDelta(t, packets/2, overtaken, 300)
	require.Greater(t, differ, packets*9/10)
}
