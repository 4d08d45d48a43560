package revision

import (
	"context"
	"sync"
)

// turns are locks by key, of the keys that are in use. They are waited for as long as a context lets one.
type turns struct {
	mu   sync.Mutex
	keys map[string]*turn
}

// A turn is the lock of one key.
type turn struct {
	taken chan struct{} // holds one while somebody has it
	users int           // who has it, and those who wait
}

// take waits until it is the caller's turn. It is left by calling leave, once. The error is that of ctx.
func (t *turns) take(ctx context.Context, key string) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	one := t.enter(key)
	select {
	case one.taken <- struct{}{}:
		return func() { <-one.taken; t.exit(key, one) }, nil
	case <-ctx.Done():
		t.exit(key, one)
		return nil, ctx.Err()
	}
}

func (t *turns) enter(key string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.keys[key]
	if one == nil {
		if t.keys == nil {
			t.keys = make(map[string]*turn)
		}
		one = &turn{taken: make(chan struct{}, 1)}
		t.keys[key] = one
	}
	one.users++
	return one
}

func (t *turns) exit(key string, one *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(t.keys, key)
	}
}
