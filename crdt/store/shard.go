package store

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// shardCount is the number of locked tables that the keys are spread over. A
// shard's lock is held for a table lookup only, never while a value is worked on.
const shardCount = 64

// A shard holds the entries of the keys that hash to it.
type shard struct {
	mu      sync.RWMutex
	entries map[string]*entry

	listed  bool     // the keys are kept in order, because somebody has asked
	sorted  []string // in order, those that were dropped since among them
	recent  []string // in order, those that are not among sorted
	added   []string // in no order, those that came after that
	dropped int      // of all these, about

	dirtyMu sync.Mutex
	dirty   []*entry             // each entry whose dirty flag is set, once
	buried  map[*entry]time.Time // those that show nothing, and when they were last written to
}

// An entry is one key. Lock order: entry.mu, then shard.mu or shard.dirtyMu or a
// feed's lock; whoever holds one of those takes no other.
type entry struct {
	key  string
	live atomic.Bool // written under mu, read without it by Keys

	deadline atomic.Int64 // from when on it shows nothing, in Unix milliseconds; 0 if never; written under mu

	mu      sync.Mutex
	gone    bool // dropped from the table: look the key up again
	written bool // something was ever written, so the entry stays
	dirty   bool // the index does not yet hold the present state
	buried  bool // among those of the shard
	cold    bool // the value is on disk alone
	unsaved bool // the value has something that cannot be encoded, so it is in memory alone
	used    bool // since the cache looked last
	ringed  bool // the cache knows it
	tenure  uint32

	flight   atomic.Pointer[flight] // the last change that somebody waits for, until it is durable; set under mu
	rotation uint32                 // of the identity that writer is of
	writer   vclock.ReplicaID       // zero until it is written to locally
	size     int                    // of the encoded value, about, as the cache counts it
	measured int                    // what it was when it was known
	value    crdt.Value
}

// table is the sharded map from key to entry.
type table struct {
	seed   maphash.Seed
	shards [shardCount]shard
	live   atomic.Int64 // entries whose live flag is set
}

func (t *table) shardOf(key string) *shard {
	return &t.shards[maphash.String(t.seed, key)%shardCount]
}

// lookup returns the locked entry of key, or nil when the table has none.
func (t *table) lookup(key string) *entry {
	sh := t.shardOf(key)
	for {
		sh.mu.RLock()
		e := sh.entries[key]
		sh.mu.RUnlock()
		if e == nil || e.lock() {
			return e
		}
	}
}

// acquire returns the locked entry of key, made if need be.
func (t *table) acquire(key string) *entry {
	for {
		if e := t.lookup(key); e != nil {
			return e
		}
		if e := t.shardOf(key).insert(key); e.lock() {
			return e
		}
	}
}

// insert adds an entry for key, or returns the one that another goroutine added.
func (sh *shard) insert(key string) *entry {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e := sh.entries[key]; e != nil {
		return e
	}
	if sh.entries == nil {
		sh.entries = make(map[string]*entry)
	}
	key = strings.Clone(key) // it stays, what it was cut from need not
	e := &entry{key: key}
	sh.entries[key] = e
	sh.list(key)
	return e
}

// lock locks e and reports whether it is still in the table.
func (e *entry) lock() bool {
	e.mu.Lock()
	if e.gone {
		e.mu.Unlock()
		return false
	}
	return true
}

// discard takes the locked entry out of the table: nothing was ever written to it.
func (t *table) discard(e *entry) {
	e.gone = true
	sh := t.shardOf(e.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.entries, e.key)
	if sh.listed {
		sh.dropped++
	}
}

// touched records that the value of the locked entry changed: whether there is
// anything to show, and that the index is behind.
func (t *table) touched(e *entry, now func() time.Time) {
	t.recount(e)
	if !e.live.Load() {
		t.shardOf(e.key).bury(e, now())
	} else if e.buried {
		t.shardOf(e.key).unbury(e)
	}
	e.written = true
	if e.dirty {
		return
	}
	e.dirty = true
	t.shardOf(e.key).enlist(e)
}

func (t *table) recount(e *entry) {
	if live := !e.value.Empty(); live != e.live.Load() {
		e.live.Store(live)
		if live {
			t.live.Add(1)
		} else {
			t.live.Add(-1)
		}
	}
}

// bury notes that a locked entry shows nothing any more.
func (sh *shard) bury(e *entry, now time.Time) {
	e.buried = true
	sh.dirtyMu.Lock()
	defer sh.dirtyMu.Unlock()
	if sh.buried == nil {
		sh.buried = make(map[*entry]time.Time)
	}
	sh.buried[e] = now
}

// unbury notes that a locked entry shows something again, or is gone.
func (sh *shard) unbury(e *entry) {
	e.buried = false
	sh.dirtyMu.Lock()
	defer sh.dirtyMu.Unlock()
	delete(sh.buried, e)
}

// appendBuried appends the keys that have shown nothing, and been left alone, since a moment.
func (sh *shard) appendBuried(keys []string, since time.Time) []string {
	sh.dirtyMu.Lock()
	defer sh.dirtyMu.Unlock()
	for e, at := range sh.buried {
		if !at.After(since) {
			keys = append(keys, e.key)
		}
	}
	return keys
}

func (sh *shard) enlist(e *entry) {
	sh.dirtyMu.Lock()
	defer sh.dirtyMu.Unlock()
	sh.dirty = append(sh.dirty, e)
}

// takeDirty hands over the entries that changed since the last call, in no order.
func (t *table) takeDirty() []*entry {
	var all []*entry
	for i := range t.shards {
		all = t.shards[i].handOver(all)
	}
	return all
}

func (sh *shard) handOver(all []*entry) []*entry {
	sh.dirtyMu.Lock()
	defer sh.dirtyMu.Unlock()
	all = append(all, sh.dirty...)
	sh.dirty = nil
	return all
}

func (t *table) putBack(dirty []*entry) {
	for _, e := range dirty {
		t.shardOf(e.key).enlist(e)
	}
}
