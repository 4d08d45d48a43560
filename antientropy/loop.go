package antientropy

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

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
	// by reconciliation alone.
	Store Store

	// Peers returns the nodes to agree with, this one not among them. It is asked at
	// every interval, so the peers may change, and by Exchange while Run is not
	// running. Of a node that is not among them nothing is kept.
	Peers func() []transport.NodeID

	// Caller reaches the peers.
	Caller transport.Caller

	// Interval is the time from one reconciliation to the next, give or take a tenth,
	// and the longest pause between two attempts to reach a peer that does not
	// answer. If zero, one second.
	Interval time.Duration

	// Fanout is how many peers each interval reconciles with. Peers take turns in
	// random order. If zero, one.
	Fanout int

	// PushDelay is how long an update waits for others to be sent with it. If zero,
	// 5 ms; if negative, none.
	PushDelay time.Duration

	// Timeout bounds each call. If zero, 5 s. The first call of a reconciliation is a
	// short one, by which a peer that does not answer is noticed: it is given four
	// times what it took the last time, but at least a second, if that is less.
	Timeout time.Duration

	// MaxMessage is the most bytes of a request or response, to be set to no more
	// than the transport carries. A state that does not fit is told to
	// Events.OnRefused. If zero, 1 MiB; at least 1 KiB.
	MaxMessage int

	// BufferBytes bounds the deltas that wait for one peer. If more would wait, they
	// are dropped, and a reconciliation takes their place. If zero, 8 MiB.
	BufferBytes int

	// Seed picks the order of peers and the jitter. If zero, a random one.
	Seed uint64

	// Events are told what happens.
	Events Events

	mu       sync.Mutex // guards what follows; never held while anything foreign is called
	running  bool
	rand     *rand.Rand
	outbox   Outbox
	peers    map[transport.NodeID]*peer
	turns    []*peer // the rest of the current turn of reconciliations
	sessions uint64
	totals   Counts
	refusals uint64
	tooLarge uint64
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
		Learned: func(from transport.NodeID, key string, novel []byte) {
			l.telling(func(n *news) { _ = l.put(n, key, novel, from) })
		},
	}
	return transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
		l.heard(from)
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
	l.telling(func(n *news) { err = l.put(n, key, delta, "") })
	return err
}

// telling has what f reports told after it.
func (l *Loop) telling(f func(n *news)) {
	var n news
	f(&n)
	n.tell(&l.Events)
}

// put adds a delta to the outbox and wakes those who send from it.
func (l *Loop) put(n *news, key string, delta []byte, origin transport.NodeID) error {
	overflowed, err := l.enqueue(key, delta, origin)
	for _, d := range overflowed {
		n.dropped(d)
	}
	if err != nil {
		l.refused(n, Refused{Key: key, Err: err})
	}
	return err
}

func (l *Loop) enqueue(key string, delta []byte, origin transport.NodeID) ([]Dropped, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setup()
	overflowed, err := l.outbox.Put(key, delta, origin)
	for _, p := range l.peers {
		if p.id != origin {
			signal(p.pending)
		}
	}
	for _, d := range overflowed {
		if p := l.peers[d.Peer]; p != nil {
			p.counts.Dropped++
			l.totals.Dropped++
			signal(p.due)
		}
	}
	return overflowed, err
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
	l.rand = rand.New(rand.NewPCG(seed, 0))
	l.sessions = l.rand.Uint64()
	l.peers = make(map[transport.NodeID]*peer)
	l.outbox = Outbox{MaxMessage: l.MaxMessage, MaxBytes: l.BufferBytes}
}

func (l *Loop) interval() time.Duration { return positive(l.Interval, time.Second) }
func (l *Loop) timeout() time.Duration  { return positive(l.Timeout, 5*time.Second) }
func (l *Loop) pushDelay() time.Duration {
	return max(0, cmp.Or(l.PushDelay, 5*time.Millisecond))
}

func positive(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
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
	return l.outbox.Holds(peer, key)
}

// check reports what the caller forgot.
func (l *Loop) check() error {
	switch {
	case l.Store == nil:
		return errors.New("antientropy: Loop without a Store")
	case l.Caller == nil:
		return errors.New("antientropy: Loop without a Caller")
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
