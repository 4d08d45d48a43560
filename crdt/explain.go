package crdt

import (
	"strings"

	"github.com/eventual-go/eventual/vclock"
)

// An Explanation says why an element is here or gone, by the events that a type still knows of. Types that
// forget removed elements know nothing against one that is gone.
type Explanation struct {
	Present bool

	For     []vclock.Dot // events that keep the element here, in order
	Against []vclock.Dot // events that keep it away, in order

	ForAt     vclock.Timestamp // when it was last put in, where a type decides by time
	AgainstAt vclock.Timestamp // when it was last taken out, likewise
}

// String returns a sentence for people, such as "here: for paris:3 tokyo:1".
func (e Explanation) String() string {
	var b strings.Builder
	if e.Present {
		b.WriteString("here")
	} else {
		b.WriteString("gone, or never here")
	}
	write := func(word string, dots []vclock.Dot, at vclock.Timestamp) {
		if len(dots) == 0 && at.IsZero() {
			return
		}
		if strings.Contains(b.String(), ": ") {
			b.WriteString(",")
		} else {
			b.WriteString(":")
		}
		b.WriteString(" " + word)
		for _, d := range dots {
			b.WriteString(" " + d.String())
		}
		if !at.IsZero() {
			b.WriteString(" " + at.String())
		}
	}
	write("for", e.For, e.ForAt)
	write("against", e.Against, e.AgainstAt)
	return b.String()
}
