package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A log makes the moments of all entries but the first by itself. The store's clock
// must hear of them: else a store whose physical clock has gone back refuses what it
// wrote, when that comes back to it or is read after a restart, and makes the same
// moment again.
func TestClockHearsOfTheMomentsThatALogMakes(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := store.New(store.Config{Replica: vclock.Named("paris"), Now: func() time.Time { return now }, MaxDrift: time.Second})
	var latest vclock.Timestamp
	delta, err := sent(store.Update(s, "k", func(l *crdt.Log[string], by store.Writer) *crdt.Log[string] {
		delta := l.Append(by.Stamp(), "one", "two")
		latest = delta.Latest()
		return delta
	}))
	require.NoError(t, err)
	again := store.New(store.Config{Replica: vclock.Named("paris"), Now: func() time.Time { return now }, MaxDrift: time.Second})
	again.Clock().Floor(s.Clock().Last())
	now = now.Add(-time.Minute)
	_, err = s.Merge(t.Context(), "k", delta)
	require.NoError(t, err, "its own write comes back")
	_, err = again.Merge(t.Context(), "k", delta)
	require.NoError(t, err, "its own write is read after a restart")
	require.Positive(t, s.Clock().Stamp().Compare(latest), "no moment is made twice")
}
