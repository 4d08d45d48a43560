package antientropy

import (
	"slices"

	"github.com/eventual-go/eventual/merkle"
)

// looks are the ranges in which keys still differed after the peer's parts had come.
type looks struct {
	at   map[merkle.Range]*look
	next []merkle.Range // to look at again
}

// A look is what was seen of a range the last time.
type look struct {
	sums  []merkle.Fingerprint // of the keys that differed, here and there by turns
	whole bool                 // ask for whole states
	early bool                 // nothing could be sent yet: the next one is the first
	over  bool                 // a key could not be exchanged, and that was told
}

func (l *looks) forget() { *l = looks{} }

// first notes a range to look at again.
func (l *looks) first(at merkle.Range, seen *look) {
	if l.at == nil {
		l.at = make(map[merkle.Range]*look)
	}
	l.at[at] = seen
	l.next = append(l.next, at)
}

// again compares a second look with the first. It reports false if something has moved, and
// else has whole states asked for.
func (l *looks) again(at merkle.Range, seen *look, sums []merkle.Fingerprint) (still bool) {
	if seen.whole || !slices.Equal(seen.sums, sums) {
		return false
	}
	seen.whole = true
	l.next = append(l.next, at)
	return true
}

// anyhow has whole states asked for, once, although something has moved: for who waits for what both had, and cannot
// leave it to another round.
func (l *looks) anyhow(at merkle.Range, seen *look) (still bool) {
	if seen.whole {
		return false
	}
	seen.whole = true
	l.next = append(l.next, at)
	return true
}

// take returns what is to be looked at again, in ascending order.
func (l *looks) take() []merkle.Range {
	all := slices.DeleteFunc(l.next, func(at merkle.Range) bool { return l.at[at] == nil || l.at[at].over })
	l.next = nil
	slices.SortFunc(all, byPosition)
	return all
}

// whole reports whether to ask for whole states.
func (l *looks) whole(at merkle.Range) bool {
	seen := l.at[at]
	return seen != nil && seen.whole
}

// nothingToSend notes that the peer lacks nothing that it could tell of. If this side lacked
// nothing either, nothing has moved, and there is no use in another look at that. In a range that
// is insisted on the peer may have been written to since.
func (l *looks) nothingToSend(d *due) {
	if seen := l.at[d.at]; d.part && seen != nil && !d.lacked && !d.insist {
		seen.whole = true
	}
}

// giveUp leaves the range of a key alone that could not be exchanged.
func (l *looks) giveUp(d *due) {
	if seen := l.at[d.at]; d.part && seen != nil {
		seen.over = true
	}
}

// undo forgets a look at a key that is asked for anew.
func (l *looks) undo(d *due) {
	if d.part {
		delete(l.at, d.at)
		l.next = slices.DeleteFunc(l.next, func(at merkle.Range) bool { return at == d.at })
	}
}
