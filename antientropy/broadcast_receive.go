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
//
// To merge several at once, call Next for all of them first, and then Merged for each in the
// same order. They may be of several runs.
type Receipt struct {
	b        *Broadcast
	from     transport.NodeID
	runs     []stretch  // those to come
	at       *reception // the one that Next is about
	given    []gift     // by Next, from merged on not yet merged
	merged   int
	entries  int // of all runs so far
	result   pushed
	outcomes []outcome
	dropped  []Dropped
}

// A reception is a run on its way into the store.
type reception struct {
	stretch
	stream  *stream
	next    int // of its deltas
	fresh   int // that were the next of their origin
	before  int // entries of the runs before it
	outcome int // its place
}

// A gift is a delta of a run.
type gift struct {
	*reception
	i int
}

func (g gift) delta() *delta { return &g.deltas[g.i] }
func (g gift) seq() uint64   { return g.first + uint64(g.i) }

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
	return &Receipt{b: b, from: peer, runs: m.runs, at: new(reception)}, nil
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
	at := r.runs[0]
	r.runs = r.runs[1:]
	r.at = &reception{stretch: at, stream: r.b.stream(at.origin), before: r.entries, outcome: len(r.outcomes)}
	r.entries += len(at.deltas)
	r.outcomes = append(r.outcomes, outcome{have: at.first - 1})
	return true
}

// Origin is whose deltas the run is of.
func (r *Receipt) Origin() uint64 { return r.at.origin }

// Next returns the next delta to merge. more is false at the end of the run.
func (r *Receipt) Next() (key string, state []byte, more bool) {
	at := r.at
	if at.next == 0 && at.stream != nil {
		if have := r.reaches(at.stream); have < at.first-1 {
			at.next = len(at.deltas)
			r.outcomes[at.outcome] = outcome{have: have} // some are missing before it
		}
	}
	for at.next < len(at.deltas) {
		g := gift{at, at.next}
		r.given = append(r.given, g)
		at.next++
		if d := g.delta(); len(d.state) > 0 {
			return d.key, d.state, true
		}
		r.passOver()
	}
	return "", nil, false
}

// reaches is up to where a stream will have come with what was given.
func (r *Receipt) reaches(s *stream) uint64 {
	have := s.have
	for _, g := range r.waiting() {
		if g.stream == s {
			have = max(have, g.seq())
		}
	}
	return have
}

// waiting are those that were given and not yet merged.
func (r *Receipt) waiting() []gift { return r.given[r.merged:] }

// passOver takes what brings nothing that is not here already, up to the next to be merged.
func (r *Receipt) passOver() {
	for in := r.waiting(); len(in) > 0 && len(in[0].delta().state) == 0; in = r.waiting() {
		r.take(nil, nil)
	}
}

// age is how long the delta that Merged will be about has been on its way.
func (r *Receipt) age() time.Duration { return r.waiting()[0].delta().age }

// Merged says what became of the delta that Next returned, the first of those of which that was
// not said yet.
func (r *Receipt) Merged(novel []byte, err error) {
	if len(r.waiting()) == 0 {
		return
	}
	r.take(novel, err)
	r.passOver()
}

func (r *Receipt) take(novel []byte, err error) {
	g := r.given[r.merged]
	if r.merged++; r.merged == len(r.given) {
		r.given, r.merged = r.given[:0], 0
	}
	d := g.delta()
	a := arrival{from: r.from, key: d.key, novel: novel, age: d.age}
	switch {
	case err != nil:
		a.novel = nil
		r.result.refuse(g.before+g.i, err)
	case len(d.state) > 0:
		r.result.merge(novel)
	}
	r.deliver(g, a)
	if g.i == len(g.deltas)-1 {
		r.settle(g.reception)
	}
}

// deliver has one delta passed on: under its number, or, if something else has come
// under that, what is new of it as this node's own.
func (r *Receipt) deliver(g gift, a arrival) {
	b, s, seq := r.b, g.stream, g.seq()
	if s != nil {
		if l := b.links[r.from]; l != nil {
			t := l.track(s)
			t.known = max(t.known, seq)
		}
		if seq == s.have+1 {
			if !fits(a.key, len(a.novel)+runSize, maxMessage(b.MaxMessage)) {
				a.novel = nil // only a reconciliation can bring it on, or report it
			}
			g.fresh++
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

// settle decides how the peer is to go on with the stream of a run.
func (r *Receipt) settle(at *reception) {
	o := &r.outcomes[at.outcome]
	s := at.stream
	if s == nil {
		o.have = at.first + uint64(len(at.deltas)) - 1
		return
	}
	o.have = s.have
	if s.parent == "" {
		s.parent = r.from
	}
	o.prune = at.fresh == 0 && s.parent != r.from || s.id == r.b.Self
}

// Dropped are the peers that were closed because too much waits for them.
func (r *Receipt) Dropped() []Dropped { return r.dropped }

// Response is the answer to the peer, once there is no run left.
func (r *Receipt) Response() []byte { return encodeReceipt(&r.result, r.outcomes) }
