package membership

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

// A Policy says when a ring follows its members. It is about members that have been what they are for some time, so
// that one which comes and goes changes nothing.
type Policy struct {
	// JoinAfter is how long a member has been alive, as one process and with the same zone and weight, before
	// it is taken into the ring. If zero, one minute; if negative, none is.
	JoinAfter time.Duration
	// LeaveAfter is how long ago a member has said that it leaves, before it is taken out. If
	// zero, ten seconds; if negative, none is.
	LeaveAfter time.Duration
	// ReplaceAfter is how long a member has been dead before it is taken out, and what it held is copied
	// to others. If zero or negative, none is: that is for somebody who knows.
	ReplaceAfter time.Duration
	// TakeOverAfter is how long a member that decides has been alive, and those that would decide before it have not.
	// If zero, half a minute; if negative, nobody ever decides. It should be much longer than it takes to notice that
	// a member is dead.
	TakeOverAfter time.Duration
	// MinMembers is how many members are left at least when some are taken out. If zero, as many as the ring has
	// replicas.
	MinMembers int
	// MinZones is in how many zones they are at least. If zero, as many as there are, up to the number of
	// replicas.
	MinZones int
}

// A Plan is what a [Policy] says at one moment.
type Plan struct {
	// Ring is the change to be adopted, nil if there is none.
	Ring *ring.Ring
	// Join, Leave and Replace are who comes by it, who goes as it has asked for, and who goes being dead, by ID.
	Join, Leave, Replace []transport.NodeID
	// Why says what keeps this node from a change, in words for an operator.
	Why string
}

func after(d, otherwise time.Duration) time.Duration {
	if d < 0 {
		return math.MaxInt64
	}
	return cmp.Or(d, otherwise)
}

// Plan returns the change of a ring that a node is to make now, if any, by what it knows of the members. It is a
// function of its arguments alone. A member of the ring that is not among the members counts as
// having gone just now. The time is little, unless there is a change: then it is that of [ring.Ring.Change].
func (p Policy) Plan(self transport.NodeID, now time.Time, members []Member, r *ring.Ring) Plan {
	v := newView(self, now, members, r)
	if why := p.waits(v); why != "" {
		return Plan{Why: why}
	}
	plan := p.wanted(v)
	if len(plan.Join)+len(plan.Leave)+len(plan.Replace) == 0 {
		plan.Why = cmp.Or(plan.Why, "nothing to do")
		return plan
	}
	next, err := r.Change(v.after(&plan), 0)
	if err != nil {
		return Plan{Why: err.Error()}
	}
	if why := v.stuck(next); why != "" {
		return Plan{Why: why}
	}
	plan.Ring = next
	return plan
}

// waits says why this node is not the one to change the ring now; nothing, if it is.
//
// The one is the first by ID of the ring's members that are alive and not leaving, if it sees a majority of them
// here: so of two sides of a partition one has none. It waits until it has been that for a while, as others may see
// it otherwise for a moment.
func (p Policy) waits(v *view) string {
	switch {
	case v.ring == nil || v.ring.Partitions() == 0:
		return "there is no ring yet"
	case v.ring.Changing():
		return "a change is under way"
	case v.here <= len(v.now)/2:
		return fmt.Sprintf("%d of %d members of the ring are here, which is no majority", v.here, len(v.now))
	}
	patience := after(p.TakeOverAfter, 30*time.Second)
	for _, m := range v.now {
		known := v.known[m.ID]
		switch stable := v.time.Sub(known.Since) >= patience; {
		case m.ID == v.self && known.Status != Alive:
			return fmt.Sprintf("this node is %v", known.Status)
		case m.ID == v.self && !stable:
			return "this node has not been alive for long, or has met another of its name"
		case m.ID == v.self:
			return ""
		case known.Status == Alive:
			return fmt.Sprintf("%q decides", m.ID)
		case !stable:
			return fmt.Sprintf("%q, which decided, has not been %v for long", m.ID, known.Status)
		}
	}
	return "this node is no member of the ring"
}

