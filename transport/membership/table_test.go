package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func at(seconds int) time.Time { return time.Unix(1e9, 0).Add(time.Duration(seconds) * time.Second) }

func TestSinceIsWhenSomethingChanged(t *testing.T) {
	tab := table{limit: 3}
	a := Member{ID: "a", Status: Alive, Zone: "z"}
	since := func() int { m, _ := tab.member("a"); return int(m.Since.Sub(at(0)) / time.Second) }

	require.True(t, tab.here(at(1), a, 7))
	require.False(t, tab.here(at(2), a, 7), "nothing is new")
	require.Equal(t, 1, since())
	require.True(t, tab.here(at(3), a, 8), "another process")
	require.Equal(t, 3, since())
	a.Zone = "y"
	require.True(t, tab.here(at(4), a, 8))
	require.Equal(t, 4, since())
	tab.doubted(at(5), "a")
	require.Equal(t, 5, since())
	require.True(t, tab.gone(at(6), "a"))
	require.False(t, tab.gone(at(7), "a"))
	require.Equal(t, 6, since())
	m, _ := tab.member("a")
	require.Equal(t, Dead, m.Status)
	require.True(t, tab.here(at(8), a, 8), "it was not dead after all")
	a.Status = Leaving
	require.True(t, tab.here(at(9), a, 8))
	require.True(t, tab.gone(at(10), "a"))
	m, _ = tab.member("a")
	require.Equal(t, Left, m.Status)

	tab.doubted(at(11), "nobody")
	require.False(t, tab.gone(at(11), "nobody"))
	require.Len(t, tab.all(), 1)
}

// There is a place for so many, and for those that are here before those that are gone.
func TestTableIsBounded(t *testing.T) {
	tab := table{limit: 3}
	for i, id := range []transport.NodeID{"a", "b", "c"} {
		require.True(t, tab.room(id))
		tab.here(at(i), Member{ID: id, Status: Alive}, 0)
	}
	require.True(t, tab.room("a"))
	require.False(t, tab.room("d"))
	tab.gone(at(10), "b")
	tab.gone(at(11), "a")
	require.True(t, tab.room("d"))
	tab.here(at(12), Member{ID: "d", Status: Alive}, 0)
	var left string
	for _, m := range tab.all() {
		left += fmt.Sprint(m.ID, " ", m.Status, ", ")
	}
	require.Equal(t, "a dead, c alive, d alive, ", left)
}

func TestStatusesHaveNames(t *testing.T) {
	require.Equal(t, "alive leaving left dead status 9", fmt.Sprint(Alive, Leaving, Left, Dead, Status(9)))
	require.True(t, Alive.Here() && Leaving.Here() && !Left.Here() && !Dead.Here())
}

func TestUntoldEventsAreBounded(t *testing.T) {
	var u untold
	for i := range 100 {
		u.conflict(&ConflictError{Node: transport.NodeID(fmt.Sprint(i))})
		u.refusal(&RefusedError{Reason: "the same"})
		u.member("a")
	}
	require.Len(t, u.conflicts, maxUntold)
	require.Len(t, u.refused, 1)
	require.Len(t, u.members, 1)
	require.EqualValues(t, 100-maxUntold, u.dropped)
}
