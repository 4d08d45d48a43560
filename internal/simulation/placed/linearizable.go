package placed

import (
	"fmt"
	"slices"
)

// An act is one call on a key that is to be linearizable, as its client saw it.
type act struct {
	what     string
	step     func(text string) (after string, ok bool) // the key after it, and whether it may happen in this text
	adds     string                                    // what others see of it: nothing of a read
	out      string                                    // what it returned
	called   moment
	returned moment // of one that may have been made, and may still be, never
	maybe    bool
}

const never = ^moment(0)

func (a *act) String() string {
	return fmt.Sprintf("[%d,%d] %s → %q maybe=%v", a.called, a.returned, a.what, a.out, a.maybe)
}

// maxActs is how many calls a key takes that is judged: as many as there are bits.
const maxActs = 60

// linearizable searches for an order of all calls that are known to have been made, and any of the others, in which
// each may happen, and none comes before one that was over when it began (Wing, Gong: Testing and Verifying
// Concurrent Objects, 1993). Of a call that may have been made nobody need think of whom nobody has seen anything.
func linearizable(first string, all []*act, seen func(*act) bool) bool {
	all = slices.DeleteFunc(slices.Clone(all), func(a *act) bool { return a.maybe && !seen(a) })
	type point struct {
		made uint64
		text string
	}
	been := make(map[point]bool)
	var search func(p point) bool
	search = func(p point) bool {
		if been[p] {
			return false
		}
		been[p] = true
		soonest, left := never, false
		for i, a := range all {
			if p.made>>i&1 == 0 && !a.maybe {
				soonest, left = min(soonest, a.returned), true
			}
		}
		if !left {
			return true
		}
		for i, a := range all {
			if p.made>>i&1 == 1 || a.called > soonest {
				continue
			}
			if after, ok := a.step(p.text); ok && search(point{p.made | 1<<i, after}) {
				return true
			}
		}
		return false
	}
	return search(point{text: first})
}
