package main

import (
	"context"
	"hash/maphash"
	"net/http"

	"github.com/eventual-go/eventual/quorum"
)

// patient gives a request its time.
func (n *node) patient(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), n.config.patience())
}

// load returns a key's state as level sees it, and how many replicas hold it. At
// level one that is what this replica has.
func (n *node) load(ctx context.Context, key string, level quorum.Level) (state []byte, answered int, err error) {
	if level == quorum.One {
		state, err = n.store.Load(ctx, key)
		return state, 1, err
	}
	result, err := n.quorum.Read(ctx, key, quorum.ReadOptions{Level: level})
	return result.State, result.Answered, err
}

func (n *node) read(ctx context.Context, k kind, key string, level quorum.Level) (any, error) {
	state, _, err := n.load(ctx, key, level)
	if err != nil {
		return nil, err
	}
	value, err := n.store.Decode(state)
	if err != nil {
		return nil, err
	}
	body, found := k.show(n, key, value)
	if !found {
		return nil, errNotFound
	}
	return body, nil
}

// written is the answer to a write: how many replicas are known to have it.
type written struct {
	Acked int `json:"acked"`
}

// write first brings here what a read at this level sees, since a removal takes
// away just what the replica that makes it has seen, and an overwrite likewise. At
// level one it asks nobody. Then it applies the update here and brings its delta to
// as many others as level asks. When that fails the write is still here, and the
// loop goes on spreading it.
func (n *node) write(ctx context.Context, key string, level quorum.Level, update func(full bool) ([]byte, error)) (any, error) {
	state, answered, err := n.load(ctx, key, level)
	if err != nil {
		return nil, err
	}
	if _, err := n.store.Merge(ctx, key, state); err != nil {
		return nil, err
	}
	delta, err := n.apply(ctx, key, update)
	if err != nil {
		return nil, err
	}
	if len(delta) == 0 { // nothing to add, nothing to remove: they all have it
		return written{Acked: answered}, nil
	}
	result, err := n.quorum.Write(ctx, key, delta, quorum.WriteOptions{Level: level})
	if err != nil {
		return nil, err
	}
	return written{Acked: result.Answered}, nil
}

var keyHash = maphash.MakeSeed()

// apply runs the updates of one key one after another, so that each knows how much
// room the one before has left.
func (n *node) apply(ctx context.Context, key string, update func(full bool) ([]byte, error)) ([]byte, error) {
	turn := &n.writes[maphash.String(keyHash, key)%uint64(len(n.writes))]
	turn.Lock()
	defer turn.Unlock()
	state, err := n.store.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	return update(len(state) > maxState)
}
