package vclock

import (
	"fmt"
	"math"
	"sync"
	"time"
)

const defaultMaxDrift = time.Minute

// HLC is a hybrid logical clock: its stamps stay close to physical time, yet order causes before effects on
// every replica, whatever the physical clocks do (Kulkarni et al., "Logical Physical Clocks and Consistent
// Snapshots in Globally Distributed Databases", 2014, figure 5).
//
// Set Replica before first use, and change no field afterwards; everything else has a default. All methods
// are safe for concurrent use. Do not copy an HLC.
type HLC struct {
	// Replica is put into every stamp.
	Replica ReplicaID
	// MaxDrift is how far ahead of the physical clock a timestamp from elsewhere may be. If zero or
	// negative, one minute.
	MaxDrift time.Duration
	// Now is the physical clock; it may stand still or go back. It may be called concurrently. If nil,
	// time.Now.
	Now func() time.Time

	mu   sync.Mutex
	last Timestamp // highest moment stamped or seen; Replica unused
}

// DriftError reports a timestamp that was refused because it is too far ahead of the physical clock.
type DriftError struct {
	Remote Timestamp     // the refused timestamp
	Ahead  time.Duration // how far it is ahead of the local physical clock
	Max    time.Duration // how far it may be
}

// Error says how far ahead the timestamp is, and how far it may be.
func (e *DriftError) Error() string {
	return fmt.Sprintf("vclock: timestamp %v is %v ahead of the clock, more than %v", e.Remote, e.Ahead, e.Max)
}

// Stamp returns a timestamp later than every one that was stamped, observed or set as a floor before. Within
// one tick of the physical clock, or while that is behind, it counts on in Logical, and carries into Wall
// when Logical is used up. It costs little more than reading the physical clock.
//
// It returns the zero Timestamp only when no later one exists: at the end of 2^63 ns, in the year 2262.
func (h *HLC) Stamp() Timestamp {
	now := h.physical()
	h.mu.Lock()
	next, ok := h.last.following(now)
	if ok {
		h.last = next
	}
	h.mu.Unlock()
	if !ok {
		return Timestamp{}
	}
	next.Replica = h.Replica
	return next
}

// Observe takes note of a timestamp from elsewhere: every later stamp is later than it. A timestamp more
// than MaxDrift ahead of the physical clock is refused by a [*DriftError], and the clock is as it was; one
// that is not ahead of [HLC.Last] moves nothing and is always accepted, also when the physical clock has
// gone back since.
func (h *HLC) Observe(remote Timestamp) error {
	now := h.physical()
	h.mu.Lock()
	defer h.mu.Unlock()
	if remote.compareTime(h.last) <= 0 {
		return nil
	}
	limit := h.MaxDrift
	if limit <= 0 {
		limit = defaultMaxDrift
	}
	if remote.Wall > now && time.Duration(remote.Wall-now) > limit {
		return &DriftError{Remote: remote, Ahead: time.Duration(remote.Wall - now), Max: limit}
	}
	h.last = remote
	return nil
}

// Floor makes every later stamp later than floor, however far ahead that is. After a restart give it a
// timestamp not below the last one stamped before, from a source that is trusted: the state on disk, or a
// bound that was written ahead.
func (h *HLC) Floor(floor Timestamp) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if floor.compareTime(h.last) > 0 {
		h.last = floor
	}
}

// Last returns the highest moment that was stamped, observed or set as a floor, under this clock's replica:
// what to keep for [HLC.Floor]. It is the zero Timestamp if there was none.
func (h *HLC) Last() Timestamp {
	h.mu.Lock()
	last := h.last
	h.mu.Unlock()
	if last.Wall == 0 && last.Logical == 0 {
		return Timestamp{}
	}
	last.Replica = h.Replica
	return last
}

// physical reads the physical clock as nanoseconds, held to what they can express and to 1970 and later.
// It must not be called under the lock.
func (h *HLC) physical() int64 {
	if h.Now == nil {
		return max(0, time.Now().UnixNano())
	}
	t := h.Now()
	switch seconds := t.Unix(); {
	case seconds < 0:
		return 0
	case seconds >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// following returns the first moment after t that is not before now; false if there is none.
func (t Timestamp) following(now int64) (Timestamp, bool) {
	switch {
	case now > t.Wall:
		return Timestamp{Wall: now}, true
	case t.Logical < math.MaxUint32:
		return Timestamp{Wall: t.Wall, Logical: t.Logical + 1}, true
	case t.Wall < math.MaxInt64:
		return Timestamp{Wall: t.Wall + 1}, true
	}
	return Timestamp{}, false
}
