package placed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/vclock"
)

// kinds are what stores hold.
var kinds = func() *crdt.Kinds {
	k, err := crdt.Standard().With(caspaxos.Kind)
	if err != nil {
		panic(err) // two kinds with one tag
	}
	return k
}()

// A replica is a node's store, and what it holds by the simulator's own reckoning, by key.
type replica struct {
	run   *run
	node  *node
	store *store.Store
	has   []view // what it holds
}

func (r *run) newReplica(n *node) *replica {
	n.stores++
	s := store.New(store.Config{
		Replica: vclock.Named(fmt.Sprint(n.id, ".", n.stores)),
		Now:     func() time.Time { return epoch.Add(r.now) },
		Kinds:   kinds,
	})
	return &replica{run: r, node: n, store: s, has: make([]view, len(r.keys))}
}

// Index returns a snapshot of the index.
func (p *replica) Index() *merkle.Tree { return p.store.Index() }

// Durable reports whether the store outlives a crash.
func (p *replica) Durable() bool { return !p.node.volatile }

// Load returns the state of a key.
func (p *replica) Load(ctx context.Context, key string) ([]byte, error) {
	return p.store.Load(ctx, key)
}

// Merge joins a state into that of a key.
func (p *replica) Merge(ctx context.Context, key string, state []byte) (novel []byte, err error) {
	r := p.run
	k := r.byName[key]
	if k == nil {
		r.fail(bytesUnknown, key, "a key that nobody wrote")
		return nil, nil
	}
	if k.agreed {
		return p.store.Merge(ctx, key, state)
	}
	v := r.meaning(k, state)
	if _, err = p.store.Merge(ctx, key, state); err != nil {
		r.fail(unexplained, key, "merge: %v", err)
		return nil, err
	}
	p.has[k.index] = k.join(p.has[k.index], v)
	p.node.ever[k.index] = k.join(p.node.ever[k.index], v)
	now, err := p.store.Load(ctx, key)
	r.bind(now, k, p.has[k.index])
	if !p.node.owns(k) {
		r.say(p.node, "merges %x of %s, and does not hold it", v, k.name)
		r.did("a key comes to who does not hold it")
	}
	return nil, err
}

// Decode returns the value in a state.
func (p *replica) Decode(state []byte) (*crdt.Value, error) { return p.store.Decode(state) }

// Seal returns the state that an encoded value is.
func (p *replica) Seal(value []byte) []byte { return p.store.Seal(value) }

// discard forgets what was held in some ranges, where it is as it was then.
func (p *replica) discard(held *merkle.Tree, ranges []merkle.Range) {
	r := p.run
	kept, err := p.store.Discard(r.ctx, held, ranges)
	if err != nil {
		r.fail(unexplained, "", "discard: %v", err)
	}
	if kept > 0 {
		r.did("a discard that keeps what came meanwhile")
	}
	for _, k := range r.keys {
		for _, at := range ranges {
			if state, _ := p.store.Load(r.ctx, k.name); at.Contains(k.pos) && len(state) == 0 && p.has[k.index] != 0 {
				r.checkDropped(p.node, k, p.has[k.index])
				p.has[k.index] = 0
				p.node.reduced = r.now
			}
		}
	}
}

var errDown = errors.New("simulation: the node went down meanwhile")

// A slow replica takes its time for what clients ask of it: other things happen at its node meanwhile, so that
// it may have come to another ring.
type slow struct{ *replica }

const load = "a load"

// wait has other things happen, and reports by an error that the node has gone down.
func (s slow) wait(key, what string) error {
	was := places{s.node}.Place(key).Version
	if what == load && s.run.random.chance(0.75) {
		return nil // there are more of them, and it matters less
	}
	if !s.run.dawdle(s.node) {
		return errDown
	}
	s.run.tell(places{s.node}.Place(key).Version != was, what+" let in by another ring")
	return nil
}

// Load returns the state of a key, later.
func (s slow) Load(ctx context.Context, key string) ([]byte, error) {
	if err := s.wait(key, load); err != nil {
		return nil, err
	}
	return s.replica.Load(ctx, key)
}

// Merge joins a state into that of a key, later.
func (s slow) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	if err := s.wait(key, "a merge"); err != nil {
		return nil, err
	}
	return s.replica.Merge(ctx, key, state)
}
