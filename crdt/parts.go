package crdt

import (
	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// A Decomposable is a state that tells its parts: small pieces, each with a number, such that states are equal if
// and only if the numbers of their parts are. So whoever adds up keyed hashes of parts, each as often as its number
// says, has a fingerprint of the state, and can keep it at the cost of what changes (see [Value.Fingerprint]). S is
// the type itself, so that a type which merely embeds a Decomposable is none.
//
// Decompose reports all parts there are now, in no particular order; a part may be reported more than once, then its
// numbers add up. What is empty has no parts. It fails if a part cannot be encoded.
//
// Track has a tracker told from then on of each part that comes or goes. A state has one tracker, the last, or none
// if that was nil. Changes and merges keep it; a clone has none, and what replaces a state as a whole, as
// UnmarshalBinary does, may end it. TrackedBy reports whether the tracker is still told: if not, or if it is
// [Tracker.Lost], the state must be decomposed anew.
//
// The collections implement it; the other types stay as small as the replicas are few, and are hashed whole.
// Implement it for a type of your own that grows large: package crdttest then checks it. A state in a [Value] is
// tracked by that.
type Decomposable[S any] interface {
	Lattice[S]
	Decompose(report func(part []byte, n int)) error
	Track(by *Tracker[S])
	TrackedBy(by *Tracker[S]) bool
}

// A Tracker is told of the parts of a state that come and go. Make one with [NewTracker].
type Tracker[S any] struct{ sink sink }

// NewTracker returns a tracker that reports each part that comes, with n = 1, and each that goes, with n = -1. The
// state must not be touched by report, and the bytes of a part are valid only until it returns.
func NewTracker[S any](report func(part []byte, n int)) *Tracker[S] {
	return &Tracker[S]{sink{report: report}}
}

// Report is for types that are tracked: it reports a part.
func (t *Tracker[S]) Report(part []byte, n int) { t.sink.report(part, n) }

// Lose is for types that are tracked: it says that a change cannot be reported, because of err.
func (t *Tracker[S]) Lose(err error) { t.sink.lose(err) }

// Lost is not nil if a change could not be reported, and says why. Nothing that is reported counts from then on.
func (t *Tracker[S]) Lost() error { return t.sink.err }

func (t *Tracker[S]) target() *sink {
	if t == nil {
		return nil
	}
	return &t.sink
}

// sink is where parts go.
type sink struct {
	report func(part []byte, n int)
	err    error // why one could not be reported
}

func (s *sink) lose(err error) {
	if s != nil && s.err == nil {
		s.err = err
	}
}

// parts reports parts, for states of any type.
type parts struct {
	to  *sink // not nil
	buf []byte
}

// goTo reports whether the parts go to a tracker.
func (p *parts) goTo(to *sink) bool { return p != nil && p.to == to }

// The kinds of parts, which come first in them.
const (
	partContext = iota // an event up to which a context has all, from 1 or from another such event on
	partItem           // what a type is a collection of
	partGone           // what is known to have been removed, where that is kept
)

// context reports the events of c as known or, if n is -1, as not known. The parts of a context are the ends of
// its runs: that before the first event of each counts -1. So the parts of a disjoint union are those of both.
func (p *parts) context(c *vclock.Context, n int) {
	for s := range c.All() {
		p.span(s, n)
	}
}

func (p *parts) span(s vclock.Span, n int) {
	p.end(vclock.Dot{Replica: s.Replica, Seq: s.Hi}, n)
	if s.Lo > 1 {
		p.end(vclock.Dot{Replica: s.Replica, Seq: s.Lo - 1}, -n)
	}
}

func (p *parts) end(d vclock.Dot, n int) {
	w := p.begin(partContext)
	writeWholeDot(w, d)
	p.send(w, n, nil)
}

// begin starts a part. What it returns must be given to send.
func (p *parts) begin(kind uint64) *wire.Writer {
	w := wire.NewWriter(p.buf[:0])
	w.Uint(kind)
	return w
}

// send reports what was written, unless writing it failed.
func (p *parts) send(w *wire.Writer, n int, err error) {
	if p.buf = w.Done(); err != nil {
		p.to.lose(err)
		return
	}
	p.to.report(p.buf, n)
}

func writeWholeDot(w *wire.Writer, d vclock.Dot) {
	writeReplica(w, d.Replica)
	w.Uint(d.Seq)
}

// elementParts reports the parts of a set or a map of E.
type elementParts[E comparable] struct {
	parts
	codec codec[E]
}

// newElementParts returns where to report to: nil if that is nil, or if no E can be encoded.
func newElementParts[E comparable](to *sink) *elementParts[E] {
	c, err := elementCodecOf[E]()
	if to == nil || err != nil {
		to.lose(err)
		return nil
	}
	return &elementParts[E]{parts{to: to}, calm(c)}
}

// base is the part of p that is the same for all types.
func (p *elementParts[E]) base() *parts {
	if p == nil {
		return nil
	}
	return &p.parts
}

// element reports that e is in, unless p is nil.
func (p *elementParts[E]) element(e E, n int) {
	if p != nil {
		w := p.begin(partItem)
		p.send(w, n, p.codec.write(w, e))
	}
}

// dotted reports that d is a live dot of e.
func (p *elementParts[E]) dotted(e E, d vclock.Dot, n int) {
	w := p.begin(partItem)
	writeWholeDot(w, d)
	p.send(w, n, p.codec.write(w, e))
}

func writeWholeTimestamp(w *wire.Writer, at vclock.Timestamp) {
	w.Int(at.Wall)
	w.Uint(uint64(at.Logical))
	writeReplica(w, at.Replica)
}

// gone reports that d is the live dot of a removal of e.
func (p *elementParts[E]) gone(e E, d vclock.Dot, n int) {
	w := p.begin(partGone)
	writeWholeDot(w, d)
	p.send(w, n, p.codec.write(w, e))
}
