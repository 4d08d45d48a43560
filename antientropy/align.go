package antientropy

import (
	"context"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// Before two indexes are compared both stores have to be of one generation: else all that
// one has forgotten and the other has not would show as a difference, for ever.

// maxAlignments bounds how many messages of a round go into that, each of which brings
// one side further. What is left after so many the next round goes on with.
const maxAlignments = 1 << 10

// position is where the store stands.
func (r *Round) position() position {
	return r.cfg.Membership.positionOf(r.store, r.cfg.Peer)
}

// snapshot is the index of where the store stands. Should that not come to rest, then
// what differs because of it costs some bytes and does no harm.
func (r *Round) snapshot() *merkle.Tree {
	r.own = r.position()
	for range 3 {
		index, before := r.store.Index(), r.own
		if r.own = r.position(); r.own.generation == before.generation {
			return index
		}
	}
	return r.store.Index()
}

// anew begins the comparison again, with the store as it is now.
func (r *Round) anew() error {
	if r.alignments++; r.alignments > maxAlignments {
		return r.apart(r.theirs)
	}
	r.cfg.Resume = r.cursor
	r.todo, r.next, r.asked, r.part, r.skip = nil, nil, nil, nil, 0
	r.sends, r.held, r.deferred, r.told = nil, nil, nil, nil
	r.result.Different = 0
	r.begin()
	if !r.resumes() {
		r.cursor = Cursor{}
	}
	return nil
}

// together notes that the peer is of the same generation.
func (r *Round) together(s rank) {
	if f, ok := r.store.(Follower); ok {
		r.cfg.Membership.met(f, r.cfg.Peer, r.own, position{rank: s})
	}
}

// apart is the error of a round between two that cannot come to one generation now.
func (r *Round) apart(theirs position) error {
	return &GenerationError{Peer: r.cfg.Peer, Own: r.own.generation, Theirs: theirs.generation}
}

// apartFrom takes the answer of a peer of another generation, and goes on to bring both
// to one.
func (r *Round) apartFrom(ctx context.Context, e *elsewhere) error {
	f, ok := r.store.(Follower)
	if !ok {
		return &CorruptError{Method: r.method, Reason: "another generation than none"}
	}
	asked, own := r.own, r.position()
	r.own, r.theirs = own, e.position
	switch {
	case own.generation != asked.generation || own.promised != asked.promised || r.method != methodReconcile || own.generation == e.generation && own.generation != "":
		return r.anew()
	case e.generation == "":
		return r.leadIn(f)
	case own.generation == "":
		return r.adopt(ctx, f, e.way)
	case e.way.from == own.generation:
		return r.follow(ctx, f, e.way)
	}
	w, err := wayFrom(f, e.generation, r.limit)
	switch {
	case err != nil:
		return err
	case w.from != "":
		return r.lead(ctx, f, e, w)
	case own.yields(e.position):
		return r.adopt(ctx, f, e.way)
	}
	return r.apart(e.position)
}

// follow goes to the peer's generation by its records.
func (r *Round) follow(ctx context.Context, f Follower, w way) error {
	own, n, err := r.cfg.Membership.settle(ctx, f, r.cfg.Peer, r.theirs.rank, r.own.promised, w)
	r.result.Records += n
	switch {
	case err != nil:
		return err
	case own.generation == r.own.generation:
		return r.apart(r.theirs)
	}
	return r.anew()
}

// lead sends the peer the records that it lacks, if it takes them.
func (r *Round) lead(ctx context.Context, f Follower, e *elsewhere, w way) error {
	switch {
	case e.follows(r.own.rank):
		r.send(w)
		return nil
	case r.own.weaker(e.position):
		return r.adopt(ctx, f, e.way)
	}
	return r.apart(r.theirs)
}

// leadIn takes a peer along that has met nobody.
func (r *Round) leadIn(f Follower) error {
	if r.own.generation == "" || !r.theirs.takes() {
		return r.apart(r.theirs)
	}
	w, err := r.cfg.Membership.fullWay(f, r.limit)
	if err != nil {
		return err
	}
	r.send(w)
	return nil
}

func (r *Round) send(w way) {
	r.leading = len(w.records)
	r.ask(methodSettle, encodeSettle(r.own.rank, r.theirs.promised, w))
}

// led goes on when the peer has settled what it was sent.
func (r *Round) led(resp []byte) error {
	theirs, err := decodeSettled(resp)
	if err != nil {
		return err
	}
	if theirs.plain || theirs.generation == r.theirs.generation {
		return r.apart(theirs)
	}
	r.result.Records += r.leading
	return r.anew()
}

// adopt takes on the peer's generation, and hands over what the store held. A round does
// that once.
func (r *Round) adopt(ctx context.Context, f Follower, w way) error {
	at := r.own.generation
	if !r.own.takes() || at != "" && (r.result.Readmitted || r.cfg.Membership.reluctant(r.cfg.Peer, r.theirs)) {
		return r.apart(r.theirs)
	}
	if w.from == "" {
		w = way{from: r.theirs.generation}
	}
	aside, adopted, err := r.cfg.Membership.adopt(ctx, f, r.cfg.Peer, at, r.theirs.rank, w)
	if adopted && at != "" {
		r.result.Readmitted = true
		r.cursor, r.streamedAll = Cursor{}, false
		if r.cfg.SetAside != nil {
			r.cfg.SetAside(aside)
		}
	}
	if err != nil {
		return err
	}
	return r.anew()
}

// meet says where the responder stands towards a peer, and reports whether that is the
// peer's generation.
func (s *Responder) meet(ctx context.Context, from transport.NodeID, theirs position) (e *elsewhere, together bool, err error) {
	f, ok := s.Store.(Follower)
	if !ok || theirs.plain {
		return new(elsewhere), true, nil
	}
	m := s.membership()
	own := m.position(f, from)
	if own.generation == "" && theirs.generation == "" && own.takes() && theirs.takes() {
		if _, _, err := m.adopt(ctx, f, from, "", unvouched, way{}); err != nil {
			return nil, false, err
		}
		own = m.position(f, from)
	}
	if own.generation == theirs.generation && own.generation != "" {
		m.resign(ctx, s.Store)
		m.met(f, from, own, theirs)
		return &elsewhere{position: m.position(f, from)}, true, nil
	}
	e = &elsewhere{position: own}
	if e.way, err = m.wayFor(f, own, theirs, maxMessage(s.MaxMessage)); err != nil {
		return nil, false, err
	}
	if s.Outdated != nil && e.outdated(theirs) {
		s.Outdated(from)
	}
	return e, false, nil
}

// wayFor is the way that a peer may need: from where it is, or to adopt this generation.
func (m *Membership) wayFor(f Follower, own, theirs position, limit int) (way, error) {
	w, err := wayFrom(f, theirs.generation, limit)
	if err != nil || w.from != "" || own.generation == "" {
		return w, err
	}
	if theirs.generation == "" && theirs.takes() || theirs.yields(own) {
		return m.fullWay(f, limit)
	}
	return way{}, nil
}

// outdated reports whether this node is to go where the peer is, which only a Round of
// its own can bring about.
func (e *elsewhere) outdated(theirs position) bool {
	switch {
	case e.generation == "" || theirs.generation == "":
		return false
	case e.way.from == theirs.generation:
		return e.weaker(theirs)
	}
	return e.yields(theirs)
}

// apart reports whether a peer that is in the middle of a round is of another generation.
func (s *Responder) apart(theirs position) bool {
	f, ok := s.Store.(Follower)
	return ok && !theirs.plain && f.Generation() != theirs.generation
}

func (s *Responder) settle(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	rank, promised, w, err := decodeSettle(req)
	if err != nil {
		return nil, err
	}
	f, ok := s.Store.(Follower)
	if !ok {
		return encodeSettled(&position{plain: true}), nil
	}
	own, _, err := s.membership().settle(ctx, f, from, rank, promised, w)
	if err != nil {
		return nil, err
	}
	return encodeSettled(&own), nil
}

func (s *Responder) membership() *Membership {
	if s.Membership != nil {
		return s.Membership
	}
	return new(Membership)
}
