package ring

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A Keeper is the ring of one node: it places keys, tells the other nodes about the ring and
// learns it from them, and carries out its changes. It is a [quorum.Ring].
//
// Its fields are set before first use. It is safe for concurrent use. What it calls is called with no lock
// held, but Save and Store have their turn: while one of them runs, no other ring is adopted, so they must
// not call Adopt, Refresh or Restore of the same Keeper.
type Keeper struct {
	// Self is the name by which the others call this node.
	Self transport.NodeID
	// Hasher says at which position a key is. It must be that of the store, and of all nodes.
	Hasher *merkle.Hasher
	// Caller calls the other nodes.
	Caller transport.Caller

	// Save keeps the bytes until it is called again, over crashes. They are for Restore. What
	// could not be saved does not happen. If nil, nothing is saved: then a node that has
	// stopped must not come back under its name.
	Save func(state []byte) error
	// Transfer reconciles what this node and a peer have in some ranges, both ways: usually a
	// function that calls antientropy.Loop.ExchangeRanges and returns its error alone. It returns nil only
	// if all that either side had when it began is at both.
	Transfer func(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error
	// HandOver brings a peer what this node has in some ranges, and takes nothing: usually a
	// function that calls antientropy.Loop.HandOver and returns its error alone. It returns nil only if all
	// that this node had when it began is at the peer.
	HandOver func(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error
	// Store is what this node holds. What it does not hold any more by the ring, however
	// that came to be there, is handed over to those who do, and discarded. If nil, all is kept.
	Store Store

	// Interval is how often Run asks others, give or take a tenth. If zero, one second; an hour
	// at most.
	Interval time.Duration
	// Transfers is how many of them run at once. If zero, 2.
	Transfers int
	// Events are called as things happen.
	Events Events

	t    Transition           // changed by who has the turn, as is held
	held map[int]*merkle.Tree // of partitions that are handed over: what was here before that began
	turn chan struct{}        // holds a token
	once sync.Once
	wake chan struct{} // something has changed; holds one
	view atomic.Pointer[view]
	runs atomic.Bool

	mu      sync.Mutex
	counts  Stats
	pending map[transport.NodeID]bool // known to have a newer ring
}

// A Store is what a node holds, by position. A *store.Store of crdt/store is one.
type Store interface {
	// Index returns what there is, as a snapshot.
	Index() *merkle.Tree
	// Discard forgets the keys in some ranges that are as they were in held, and returns how
	// many are left there: those that were written to since, or are new.
	Discard(ctx context.Context, held *merkle.Tree, ranges []merkle.Range) (kept int, err error)
}

// A view is what others may know while somebody has the turn.
type view struct {
	ring        *Ring
	state       State
	ask         []transport.NodeID
	gets, gives int
}

// errors of a Keeper that was not given what a call turned out to need.
var (
	errNoCaller   = errors.New("ring: Keeper.Caller is nil")
	errNoTransfer = errors.New("ring: Keeper.Transfer or HandOver is nil")
	errNoHasher   = errors.New("ring: Keeper.Hasher is nil")
)

// ErrRunning says that [Keeper.Run] was called while it was running already.
var ErrRunning = errors.New("ring: keeper is running")

func (k *Keeper) init() {
	k.once.Do(func() {
		k.t.Self = k.Self
		k.turn, k.wake = make(chan struct{}, 1), make(chan struct{}, 1)
		k.pending, k.held = make(map[transport.NodeID]bool), make(map[int]*merkle.Tree)
	})
}

// Place returns who holds a key. Before there is a ring nobody does, and the Version is
// [math.MaxUint64], which no ring has: so this node refuses what others ask of it, and they can tell that it
// has no ring yet from that it knows a newer one. It costs a hash of the key, and allocates nothing.
func (k *Keeper) Place(key string) quorum.Placement {
	r := k.Ring()
	if r == nil || k.Hasher == nil {
		return quorum.Placement{Version: math.MaxUint64}
	}
	return r.Place(k.Hasher.Position(key))
}

// Holds reports whether a node holds a key, or is to once the change under way is over. Before
// there is a ring all nodes may: that is for hints, and says nothing of who may write as an owner. It fits handoff.Handoff.
func (k *Keeper) Holds(node transport.NodeID, key string) bool {
	r := k.Ring()
	return r == nil || k.Hasher == nil || r.Owns(node, r.Partition(k.Hasher.Position(key)))
}

// Ring returns the present ring, or nil if there is none yet.
func (k *Keeper) Ring() *Ring {
	if v := k.view.Load(); v != nil {
		return v.ring
	}
	return nil
}

// Shared returns what this node and a peer both hold or will hold, as [Ring.Shared] does, and what
// this node has to hand over is no part of it. It fits antientropy.Loop. Before there is a ring, and for a
// peer with whom nothing is shared, that is nothing: an empty slice, which is not nil.
func (k *Keeper) Shared(peer transport.NodeID) []merkle.Range {
	if r := k.Ring(); r != nil {
		if shared := r.Shared(k.Self, peer); shared != nil {
			return shared
		}
	}
	return []merkle.Range{}
}

// Restore goes on from what Save was given last. Call it before Run, and before calls
// are served. The error is a [*CorruptError], is [ErrVersion], or is that of Save.
func (k *Keeper) Restore(saved []byte) error {
	return k.inTurn(context.Background(), func(t *Transition) error {
		if err := t.Restore(saved); err != nil {
			return err
		}
		return t.Advance(k.save)
	})
}

// Adopt takes a ring that the operator has decided: the first one, a change of the present one
// or the abort of the change under way. It is enough to give it to one node; the others learn it from there.
// A node without a ring takes the first one only, as [New] makes it. One that joins later is asked by the
// members once they have the change by which it comes, and learns the ring from them in Run, or
// from any of them by Refresh.
//
// Rings must be decided in one place: two changes of one ring, given to two nodes, are two rings of
// one epoch, and nodes that have the one refuse the other. That is reported and not resolved, and
// what is acknowledged by the one may not be read by who has the other.
//
// A change may be aborted at any node that takes part in it and is not done with it; if Adopt
// returns nil it is aborted for good. The error is a [*ConfigError] if r is nil or the zero Ring, a
// [*ConflictError], [ErrOld], [ErrSkips], [ErrEarly], [ErrTooLate], or that of Save.
func (k *Keeper) Adopt(r *Ring) error {
	return k.inTurn(context.Background(), func(t *Transition) error {
		if err := t.Adopt(r, k.save); err != nil {
			return err
		}
		return t.Advance(k.save)
	})
}

// Refresh asks a node for its state now, and adopts its ring if it is newer: for a coordinator that was
// refused because its ring is old, and for a node that has none yet and is not known to
// others. The error is that of the call, a [*CorruptError], [ErrVersion], a [*ConflictError], or
// that of Save.
func (k *Keeper) Refresh(ctx context.Context, from transport.NodeID) error {
	k.init()
	if k.Caller == nil {
		return errNoCaller
	}
	resp, err := k.Caller.Call(ctx, from, MethodState, appendRequest(nil, k.state()))
	if err != nil {
		return err
	}
	s, r, err := parseResponse(resp)
	if err != nil {
		return err
	}
	return k.inTurn(ctx, func(t *Transition) error {
		if err := t.Heard(from, s, r, k.save); err != nil {
			return err
		}
		return t.Advance(k.save)
	})
}

func (k *Keeper) state() State {
	if v := k.view.Load(); v != nil {
		return v.state
	}
	return State{}
}

func (k *Keeper) save(b []byte) error {
	if k.Save == nil {
		return nil
	}
	return k.Save(b)
}

// Handler serves the calls of other Keepers. It waits for nothing.
func (k *Keeper) Handler() transport.Handler { return transport.HandlerFunc(k.serve) }

func (k *Keeper) serve(_ context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	k.init()
	if method != MethodState {
		return nil, fmt.Errorf("%w %q", transport.ErrUnknownMethod, method)
	}
	theirs, err := parseRequest(req)
	if err != nil {
		return nil, err
	}
	v := k.view.Load()
	if v == nil {
		v = new(view)
	}
	if theirs.Epoch > v.state.Epoch {
		k.hint(from)
	}
	return appendResponse(nil, v.state, v.ring, theirs.Epoch), nil
}

// hint notes that a node has a newer ring. One is enough.
func (k *Keeper) hint(peer transport.NodeID) {
	k.mu.Lock()
	if len(k.pending) == 0 {
		k.pending[peer] = true
	}
	k.mu.Unlock()
	k.nudge()
}

func (k *Keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// inTurn has f change the transition while nobody else does, and shows what has become of it.
func (k *Keeper) inTurn(ctx context.Context, f func(t *Transition) error) error {
	k.init()
	if ctx.Err() != nil { // so that it is not left to chance
		return ctx.Err()
	}
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	before := k.Ring()
	err := func() error {
		defer func() { <-k.turn }()
		defer k.show()
		return f(&k.t)
	}()
	if now := k.Ring(); now != before {
		k.nudge()
		k.Events.adopted(now)
	}
	if c, ok := errors.AsType[*ConflictError](err); ok {
		k.Events.conflict(c)
	}
	return err
}

// show makes the transition visible to all. Who calls it has the turn.
func (k *Keeper) show() {
	if k.t.ring == nil {
		return
	}
	if k.Ring() != k.t.ring {
		k.forget()
	}
	v := &view{ring: k.t.ring, state: k.t.State(), ask: k.t.Ask()}
	v.gets, v.gives = k.t.Left()
	k.view.Store(v)
}
