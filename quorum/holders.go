package quorum

import (
	"math"
	"math/bits"
	"slices"

	"github.com/eventual-go/eventual/transport"
)

// Holders are nodes of which each holds all that a result speaks of. States are opaque, so nothing
// says what somebody has seen of a key but who has it: a read that starts after it, with these
// Holders in ReadOptions.After, returns a state that contains it. Package quorum/session keeps them.
type Holders struct {
	// Version is that of the [Placement] by which the nodes were owners.
	Version uint64
	// Nodes are owners of the key that hold it. There may be others.
	Nodes []transport.NodeID
	// Majority reports that more than half of the owners hold it, and of those to come, whether
	// they are among Nodes or not. Then any majority contains it, also of a later placement. If
	// what is held was written in parts, that is so of each part.
	Majority bool
}

// maxAfter is how many Holders a read may come after: one group of a [Tally] each.
const maxAfter = 30

// after adds what has to be among the answers for a read to contain what holders have: one of
// them, themselves; or a majority, if a majority has it.
//
// An owner has what it had when it was one, by whatever placement: if it was none meanwhile, it handed the key to
// a majority of the owners before it dropped it, and before it was an owner again it got the key from a
// majority. Until then, as one to come, it may lack it, also where it has merged it already: if it did not know
// yet that it is to come, it may have handed that on and dropped it.
func (t *Tally) after(all []Holders) error {
	if len(all) > maxAfter {
		return &LevelError{Level: t.level, Reason: "it comes after too many"}
	}
	for k := range all {
		h := &all[k]
		c := condition{kind: seen, group: firstSeen << k, needed: 1, or: h.Majority}
		for i := range t.members {
			m := &t.members[i]
			if m.groups&present != 0 && slices.Contains(h.Nodes, m.node) {
				m.groups |= c.group
				c.of++
			}
		}
		t.conditions = append(t.conditions, c)
	}
	return nil
}

// majority reports whether those of whom something is so are more than half of the owners, and of
// those to come.
func (t *Tally) majority(so func(i int) bool) bool {
	for _, g := range []group{present, coming} {
		if of, n := t.countIn(g, so); 2*n <= of && (of > 0 || g == present) {
			return false
		}
	}
	return true
}

func (t *Tally) countIn(g group, so func(i int) bool) (of, n int) {
	for i := range t.members {
		if t.members[i].groups&g != 0 {
			of++
			if so(i) {
				n++
			}
		}
	}
	return of, n
}

func (t *Tally) hasAnswered(i int) bool  { return t.members[i].verdict == answered }
func (t *Tally) hasNotFailed(i int) bool { return t.members[i].verdict != failed }
func (t *Tally) follows() bool           { return t.conditions[len(t.conditions)-1].kind == seen }
func (t *Tally) holderOf(i int) (sets int) {
	return bits.OnesCount32(uint32(t.members[i].groups &^ (present | coming)))
}

// lacking reports whether a majority is needed, since nobody is left who is known to hold what was
// seen, and member i would bring it closer beside those who are expected to answer.
func (t *Tally) lacking(c *condition, i int, expected func(i int) bool) bool {
	if _, lost := t.got(c); !c.or || lost < c.of {
		return false
	}
	for _, g := range []group{present, coming} {
		of, n := t.countIn(g, func(j int) bool {
			return t.hasAnswered(j) || t.members[j].verdict == silent && expected(j)
		})
		if t.members[i].groups&g != 0 && 2*n <= of {
			return true
		}
	}
	return false
}

// holders returns the owners of whom it is so that they hold something.
func (t *Tally) holders(version uint64, so func(i int) bool) *Holders {
	h := &Holders{Version: version, Majority: t.majority(so)}
	for i := range t.members {
		if t.members[i].groups&present != 0 && so(i) {
			h.Nodes = append(h.Nodes, t.members[i].node)
		}
	}
	return h
}

// lead puts those first who hold what was seen, unless they are away. The node that asks stays
// first where more than one has to answer anyhow.
func (o *ReadOp) lead() {
	t := &o.loads
	if !t.follows() {
		return
	}
	weight := func(i int) int {
		switch {
		case t.members[i].node == o.cfg.Self && t.conditions[0].needed > 1:
			return maxAfter + 1
		case o.copies[i].away:
			return -1
		}
		return t.holderOf(i)
	}
	slices.SortStableFunc(o.order, func(a, b int) int { return weight(b) - weight(a) })
}

// held reports whether an owner is known to hold what the read returns.
func (o *ReadOp) held(i int) bool {
	c := &o.copies[i]
	return o.holders.hasAnswered(i) || c.answered && (c.sum == o.goal || c.sum == o.sum)
}

// learnOf notes the latest placement by which something that was seen was held, so that a read
// which fails by an older one is made anew.
func (o *ReadOp) learnOf(all []Holders) {
	for k := range all {
		h := &all[k]
		if h.Version == math.MaxUint64 || h.Version <= max(o.moved, o.cfg.Placement.Version) {
			continue
		}
		if by := o.teacher(h.Nodes); by != "" {
			o.moved, o.by, o.hearsay = h.Version, by, true
		}
	}
}

// teacher returns a node to learn of a later placement from, one that is said to know of it if possible. It is
// among those who hold the key now: what clients bring with them must not say whom this node talks to.
func (o *ReadOp) teacher(said []transport.NodeID) (by transport.NodeID) {
	p := &o.cfg.Placement
	for _, nodes := range [][]transport.NodeID{p.Owners, p.Next} {
		for _, node := range nodes {
			switch {
			case node == o.cfg.Self:
			case slices.Contains(said, node):
				return node
			case by == "":
				by = node
			}
		}
	}
	return by
}
