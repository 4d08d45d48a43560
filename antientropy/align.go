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
func (r *Round) together(standing uint64) {
	if f, ok := r.store.(Follower); ok {
		r.cfg.Membership.met(f, r.own, position{standing: standing})
	}
}

// apart is the error of a round between two that cannot come to one generation now.
func (r *Round) apart(theirs position) error {
	return &GenerationError{Peer: r.cfg.Peer, Own: r.own.generation, Theirs: theirs.generation}
}

// apartFrom takes the answer of a peer of another generation, and goes on to bring both to
// one.
func (r *Round) apartFrom(ctx context.Context, e *elsewhere) error {
	f, ok := r.store.(Follower)
	if !ok {
		return &CorruptError{Method: r.method, Reason: "another generation than none"}
	}
	asked, own := r.own.generation, r.position()
	r.own, r.theirs = own, e.position
	switch {
	case own.generation != asked || own.generation == e.generation && own.generation != "" || r.method != methodReconcile:
		return r.anew()
	case e.generation == "":
		return r.apart(e.position)
	case own.generation == "":
		return r.adopt(ctx, f)
	case len(e.records) > 0:
		return r.follow(ctx, f, e)
	}
	records, err := lead(f, e.generation, r.limit)
	switch {
	case err != nil:
		return err
	case len(records) > 0:
		return r.lead(ctx, f, records)
	case own.yields(e.position):
		return r.adopt(ctx, f)
	}
	return r.apart(e.position)
}

// follow goes to the peer's generation by its records.
func (r *Round) follow(ctx context.Context, f Follower, e *elsewhere) error {
	own, n, err := r.cfg.Membership.settle(ctx, f, r.cfg.Peer, e.standing, e.records)
	r.result.Records += n
	switch {
	case err != nil:
		return err
	case !own.takes || own.generation == r.own.generation:
		return r.apart(e.position)
	}
	return r.anew()
}

// lead sends the peer the records that it lacks, if it takes them.
func (r *Round) lead(ctx context.Context, f Follower, records [][]byte) error {
	switch {
	case r.theirs.follows(r.own.standing):
		r.leading = len(records)
		r.ask(methodSettle, encodeSettle(r.own.standing, records))
		return nil
	case r.own.takes && r.own.standing < r.theirs.standing:
		return r.adopt(ctx, f)
	}
	return r.apart(r.theirs)
}

// led goes on when the peer has settled what it was sent.
func (r *Round) led(resp []byte) error {
	theirs, err := decodeSettled(resp)
	if err != nil {
		return err
	}
	if theirs.plain || !theirs.takes || theirs.generation == r.theirs.generation {
		return r.apart(theirs)
	}
	r.result.Records += r.leading
	return r.anew()
}

// adopt takes on the peer's generation, and hands over what the store held. A round does
// that once.
func (r *Round) adopt(ctx context.Context, f Follower) error {
	at := r.own.generation
	if !r.own.takes || at != "" && (r.result.Readmitted || r.cfg.Membership.reluctant(r.cfg.Peer, r.theirs)) {
		return r.apart(r.theirs)
	}
	aside, adopted, err := r.cfg.Membership.adopt(ctx, f, r.cfg.Peer, at, r.theirs)
	if err != nil {
		return err
	}
	if adopted && at != "" {
		r.result.Readmitted = true
		r.cursor, r.streamedAll = Cursor{}, false
		if r.cfg.SetAside != nil {
			r.cfg.SetAside(aside)
		}
	}
	return r.anew()
}

// meet says where the responder stands towards a peer, and reports whether that is the
// peer's generation. One that has met nobody goes there.
func (s *Responder) meet(ctx context.Context, from transport.NodeID, theirs position) (e *elsewhere, together bool, err error) {
	f, ok := s.Store.(Follower)
	if !ok || theirs.plain {
		return &elsewhere{}, true, nil
	}
	m := s.membership()
	own := m.position(f, from)
	if own.generation == "" && own.takes && (theirs.takes || theirs.generation != "") {
		if _, _, err := m.adopt(ctx, f, from, "", theirs); err != nil {
			return nil, false, err
		}
		own = m.position(f, from)
	}
	if own.generation == theirs.generation && own.generation != "" {
		m.met(f, own, theirs)
		own.standing = m.standingAt(own.generation)
		return &elsewhere{position: own}, true, nil
	}
	e = &elsewhere{position: own}
	if e.records, err = lead(f, theirs.generation, maxMessage(s.MaxMessage)); err != nil {
		return nil, false, err
	}
	s.outdated(from, e, theirs)
	return e, false, nil
}

// outdated has it told if this node is to go where the peer is, which only a Round of its
// own can bring about.
func (s *Responder) outdated(from transport.NodeID, e *elsewhere, theirs position) {
	yields := e.yields(theirs)
	if len(e.records) > 0 {
		yields = e.takes && e.standing < theirs.standing
	}
	if yields && theirs.generation != "" && s.Outdated != nil {
		s.Outdated(from)
	}
}

// apart reports whether a peer that is in the middle of a round is of another generation.
func (s *Responder) apart(theirs position) bool {
	f, ok := s.Store.(Follower)
	return ok && !theirs.plain && f.Generation() != theirs.generation
}

func (s *Responder) settle(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	standing, records, err := decodeSettle(req)
	if err != nil {
		return nil, err
	}
	f, ok := s.Store.(Follower)
	if !ok {
		return encodeSettled(&position{plain: true}), nil
	}
	own, _, err := s.membership().settle(ctx, f, from, standing, records)
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
