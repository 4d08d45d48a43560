package store

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A hub hands changes to whoever follows the store. Publishing never blocks on a
// follower: a feed coalesces what its reader has not taken yet.
type hub struct {
	mu    sync.Mutex
	ended bool
	keeps atomic.Bool             // somebody wants deltas
	feeds atomic.Pointer[[]*feed] // replaced, never edited
}

// end closes all feeds, also those to come.
func (h *hub) end() {
	var all []*feed
	h.edit(func(fs []*feed) []*feed {
		all, h.ended = fs, true
		return nil
	})
	for _, f := range all {
		f.close()
	}
}

// keepsDeltas reports whether anybody wants deltas. Who begins to at this moment is told that there is none.
func (h *hub) keepsDeltas() bool { return h.keeps.Load() }

// publish offers a change to every feed. It is called under the key's lock, so
// that the changes of one key reach a feed in the order in which they happened.
// The delta, of a generation, is copied where it is kept; nil says that there is none to pass on.
func (h *hub) publish(key string, at stamp, delta []byte, local bool) {
	feeds := h.feeds.Load()
	if feeds == nil {
		return
	}
	for _, f := range *feeds {
		if f.wants(key, local) {
			f.offer(key, at.seal(delta))
		}
	}
}

// publishAll is publish for changes that are one: whoever keeps deltas keeps them as one, under the first key.
func (h *hub) publishAll(g *group, items []item) {
	feeds := h.feeds.Load()
	if feeds == nil {
		return
	}
	whole := false
	for _, f := range *feeds {
		whole = whole || f.deltas
	}
	var state []byte
	var keys []string
	if whole && g.local && len(items) > 0 {
		state = bundled(g.era.at, items[0].key, items)
		for _, it := range items[1:] {
			keys = append(keys, it.key)
		}
	}
	for _, f := range *feeds {
		if f.deltas && g.local && len(items) > 0 {
			f.offerAll(items[0].key, state, keys)
		}
		for i, e := range g.entries {
			if _, encoded := find(items, e.key); f.wants(e.key, g.local) && (!f.deltas && encoded || g.begun[i] && !encoded && e.unsaved) {
				f.offer(e.key, nil)
			}
		}
	}
}

// follow adds f until ctx ends or the returned function is called.
func (h *hub) follow(ctx context.Context, f *feed) (stop func()) {
	h.edit(func(fs []*feed) []*feed {
		if h.ended {
			f.close()
			return fs
		}
		return append(slices.Clip(fs), f)
	})
	leave := func() {
		h.edit(func(fs []*feed) []*feed {
			return slices.DeleteFunc(slices.Clone(fs), func(g *feed) bool { return g == f })
		})
		f.close()
	}
	forget := context.AfterFunc(ctx, leave)
	return func() {
		forget()
		leave()
	}
}

func (h *hub) edit(change func([]*feed) []*feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var old []*feed
	if p := h.feeds.Load(); p != nil {
		old = *p
	}
	next := change(old)
	h.keeps.Store(slices.ContainsFunc(next, func(f *feed) bool { return f.deltas }))
	if len(next) > 0 {
		h.feeds.Store(&next)
	} else {
		h.feeds.Store(nil)
	}
}

// A feed is a first-in, first-out queue of changed keys in which a key waits at
// most once, with what was written to it meanwhile.
type feed struct {
	prefix   string
	deltas   bool // local updates with their deltas; otherwise the keys of every change
	maxKeys  int  // that wait, without their deltas; past it all of them count as changed
	maxBytes int  // of all deltas that wait
	maxKey   int  // of the deltas of one key that wait

	wake chan struct{} // holds one token when a key may be waiting
	done chan struct{} // closed by close

	mu      sync.Mutex
	closed  bool
	pending map[string]*backlog
	order   []string // keys of pending from head on, oldest first
	head    int
	all     bool // all keys that start with prefix may have changed
	bytes   int  // sum of the sizes of pending
}

// A backlog is what waits under one key of a feed.
type backlog struct {
	deltas [][]byte
	also   []string // keys that have a part in them, too
	size   int
	lost   bool // too much, or not to be had as a delta: the reader loads the state
}

