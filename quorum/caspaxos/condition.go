package caspaxos

// A condition is what an acceptor has to hold to promise. If it holds something else, so that the change will most
// likely not be made, it says so and writes nothing down. It saves what it can: whether a change is made is decided by
// its proposer alone.
type condition struct {
	what    uint8
	version Ballot // for whenVersion
}

const (
	whenever    = 0
	whenHeld    = 1 // anything that was ever proposed
	whenAbsent  = 2 // no value
	whenVersion = 3 // that version
	conditions  = 4
)

// met reports whether an acceptor with s may promise.
func (c condition) met(s *State) bool {
	switch c.what {
	case whenHeld:
		return !s.accepted.IsZero()
	case whenAbsent, whenVersion:
		var room [memory]Ballot
		rec, err := readRecord(s.record, room[:0])
		if c.what == whenAbsent {
			return err == nil && !rec.found
		}
		return err == nil && rec.version() == c.version
	}
	return true
}
