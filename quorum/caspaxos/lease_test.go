package caspaxos

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is remembered of promises is bounded in keys and in bytes, and does not go all at once.
func TestLeasesAreBounded(t *testing.T) {
	var l leases
	for i := range 2 * maxLeases {
		l.put(fmt.Sprint(i), lease{})
	}
	require.Len(t, l.byKey, maxLeases)
	big := lease{record: record{data: make([]byte, 1<<20)}}
	for i := range 40 {
		l.put(fmt.Sprint("big", i), big)
		l.put("big again", big)
	}
	require.LessOrEqual(t, l.bytes, maxLeaseBytes)
	require.Greater(t, l.bytes, maxLeaseBytes-2<<20)
	for key := range l.byKey {
		l.take(key, 0)
	}
	require.Zero(t, l.bytes)
}

// A promise is for the nodes that made it, and for one round.
func TestLeasesAreForOnePlacement(t *testing.T) {
	var l leases
	l.put("k", lease{placed: 1})
	_, ok := l.take("k", 2)
	require.False(t, ok)
	l.put("k", lease{placed: 1})
	_, ok = l.take("k", 1)
	require.True(t, ok)
	_, ok = l.take("k", 1)
	require.False(t, ok)
}

func TestBallotsAsText(t *testing.T) {
	for _, b := range []Ballot{{}, {7, 0x1f3a}, {maxCounter - 1, 1<<64 - 1}} {
		text, err := b.MarshalText()
		require.NoError(t, err)
		var again Ballot
		require.NoError(t, again.UnmarshalText(text))
		require.Equal(t, b, again)
	}
	for _, text := range []string{"", "7", "7@", "@7", "07@1", "7@01", "7@1F", "+7@1", "7@1 ", "4611686018427387904@1", "7@1@1"} {
		_, err := ParseBallot(text)
		require.Equal(t, &BallotError{Text: text}, err)
	}
}

func TestMade(t *testing.T) {
	e := &UnknownError{Versions: []Ballot{{1, 2}, {3, 2}}}
	require.True(t, e.Made(Value{Version: Ballot{3, 2}}))
	require.False(t, e.Made(Value{Version: Ballot{4, 2}}))
}
