package membership

import (
	"sync"
	"time"
)

const maxRelays = 64

// relays bound the probes that a member makes for others, each of which costs memberlist a goroutine, a timer and a
// handler until it is over, whoever asks and however often. A place may have as many as are free beside: so one alone
// has half of maxRelays, and leaves room for others. A member that is well asks for one at a time.
type relays struct {
	span time.Duration // how long one takes at most

	mu    sync.Mutex
	begun []relay // that are not over, the oldest first
	from  map[string]int
}

type relay struct {
	origin string
	at     time.Time
}

// enter says whether one may begin.
func (r *relays) enter(origin string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.begun) > 0 && now.Sub(r.begun[0].at) >= r.span {
		r.leave(r.begun[0].origin)
		r.begun = r.begun[1:]
	}
	if r.from[origin] >= maxRelays-len(r.begun) {
		return false
	}
	if r.from == nil {
		r.from = make(map[string]int)
	}
	r.from[origin]++
	r.begun = append(r.begun, relay{origin, now})
	return true
}

// leave needs r.mu.
func (r *relays) leave(origin string) {
	if r.from[origin]--; r.from[origin] == 0 {
		delete(r.from, origin)
	}
}
