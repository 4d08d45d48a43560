package vclock

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// smallDots are what the small contexts are made of: bit i of a set stands for dot i.
var smallDots = []Dot{
	{Named("a"), 1}, {Named("a"), 2}, {Named("a"), 3}, {Named("a"), 4}, {Named("a"), 5}, {Named("b"), 1}, {Named("b"), 2},
}

func smallContext(set uint) *Context {
	c := new(Context)
	for i, d := range smallDots {
		if set>>i&1 == 1 {
			c.Add(d)
		}
	}
	return c
}

// setOf is the reverse. It fails if c has a dot that is no small one, or spans that meet.
func setOf(t *testing.T, c *Context) (set uint) {
	for i, d := range smallDots {
		if c.Has(d) {
			set |= 1 << i
		}
	}
	runs := bits.OnesCount(set&0x1f&^(set<<1)) + bits.OnesCount(set>>5&^(set>>5<<1))
	require.Equal(t, runs, c.Len(), "%v", c)
	require.Equal(t, uint64(bits.OnesCount(set)), c.Count(), "%v", c)
	return set
}

func TestAllPairsOfSmallContexts(t *testing.T) {
	var contexts []*Context
	for set := range uint(1) << len(smallDots) {
		contexts = append(contexts, smallContext(set))
		require.Equal(t, set, setOf(t, contexts[set]))
	}
	for a, x := range contexts {
		for b, y := range contexts {
			mine := x.Clone()
			changed := mine.Merge(y)
			if changed != (a|b != a) || x.Contains(y) != (a|b == a) || x.Intersects(y) != (a&b != 0) ||
				x.Compare(y) != ordering(a|b == b, a|b == a) {
				t.Fatalf("%v and %v: changed %v, contains %v, intersects %v, %v",
					x, y, changed, x.Contains(y), x.Intersects(y), x.Compare(y))
			}
			require.Equal(t, uint(a|b), setOf(t, mine))
			require.Equal(t, uint(a&^b), setOf(t, x.Diff(y)))
		}
	}
}

// The very first span may be the one that a long merge joins to the next.
func TestContextLongMergeClosesTheFirstGap(t *testing.T) {
	a, b := Named("a"), Named("b")
	var c, other Context
	c.Add(Dot{a, 1})
	c.Add(Dot{a, 3})
	other.Add(Dot{a, 2})
	for n := range uint64(maxEdits) {
		other.Add(Dot{b, 2*n + 1})
	}
	require.True(t, c.Merge(&other))
	require.Equal(t, 1+maxEdits, c.Len())
	require.Equal(t, "{a:1-3 b:1,3,5,7,9,11,13,15}", c.String())
}
