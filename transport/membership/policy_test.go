package membership

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

var policy = Policy{JoinAfter: 60 * time.Second, LeaveAfter: 10 * time.Second, ReplaceAfter: 600 * time.Second, TakeOverAfter: 30 * time.Second}

// ringOf is a ring of members written as "id/zone", of three replicas.
func ringOf(t *testing.T, names string) *ring.Ring {
	c := ring.Config{Partitions: 16}
	for name := range strings.FieldsSeq(names) {
		id, zone, _ := strings.Cut(name, "/")
		c.Members = append(c.Members, ring.Member{ID: transport.NodeID(id), Zone: zone})
	}
	r, err := ring.New(c)
	require.NoError(t, err)
	return r
}

// seen are members written as "id/zone status seconds", with commas between: the seconds are for how long they are what they are.
func seen(t *testing.T, list string) (out []Member) {
	statuses := map[string]Status{"alive": Alive, "leaving": Leaving, "left": Left, "dead": Dead}
	for item := range strings.SplitSeq(list, ",") {
		var name, status string
		var seconds int
		_, err := fmt.Sscan(item, &name, &status, &seconds)
		require.NoError(t, err, item)
		id, zone, _ := strings.Cut(name, "/")
		out = append(out, Member{ID: transport.NodeID(id), Status: statuses[status], Since: at(-seconds), Zone: zone})
	}
	return out
}

func names(ids []transport.NodeID) string {
	var out []string
	for _, id := range ids {
		out = append(out, string(id))
	}
	return strings.Join(out, " ")
}

