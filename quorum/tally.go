package quorum

import (
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

// A Demand is what has to be answered. All of it has to be, among the Owners of a
// [Placement] and, if there are any, among its Next as well.
type Demand struct {
	// Level is how many must answer: owners, or who stands in for one.
	Level Level
	// Primary is how many of them must be owners themselves. If zero, none.
	Primary Level
	// Durable is how many of them must have it on disk. If zero, none.
	Durable Level
}

// A Tally decides whether the answers of a key's owners satisfy a demand. It is
// pure: no goroutine, no clock, and the order of answers does not matter, since
// what it knows of an owner only grows: nothing, then a failure, then an answer.
// Repeated answers, answers of nodes that are not owners, and a failure reported of
// an owner that has answered change nothing.
//
// Most users will not need a Tally: [Coordinator] keeps one for each call. It is
// for one goroutine at a time.
type Tally struct {
	level      Level
	self       transport.NodeID // the node that asks
	owners     int              // distinct nodes among Owners
	hints      int              // kept for owners by whoever
	members    []member         // distinct nodes of Owners and Next, in order of preference
	conditions []condition

	memberRoom    [4]member // so that most tallies are one piece of memory
	conditionRoom [2]condition
}

type member struct {
	node    transport.NodeID
	zone    string
	groups  group
	verdict verdict
	durable bool
	err     error

	stand *stand
}

// A stand is who stands in for an owner, and has answered.
type stand struct {
	zone    string
	durable bool
	also    *stand // who stood in before
}

type verdict uint8

const (
	silent verdict = iota
	failed
	answered
)

// A group is a set of owners that has to satisfy a demand by itself.
type group uint32

const (
	present   group = 1 << iota // Placement.Owners
	coming                      // Placement.Next
	firstSeen                   // Holders that a read comes after; the next ones have a group each
)

// A condition is one number that must be reached.
type condition struct {
	group  group
	kind   kind
	local  bool // counts the owners in zone alone
	or     bool // a majority will do as well
	zone   string
	needed int
	of     int // nodes that it speaks of
}

type kind uint8

const (
	anyone  kind = iota // owners, and who stands in for them
	primary             // owners alone
	durable             // owners, and who stands in for them, that have it on disk
	hinted              // a hint will do
	seen                // owners alone, of whom each has what was seen
)

// NewTally returns a Tally of no answers to a demand, for the node self, whose zone
// is the local one. The error is a [*LevelError].
func NewTally(p Placement, self transport.NodeID, d Demand) (*Tally, error) {
	t := new(Tally)
	if err := t.init(p, self, d); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tally) init(p Placement, self transport.NodeID, d Demand) error {
	*t = Tally{level: d.Level, self: self}
	t.members, t.conditions = t.memberRoom[:0], t.conditionRoom[:0]
	t.join(&p, p.Owners, present)
	t.owners = len(t.members)
	next := p.Next
	if planted.Bug == planted.PendingIgnored {
		next = nil
	}
	t.join(&p, next, coming)
	for _, g := range []group{present, coming} {
		if g == coming && len(next) == 0 {
			break
		}
		if err := t.demand(p.Zones[self], g, d); err != nil {
			return err
		}
	}
	return nil
}

// join adds nodes to a group.
func (t *Tally) join(p *Placement, nodes []transport.NodeID, g group) {
	for _, node := range nodes {
		if i := t.index(node); i >= 0 {
			t.members[i].groups |= g
			continue
		}
		m := member{node: node, groups: g}
		if p.Zones != nil {
			m.zone = p.Zones[node]
		}
		t.members = append(t.members, m)
	}
}

// demand adds what is asked of one group.
func (t *Tally) demand(home string, g group, d Demand) error {
	if err := t.require(anyone, home, g, d.Level); err != nil {
		return err
	}
	if d.Primary != 0 {
		if err := t.require(primary, home, g, d.Primary); err != nil {
			return err
		}
	}
	if d.Durable != 0 {
		return t.require(durable, home, g, d.Durable)
	}
	return nil
}

// require adds the conditions of one level.
func (t *Tally) require(k kind, home string, g group, l Level) error {
	switch l {
	case Any:
		if k != anyone {
			return &LevelError{Level: l, Reason: "a hint is neither an owner nor durable there"}
		}
		k = hinted
	case EachMajority:
		var zones []string
		for i := range t.members {
			m := &t.members[i]
			if m.groups&g == 0 || slices.Contains(zones, m.zone) {
				continue
			}
			zones = append(zones, m.zone)
			if err := t.add(condition{kind: k, group: g, local: true, zone: m.zone}, l); err != nil {
				return err
			}
		}
		if len(zones) == 0 {
			return &LevelError{Level: l}
		}
		return nil
	}
	c := condition{kind: k, group: g}
	if l == LocalOne || l == LocalMajority {
		c.local, c.zone = true, home
	}
	return t.add(c, l)
}

func (t *Tally) add(c condition, l Level) error {
	for i := range t.members {
		if c.speaksOf(&t.members[i]) {
			c.of++
		}
	}
	if c.needed = l.of(c.of); c.needed < 1 || c.needed > c.of {
		return &LevelError{Level: l, Owners: c.of, Zone: c.zone}
	}
	t.conditions = append(t.conditions, c)
	return nil
}

func (c *condition) speaksOf(m *member) bool {
	return m.groups&c.group != 0 && (!c.local || m.zone == c.zone)
}

// got is how many of those that a condition speaks of have answered, and how many
// have failed for good.
func (t *Tally) got(c *condition) (got, lost int) {
	for i := range t.members {
		m := &t.members[i]
		if !c.speaksOf(m) {
			continue
		}
		switch {
		case c.met(m):
			got++
		case m.verdict != silent:
			lost++
		}
	}
	if c.kind == hinted && t.hints > 0 || c.or && t.majority(t.hasAnswered) {
		got = max(got, 1)
	}
	return got, lost
}

// met reports whether a member, or who stands in for it, counts.
func (c *condition) met(m *member) bool {
	stood, hard := false, false
	for s := m.stand; s != nil; s = s.also {
		if !c.local || s.zone == c.zone {
			stood, hard = true, hard || s.durable
		}
	}
	switch c.kind {
	case primary, seen:
		return m.verdict == answered
	case durable:
		return m.verdict == answered && m.durable || hard
	}
	return m.verdict == answered || stood
}

// index returns the position of the owner node, -1 if it owns nothing.
func (t *Tally) index(node transport.NodeID) int {
	for i := range t.members {
		if t.members[i].node == node {
			return i
		}
	}
	return -1
}

// Answer counts an answer of node, and whether what it speaks of is on its disk. It
// reports whether that changed anything.
func (t *Tally) Answer(node transport.NodeID, durable bool) bool {
	return t.answer(t.index(node), durable)
}

func (t *Tally) answer(i int, durable bool) bool {
	if i < 0 || t.members[i].verdict == answered {
		if i >= 0 && planted.Bug == planted.TallyTwice && len(t.conditions) > 0 && t.conditions[0].needed > 1 {
			t.conditions[0].needed--
			return true
		}
		return false
	}
	m := &t.members[i]
	m.verdict, m.err, m.durable = answered, nil, durable
	return true
}

// Fail counts a failure of node. It reports whether that changed anything: of two
// failures the first is kept.
func (t *Tally) Fail(node transport.NodeID, err error) bool { return t.fail(t.index(node), err) }

func (t *Tally) fail(i int, err error) bool {
	if i < 0 || t.members[i].verdict != silent {
		return false
	}
	t.members[i].verdict, t.members[i].err = failed, err
	return true
}

// StandIn counts the answer of another node, which is in a zone, in place of the
// owner's. It satisfies what asks for no more than answers, and counts no more once
// the owner has answered itself.
func (t *Tally) StandIn(owner transport.NodeID, zone string, durable bool) {
	if i := t.index(owner); i >= 0 {
		m := &t.members[i]
		m.stand = &stand{zone: zone, durable: durable, also: m.stand}
		if planted.Bug == planted.StandInPrimary {
			t.answer(i, durable)
		}
	}
}

// Hinted counts a hint that somebody keeps for an owner.
func (t *Tally) Hinted() { t.hints++ }

// Reached reports whether all that is demanded was answered. It stays so.
func (t *Tally) Reached() bool {
	for i := range t.conditions {
		if got, _ := t.got(&t.conditions[i]); got < t.conditions[i].needed {
			return false
		}
	}
	return true
}

// Impossible reports whether so many owners failed that those left are too few,
// unless one that failed answers after all, or somebody stands in for it.
func (t *Tally) Impossible() bool { return t.broken() != nil }

// broken returns the first condition that cannot be met, nil if there is none.
func (t *Tally) broken() *condition {
	for i := range t.conditions {
		c := &t.conditions[i]
		if got, lost := t.got(c); got < c.needed && c.of-lost < c.needed && !(c.or && t.majority(t.hasNotFailed)) {
			return c
		}
	}
	return nil
}

// hopeless reports whether it is impossible and the node that asks has spoken, if
// it is an owner: its answer is at hand, and the error is to count it.
func (t *Tally) hopeless() bool {
	i := t.index(t.self)
	return t.Impossible() && (i < 0 || t.members[i].verdict != silent)
}

// open returns the first condition that is not met yet, else the first of all.
func (t *Tally) open() *condition {
	if c := t.broken(); c != nil {
		return c
	}
	for i := range t.conditions {
		if got, _ := t.got(&t.conditions[i]); got < t.conditions[i].needed {
			return &t.conditions[i]
		}
	}
	return &t.conditions[0]
}

// useful reports whether an answer of member i would bring a condition closer that
// is not met by those who are expected to answer.
func (t *Tally) useful(i int, expected func(i int) bool) bool {
	for k := range t.conditions {
		c := &t.conditions[k]
		if c.kind == seen && t.lacking(c, i, expected) {
			return true
		}
		if !c.speaksOf(&t.members[i]) {
			continue
		}
		n := 0
		for j := range t.members {
			if m := &t.members[j]; c.speaksOf(m) && (c.met(m) || m.verdict == silent && expected(j)) {
				n++
			}
		}
		if n < c.needed {
			return true
		}
	}
	return false
}

// Answered returns how many distinct owners have answered.
func (t *Tally) Answered() (n int) {
	for i := range t.members {
		if t.members[i].verdict == answered {
			n++
		}
	}
	return n
}

// Owners returns how many distinct owners there are, those to come not among them.
func (t *Tally) Owners() int { return t.owners }

// stoodIn is how many others have answered in the place of owners that have not.
func (t *Tally) stoodIn() (n int) {
	for i := range t.members {
		if m := &t.members[i]; m.stand != nil && m.verdict != answered {
			n++
		}
	}
	return n
}
