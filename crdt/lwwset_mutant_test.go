package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/vclock"
)

func TestLWWSetCountsWhatIsIn(t *testing.T) {
	at := vclock.Timestamp{Wall: 1, Replica: idA}
	var s timed
	s.Add(at, "x", "y", "z")
	require.Equal(t, 3, s.Len())
	s.Remove(at, "y")
	require.Equal(t, 2, s.Len())
}

// An element that is named twice is written once.
func TestLWWSetWritesAnElementOnce(t *testing.T) {
	at := vclock.Timestamp{Wall: 1, Replica: idA}
	var s timed
	delta := s.Add(at, "x", "x")
	require.Equal(t, at, s.Explain("x").ForAt)
	require.Equal(t, at, delta.Latest())
}
