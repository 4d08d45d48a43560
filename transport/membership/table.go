package membership

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Status is what a member is, as one node sees it.
type Status uint8

// What a member may be. A member that is suspected is alive: only when it has not refuted that for a
// while is it dead.
const (
	Alive   Status = iota + 1
	Leaving        // alive, and has said that it is going for good
	Left           // gone, after having said so
	Dead           // gone, without a word
)

// Here reports whether the member takes part: it is Alive or Leaving.
func (s Status) Here() bool { return s == Alive || s == Leaving }

// String returns "alive", "leaving", "left" or "dead".
func (s Status) String() string {
	switch s {
	case Alive:
		return "alive"
	case Leaving:
		return "leaving"
	case Left:
		return "left"
	case Dead:
		return "dead"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// A Member is what one node knows of a member.
type Member struct {
	ID     transport.NodeID
	Status Status
	// Since is when this node saw it become what it is: when its status last changed, or anything that it says
	// of itself, or the process behind it; or when another process was last met under its name.
	Since  time.Time
	Zone   string
	Weight float64 // 0 is 1
	Addr   string  // of its transport, as it says
	Gossip string  // "ip:port" of its gossip
}

// A table is the members that a node knows, as a step machine. Those that are gone are remembered
// until others need their place.
type table struct {
	limit int
	rows  map[transport.NodeID]*row
}

type row struct {
	Member
	process uint64
}

// room reports whether there is a place for a member, which it makes if need be: of those that are gone the one that is
// longest so is forgotten.
func (t *table) room(id transport.NodeID) bool {
	if t.rows[id] != nil || len(t.rows) < t.limit {
		return true
	}
	var oldest *row
	for _, r := range t.rows {
		if !r.Status.Here() && (oldest == nil || older(r, oldest)) {
			oldest = r
		}
	}
	if oldest == nil {
		return false
	}
	delete(t.rows, oldest.ID)
	return true
}

func older(a, b *row) bool {
	return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) < 0
}

// here takes that a member takes part, and reports whether that is new.
func (t *table) here(now time.Time, m Member, process uint64) bool {
	if t.rows == nil {
		t.rows = make(map[transport.NodeID]*row)
	}
	if was := t.rows[m.ID]; was != nil {
		m.Since = was.Since
		if was.Member == m && was.process == process {
			return false
		}
	}
	m.Since = now
	t.rows[m.ID] = &row{m, process}
	return true
}

// gone takes that a member takes part no more, and reports whether that is new.
func (t *table) gone(now time.Time, id transport.NodeID) bool {
	r := t.rows[id]
	if r == nil || !r.Status.Here() {
		return false
	}
	if r.Status == Leaving {
		r.Status = Left
	} else {
		r.Status = Dead
	}
	r.Since = now
	return true
}

// doubted takes that there are two of a name.
func (t *table) doubted(now time.Time, id transport.NodeID) {
	if r := t.rows[id]; r != nil {
		r.Since = now
	}
}

func (t *table) member(id transport.NodeID) (Member, bool) {
	r := t.rows[id]
	if r == nil {
		return Member{}, false
	}
	return r.Member, true
}

// all returns the members, by ID.
func (t *table) all() []Member {
	out := make([]Member, 0, len(t.rows))
	for _, id := range slices.Sorted(maps.Keys(t.rows)) {
		out = append(out, t.rows[id].Member)
	}
	return out
}