func newFeed(prefix string, maxKeys int) *feed {
	return &feed{
		prefix:  prefix,
		maxKeys: maxKeys,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		pending: make(map[string]*backlog),
	}
}

func newDeltaFeed(maxBytes int) *feed {
	f := newFeed("", 0)
	f.deltas, f.maxBytes, f.maxKey = true, maxBytes, maxBytes/8
	return f
}

func (f *feed) wants(key string, local bool) bool {
	return (local || !f.deltas) && strings.HasPrefix(key, f.prefix)
}

// offer queues a change. It takes no lock but the feed's own and never waits for
// the reader.
func (f *feed) offer(key string, delta []byte) {
	if f.enqueue(key, delta, nil) {
		f.signal()
	}
}

// offerAll queues a delta under key that has parts of other keys.
func (f *feed) offerAll(key string, delta []byte, also []string) {
	if f.enqueue(key, delta, also) {
		f.signal()
	}
}

// enqueue reports whether the key was not yet waiting.
func (f *feed) enqueue(key string, delta []byte, also []string) (fresh bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	return f.line(key, delta, also)
}

// line is enqueue with the lock held.
func (f *feed) line(key string, delta []byte, also []string) (fresh bool) {
	b, waiting := f.pending[key]
	if !waiting && !f.deltas && len(f.pending) >= f.maxKeys {
		f.pending, f.order, f.head = make(map[string]*backlog), nil, 0
		fresh, f.all = !f.all, true
		return fresh
	}
	if !waiting {
		if f.deltas {
			b = new(backlog)
		}
		f.pending[key] = b
		f.order = append(f.order, key)
	}
	if f.deltas {
		f.keep(b, delta, also)
	}
	return !waiting
}

// keep adds a copy of delta to b, or gives up all deltas of b where that would
// pass a bound; then the states of all keys that had a part in them are to be loaded.
func (f *feed) keep(b *backlog, delta []byte, also []string) {
	if b.lost {
		f.give(also)
		return
	}
	b.also = append(b.also, also...)
	switch {
	case delta == nil, f.bytes+len(delta) > f.maxBytes, b.size+len(delta) > f.maxKey:
		f.bytes -= b.size
		also = b.also
		*b = backlog{lost: true}
		f.give(also)
	default:
		b.deltas = append(b.deltas, slices.Clone(delta))
		b.size += len(delta)
		f.bytes += len(delta)
	}
}

// give gives up the deltas of keys.
func (f *feed) give(keys []string) {
	for _, key := range keys {
		f.line(key, nil, nil)
	}
}

func (f *feed) signal() {
	select {
	case f.wake <- struct{}{}:
	default: // a token is there already
	}
}

// next waits for a key and takes it. It reports false once ctx ended or the feed
// was closed.
func (f *feed) next(ctx context.Context) (string, *backlog, bool) {
	for ctx.Err() == nil {
		key, b, ok := f.take()
		if ok {
			return key, b, true
		}
		select {
		case <-f.wake:
		case <-f.done:
			return "", nil, false
		case <-ctx.Done():
		}
	}
	return "", nil, false
}

// allChanged is what is taken in place of more keys than are kept.
var allChanged = new(backlog)

func (f *feed) take() (string, *backlog, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all {
		f.all = false
		return f.prefix, allChanged, true
	}
	if f.head == len(f.order) {
		return "", nil, false
	}
	key := f.order[f.head]
	f.order[f.head] = ""
	f.head++
	b := f.pending[key]
	delete(f.pending, key)
	if b != nil {
		f.bytes -= b.size
	}
	f.tidy()
	return key, b, true
}

// tidy keeps the queue within a constant factor of what waits in it, also after a
// burst.
func (f *feed) tidy() {
	const large = 1024
	switch waiting := len(f.order) - f.head; {
	case waiting == 0 && cap(f.order) > large:
		f.order, f.head = nil, 0
		f.pending = make(map[string]*backlog)
	case waiting == 0:
		f.order, f.head = f.order[:0], 0
	case f.head > large && f.head > waiting:
		f.order, f.head = append([]string(nil), f.order[f.head:]...), 0
	}
}

// close drops what waits and ends next. It may be called more than once.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	f.pending, f.order, f.head, f.bytes = nil, nil, 0, 0
	close(f.done)
}
