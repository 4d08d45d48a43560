package crdt

import (
	"math"

	"github.com/eventual-go/eventual/vclock"
)

// Handover transfers the rights that departed replicas had at a cut to a successor, and takes their requests back. It
// is a [BoundedCounter.Transfer] on behalf of those who can make none any more. All make the same one, whoever makes it
// first and however often: so rights pass once, and states that were handed over merge with others like any. A state
// that had not heard of a departed replica, or not of all that it wrote, has heard afterwards.
//
// at must have all that those in from have written, and nothing else is asked of it. Rights that were under way from
// them arrive as ever. Rights under way to them pass on as far as at has them; what somebody transfers to a departed
// replica later, not knowing, passes on by another Handover, to the same successor or to another, with a later cut
// that was itself handed over by the one before.
//
// Other than in [HandoverError] the successor may be a replica that writes, and has the rights for itself. If it is an
// identity of its own, as where a whole [Value] is handed over, agree also on who alone may write for it, once, to
// transfer them further.
//
// Rows of departed replicas stay, so the counter does not shrink. If they were added up into one of the successor, a
// state with both, theirs and the successor's, would count their rights twice until it is handed over. Elsewhere that
// is a matter of what is read meanwhile. Here it could be spent, and a bound that was passed is not repaired by anything
// that comes later. Where rows become too many, begin another counter: each replica takes its rights away here, and adds
// as much there.
//
// It takes O(n) for n rows, for each of those in from. It returns a [*HandoverError] and changes nothing if one of them
// has written what is not in at.
func (c *BoundedCounter) Handover(at *BoundedCounter, to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	e := estate{to: to, from: from}
	if err := e.check(); err != nil {
		return false, err
	}
	wills := new(BoundedCounter)
	for _, r := range e.sorted() {
		last, will := at.rowOf(r), at.will(to, r)
		mine := c.rowOf(r)
		switch {
		case mine.version > last.version && !mine.follows(&will):
			return false, &HandoverError{r, reasonBeyondCut}
		case mine.version < will.version:
			wills.rows = append(wills.rows, will)
		}
	}
	return c.Merge(wills), nil
}

// will returns the row of r after the cut c, by which its rights are the successor's. It is the row at the cut if there
// is nothing to leave. What exceeds the number that a row can have of transfers to one replica stays.
func (c *BoundedCounter) will(to, r vclock.ReplicaID) share {
	last := c.rowOf(r)
	before := amount(last.sent, to)
	n := min(c.Rights(r), math.MaxUint64-before)
	if last.version == math.MaxUint64 || n == 0 && c.Requested(r) == 0 {
		return last
	}
	will := c.row(r)
	will.version++
	will.wanted = 0
	if n > 0 {
		will.sent = withFlows(will.sent, []flow{{to, before + n}})
	}
	return will
}

// follows reports whether s is will or a row that was written by later handovers: these do nothing but transfer.
func (s *share) follows(will *share) bool {
	return s.granted == will.granted && s.used == will.used && s.wanted == 0 &&
		covered(will.sent, s.sent) && covered(will.taken, s.taken)
}

// covered reports whether each of the flows is in more, or a larger one.
func covered(flows, more []flow) bool {
	for _, f := range flows {
		if amount(more, f.replica) < f.n {
			return false
		}
	}
	return true
}
