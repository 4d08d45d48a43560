package antientropy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// callerFunc is a Caller.
type callerFunc func(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error)

func (f callerFunc) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	return f(ctx, to, method, req)
}

// A fault stands between the loop and its peers. serve has the peer answer.
type fault func(ctx context.Context, to transport.NodeID, method string, serve func() ([]byte, error)) ([]byte, error)

// A rig is one loop, in a bubble, whose peers answer and do nothing else: what
// comes about is the loop's doing. Every message is held to its limit.
type rig struct {
	t     *testing.T
	loop  *Loop
	store *sets
	stop  func()

	mu    sync.Mutex
	fault fault
	peers []transport.NodeID
	there map[transport.NodeID]*Responder
	calls map[transport.NodeID]int
	told  []string
}

func newRig(t *testing.T, change func(*Loop), peers ...transport.NodeID) *rig {
	r := &rig{t: t, store: newFed(), peers: peers, there: map[transport.NodeID]*Responder{}, calls: map[transport.NodeID]int{}}
	r.loop = &Loop{Store: r.store, Peers: r.members, Caller: callerFunc(r.call), Pace: Pace{Interval: time.Hour}, Seed: 1}
	r.loop.Events = Events{
		OnExchange: func(x Exchange) { r.tell("%v %s %v", x.Strategy, x.Peer, x.Err) },
		OnPeerUp:   func(id transport.NodeID) { r.tell("up %s", id) },
		OnPeerDown: func(d PeerDown) { r.tell("down %s", d.Peer) },
		OnDropped:  func(d Dropped) { r.tell("dropped %s", d.Peer) },
		OnRefused:  func(x Refused) { r.tell("refused %s", x.Key) },
	}
	for _, id := range peers {
		r.add(id)
	}
	if change != nil {
		change(r.loop)
	}
	return r
}

func (r *rig) add(id transport.NodeID) {
	r.set(func() { r.there[id] = &Responder{Store: newSets(), MaxMessage: r.loop.MaxMessage} })
}
func (r *rig) peer(id transport.NodeID) *sets { return r.there[id].Store.(*sets) }

func (r *rig) call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	limit := maxMessage(r.loop.MaxMessage)
	if len(req) > limit {
		r.t.Errorf("%s of %d bytes", method, len(req))
	}
	r.mu.Lock()
	f, there := r.fault, r.there[to]
	r.calls[to]++
	r.mu.Unlock()
	serve := func() ([]byte, error) {
		if there == nil {
			return nil, transport.ErrUnreachable
		}
		resp, err := there.ServeCall(ctx, "a", method, slices.Clone(req))
		if len(resp) > limit {
			r.t.Errorf("answer to %s of %d bytes", method, len(resp))
		}
		if err != nil && ctx.Err() == nil {
			err = transport.NewRemoteError(method, err)
		}
		return resp, err
	}
	if f == nil {
		return serve()
	}
	return f(ctx, to, method, serve)
}

func (r *rig) members() []transport.NodeID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.peers)
}

func (r *rig) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *rig) tell(format string, args ...any) {
	r.set(func() { r.told = append(r.told, fmt.Sprintf(format, args...)) })
}

func (r *rig) heard(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.told, what)
}

func (r *rig) called(id transport.NodeID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[id]
}

// run starts the loop, and gives it the time for its first reconciliation.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.loop.Run(ctx); !errors.Is(err, context.Canceled) {
			r.t.Errorf("Run: %v", err)
		}
	}()
	r.stop = func() { cancel(); <-done }
	r.t.Cleanup(func() { r.stop() })
	time.Sleep(100 * time.Millisecond)
}

func (r *rig) agree(id transport.NodeID, within time.Duration) {
	r.t.Helper()
	for start := time.Now(); r.store.root() != r.peer(id).root(); time.Sleep(time.Millisecond) {
		require.LessOrEqual(r.t, time.Since(start), within, "no agreement with %s", id)
	}
}

func (r *rig) stats(id transport.NodeID) PeerStats {
	r.t.Helper()
	for _, p := range r.loop.Stats().Peers {
		if p.Peer == id {
			return p
		}
	}
	require.Fail(r.t, "not known", id)
	return PeerStats{}
}

// failing has every call of these methods, of all if none is named, end with err.
func failing(err error, methods ...string) fault {
	return func(_ context.Context, _ transport.NodeID, method string, serve func() ([]byte, error)) ([]byte, error) {
		if len(methods) == 0 || slices.Contains(methods, method) {
			return nil, err
		}
		return serve()
	}
}

var errBusy = transport.NewRemoteError("", errors.New("busy"))

// cutShort has every answer end a byte too early.
func cutShort(_ context.Context, _ transport.NodeID, _ string, serve func() ([]byte, error)) ([]byte, error) {
	resp, err := serve()
	return resp[:max(0, len(resp)-1)], err
}
