package store_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// However often a store crashes in a short time, its stamps stay near the clock, so that others take them, and are later
// than all before.
func TestTrap10_AStoreThatCrashesAgainAndAgainIsNotAhead(t *testing.T) {
	m := newHost("a")
	m.cfg.Sync = -1
	peer := named("peer") // whose clock stands at the same moment
	for i := range 300 {
		s := m.open(t)
		merge(t, peer, "k", assign(t, s, "k", strconv.Itoa(i)))
		got, _ := text(t, peer, "k")
		require.Equal(t, strconv.Itoa(i), got, "it is later than those before")
		if i%3 == 0 {
			require.NoError(t, s.Close())
			continue
		}
		m.disk.Crash(m.disk.Tail())
	}
	s := m.open(t)
	require.Less(t, s.Clock().Last().Time().Sub(m.cfg.Now()).Seconds(), 5.0)
	require.NoError(t, s.Close())
}
