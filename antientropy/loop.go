package antientropy

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// A Loop keeps one node's Store in agreement with those of its peers: it sends
// each local update on as it happens, and reconciles in the background what that
// missed. All fields are set before first use and not changed afterwards; Store,
// Peers and Caller are needed, everything else has a default. A Loop must not be
// copied. Its methods are safe for concurrent use.
type Loop struct {
	// Store is what is kept in agreement. If it also has a method
	//
	//	Updates(ctx context.Context) iter.Seq2[string, []byte]
	//
	// that yields its local updates, each a key with its delta (nil: load the state),
	// Run sends those to the peers at once. Without it call Push, or updates travel
	// by reconciliation alone. If it is a [Follower], it forgets what the others have
	// agreed to forget. If it is a [Merger], what comes together is merged at once.
	Store Store

	// Peers returns the nodes to agree with, this one not among them. It is asked at
	// every interval, so the peers may change, and by Exchange while Run is not
	// running. Of a node that is not among them nothing is kept.
	Peers func() []transport.NodeID

	// Caller reaches the peers.
	Caller transport.Caller

	// Epoch returns the members who agree on what to forget; see [Epoch]. If nil, this
	// node is none of them. It is called often, from several goroutines, and must not call
	// the Loop. The Store of a member is a [Collector].
	Epoch func() Epoch

	// Self is the name by which the others call this node. Needed for Epoch alone.
	Self transport.NodeID

	// Shared returns the parts of the index that this node and a peer both hold, ascending
	// and disjoint; nothing if they have nothing in common. Of these alone anything is
	// compared and sent, deltas too: a delta goes to the peers that share the position of
	// its key. If nil, all is shared, as where each node holds everything.
	//
	// It is asked at each round and for each delta, for all peers and by several
	// goroutines, so it must be quick; what it returns is only read. It must not call the
	// Loop. What it says may change: what a peer newly shares is compared in its next round
	// ([Loop.Kick], or [Loop.ExchangeRanges] if it is urgent), and what still waits for one
	// that shares it no more is sent all the same.
	//
	// What a peer sends is merged whether this node thinks it is shared or not: the peer
	// may know of a change that this node does not know of yet. If it does not belong here
	// after all, it stays until whoever finds it hands it over, by [Loop.HandOver].
	//
	// A delta is under one key, and goes where that belongs. One that has parts of other
	// keys, such as that of a batch of crdt/store, therefore reaches those who share the
	// first of them, with all of it, and the others by reconciliation: keep a batch within
	// one partition.
	Shared func(peer transport.NodeID) []merkle.Range

	// Propagation is how updates go from node to node. If zero, [Eager]. [Lazy] cannot be
	// used with Shared, since its streams are for all.
	Propagation Propagation

	// Pace is when to do what, and how much at once: [LAN], [WAN], or of one's own.
	Pace

	// Choose picks the peers to reconcile with. If nil, they take turns in random
	// order. Peers that do not answer are not among those to choose from: they are
	// tried at a pace of their own.
	Choose Chooser

	// Busy, if not nil, reports whether the application has more urgent work, such as
	// requests of clients under way. While it does, reconciliations give way: each of
	// their requests waits, for at most GiveWay. Updates are sent all the same, and so
	// is an Exchange by hand. It is called from several goroutines.
	Busy func() bool

	// MaxMessage is the most bytes of a request or response, to be set to no more
	// than the transport carries. A state that does not fit is told to
	// Events.OnRefused. If zero, 1 MiB; at least 1 KiB.
	MaxMessage int

	// BufferBytes bounds the deltas that wait for one peer. If more would wait, they
	// are dropped, and a reconciliation takes their place. If zero, 8 MiB.
	BufferBytes int

	// BufferAge bounds how long a delta waits for one peer, to the Interval or so. If
	// one waits longer, all are dropped likewise. If zero, one minute.
	BufferAge time.Duration

	// Seed picks the order of peers and the jitter. If zero, a random one.
	Seed uint64

	// Events are told what happens.
	Events Events

	mu         sync.Mutex // guards what follows; never held while anything foreign is called
	running    bool
	runs       uint64
	joined     bool          // since Run began the peers are known
	changed    chan struct{} // closed when Ready is to look again
	delays     Delays
	pace       Pace // with its defaults
	tempo      tempo
	bucket     bucket
	slots      chan struct{} // one token for each who repairs; nil if any number may
	hurry      chan struct{} // holds a token when the interval has become shorter
	turn       uint64        // of Choose, which with dice is for Run alone
	dice       *rand.Rand
	rand       *rand.Rand
	filling    chan struct{}  // a token for who fills an empty store
	fills      uint64         // how often that was done
	cursor     Cursor         // how far it has come,
	cursorOf   []merkle.Range // in these ranges
	hasher     *merkle.Hasher // of the Store
	addressing sync.Once
	epoch      time.Time
	outbox     Outbox    // of which one is in use,
	tree       Broadcast // and is
	out        outgoing
	order      order
	gate       gate
	lanes      [lanes]chan struct{}
	peers      map[transport.NodeID]*peer
	turns      []*peer // the rest of the current turn of reconciliations
	sessions   uint64
	totals     Counts
	by         [allStrategies]Counts
	refusals   uint64
	tooLarge   uint64

	place      Membership
	placed     sync.Once
	collecting chan struct{} // a token for who collects
	collected  collected
}