// wanted says who is to come and who is to go, within the bounds.
func (p Policy) wanted(v *view) (plan Plan) {
	since := func(m Member, d time.Duration) bool { return v.time.Sub(m.Since) >= d }
	for _, m := range v.members {
		if !v.in(m.ID) && m.Status == Alive && since(m, after(p.JoinAfter, time.Minute)) {
			plan.Join = append(plan.Join, m.ID)
		}
	}
	left := newBounds(p, v, plan.Join)
	take := func(from *[]transport.NodeID, id transport.NodeID) {
		if left.without(id) {
			*from = append(*from, id)
		} else {
			plan.Why = fmt.Sprintf("without %q there would be too few members, or zones", id)
		}
	}
	for _, m := range v.now {
		if k := v.known[m.ID]; (k.Status == Leaving || k.Status == Left) && since(k, after(p.LeaveAfter, 10*time.Second)) {
			take(&plan.Leave, m.ID)
		}
	}
	for _, m := range v.now {
		if k := v.known[m.ID]; k.Status == Dead && p.ReplaceAfter > 0 && since(k, p.ReplaceAfter) {
			take(&plan.Replace, m.ID)
		}
	}
	return plan
}

// bounds are the members and zones there would be.
type bounds struct {
	members, minMembers int
	zones               map[string]int
	zone                map[transport.NodeID]string
	minZones            int
}

func newBounds(p Policy, v *view, join []transport.NodeID) *bounds {
	b := &bounds{zones: map[string]int{}, zone: map[transport.NodeID]string{}}
	for _, m := range v.now {
		b.add(m.ID, m.Zone)
	}
	b.minMembers = cmp.Or(max(p.MinMembers, 0), v.ring.Replicas())
	b.minZones = cmp.Or(max(p.MinZones, 0), min(len(b.zones), v.ring.Replicas()))
	for _, id := range join {
		b.add(id, v.known[id].Zone)
	}
	return b
}

func (b *bounds) add(id transport.NodeID, zone string) {
	b.members++
	b.zones[zone]++
	b.zone[id] = zone
}

// without takes a member away, if it can be missed.
func (b *bounds) without(id transport.NodeID) bool {
	zone := b.zone[id]
	zones := len(b.zones)
	if b.zones[zone] == 1 {
		zones--
	}
	if b.members-1 < b.minMembers || zones < b.minZones {
		return false
	}
	b.members--
	if b.zones[zone]--; b.zones[zone] == 0 {
		delete(b.zones, zone)
	}
	return true
}

// A view is what a plan is made of.
type view struct {
	self    transport.NodeID
	time    time.Time
	members []Member
	known   map[transport.NodeID]Member // also those of the ring of which nothing is known
	ring    *ring.Ring
	now     []ring.Member // of the ring, by ID
	here    int           // of them
}

func newView(self transport.NodeID, now time.Time, members []Member, r *ring.Ring) *view {
	v := &view{self: self, time: now, members: slices.Clone(members), known: map[transport.NodeID]Member{}, ring: r}
	slices.SortFunc(v.members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for _, m := range v.members {
		v.known[m.ID] = m
	}
	if r == nil {
		return v
	}
	v.now = r.Members()
	for _, m := range v.now {
		if _, ok := v.known[m.ID]; !ok {
			v.known[m.ID] = Member{ID: m.ID, Status: Dead, Since: now}
		}
		if v.known[m.ID].Status.Here() {
			v.here++
		}
	}
	return v
}

func (v *view) in(id transport.NodeID) bool {
	_, ok := slices.BinarySearchFunc(v.now, id, func(m ring.Member, id transport.NodeID) int { return cmp.Compare(m.ID, id) })
	return ok
}

// after returns the members of the ring that a plan leads to. Who stays keeps the zone and weight that the ring knows.
func (v *view) after(plan *Plan) (out []ring.Member) {
	for _, m := range v.now {
		if !slices.Contains(plan.Leave, m.ID) && !slices.Contains(plan.Replace, m.ID) {
			out = append(out, m)
		}
	}
	for _, id := range plan.Join {
		m := v.known[id]
		out = append(out, ring.Member{ID: id, Zone: m.Zone, Weight: m.Weight})
	}
	return out
}

// stuck says what would keep a change from its end: a next owner that is not here, or a majority of the owners.
func (v *view) stuck(next *ring.Ring) string {
	for p := range next.Partitions() {
		at := next.At(p)
		if len(at.Next) == 0 {
			continue
		}
		here := 0
		for _, id := range at.Owners {
			if v.known[id].Status.Here() {
				here++
			}
		}
		if here <= len(at.Owners)/2 {
			return fmt.Sprintf("of partition %d there are %d of %d owners here, which is no majority", p, here, len(at.Owners))
		}
		for _, id := range at.Next {
			if !v.known[id].Status.Here() {
				return fmt.Sprintf("%q would get a share of the change, and is not here", id)
			}
		}
	}
	return ""
}
