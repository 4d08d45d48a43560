package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/vclock"
)

// logTwins used one identity at a time: both wrote at one moment, under different numbers.
func logTwins() (a, b *wordlog) {
	at := vclock.Timestamp{Wall: 5, Replica: idA}
	a, b = new(wordlog), new(wordlog)
	a.Append(at, "same")                                       // a:1
	b.Append(vclock.Timestamp{Wall: 1, Replica: idA}, "early") // a:1
	b.Append(at, "same")                                       // a:2
	return a, b
}

func TestLogKeepsEntriesThatDifferOnlyInTheirNumber(t *testing.T) {
	a, b := logTwins()
	x, y := a.Clone(), b.Clone()
	require.True(t, x.Merge(b))
	require.True(t, y.Merge(a))
	require.Equal(t, 3, x.Len())
	require.Equal(t, encoded(t, x), encoded(t, y))
}

// Where a dot has several entries, all of those that the peer lacks are found, and no others.
func TestLogDeltaWhereADotHasSeveralEntries(t *testing.T) {
	a, b := logTwins()
	x := a.Clone()
	x.Merge(b) // early, same, same: a:1 twice, a:2 once
	delta := x.Delta(a.Context())
	require.Equal(t, 1, delta.Len())
	require.Equal(t, "{a:2}", delta.Context().String())
	require.Equal(t, 3, x.Delta(nil).Len())
	require.Zero(t, x.Delta(x.Context()).Len())
}

func TestLogAppendOfNothingIsAnEmptyDelta(t *testing.T) {
	var l wordlog
	for _, delta := range []*wordlog{l.Append(vclock.Timestamp{Wall: 1, Replica: idA}), l.Append(vclock.Timestamp{Wall: 1}, "x")} {
		require.NotNil(t, delta)
		require.True(t, delta.Empty())
	}
	require.True(t, l.Empty())
}
