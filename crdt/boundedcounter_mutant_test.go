package crdt_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// What is refused, or asks for nothing, gives an empty delta and not nil, and writes no row.
func TestBoundedCounterThatDoesNothingGivesAnEmptyDelta(t *testing.T) {
	var c escrow
	c.Increment(idA, 5)
	before := encoded(t, &c)
	var zero vclock.ReplicaID
	second := func(delta *escrow, _ error) *escrow { return delta }
	granted := func(delta *escrow, n uint64) *escrow { require.Zero(t, n); return delta }
	c.Request(idA, 2)
	asked := encoded(t, &c)
	for name, delta := range map[string]*escrow{
		"add nothing":           c.Increment(idA, 0),
		"add for nobody":        c.Increment(zero, 5),
		"take nothing":          second(c.Decrement(idA, 0)),
		"take too much":         second(c.Decrement(idA, 6)),
		"give nothing":          second(c.Transfer(idA, idB, 0)),
		"give to nobody":        second(c.Transfer(idA, zero, 1)),
		"give to oneself":       second(c.Transfer(idA, idA, 1)),
		"give too much":         second(c.Transfer(idA, idB, 6)),
		"ask for the same":      c.Request(idA, 2),
		"grant what is not due": granted(c.Grant(idA, idB, 5)),
		"grant to oneself":      granted(c.Grant(idA, idA, 5)),
	} {
		require.NotNil(t, delta, name)
		require.Equal(t, encoded(t, new(escrow)), encoded(t, delta), name)
	}
	require.Equal(t, asked, encoded(t, &c))
	require.NotEqual(t, before, asked)
}

// A request that was more than met needs not to be taken back.
func TestBoundedCounterTakesNoMetRequestBack(t *testing.T) {
	var c escrow
	c.Increment(idA, 10)
	c.Request(idB, 3)
	c.Transfer(idA, idB, 5)
	require.Zero(t, c.Requested(idB))
	require.True(t, c.Request(idB, 0).Empty())
}

// A grant that the row has no more room for is none.
func TestBoundedCounterGrantsNothingWithoutRoom(t *testing.T) {
	most := []byte{0xcf, 255, 255, 255, 255, 255, 255, 255, 255}
	var c escrow // the row of a was written as often as it can be
	require.NoError(t, c.UnmarshalBinary(raw(0x94, 16, 1, 0x91, id(idA), 0x97, 0, most, 5, 0, 0, 0x90, 0x90)))
	c.Request(idB, 3)
	delta, n := c.Grant(idA, idB, 9)
	require.Zero(t, n)
	require.True(t, delta.Empty())
}

// A row that has been written again is new, whoever tells of it.
func TestBoundedCounterNoveltyHasTheLatestRow(t *testing.T) {
	var c escrow
	c.Increment(idA, 5)
	old := c.Clone()
	delta := c.Increment(idA, 2)
	novel, changed := old.MergeNovel(&c)
	require.True(t, changed)
	require.Equal(t, encoded(t, delta), encoded(t, novel))
	require.Equal(t, encoded(t, &c), encoded(t, old))
}

// Each writing of a row is an event; who has them all lacks nothing.
func TestBoundedCounterContextCountsTheWritings(t *testing.T) {
	var c escrow
	c.Increment(idA, 5)
	c.Increment(idA, 5)
	since := c.Context()
	c.Increment(idB, 1)
	require.Equal(t, "{a:1-2}", since.String())
	require.Equal(t, "{a:1-2 b:1}", c.Context().String())
	require.Equal(t, "{b:1}", c.Delta(since).Context().String())
	require.True(t, c.Delta(c.Context()).Empty())
}

// Two twins who gave to different replicas have rows of one version: all agree on one of them.
func TestBoundedCounterTwinsWhoGaveToOthers(t *testing.T) {
	var a escrow
	a.Increment(idA, 5)
	twin := a.Clone()
	a.Transfer(idA, idB, 2)
	twin.Transfer(idA, idC, 2)
	x, y := a.Clone(), twin.Clone()
	x.Merge(twin)
	y.Merge(&a)
	require.Equal(t, encoded(t, x), encoded(t, y))
	require.Equal(t, encoded(t, twin), encoded(t, x), "c comes after b")
}

// What a replica had may be beyond 64 bits where what it spent is not.
func TestBoundedCounterRowsOfManyRightsDecode(t *testing.T) {
	var c escrow
	c.Increment(idA, math.MaxUint64)
	c.Increment(idB, math.MaxUint64)
	_, err := c.Transfer(idB, idA, math.MaxUint64)
	require.NoError(t, err)
	_, err = c.Decrement(idA, math.MaxUint64)
	require.NoError(t, err)
	require.NoError(t, new(crdt.BoundedCounter).UnmarshalBinary(encoded(t, &c)))
}

// Sums beyond 64 bits are exact, so what is left of them is.
func TestBoundedCounterCountsBeyond64Bits(t *testing.T) {
	var c escrow
	c.Increment(idA, math.MaxUint64)
	c.Increment(idB, 6)
	_, err := c.Decrement(idA, 10)
	require.NoError(t, err)
	require.Equal(t, uint64(math.MaxUint64-4), c.Value())
}

// What a row has taken over from many others is not copied by each write of it.
func TestBoundedCounterWritesCopyNothingTaken(t *testing.T) {
	var apart, taken escrow
	for i := range 20 {
		from := vclock.Named(fmt.Sprint(i))
		for _, c := range []*escrow{&apart, &taken} {
			c.Increment(from, 5)
		}
		_, err := taken.Transfer(from, idA, 1)
		require.NoError(t, err)
	}
	writing := func(c *escrow) float64 {
		c.Increment(idA, 1)
		return testing.AllocsPerRun(10, func() { c.Increment(idA, 1) })
	}
	require.Equal(t, writing(&apart), writing(&taken))
}
