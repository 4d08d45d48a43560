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
	here := func(seconds int, from origin) bool { changed, _ := tab.here(at(seconds), a, from); return changed }

	require.True(t, here(1, origin{7, 1}))
	require.False(t, here(2, origin{7, 1}), "nothing is new")
	require.False(t, here(2, origin{7, 2}), "it says the same again")
	require.Equal(t, 1, since())
	require.EqualValues(t, 2, tab.rows["a"].version)
	require.True(t, here(3, origin{8, 3}), "another process")
	require.Equal(t, 3, since())
	a.Zone = "y"
	require.True(t, here(4, origin{8, 4}))
	require.Equal(t, 4, since())
	require.False(t, tab.doubted(at(5), "a", 4), "it has said something as new")
	require.True(t, tab.doubted(at(5), "a", 5))
	require.False(t, tab.doubted(at(6), "a", 5), "each version counts once")
	require.Equal(t, 5, since())
	require.True(t, tab.gone(at(6), "a"))
	require.False(t, tab.gone(at(7), "a"))
	require.Equal(t, 6, since())
	m, _ := tab.member("a")
	require.Equal(t, Dead, m.Status)
	require.True(t, here(8, origin{8, 4}), "it was not dead after all")
	require.False(t, tab.doubted(at(8), "a", 5), "what was met is remembered")
	a.Status = Leaving
	require.True(t, here(9, origin{8, 6}))
	require.True(t, tab.gone(at(10), "a"))
	m, _ = tab.member("a")
	require.Equal(t, Left, m.Status)

	require.False(t, tab.doubted(at(11), "nobody", 9))
	require.False(t, tab.gone(at(11), "nobody"))
	require.Len(t, tab.all(), 1)
}

// What is older than what is known is not taken, wherever it comes from; what is newer is, at once.
func TestWhatIsKnownIsNotUndone(t *testing.T) {
	const refutable = 10 * time.Second
	tab := table{limit: 3}
	a := Member{ID: "a", Status: Alive, Gossip: "1.2.3.4:5"}
	elsewhere := a
	elsewhere.Gossip = "1.2.3.4:6"
	fresh := func(seconds int, m Member, from origin) bool { return tab.fresh(at(seconds), m, from, refutable) }

	require.True(t, fresh(0, a, origin{1, 5}), "nothing is known")
	tab.here(at(0), a, origin{1, 5})
	require.True(t, fresh(0, a, origin{1, 5}))
	require.False(t, fresh(0, a, origin{1, 4}))
	require.False(t, fresh(0, a, origin{2, 5}), "another process that began at the same time")
	require.False(t, fresh(0, elsewhere, origin{1, 5}), "a process does not move")
	require.True(t, fresh(0, elsewhere, origin{2, 6}), "a conflict, while the first is alive")

	tab.gone(at(100), "a")
	require.True(t, fresh(109, a, origin{1, 5}), "it refutes that")
	require.False(t, fresh(109, a, origin{1, 4}))
	require.False(t, fresh(109, elsewhere, origin{1, 5}))
	require.False(t, fresh(110, a, origin{1, 5}), "too late")
	require.False(t, fresh(1e6, a, origin{1, 5}))
	require.True(t, fresh(1e6, a, origin{1, 6}), "it says something newer")
	_, lost := tab.here(at(1e6), a, origin{1, 6})
	require.True(t, lost)

	tab.gone(at(2e6), "a")
	require.True(t, fresh(2e6, elsewhere, origin{2, 7}), "it has moved")
	_, lost = tab.here(at(2e6), elsewhere, origin{2, 7})
	require.False(t, lost, "it was really gone")
	require.False(t, fresh(2e6, a, origin{1, 6}), "where it was")
}

// Claims are of those that are gone, or in doubt.
func TestClaims(t *testing.T) {
	tab := table{limit: 5}
	for i, id := range []transport.NodeID{"alive", "dead", "doubted", "over it", ""} {
		tab.here(at(0), Member{ID: id, Status: Alive}, origin{1, 10 + uint64(i)})
	}
	tab.gone(at(1), "dead")
	require.True(t, tab.doubted(at(1), "doubted", 20))
	require.True(t, tab.doubted(at(1), "over it", 20))
	tab.here(at(1), Member{ID: "over it", Status: Alive}, origin{1, 21})
	b := tab.appendClaims([]byte{claimsVersion})
	require.Equal(t, "\x01"+"\x00\x00\x00\x00\x00\x00\x00\x0b\x04dead"+"\x00\x00\x00\x00\x00\x00\x00\x14\x07doubted", string(b))

	for id, want := range map[transport.NodeID]uint64{"dead": 11, "doubted": 20} {
		got, ok := findClaim(b, id)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	for i := range b { // of what is cut nothing is taken that is not whole
		_, ok := findClaim(b[:i], "doubted")
		require.False(t, ok, "cut to %d bytes", i)
	}
	for _, bad := range []string{"", "\x02" + string(b[1:]), "\x01\xff\xff\xff\xff\xff\xff\xff\xff\x04dead"} {
		_, ok := findClaim([]byte(bad), "dead")
		require.False(t, ok, "%q", bad)
	}
}

// There is a place for so many, and for those that are here before those that are gone.
func TestTableIsBounded(t *testing.T) {
	tab := table{limit: 3}
	for i, id := range []transport.NodeID{"a", "b", "c"} {
		require.True(t, tab.room(id))
		tab.here(at(i), Member{ID: id, Status: Alive}, origin{})
	}
	require.True(t, tab.room("a"))
	require.False(t, tab.room("d"))
	tab.gone(at(10), "b")
	tab.gone(at(11), "a")
	require.True(t, tab.room("d"))
	tab.here(at(12), Member{ID: "d", Status: Alive}, origin{})
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
