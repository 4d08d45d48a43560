package antientropy

import (
	"context"
	"iter"
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
// right. It does not outlive the process: what is not known is found out again by the
// next [Collection].
type Membership struct {
	// Self is the name by which the others call this node.
	Self transport.NodeID

	// Epoch returns the present epoch; one with a lower number than before is passed over.
	// If nil, there is none. It is called often and must not call what it is asked by.
	Epoch func() Epoch

	early   func(Epoch) bool            // some member was not tried yet
	unasked func(transport.NodeID) bool // somebody else might know the way
	moved   func()                      // the generation has changed

	mu         sync.Mutex    // guards what follows; never held while anything foreign is called
	turn       chan struct{} // a token for who looks at the epoch and changes the generation
	epoch      Epoch
	generation string // which the standing is of
	standing   uint64
	moves      uint64
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
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// position is where this node stands towards a peer.
func (m *Membership) position(f Follower, peer transport.NodeID) position {
	p := position{generation: f.Generation()}
	p.standing = m.standingAt(p.generation)
	p.takes = m.takes(peer, p.generation)
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

// takes reports whether this node, of a generation, goes where a peer is. A member that
// has met nobody asks the others first, and then takes whatever there is.
func (m *Membership) takes(peer transport.NodeID, generation string) bool {
	e := m.now()
	switch {
	case !e.has(m.Self) || e.has(peer):
		return true
	case generation != "":
		return false
	}
	return m.early == nil || !m.early(e)
}

func (m *Membership) standingAt(generation string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if generation != m.generation {
		return 0
	}
	return m.standing
}

// vouched notes an epoch that vouches for a generation, if the store is still of it.
func (m *Membership) vouched(f Follower, generation string, standing uint64) {
	m.mu.Lock()
	before := m.moves
	m.mu.Unlock()
	if f.Generation() != generation {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.moves != before:
	case m.generation != generation:
		m.generation, m.standing = generation, standing
	default:
		m.standing = max(m.standing, standing)
	}
}

// followed notes that this node has come to another generation.
func (m *Membership) followed(generation string, standing uint64) {
	m.mu.Lock()
	m.generation, m.standing = generation, standing
	m.moves++
	m.mu.Unlock()
	if m.moved != nil {
		m.moved()
	}
}

// met notes that a peer is of the same generation.
func (m *Membership) met(f Follower, own, theirs position) {
	if own.takes {
		m.vouched(f, own.generation, theirs.standing)
	}
}

// reluctant reports whether this node had better ask somebody else than a peer before it
// gives up its generation: the word of a member is enough, but a fellow that is none may
// have joined lately, and know of no records that others do.
func (m *Membership) reluctant(peer transport.NodeID, theirs position) bool {
	e := m.now()
	return theirs.takes && !e.has(m.Self) && m.unasked != nil && m.unasked(peer)
}

// settle settles records that a peer sent, and returns where that led. It does not
// settle what this node does not take from that peer.
func (m *Membership) settle(ctx context.Context, f Follower, from transport.NodeID, standing uint64, records [][]byte) (own position, settled int, err error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return position{}, 0, err
	}
	defer leave()
	own = m.position(f, from)
	if own.takes = own.follows(standing); !own.takes {
		return own, 0, nil
	}
	for _, r := range records {
		if err = f.Settle(ctx, r); err != nil {
			break
		}
		g := f.Generation()
		if g != own.generation {
			settled++
			m.followed(g, standing)
		}
		own.generation, own.standing = g, m.standingAt(g)
	}
	return own, settled, err
}

// adopt takes on the generation of a peer, if that is still wanted: if this node is of
// the one that it was when that was decided.
func (m *Membership) adopt(ctx context.Context, f Follower, from transport.NodeID, at string, theirs position) (aside iter.Seq2[string, []byte], adopted bool, err error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, false, err
	}
	defer leave()
	return m.adoptInTurn(ctx, f, from, at, theirs)
}

func (m *Membership) adoptInTurn(ctx context.Context, f Follower, from transport.NodeID, at string, theirs position) (aside iter.Seq2[string, []byte], adopted bool, err error) {
	if own := m.position(f, from); own.generation != at || !own.takes {
		return nil, false, nil
	}
	if aside, err = f.Adopt(ctx, theirs.generation); err != nil {
		return nil, false, err
	}
	standing := theirs.standing
	if e := m.now(); e.has(m.Self) && !e.has(from) {
		standing = 0 // nobody else of the epoch has it, as far as is known
	}
	m.followed(f.Generation(), standing)
	return aside, true, nil
}

// count is how often this node came to another generation.
func (m *Membership) count() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moves
}
