package antientropy

import (
	"context"
)

// A node that hands keys over has nothing to take: what it took it would have to hand over in its
// turn. It sends whole states, of all keys that differ, and does not ask what the peer has of them.

// give sends what this side has in the ranges that were found to differ. Then the session goes on.
func (r *Round) give(ctx context.Context) error {
	index := r.store.Index()
	for _, at := range r.todo {
		for key := range keysAt(index, at) {
			r.sends = append(r.sends, due{key: key, at: at})
		}
	}
	r.todo = nil
	return r.push(ctx)
}
