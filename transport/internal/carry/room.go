package carry

import (
	"sync"

	"github.com/eventual-go/eventual/transport"
)

// A Room is what calls take at the side that serves them: places, or bytes. What does
// not fit is to be refused: nothing waits, so nothing that is slow holds up another.
//
// A node has no more than it leaves free, once it has its first. So one that takes all
// it gets has half, two have a third each, and some is left for the next that comes,
// until there are as many nodes as there is room for. The zero value is empty. It is
// safe for concurrent use.
type Room struct {
	mu    sync.Mutex
	taken int
	by    map[transport.NodeID]int // those that have some
}

// Take takes n of limit for a node, if it fits. Up to first it is the node's in any
// case, as long as there is so much.
func (r *Room) Take(from transport.NodeID, n, first, limit int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	free, has := limit-r.taken-n, r.by[from]+n
	switch {
	case n == 0:
		return true
	case free < 0 || has > first && has > free:
		return false
	}
	if r.by == nil {
		r.by = make(map[transport.NodeID]int)
	}
	r.taken += n
	r.by[from] = has
	return true
}

// Give gives back n of what a node has taken.
func (r *Room) Give(from transport.NodeID, n int) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken -= n
	if r.by[from] -= n; r.by[from] == 0 {
		delete(r.by, from)
	}
}
