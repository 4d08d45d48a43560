package crdt_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// smallCount is what one replica may have counted and reset.
type smallCount struct{ total, base uint64 }

// smallCounters are all counters of three replicas that counted up to 2 each, with all that may have been reset.
func smallCounters() (all [][3]smallCount) {
	counts := []smallCount{{0, 0}, {1, 0}, {1, 1}, {2, 0}, {2, 1}, {2, 2}}
	for _, a := range counts {
		for _, b := range counts {
			for _, c := range counts {
				all = append(all, [3]smallCount{a, b, c})
			}
		}
	}
	return all
}

// smallCounter makes such a counter by what users can do: one replica at a time counts, and is reset.
func smallCounter(counts [3]smallCount) *crdt.GCounter {
	c := new(crdt.GCounter)
	for i, n := range counts {
		var one crdt.GCounter
		id := vclock.Named(fmt.Sprint("r", i))
		one.Add(id, n.base)
		one.Reset()
		one.Add(id, n.total-n.base)
		c.Merge(&one)
	}
	return c
}

// Every pair of them: the state after a merge, whether it says that something changed, what was new, and what the
// one lacks of the other.
func TestAllPairsOfSmallCounters(t *testing.T) {
	all := smallCounters()
	states, bytes := make([]*crdt.GCounter, len(all)), make(map[[3]smallCount]string)
	encode := func(c *crdt.GCounter) string { b, _ := c.AppendBinary(nil); return string(b) }
	for i, counts := range all {
		states[i] = smallCounter(counts)
		bytes[counts] = encode(states[i])
	}
	for i, x := range all {
		for j, y := range all {
			var joined [3]smallCount
			for r := range x {
				joined[r] = smallCount{max(x[r].total, y[r].total), max(x[r].base, y[r].base)}
			}
			want := bytes[joined]
			mine, novelty, lazy := states[i].Clone(), states[i].Clone(), states[i].Clone()
			changed := mine.Merge(states[j])
			novel, news := novelty.MergeNovel(states[j])
			lazy.Merge(states[j].Delta(lazy.Context()))
			if changed != (joined != x) || news != changed {
				t.Fatalf("%v and %v: changed %v, %v", x, y, changed, news)
			}
			if encode(mine) != want || encode(novelty) != want || encode(lazy) != want {
				t.Fatalf("%v and %v: %v, %v, %v", x, y, mine, novelty, lazy)
			}
			if novel.Empty() && novel.Context().Len() > 0 == !changed {
				t.Fatalf("%v and %v: new was %v", x, y, novel)
			}
		}
	}
}

// A replica that has counted as far as numbers go counts no more, and has nothing to tell.
func TestAdditionsBeyondTheEndAreNoNews(t *testing.T) {
	var c crdt.GCounter
	c.Add(idA, math.MaxUint64-1)
	require.False(t, c.Add(idA, 5).Empty(), "the last one")
	require.Zero(t, c.Add(idA, 5).Context().Len())
	require.Equal(t, uint64(math.MaxUint64), c.Value())
}

// The value is right wherever the sums are beyond 64 bits and where it just fits.
func TestPNCounterAtTheEndsOfInt64(t *testing.T) {
	far := func(sign int64) *pn { // 2^64 and 4 more, in one direction
		c := new(pn)
		for _, r := range []vclock.ReplicaID{idA, idB} {
			c.Add(r, sign*math.MaxInt64)
			c.Add(r, sign)
		}
		c.Add(idC, sign*4)
		return c
	}
	require.Equal(t, int64(math.MaxInt64), far(+1).Value())
	require.Equal(t, int64(math.MinInt64), far(-1).Value())

	var c pn
	c.Add(idA, math.MaxInt64)
	require.Equal(t, int64(math.MaxInt64), c.Value())
	c.Add(idB, 1)
	require.Equal(t, int64(math.MaxInt64), c.Value())
	c.Add(idB, -1)
	c.Add(idC, math.MinInt64)
	require.Equal(t, int64(-1), c.Value())
	c.Add(idC, -math.MaxInt64)
	require.Equal(t, int64(math.MinInt64), c.Value())
	c.Add(idC, -1)
	require.Equal(t, int64(math.MinInt64), c.Value())
}
