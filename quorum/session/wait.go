package session

import (
	"cmp"
	"context"
	"errors"

	"github.com/eventual-go/eventual/quorum"
)

// errUnkept is a zero that is not to be taken for nothing to wait for.
var errUnkept = errors.New("session: Wait without ReadYourWrites or MonotonicWrites: writes are not kept")

// Wait brings what the session has seen of a key to as many of its owners as a level asks for, as WAIT of Redis does
// with replicas: what was written at One outlives more nodes from then on. It returns how many owners are known to hold
// all of it; there may be more. With an error that is how many are known so far, which may be fewer than the level asks
// for, and what is under way goes on: Wait again, in this session or in one that resumes its token. Of a key of which the
// session has seen nothing it is zero, and no error. A level of zero is a majority.
//
// It speaks of what Guarantees have the session keep: of what it wrote, and, with MonotonicReads or WritesFollowReads, of what it
// read. Without ReadYourWrites and MonotonicWrites it keeps nothing of its writes, so there is nothing to tell of them:
// then Wait fails, and asks nobody.
//
// It costs nothing where the token says that so many hold it; then they were owners when that was found out. Otherwise it costs
// one read, in which states travel to those alone that lack something; for a number one for each owner that is not known
// yet, one after the other, and for All and EachMajority first one at a majority: so what was reached by the end of ctx is
// known. It does not try again: an owner that is away has it fail as a read does, by a
// [*quorum.LevelError], a [*quorum.UnavailableError], a [*quorum.TimeoutError], or the error of ctx.
func (s *Session) Wait(ctx context.Context, key string, level quorum.Level) (owners int, err error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	if s.keeps(wrote) == 0 {
		return 0, errUnkept
	}
	used, err := s.few(ctx, key)
	if err != nil || len(used) == 0 {
		return 0, err
	}
	level = cmp.Or(level, quorum.Majority)
	by := common(used)
	for next := stepTo(level, by); next != 0; next = stepTo(level, by) {
		more, err := s.bring(ctx, key, next, used)
		switch {
		case err != nil:
			return len(by.Nodes), err
		case len(more.Nodes) < int(next) || next == quorum.Majority && !more.Majority:
			return len(by.Nodes), ErrUntold // it would go on for ever
		}
		if by = more; next == level {
			break
		}
		if used, err = s.few(ctx, key); err != nil {
			return len(by.Nodes), err
		}
	}
	return len(by.Nodes), nil
}

// common returns who is known to hold all pieces.
func common(all []*piece) *quorum.Holders {
	by := new(quorum.Holders)
	for i, p := range all {
		if i == 0 {
			*by = p.held
		} else {
			*by, _ = both(by, &p.held)
		}
	}
	return by
}

// stepTo returns the next level to be reached on the way to one, zero if that is reached.
func stepTo(level quorum.Level, by *quorum.Holders) quorum.Level {
	known := quorum.Level(len(by.Nodes))
	switch {
	case level > 0 && known < level:
		return known + 1
	case level > 0 || level == quorum.Majority && by.Majority && known > 0:
		return 0
	case (level == quorum.All || level == quorum.EachMajority) && !by.Majority:
		return quorum.Majority
	}
	return level
}
