package crdt

import "github.com/eventual-go/eventual/vclock"

// past is what a set has seen, and who is told how it changes.
type past[E comparable] struct {
	seen  vclock.Context
	track *elementParts[E] // nil unless tracked
}

// mint adds the events from the first one up to that with number last. If there are any, they are new.
func (p *past[E]) mint(first vclock.Dot, last uint64) {
	span := vclock.Span{Replica: first.Replica, Lo: first.Seq, Hi: last}
	if p.seen.AddSpan(span) && p.track != nil {
		p.track.span(span, 1)
	}
}

// learn adds events that were not seen yet.
func (p *past[E]) learn(unseen *vclock.Context) {
	p.seen.Merge(unseen)
	if p.track != nil {
		p.track.context(unseen, 1)
	}
}
