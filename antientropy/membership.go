package antientropy

import (
	"context"
	"slices"
	"sync"

	"github.com/eventual-go/eventual/transport"
)

// A Membership is the place of one node among those who forget together: what epoch it
// is in, and how far its generation is to be trusted. [Loop] has one, and most users
// will not need it: it is for those who drive [Round], [Responder] and [Collection]
// themselves, all of which share the one of their node. Its fields are set before first
// use; it is safe for concurrent use. The zero Membership is that of a node that is no
// member.
//
// A member takes records from members of its epoch only, so that nobody who was left
// out leads it astray. Beside its epoch a node keeps in mind which one vouches for its
// generation: the last one known whose members were all of it, within that epoch. That
// is how it knows, of two generations that do not lead to one another, which one is
// right. And it keeps in mind what the node has prepared last, of which everybody who has
// it settle or prepare something else must have heard. It does not outlive the process: what is not known is found out again by the
// next [Collection]. A member that begins with an empty store may have it filled by others
// than members, and is led by anybody until members vouch for where it is.
type Membership struct {
	// Self is the name by which the others call this node.
	Self transport.NodeID

	// Epoch returns the present epoch; one with a lower number than before is passed over.
	// If nil, there is none. It is called often and must not call what it is asked by.
	Epoch func() Epoch

	early   func(Epoch) bool            // some member was not tried yet
	unasked func(transport.NodeID) bool // somebody else might know the way
	moved   func()                      // the generation has changed

	mu    sync.Mutex    // guards what follows; never held while anything foreign is called
	turn  chan struct{} // a token for who looks at the epoch and changes the generation
	epoch Epoch
	at    standpoint
	moves uint64 // how often the generation has changed
}

// A standpoint is what is known of the present generation.
type standpoint struct {
	generation string
	rank       rank     // as members of the epoch see it
	hint       rank     // as others do
	lent       bool     // this node came to it on the word of those others
	answered   Epoch    // in which this node was asked to agree on what comes next
	promised   pledge   // what it has prepared last
	passed     []string // generations before it, the oldest first; the store may know the way from there
}

// now is the present epoch.
func (m *Membership) now() Epoch {
	var e Epoch
	if m.Epoch != nil {
		e = m.Epoch()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Number > m.epoch.Number {
		m.epoch = Epoch{Number: e.Number, Members: slices.Clone(e.Members)}
	}
	return m.epoch
}

// proposes reports whether this node is the one of an epoch that proposes.
func (m *Membership) proposes(e Epoch) bool { return e.has(m.Self) && e.proposer() == m.Self }

// borrows reports whether what a peer says counts for nothing among the members.
func (m *Membership) borrows(from transport.NodeID) bool {
	e := m.now()
	return !e.has(m.Self) || !e.has(from)
}

// enter waits for the turn: what is decided by the epoch is done before it is another.
// Else a node could follow one that was left out, after it has agreed on something with
// those who left it out.
func (m *Membership) enter(ctx context.Context) (leave func(), err error) {
	m.mu.Lock()
	if m.turn == nil {
		m.turn = make(chan struct{}, 1)
	}
	turn := m.turn
	m.mu.Unlock()
	if ctx.Err() != nil { // so that it is not left to chance
		return nil, ctx.Err()
	}
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inEpoch calls f in turn, if the epoch is still the one it was.
func (m *Membership) inEpoch(ctx context.Context, e Epoch, f func() error) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if now := m.now(); now.Number != e.Number {
		return &EpochError{Peer: m.Self, Own: e.Number, Theirs: now.Number}
	}
	return f()
}

// position is where this node stands towards a peer. A member tells other members
// nothing that it has heard from others than them, and while it has heard nothing else
// it goes where anybody is, once it has tried to reach them. Where one is that an epoch
// had left out, it does not go as long as that epoch may be about to go on without it.
func (m *Membership) position(f Follower, peer transport.NodeID) position {
	e, p := m.now(), position{generation: f.Generation()}
	at := m.standpoint(p.generation)
	p.promised = at.promised
	p.rank = max(at.rank, at.hint)
	p.least = p.rank
	switch {
	case !e.has(m.Self):
	case !e.has(peer) && (!at.lent || m.early != nil && m.early(e)):
		p.least = never
	case !e.has(peer):
	case at.lent:
		p.rank, p.least = borrowed, borrowed
	default:
		p.rank, p.least = at.rank, at.rank
		if !at.answered.has(peer) {
			p.least = max(at.rank, at.answered.rank())
		}
	}
	return p
}

// positionOf is that of a store which may be no Follower.
func (m *Membership) positionOf(s Store, peer transport.NodeID) position {
	f, ok := s.(Follower)
	if !ok {
		return position{plain: true}
	}
	return m.position(f, peer)
}

// standpoint is what is known of a generation. One that has met nobody relies on nobody.
func (m *Membership) standpoint(generation string) standpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case generation == "":
		return standpoint{rank: unvouched, lent: true}
	case generation != m.at.generation:
		return standpoint{generation: generation, rank: unvouched}
	}
	return m.at
}

// note changes what is known of a generation, if the store is still of it.
func (m *Membership) note(f Follower, generation string, change func(*standpoint)) {
	m.mu.Lock()
	before := m.moves
	m.mu.Unlock()
	if f.Generation() != generation {
		return
	}
	at := m.standpoint(generation)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.moves == before {
		if m.at.generation == generation {
			at = m.at
		}
		change(&at)
		m.at = at
	}
}

// vouched notes the rank that a peer, or a collection, gives to a generation.
func (m *Membership) vouched(f Follower, generation string, r rank, by transport.NodeID) {
	if r <= unvouched {
		return
	}
	lent := m.borrows(by)
	m.note(f, generation, func(at *standpoint) {
		if lent {
			at.hint = max(at.hint, r)
			return
		}
		at.rank, at.lent = max(at.rank, r), false
	})
}

// answers notes that this node was asked to agree on what comes after a generation.
func (m *Membership) answers(f Follower, generation string, e Epoch) {
	m.note(f, generation, func(at *standpoint) { at.answered = e })
}

// promises notes that this node has prepared a proposal on top of a generation.
func (m *Membership) promises(f Follower, generation string, p pledge) {
	m.note(f, generation, func(at *standpoint) { at.promised = p })
}

// met notes that a peer is of the same generation.
func (m *Membership) met(f Follower, peer transport.NodeID, own, theirs position) {
	if own.takes() {
		m.vouched(f, own.generation, theirs.rank, peer)
	}
}

// moveTo notes that this node has come to another generation, by a record from the one
// before, or, if that is empty, not by a record.
func (m *Membership) moveTo(generation string, r rank, lent bool, before string) {
	const most = 1 << 10
	at := standpoint{generation: generation, rank: max(r, unvouched), lent: lent}
	if lent {
		at.rank, at.hint = unvouched, r
	}
	m.mu.Lock()
	if before != "" {
		if m.at.generation == before {
			at.passed = m.at.passed
		}
		at.passed = append(at.passed, before)
		at.passed = at.passed[max(0, len(at.passed)-most):]
	}
	m.at = at
	m.moves++
	m.mu.Unlock()
	if m.moved != nil {
		m.moved()
	}
}

// count is how often this node came to another generation.
func (m *Membership) count() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moves
}
