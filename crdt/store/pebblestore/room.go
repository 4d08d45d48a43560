package pebblestore

import (
	"cmp"
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// A room is where writers wait for a disk that lags behind. Pebble has one of its own, but who waits there waits for a
// background that is held back after a failure, with Pebble's locks in hand. So its own is made large, and they wait
// here, in front of it.
type room struct {
	bytes     uint64 // of writes in memory
	sublevels int32  // of tables that overlap
	look      func() *pebble.Metrics

	unsure atomic.Bool // something happened since somebody looked
	stuck  atomic.Bool // the last compaction failed

	mu   sync.Mutex
	cond sync.Cond
	gen  uint64 // counts what happened
}

func newRoom() *room {
	r := new(room)
	r.cond.L = &r.mu
	return r
}

// limit takes the limits out of p, which has them as users of Pebble know them.
func (r *room) limit(p *pebble.Options) {
	r.bytes = p.MemTableSize * uint64(max(2, cmp.Or(p.MemTableStopWritesThreshold, 3)))
	r.sublevels = int32(cmp.Or(p.L0StopWritesThreshold, 12))
	p.MemTableStopWritesThreshold = 1 << 20
	p.L0StopWritesThreshold = math.MaxInt32
}

// changed says that there may be more room now, or less. It must not call Pebble.
func (r *room) changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gen++
	r.unsure.Store(true)
	r.cond.Broadcast()
}

// compacted says that a compaction ended. While they fail nobody waits for them: reads get slower, but damage in one
// table does not stop all writes.
func (r *room) compacted(err error) {
	r.stuck.Store(err != nil && !errors.Is(err, pebble.ErrCancelledCompaction))
	r.changed()
}

// await waits until there is room, or until the backend has failed.
func (b *Backend) await() error {
	for {
		if b.closed.Load() {
			return errClosed
		}
		if err := b.guard.failed(); err != nil {
			return err
		}
		if !b.room.unsure.Load() {
			return nil
		}
		b.room.enter()
	}
}

// enter looks whether there is room, and if not, waits until something happens.
func (r *room) enter() {
	r.mu.Lock()
	seen := r.gen
	r.mu.Unlock()
	full := r.full(r.look())

	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.gen != seen:
	case full:
		for r.gen == seen {
			r.cond.Wait()
		}
	default:
		r.unsure.Store(false)
	}
}

func (r *room) full(m *pebble.Metrics) bool {
	return m.MemTable.Size > r.bytes || m.Levels[0].Sublevels >= r.sublevels && !r.stuck.Load()
}
