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

// An origin is which process says something, and how late.
type origin struct{ process, version uint64 }

type row struct {
	Member
	origin        // of what it said last
	rival  uint64 // the highest version of another process met under its name
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

// fresh reports whether what a member says of itself may be taken. What is older than what it said last is late, or
// replayed. What it said last may still be news: that somebody took it for dead wrongly. For a while after that
// memberlist remembers which of its incarnations was given up, and tells later ones; after that the member has to
// say something newer.
func (t *table) fresh(now time.Time, m Member, from origin, refutable time.Duration) bool {
	r := t.rows[m.ID]
	switch {
	case r == nil || from.version > r.version:
		return true
	case from != r.origin || m.Gossip != r.Gossip:
		return false
	}
	return r.Status.Here() || now.Sub(r.Since) < refutable
}

// here takes that a member takes part. It reports whether that is new, and whether the member was gone for others
// than itself: it has been the same process all the time, and had to say something newer to be believed.
func (t *table) here(now time.Time, m Member, from origin) (changed, lost bool) {
	if t.rows == nil {
		t.rows = make(map[transport.NodeID]*row)
	}
	var rival uint64
	if was := t.rows[m.ID]; was != nil {
		m.Since, rival = was.Since, was.rival
		lost = !was.Status.Here() && was.process == from.process && was.version < from.version
		if was.Member == m && was.process == from.process {
			was.origin = from
			return false, false
		}
	}
	m.Since = now
	t.rows[m.ID] = &row{m, from, rival}
	return true, lost
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

// doubted takes that there is another process under the name of a member, and reports whether that is new: each
// version of it counts once.
func (t *table) doubted(now time.Time, id transport.NodeID, version uint64) bool {
	r := t.rows[id]
	if r == nil || version <= max(r.version, r.rival) {
		return false
	}
	r.rival, r.Since = version, now
	return true
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