func TestPolicy(t *testing.T) {
	for _, test := range []struct {
		name, ring, seen, self string
		change                 func(*Policy)
		join, leave, replace   string
		why                    string
	}{
		{name: "nobody new", ring: "a b c", seen: "a alive 99, b alive 99, c alive 99", why: "nothing to do"},
		{name: "one joins", ring: "a b c", seen: "a alive 99, b alive 99, c alive 99, d alive 60", join: "d"},
		{name: "not yet", ring: "a b c", seen: "a alive 99, b alive 99, c alive 99, d alive 59", why: "nothing to do"},
		{name: "never", ring: "a b c", seen: "a alive 99, b alive 99, c alive 99, d alive 99999",
			change: func(p *Policy) { p.JoinAfter = -1 }, why: "nothing to do"},
		{name: "after a minute by default", ring: "a b c", seen: "a alive 99, b alive 99, c alive 99, d alive 59, e alive 60",
			change: func(p *Policy) { *p = Policy{} }, join: "e"},
		{name: "two join at once", ring: "a b c", seen: "a alive 99, b alive 99, c alive 99, e alive 99, d alive 60", join: "d e"},
		{name: "who leaves does not join", ring: "a b c", seen: "a alive 99, b alive 99, c alive 99, d leaving 99", why: "nothing to do"},
		{name: "one leaves", ring: "a b c d", seen: "a alive 99, b leaving 10, c alive 99, d alive 99", leave: "b"},
		{name: "one has left", ring: "a b c d", seen: "a alive 99, b left 10, c alive 99, d alive 99", leave: "b"},
		{name: "not yet left", ring: "a b c d", seen: "a alive 99, b left 9, c alive 99, d alive 99", why: "nothing to do"},
		{name: "never leaves", ring: "a b c d", seen: "a alive 99, b left 9999, c alive 99, d alive 99",
			change: func(p *Policy) { p.LeaveAfter = -1 }, why: "nothing to do"},
		{name: "the dead are replaced late", ring: "a b c d", seen: "a alive 999, b dead 600, c alive 999, d alive 999", replace: "b"},
		{name: "not yet replaced", ring: "a b c d", seen: "a alive 999, b dead 599, c alive 999, d alive 999", why: "nothing to do"},
		{name: "by default never", ring: "a b c d", seen: "a alive 999, b dead 999999, c alive 999, d alive 999",
			change: func(p *Policy) { p.ReplaceAfter = 0 }, why: "nothing to do"},
		{name: "who was never seen is not replaced", ring: "a b c d", seen: "a alive 999, b alive 999, d alive 999", why: "nothing to do"},
		{name: "one for another", ring: "a b c", seen: "a alive 999, b dead 999, c alive 999, d alive 99", join: "d", replace: "b"},
		{name: "one comes, one goes", ring: "a b c", seen: "a alive 999, b leaving 99, c alive 999, d alive 99", join: "d", leave: "b"},

		{name: "too few members", ring: "a b c", seen: "a alive 99, b leaving 99, c alive 99", why: `without "b" there would be too few members`},
		{name: "fewer allowed", ring: "a b c", seen: "a alive 99, b leaving 99, c alive 99",
			change: func(p *Policy) { p.MinMembers = 2 }, leave: "b"},
		{name: "as many as may", ring: "a b c d e", seen: "a alive 99, b leaving 99, c leaving 99, d leaving 99, e alive 99",
			leave: "b c"},
		{name: "too few zones", ring: "a/x b/y c/z d/x", seen: "a/x alive 99, b/y leaving 99, c/z alive 99, d/x alive 99", why: `without "b"`},
		{name: "fewer zones allowed", ring: "a/x b/y c/z d/x", seen: "a/x alive 99, b/y leaving 99, c/z alive 99, d/x alive 99",
			change: func(p *Policy) { p.MinZones = 2 }, leave: "b"},
		{name: "another of the zone comes", ring: "a/x b/y c/z d/x", seen: "a/x alive 99, b/y leaving 99, c/z alive 99, d/x alive 99, e/y alive 60",
			join: "e", leave: "b"},

		{name: "the first one decides", ring: "a b c", seen: "a alive 99, b alive 99, c alive 99, d alive 99", self: "b", why: `"a" decides`},
		{name: "who is not of the ring does not", ring: "b c d", seen: "a alive 99, b alive 99, c alive 99, d alive 99", why: `"b" decides`},
		{name: "nor one that is gone from all", ring: "b c d", seen: "a alive 99, b leaving 99, c leaving 99, d leaving 99", why: "this node is no member of the ring"},
		{name: "the next one takes over", ring: "a b c", seen: "a dead 30, b alive 99, c alive 99, d alive 99", self: "b",
			why: `"a" would get a share of the change, and is not here`},
		{name: "and replaces it", ring: "a b c", seen: "a dead 999, b alive 999, c alive 999, d alive 99", self: "b", join: "d", replace: "a"},
		{name: "but not at once", ring: "a b c", seen: "a dead 29, b alive 99, c alive 99, d alive 99", self: "b", why: `"a", which decided, has not been dead for long`},
		{name: "who leaves does not decide", ring: "a b c d", seen: "a leaving 99, b alive 99, c alive 99, d alive 99", why: "this node is leaving"},
		{name: "the next one does", ring: "a b c d", seen: "a leaving 30, b alive 99, c alive 99, d alive 99", self: "b", leave: "a"},
		{name: "who has just begun does not", ring: "a b c", seen: "a alive 29, b alive 99, c alive 99, d alive 99", why: "this node has not been alive for long"},
		{name: "nor who does not know itself", ring: "a b c", seen: "b alive 99, c alive 99, d alive 99", why: "this node is dead"},
		{name: "no majority", ring: "a b c d", seen: "a alive 99, b alive 99, c dead 99, d dead 99, e alive 99", why: "2 of 4 members of the ring are here"},
		{name: "members of the ring alone count", ring: "a b c d", seen: "a alive 99, b dead 99, c dead 99, d dead 99, e alive 99, f alive 99, g alive 99", why: "1 of 4"},
		{name: "a dead one that would get a share", ring: "a b c", seen: "a alive 99, b dead 99, c alive 99, d alive 99",
			why: `"b" would get a share of the change, and is not here`},
		{name: "owners that are gone", ring: "a b c d e", seen: "a alive 999, b alive 999, c alive 999, d dead 600, e dead 600",
			why: "which is no majority"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := policy
			if test.change != nil {
				test.change(&p)
			}
			self := transport.NodeID("a")
			if test.self != "" {
				self = transport.NodeID(test.self)
			}
			r := ringOf(t, test.ring)
			members := seen(t, test.seen)
			plan := p.Plan(self, at(0), members, r)
			require.Equal(t, test.join, names(plan.Join))
			require.Equal(t, test.leave, names(plan.Leave))
			require.Equal(t, test.replace, names(plan.Replace))
			require.Contains(t, plan.Why, test.why)
			require.Equal(t, test.join+test.leave+test.replace != "", plan.Ring != nil, plan.Why)
			slices.Reverse(members)
			again := p.Plan(self, at(0), members, r)
			require.Equal(t, plan.Why, again.Why, "the order of members does not matter")
			if plan.Ring != nil {
				require.Equal(t, r.Epoch()+1, plan.Ring.Epoch())
				require.Equal(t, plan.Ring.Fingerprint(), again.Ring.Fingerprint())
				require.Equal(t, "a change is under way", p.Plan(self, at(0), members, plan.Ring).Why)
			}
		})
	}
}

func TestPolicyWithoutARing(t *testing.T) {
	require.Equal(t, "there is no ring yet", policy.Plan("a", at(0), nil, nil).Why)
	require.Equal(t, "there is no ring yet", policy.Plan("a", at(0), nil, new(ring.Ring)).Why)
}

// What a member says of itself may be no member of a ring.
func TestPolicyWithWrongMembers(t *testing.T) {
	r := ringOf(t, "a")
	for _, wrong := range []Member{
		{ID: "b", Status: Alive, Zone: strings.Repeat("z", 256)},
		{ID: "b", Status: Alive, Weight: -1},
		{ID: "", Status: Alive},
	} {
		plan := policy.Plan("a", at(0), []Member{{ID: "a", Status: Alive}, wrong}, r)
		require.Nil(t, plan.Ring)
		require.Contains(t, plan.Why, "ring: ")
	}
}
