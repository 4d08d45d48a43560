package quorum

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// The states of these tests are sets of small numbers: strictly ascending bytes.
// Their join is the union. Nothing here knows of any CRDT.
func union(a, b []byte) ([]byte, error) {
	for _, s := range [][]byte{a, b} {
		for i := 1; i < len(s); i++ {
			if s[i-1] >= s[i] {
				return nil, errDamaged
			}
		}
	}
	both := slices.Concat(a, b)
	slices.Sort(both)
	return slices.Compact(both), nil
}

var (
	errDamaged = errors.New("damaged state")
	errDown    = errors.New("node is down")
)

func set(elems ...byte) []byte { return elems }

// contains reports whether state holds all of part.
func contains(state, part []byte) bool {
	both, err := union(state, part)
	return err == nil && bytes.Equal(both, state)
}

// nodes is a, b, c, ... and so on, n of them.
func nodes(n int) []transport.NodeID {
	ids := make([]transport.NodeID, n)
	for i := range ids {
		ids[i] = transport.NodeID(rune('a' + i))
	}
	return ids
}

// memory is a Replica in a map.
type memory struct {
	mu     sync.Mutex
	states map[string][]byte
	refuse error         // what Merge says, if not nil
	hang   time.Duration // how long each call takes
	loads  int
	merges int
}

func (m *memory) Load(ctx context.Context, key string) ([]byte, error) {
	if err := pause(ctx, m.hang); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	return m.states[key], nil
}

func (m *memory) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	if err := pause(ctx, m.hang); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.merges++
	if m.refuse != nil {
		return nil, m.refuse
	}
	merged, err := union(m.states[key], state)
	if err != nil {
		return nil, err
	}
	if m.states == nil {
		m.states = make(map[string][]byte)
	}
	m.states[key] = merged
	return state, nil
}

func (m *memory) put(key string, elems ...byte) { m.states = map[string][]byte{key: elems} }

func (m *memory) at(key string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[key]
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fabric is a Caller that calls the handlers of a cluster directly. It is not
// changed while in use, but for its replicas.
type fabric struct {
	handlers map[transport.NodeID]transport.Handler
	replicas map[transport.NodeID]*memory
	down     map[transport.NodeID]error
	delay    map[transport.NodeID]time.Duration // before the call arrives
}

func (f *fabric) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	if err := f.down[to]; err != nil {
		return nil, err
	}
	if err := pause(ctx, f.delay[to]); err != nil {
		return nil, err
	}
	h, ok := f.handlers[to]
	if !ok {
		return nil, fmt.Errorf("%w: %s", transport.ErrUnreachable, to)
	}
	resp, err := h.ServeCall(ctx, "", method, req)
	if err != nil {
		return nil, transport.NewRemoteError(method, err)
	}
	return resp, nil
}

// cluster returns n replicas, and the Coordinator of the first, which is "a".
func cluster(n int) (*Coordinator, *fabric) {
	f := &fabric{
		handlers: make(map[transport.NodeID]transport.Handler),
		replicas: make(map[transport.NodeID]*memory),
		down:     make(map[transport.NodeID]error),
		delay:    make(map[transport.NodeID]time.Duration),
	}
	ids := nodes(n)
	for _, id := range ids {
		f.replicas[id] = new(memory)
		f.handlers[id] = (&Coordinator{Local: f.replicas[id]}).Handler()
	}
	return &Coordinator{
		Self: "a", Local: f.replicas["a"], Ring: Everywhere(ids), Caller: f, Join: union,
	}, f
}

// holders is how many replicas hold all of part.
func (f *fabric) holders(key string, part []byte) (n int) {
	for _, r := range f.replicas {
		if contains(r.at(key), part) {
			n++
		}
	}
	return n
}

// names is the nodes that failures speak of, sorted.
func names(failures []Failure) []transport.NodeID {
	seen := make(map[transport.NodeID]bool)
	for _, f := range failures {
		seen[f.Node] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// reply is the response to one task that was done, with a state or none.
func reply(state ...byte) []byte { return replyOf(statusDone, state) }

func replyOf(status uint8, body []byte) []byte {
	w := newResponse(1, len(body))
	w.add(status, body)
	return w.w.Done()
}