// Handler returns the handler of the calls of peers, for methods that start with
// "antientropy/". It may serve before, while and after Run runs. What it is given
// is merged into the Store and passed on to the peers that are not known to have
// it. A call by a peer that did not answer before has the Loop reconcile with it
// at once.
func (l *Loop) Handler() transport.Handler {
	r := &Responder{
		Store:      l.Store,
		MaxMessage: l.MaxMessage,
		InFlight:   l.holds,
		Refused: func(r Refused) {
			l.telling(func(n *news) { l.refused(n, r) })
		},
		Outdated: func(peer transport.NodeID) { l.Kick(peer) },
		opened:   l.opened,
		arriving: l.arriving,
	}
	r.Membership = &l.place
	return transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
		l.membership()
		l.heard(from, method)
		if method == methodTree && l.Propagation == Lazy {
			return l.serveTree(ctx, from, req)
		}
		return r.ServeCall(ctx, from, method, req)
	})
}

// Push has a local update sent to all peers, batched with others. It is for stores
// without an Updates method. A nil delta has the state of key loaded and sent.
// delta may be used again after Push returns. An update pushed while Run is not
// running, or for a peer that does not answer, is left to reconciliation. The
// error is a *[TooLargeError], also told to Events.OnRefused, or that of Load.
func (l *Loop) Push(ctx context.Context, key string, delta []byte) error {
	if delta == nil {
		state, err := l.Store.Load(ctx, key)
		if err != nil {
			return err
		}
		delta = state
	}
	if len(delta) == 0 {
		return nil
	}
	var err error
	l.telling(func(n *news) { err = l.put(n, arrival{key: key, novel: delta}) })
	return err
}

// telling has what f reports told after it.
func (l *Loop) telling(f func(n *news)) {
	var n news
	f(&n)
	n.tell(&l.Events)
}

// put adds a delta to the outbox and wakes those who send from it.
func (l *Loop) put(n *news, a arrival) error {
	one := [1]arrival{a}
	l.address(one[:])
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.enqueue(n, one[0])
}

// arriving waits until so many states may be merged, and notes that they are.
func (l *Loop) arriving(ctx context.Context, states int) (arrived func([]arrival), err error) {
	leave, err := l.admit(ctx, states)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ticket := l.order.begin(states)
	return func(all []arrival) {
		var n news
		l.address(all)
		l.arrived(&n, ticket, all)
		leave()
		n.tell(&l.Events)
	}, nil
}

// admit waits at the gate, if several states may be merged at once.
func (l *Loop) admit(ctx context.Context, states int) (leave func(), err error) {
	if _, ok := l.Store.(Merger); !ok {
		return func() {}, nil
	}
	l.mu.Lock()
	l.setup()
	l.mu.Unlock()
	return l.gate.enter(ctx, states)
}

