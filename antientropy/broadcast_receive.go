package antientropy

import (
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Receipt is a batch of a peer's [Broadcast] on its way into the store:
//
//	for receipt.Run() {
//		for {
//			key, state, more := receipt.Next()
//			if !more {
//				break
//			}
//			novel, err := store.Merge(ctx, key, state)
//			receipt.Merged(novel, err)
//		}
//	}
//	return receipt.Response()
//
// Each run is of one origin. Runs of one origin are to be merged one at a time, and
// those of different ones may be at once; the calls of a Receipt are calls of its
// Broadcast. One that is given up has taken what was merged until then.
type Receipt struct {
	b        *Broadcast
	from     transport.NodeID
	runs     []stretch // those to come
	at       stretch   // the one under way
	stream   *stream
	i        int // of its deltas, the next
	fresh    int // that were the next of their origin
	index    int // of all entries
	result   pushed
	outcomes []outcome
	dropped  []Dropped
}

// Receive takes a request of peer. What it says besides deltas takes effect at once:
// call Batch for the peer afterwards. Its error is a *[CorruptError] or [ErrVersion].
func (b *Broadcast) Receive(peer transport.NodeID, req []byte) (*Receipt, error) {
	m, err := decodeTree(req)
	if err != nil {
		return nil, err
	}
	l := b.links[peer]
	for _, c := range m.covers {
		if s := b.stream(c.origin); s != nil {
			if l != nil {
				l.track(s).known = max(l.track(s).known, c.upto)
			}
			b.jump(s, c.upto)
		}
	}
	if l != nil {
		b.announced(l, m.news)
		b.grafted(l, m.grafts)
	}
	return &Receipt{b: b, from: peer, runs: m.runs}, nil
}

// jump says that a reconciliation brings a stream up to a number. Who has the stream
// from here hears the same: what is new of it is put as this node's own.
func (b *Broadcast) jump(s *stream, upto uint64) {
	if upto <= s.have {
		return
	}
	for _, peer := range b.order {
		if t := b.links[peer].track(s); t.known < upto {
			t.cover = upto
		}
	}
	s.have, s.since = upto, b.now
}

// announced notes how far a peer is. What it has and has not arrived is late, if it
// does not arrive soon.
func (b *Broadcast) announced(l *link, news []mark) {
	for _, m := range news {
		s := b.stream(m.origin)
		if s == nil {
			continue
		}
		t := l.track(s)
		t.known = max(t.known, m.upto)
		if m.upto > s.have && !s.late {
			s.late, s.since = true, b.now
		}
	}
}

// grafted has a peer sent the streams that it asks for, from where it stands.
func (b *Broadcast) grafted(l *link, grafts []mark) {
	for _, m := range grafts {
		if s := b.streams[m.origin]; s != nil && l.open {
			l.track(s).pruned = false
			l.next = b.log.first
			b.stands(l, s, m.upto)
		}
	}
}

// Run goes on to the next run, and reports whether there is one.
func (r *Receipt) Run() bool {
	if len(r.runs) == 0 {
		return false
	}
	r.at, r.runs = r.runs[0], r.runs[1:]
	r.stream, r.i, r.fresh = r.b.stream(r.at.origin), 0, 0
	r.outcomes = append(r.outcomes, outcome{have: r.at.first - 1})
	return true
}

// Origin is whose deltas the run is of.
func (r *Receipt) Origin() uint64 { return r.at.origin }

// Next returns the next delta to merge. more is false at the end of the run.
func (r *Receipt) Next() (key string, state []byte, more bool) {
	if s := r.stream; r.i == 0 && s != nil && s.have < r.at.first-1 {
		r.index += len(r.at.deltas)
		r.i = len(r.at.deltas)
		r.outcomes[len(r.outcomes)-1] = outcome{have: s.have} // some are missing before it
		return "", nil, false
	}
	for r.i < len(r.at.deltas) {
		if d := &r.at.deltas[r.i]; len(d.state) > 0 {
			return d.key, d.state, true
		}
		r.Merged(nil, nil) // nothing that is not here already
	}
	r.settle()
	return "", nil, false
}

// age is how long the delta that Next returned has been on its way.
func (r *Receipt) age() time.Duration { return r.at.deltas[r.i].age }

// Merged says what became of the delta that Next returned.
func (r *Receipt) Merged(novel []byte, err error) {
	d := &r.at.deltas[r.i]
	a := arrival{from: r.from, key: d.key, novel: novel, age: d.age}
	switch {
	case err != nil:
		a.novel = nil
		r.result.refuse(r.index, err)
	case len(d.state) > 0:
		r.result.merged++
	}
	if len(a.novel) > 0 {
		r.result.novel++
	}
	r.deliver(r.at.first+uint64(r.i), a)
	r.i++
	r.index++
}

// deliver has one delta passed on: under its number, or, if something else has come
// under that, what is new of it as this node's own.
func (r *Receipt) deliver(seq uint64, a arrival) {
	b, s := r.b, r.stream
	if s != nil {
		if l := b.links[r.from]; l != nil {
			t := l.track(s)
			t.known = max(t.known, seq)
		}
		if seq == s.have+1 {
			if !fits(a.key, len(a.novel)+runSize, maxMessage(b.MaxMessage)) {
				a.novel = nil // only a reconciliation can bring it on, or report it
			}
			r.fresh++
			s.parent = r.from
			r.dropped = append(r.dropped, b.keep(s, a)...)
			return
		}
	}
	if len(a.novel) > 0 {
		more, _ := b.put(a) // what came in a message fits into one
		r.dropped = append(r.dropped, more...)
	}
}

// settle decides how the peer is to go on with the stream of the run.
func (r *Receipt) settle() {
	o := &r.outcomes[len(r.outcomes)-1]
	s := r.stream
	if s == nil {
		o.have = r.at.first + uint64(len(r.at.deltas)) - 1
		return
	}
	o.have = s.have
	if s.parent == "" {
		s.parent = r.from
	}
	o.prune = r.fresh == 0 && s.parent != r.from || s.id == r.b.Self
}

// Dropped are the peers that were closed because too much waits for them.
func (r *Receipt) Dropped() []Dropped { return r.dropped }

// Response is the answer to the peer, once there is no run left.
func (r *Receipt) Response() []byte { return encodeReceipt(&r.result, r.outcomes) }
