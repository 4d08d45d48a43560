package session

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
)

var seeds = flag.Uint64("seeds", 50, "how many worlds there are of each kind")

var rings = map[string][]string{
	"three":       {"a b c"},
	"five":        {"a b c d e"},
	"it changes":  {"a b c", "a b c -> c d e", "c d e", "c d e -> a b c", "a b c", "a b c -> b d e", "b d e"},
	"all of them": {"a b c", "a b c -> d e f", "d e f", "d e f -> a b c", "a b c"},
}

func live(t *testing.T, seed uint64, ring string, g Guarantees, plain bool) (Guarantees, []string, *world) {
	w := newWorld(t, seed, rings[ring])
	w.guarantees, w.plain, w.lossy = g, plain, seed%2 == 1
	w.run(200)
	violated, examples := w.history.check()
	return violated, examples, w
}

// Under messages that are late, lost and reordered, nodes that fail, writes that fail, coordinators
// that change, tokens that are passed on as bytes and joined, and a ring that changes: all that is
// promised holds, of reads and writes at all levels.
func TestSessions(t *testing.T) {
	for ring := range rings {
		t.Run(ring, func(t *testing.T) {
			refused, done, longest := 0, 0, 0
			for seed := range *seeds {
				violated, examples, w := live(t, seed, ring, Everything, false)
				require.Zero(t, violated, "seed %d: %v", seed, examples)
				refused, done, longest = refused+w.refused, done+w.done, max(longest, w.longest)
			}
			require.Less(t, 4*refused, 3*done, "many calls are to be answered")
			t.Logf("%d of %d calls were refused; the longest token had %d bytes", refused, done, longest)
		})
	}
}

// Each guarantee is kept by itself, and where it is left out the same histories violate it.
func TestEachGuarantee(t *testing.T) {
	for _, g := range []Guarantees{ReadYourWrites, MonotonicReads, MonotonicWrites, WritesFollowReads} {
		missed := Guarantees(0)
		for seed := range *seeds {
			violated, examples, _ := live(t, seed, "it changes", g, false)
			require.Zero(t, violated&g, "%d alone, seed %d: %v", g, seed, examples)
			violated, examples, _ = live(t, seed, "three", Everything&^g, false)
			require.Zero(t, violated&^g, "all but %d, seed %d: %v", g, seed, examples)
			missed |= violated
		}
		for seed := *seeds | 1; missed == 0 && seed < 40**seeds; seed += 2 {
			missed, _, _ = live(t, seed, "three", Everything&^g, false)
		}
		require.Equal(t, g, missed, "nobody missed guarantee %d", g)
	}
}

// The negative control: without sessions everything is violated.
func TestWithoutSessions(t *testing.T) {
	all := Guarantees(0)
	for seed := range *seeds {
		violated, _, _ := live(t, seed, "three", Everything, true)
		all |= violated
	}
	require.Equal(t, Everything, all)
}
