package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
)

func TestNothingWrittenLeavesNoEntry(t *testing.T) {
	s := New(Config{})
	_, err := Update(s, "k", func(*crdt.PNCounter, Writer) *crdt.PNCounter { return nil })
	require.NoError(t, err)
	_, err = Update(s, "k", func(c *crdt.ORSet[string], _ Writer) *crdt.ORSet[string] { return c.Remove("x") })
	require.NoError(t, err)
	require.Nil(t, s.table.lookup("k"))
}

// Whoever waited for an entry that was dropped in the meantime looks again.
func TestDroppedEntryIsNotWrittenTo(t *testing.T) {
	tab := &New(Config{}).table
	e := tab.acquire("k")
	tab.discard(e)
	e.mu.Unlock()
	require.False(t, e.lock())
	again := tab.acquire("k")
	require.NotSame(t, e, again)
	again.mu.Unlock()
}
