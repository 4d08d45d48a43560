package crdt

import (
	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// A Decomposable is a state that tells its parts: small pieces, each with a number, such that states are equal if
// and only if the numbers of their parts are. So whoever adds up keyed hashes of parts, each as often as its number
// says, has a fingerprint of the state, and can keep it at the cost of what changes (see [Value.Fingerprint]).
//
// Decompose reports all parts there are now, in no particular order. Track reports from then on each part that
// comes, with n = 1, and each that goes, with n = -1, whatever changes the state, UnmarshalBinary included; nil
// ends it. A part may be reported more than once, then its numbers add up. The state must not be touched by report,
// and the bytes of a part are valid only until it returns. What is empty has no parts. A clone is not tracked.
//
// An element whose type refuses to encode it has no part.
//
// The collections implement it; the other types stay as small as the replicas are few, and are hashed whole.
// Implement it for a type of your own that grows large: package crdttest then checks it.
type Decomposable interface {
	Decompose(report func(part []byte, n int))
	Track(report func(part []byte, n int))
}

// parts reports parts, for states of any type. A nil one reports nothing.
type parts struct {
	report func(part []byte, n int)
	buf    []byte
}

// replace puts another state in the place of one that may be tracked, and reports to whoever tracks it.
func replace[S any, P interface {
	*S
	Decomposable
}](at P, with S, report func(part []byte, n int)) {
	if report == nil {
		*at = with
		return
	}
	at.Decompose(func(part []byte, n int) { report(part, -n) })
	*at = with
	at.Decompose(report)
	at.Track(report)
}

// The kinds of parts, which come first in them.
const (
	partContext = iota // an event up to which a context has all, from 1 or from another such event on
	partItem           // what a type is a collection of
	partGone           // what is known to have been removed, where that is kept
)

// context reports the events of c as known or, if n is -1, as not known. The parts of a context are the ends of
// its runs: that before the first event of each counts -1. So the parts of a disjoint union are those of both.
func (p *parts) context(c *vclock.Context, n int) {
	if p == nil {
		return
	}
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
	if p.buf = w.Done(); err == nil {
		p.report(p.buf, n)
	}
}

func writeWholeDot(w *wire.Writer, d vclock.Dot) {
	writeReplica(w, d.Replica)
	w.Uint(d.Seq)
}

// elementParts reports the parts of a set.
type elementParts[E comparable] struct {
	parts
	codec codec[E]
}

// newElementParts returns where to report to: nil if report is nil, or if no E can be encoded.
func newElementParts[E comparable](report func(part []byte, n int)) *elementParts[E] {
	c, err := elementCodecOf[E]()
	if report == nil || err != nil {
		return nil
	}
	return &elementParts[E]{parts{report: report}, c}
}

// to is where the parts go: nil if nowhere.
func (p *elementParts[E]) to() func(part []byte, n int) {
	if p == nil {
		return nil
	}
	return p.report
}

// element reports that e is in.
func (p *elementParts[E]) element(e E, n int) {
	if p != nil {
		w := p.begin(partItem)
		p.send(w, n, p.codec.write(w, e))
	}
}

// dotted reports that d is a live dot of e.
func (p *elementParts[E]) dotted(e E, d vclock.Dot, n int) {
	if p != nil {
		w := p.begin(partItem)
		writeWholeDot(w, d)
		p.send(w, n, p.codec.write(w, e))
	}
}

func writeWholeTimestamp(w *wire.Writer, at vclock.Timestamp) {
	w.Int(at.Wall)
	w.Uint(uint64(at.Logical))
	writeReplica(w, at.Replica)
}

// gone reports that d is the live dot of a removal of e.
func (p *elementParts[E]) gone(e E, d vclock.Dot, n int) {
	if p != nil {
		w := p.begin(partGone)
		writeWholeDot(w, d)
		p.send(w, n, p.codec.write(w, e))
	}
}
