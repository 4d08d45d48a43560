package placed

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

// clusterOf is a run of six nodes, of which a ring places everything on some.
func clusterOf(t *testing.T, zones ...string) *run {
	r := newRun(1, Options{})
	r.nodes = nil
	for i := range 6 {
		r.nodes = append(r.nodes, &node{run: r, index: i, id: nodeID(i), zone: zones[i%len(zones)]})
	}
	g, err := ring.New(ring.Config{Partitions: 1, Replicas: 3, Members: r.membersOf(0, 1, 2)})
	require.NoError(t, err)
	r.rings[1] = g
	return r
}

func (r *run) membersOf(nodes ...int) (all []ring.Member) {
	for _, i := range nodes {
		all = append(all, ring.Member{ID: r.nodes[i].id, Zone: r.nodes[i].zone})
	}
	return all
}

// change has the ring of an epoch and the next one be a change that is over.
func (r *run) changed(t *testing.T, epoch uint64, settled bool, nodes ...int) {
	joint, err := r.rings[epoch].Change(r.membersOf(nodes...), 0)
	require.NoError(t, err)
	end := joint.Abort
	if settled {
		end = joint.Settle
	}
	r.rings[epoch+1] = joint
	r.rings[epoch+2], err = end()
	require.NoError(t, err)
}

func TestRuleOfALevel(t *testing.T) {
	r := clusterOf(t, "x", "y")
	p := quorum.Placement{
		Owners: []transport.NodeID{"n0", "n1", "n2"},
		Zones:  map[transport.NodeID]string{"n0": "x", "n1": "y", "n2": "x", "n3": "y"},
	}
	met := func(l quorum.Level, self int, s set) bool {
		u, can := r.rule(&p, r.nodes[self], l, everybody)
		return can && u.met(s)
	}
	require.True(t, met(quorum.Majority, 0, 0b011))
	require.False(t, met(quorum.Majority, 0, 0b001))
	require.False(t, met(quorum.All, 0, 0b011))
	require.True(t, met(quorum.LocalMajority, 0, 0b101))
	require.False(t, met(quorum.LocalMajority, 0, 0b011))
	require.True(t, met(quorum.LocalMajority, 1, 0b010))
	require.False(t, met(quorum.EachMajority, 0, 0b101))
	require.True(t, met(quorum.EachMajority, 0, 0b111))
	require.False(t, met(4, 0, everybody), "there are three")
	p.Next = []transport.NodeID{"n1", "n2", "n3"}
	require.False(t, met(quorum.Majority, 0, 0b0011))
	require.True(t, met(quorum.Majority, 0, 0b0110))
}

// What reads must contain, over changes from the nodes 0, 1, 2 to others.
func TestOwed(t *testing.T) {
	const whole, abort = true, false
	for _, c := range []struct {
		name        string
		write, read quorum.Level
		from, to    uint64 // epochs
		settled     bool   // how the first change ends
		lost        int    // which node loses its memory, if positive
		want        bool
	}{
		{"majorities", quorum.Majority, quorum.Majority, 1, 1, whole, 0, true},
		{"one and all", quorum.One, quorum.All, 1, 1, whole, 0, true},
		{"one and a majority", quorum.One, quorum.Majority, 1, 1, whole, 0, false},
		{"a majority, of which one is lost", quorum.Majority, quorum.Majority, 1, 1, whole, 1, false},
		{"all, of which one is lost", quorum.All, quorum.Majority, 1, 1, whole, 1, true},
		{"while it changes", quorum.Majority, quorum.Majority, 1, 2, whole, 0, true},
		{"after the change anybody will do", quorum.Majority, quorum.One, 1, 3, whole, 0, true},
		{"one is not followed", quorum.One, quorum.All, 1, 3, whole, 0, false},
		{"of the joint ring a majority", quorum.Majority, quorum.One, 2, 3, whole, 0, false},
		{"of the joint ring, to a majority", quorum.Majority, quorum.Majority, 2, 3, whole, 0, true},
		{"aborted", quorum.One, quorum.All, 1, 3, abort, 0, true},
		{"aborted, by one", quorum.Majority, quorum.One, 1, 3, abort, 0, false},
		{"two changes", quorum.Majority, quorum.One, 1, 5, whole, 0, true},
		{"by an old ring", quorum.Majority, quorum.Majority, 5, 1, whole, 0, true},
		{"by an old ring, by one", quorum.Majority, quorum.One, 5, 1, whole, 0, false},
		{"by the joint ring of what came after", quorum.Majority, quorum.Majority, 3, 2, whole, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := clusterOf(t, "")
			r.changed(t, 1, c.settled, 2, 3, 4)
			r.changed(t, 3, whole, 3, 4, 5)
			ruleOf := func(l quorum.Level, epoch uint64) rule {
				p := r.rings[epoch].At(0)
				u, can := r.rule(&p, r.nodes[0], l, everybody)
				require.True(t, can)
				return u
			}
			k := new(key)
			o := &obligation{epoch: c.from, rule: ruleOf(c.write, c.from)}
			if c.lost > 0 {
				r.nodes[c.lost].lostAt = []moment{1}
			}
			require.Equal(t, c.want, r.owed(k, o, ruleOf(c.read, c.to), c.to))
		})
	}
}
