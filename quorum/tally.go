package quorum

import (
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

// A Tally decides whether the answers of a key's owners satisfy a level. It is
// pure: no goroutine, no clock, and the order of answers does not matter, since
// what it knows of an owner only grows: nothing, then a failure, then an answer.
// Repeated answers, answers of nodes that are not owners, and a failure reported of
// an owner that has answered change nothing.
//
// Most users will not need a Tally: [Coordinator] keeps one for each call. It is
// for one goroutine at a time.
type Tally struct {
	level    Level
	needed   int
	answered int
	failed   int
	members  []member         // distinct owners, in order of preference
	self     transport.NodeID // the node that asks, if it is known
}

type member struct {
	node    transport.NodeID
	verdict verdict
	err     error
}

type verdict uint8

const (
	silent verdict = iota
	failed
	answered
)

// NewTally returns a Tally of no answers. The error is a [*LevelError].
func NewTally(p Placement, level Level) (*Tally, error) {
	t := new(Tally)
	if err := t.init(p, level); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tally) init(p Placement, level Level) error {
	members := make([]member, 0, len(p.Owners))
	for i, node := range p.Owners {
		if !slices.Contains(p.Owners[:i], node) {
			members = append(members, member{node: node})
		}
	}
	needed, err := level.Needed(len(members))
	if err != nil {
		return err
	}
	*t = Tally{level: level, needed: needed, members: members}
	return nil
}

// clone returns a Tally of the same owners and level, and no answers.
func (t *Tally) clone() Tally {
	fresh := Tally{level: t.level, needed: t.needed, members: slices.Clone(t.members)}
	for i := range fresh.members {
		fresh.members[i] = member{node: t.members[i].node}
	}
	return fresh
}

// index returns the position of the owner node, -1 if it owns nothing.
func (t *Tally) index(node transport.NodeID) int {
	return slices.IndexFunc(t.members, func(m member) bool { return m.node == node })
}

// Answer counts an answer of node. It reports whether that changed anything.
func (t *Tally) Answer(node transport.NodeID) bool { return t.answer(t.index(node)) }

func (t *Tally) answer(i int) bool {
	if i < 0 || t.members[i].verdict == answered && planted.Bug != planted.TallyTwice {
		return false
	}
	if t.members[i].verdict == failed {
		t.failed--
	}
	t.members[i].verdict, t.members[i].err = answered, nil
	t.answered++
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
	t.failed++
	return true
}

// Reached reports whether enough owners have answered. It stays so.
func (t *Tally) Reached() bool { return t.answered >= t.needed }

// Impossible reports whether so many owners failed that those left are too few,
// unless one that failed answers after all.
func (t *Tally) Impossible() bool { return len(t.members)-t.failed < t.needed }

// hopeless reports whether it is impossible and the node that asks has spoken, if
// it is an owner: its answer is at hand, and the error is to count it.
func (t *Tally) hopeless() bool {
	i := t.index(t.self)
	return t.Impossible() && (i < 0 || t.members[i].verdict != silent)
}

// Needed returns how many owners have to answer, at least one.
func (t *Tally) Needed() int { return t.needed }

// Answered returns how many distinct owners have answered.
func (t *Tally) Answered() int { return t.answered }

// Owners returns how many distinct owners there are.
func (t *Tally) Owners() int { return len(t.members) }

// Unavailable returns the refusal that stands for this Tally. It names what was
// asked (OpRead, OpWrite or OpRepair) and of which key.
func (t *Tally) Unavailable(op, key string) *UnavailableError {
	return &UnavailableError{
		Op: op, Key: key, Level: t.level,
		Needed: t.needed, Answered: t.answered, Owners: len(t.members),
		Failures: t.failures(),
	}
}

// Timeout returns the refusal for owners that took too long.
func (t *Tally) Timeout(op, key string) *TimeoutError {
	return &TimeoutError{
		Op: op, Key: key, Level: t.level,
		Needed: t.needed, Answered: t.answered, Owners: len(t.members),
		Failures: t.failures(), Silent: t.silent(),
	}
}

func (t *Tally) failures() (all []Failure) {
	for _, m := range t.members {
		if m.verdict == failed {
			all = append(all, Failure{Node: m.node, Err: m.err})
		}
	}
	return all
}

func (t *Tally) silent() (all []transport.NodeID) {
	for _, m := range t.members {
		if m.verdict == silent {
			all = append(all, m.node)
		}
	}
	return all
}
