package caspaxos

import (
	"context"
	"slices"
	"sync"
)

// turns has those who want the same key come one after the other, in the order in which they asked. It remembers a key
// for as long as somebody is there.
type turns struct {
	mu      sync.Mutex
	waiting map[string][]chan struct{} // of keys that somebody has the turn of; each is closed when the next has it
}

// enter waits for a turn, which lasts until leave is called, or for the end of ctx, whose error it then returns.
func (t *turns) enter(ctx context.Context, key string) error {
	mine := t.join(key)
	if mine == nil {
		return nil
	}
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
		if !t.quit(key, mine) { // it has come meanwhile
			t.leave(key)
		}
		return ctx.Err()
	}
}

// join returns what to wait for, nil if there is nothing.
func (t *turns) join(key string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting == nil {
		t.waiting = make(map[string][]chan struct{})
	}
	others, busy := t.waiting[key]
	if !busy {
		t.waiting[key] = nil
		return nil
	}
	mine := make(chan struct{})
	t.waiting[key] = append(others, mine)
	return mine
}

func (t *turns) quit(key string, mine chan struct{}) (waited bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.waiting[key]
	at := slices.Index(all, mine)
	if at >= 0 {
		t.waiting[key] = slices.Delete(all, at, at+1)
	}
	return at >= 0
}

// leave gives the turn to the next.
func (t *turns) leave(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.waiting[key]
	if len(all) == 0 {
		delete(t.waiting, key)
		return
	}
	close(all[0])
	t.waiting[key] = slices.Delete(all, 0, 1)
}
