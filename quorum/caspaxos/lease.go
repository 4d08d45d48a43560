package caspaxos

import "sync"

// Bounds on what a [Registers] remembers of promises.
const (
	maxLeases     = 4096     // keys
	maxLeaseBytes = 16 << 20 // of keys and values
	leaseBytes    = 256      // that each takes besides
)

// A lease is a ballot to which a majority has promised together with accepting a record. Whoever begins by it needs
// not ask for promises, and gets through unless somebody has a greater one by now. It is for one round: two records
// must not be proposed by one ballot.
type lease struct {
	ballot Ballot
	record record
	placed uint64 // by which placement that majority was one
}

func (l *lease) size(key string) int { return leaseBytes + len(key) + len(l.record.data) }

type leases struct {
	mu    sync.Mutex
	byKey map[string]lease
	bytes int
}

// take returns the lease of a key, if there is one for a placement, and forgets it.
func (l *leases) take(key string, placed uint64) (lease, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.byKey[key]
	l.drop(key)
	return held, ok && held.placed == placed
}

// put keeps a lease. Where there is no room for it some others go.
func (l *leases) put(key string, held lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byKey == nil {
		l.byKey = make(map[string]lease)
	}
	l.drop(key)
	l.byKey[key] = held
	l.bytes += held.size(key)
	for other := range l.byKey { // in any order
		if len(l.byKey) <= maxLeases && l.bytes <= maxLeaseBytes {
			return
		}
		l.drop(other)
	}
}

func (l *leases) drop(key string) {
	if held, ok := l.byKey[key]; ok {
		l.bytes -= held.size(key)
		delete(l.byKey, key)
	}
}