// arrived ends a merge and puts what that brought, and what waited for its end.
func (l *Loop) arrived(n *news, ticket uint64, all []arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.order.end(ticket, all, func(a arrival) {
		if a.aged {
			l.delays.add(a.age)
		}
		_ = l.enqueue(n, a)
	})
}

// enqueue is put with l.mu held.
func (l *Loop) enqueue(n *news, a arrival) error {
	l.tick(n)
	overflowed, err := l.out.put(a)
	for _, p := range l.peers {
		if p.id != a.from && a.isFor(p.id) {
			signal(p.pending)
		}
	}
	l.overdue(n, overflowed)
	if err != nil {
		l.refusedLocked(n, Refused{Key: a.key, Err: err})
	}
	return err
}

// tick tells the outbox the time. l.mu is held.
func (l *Loop) tick(n *news) {
	l.setup()
	l.overdue(n, l.out.Tick(time.Since(l.epoch)))
}

// overdue has reconciliations take the place of what was dropped. l.mu is held.
func (l *Loop) overdue(n *news, all []Dropped) {
	for _, d := range all {
		if p := l.peers[d.Peer]; p != nil {
			l.countDropped(p, d.Bytes)
			signal(p.due)
		}
		n.dropped(d)
	}
}

// Kick has Run reconcile with these peers now, or with all if none is named. It
// does not wait for that, and does nothing while Run is not running.
func (l *Loop) Kick(peers ...transport.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range peers {
		if p := l.peers[id]; p != nil {
			signal(p.due)
		}
	}
	if len(peers) == 0 {
		for _, p := range l.peers {
			signal(p.due)
		}
	}
}

// setup makes what the zero Loop lacks. l.mu is held.
func (l *Loop) setup() {
	if l.peers != nil {
		return
	}
	seed := l.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	l.rand, l.dice = rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
	l.sessions = l.rand.Uint64()
	l.peers = make(map[transport.NodeID]*peer)
	l.epoch, l.pace = time.Now(), l.Pace.filled()
	l.bucket = newBucket(l.BytesPerSecond, maxMessage(l.MaxMessage))
	l.changed = make(chan struct{})
	l.hurry, l.filling = make(chan struct{}, 1), make(chan struct{}, 1)
	l.collecting = make(chan struct{}, 1)
	l.gate = newGate()
	if l.pace.Concurrent > 0 {
		l.slots = make(chan struct{}, l.pace.Concurrent)
	}
	l.setupOut()
}

func (l *Loop) setupOut() {
	if l.Propagation != Lazy {
		l.outbox = Outbox{MaxMessage: l.MaxMessage, MaxBytes: l.BufferBytes, MaxAge: l.BufferAge}
		l.out = &l.outbox
		return
	}
	l.tree = Broadcast{Self: l.rand.Uint64(), MaxMessage: l.MaxMessage, MaxBytes: l.BufferBytes, MaxAge: l.BufferAge, Patience: l.pace.Patience}
	l.out = &l.tree
	for i := range l.lanes {
		l.lanes[i] = make(chan struct{}, 1)
	}
}

// jitter returns a random duration from d-d/10 to d+d/10. l.mu is not held.
func (l *Loop) jitter(d time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return d - d/10 + time.Duration(l.rand.Int64N(int64(d/5)+1))
}

func (l *Loop) holds(peer transport.NodeID, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setup()
	p := l.peers[peer]
	return l.out.Holds(peer, key) || p != nil && p.crossing.sending[key]
}

// check reports what the caller forgot.
func (l *Loop) check() error {
	switch {
	case l.Store == nil:
		return errors.New("antientropy: Loop without a Store")
	case l.Caller == nil:
		return errors.New("antientropy: Loop without a Caller")
	case l.Shared != nil && l.Propagation == Lazy:
		return errors.New("antientropy: Loop that is Lazy and has Shared")
	case l.Epoch != nil && l.Self == "":
		return errors.New("antientropy: Loop with an Epoch and without a Self")
	}
	return nil
}

// signal leaves a token in c unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
