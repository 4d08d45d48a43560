package quorum

import (
	"cmp"
	"context"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// DefaultTimeout is the Timeout of a [Coordinator] that has none.
const DefaultTimeout = 2 * time.Second

// A Coordinator reads and writes keys at as many of their owners as a level asks
// for. Any node can coordinate any key, also one that it does not own.
//
// The fields are set before the first call and not changed afterwards. A Coordinator
// is then safe for concurrent use; it has nothing to close.
//
// Each call starts one goroutine for each owner that it asks, and one for each
// repair. A call returns as soon as its level is decided; the goroutines of the
// owners that have not answered by then go on, so that these owners get the write,
// or what the read found, too. They belong to the call, and end with the answer of
// their owner, or when Timeout has passed since the call began, at the latest: also
// if the ctx of the call has ended before. They see the values of that ctx, but not
// its end. (A Caller or a Replica that does not heed its context makes them last as
// long as it takes.)
type Coordinator struct {
	// Self is the node that this Coordinator runs on. If it is an owner of a key, the
	// Local replica is asked, by a direct call, and counted like any other.
	Self transport.NodeID
	// Local is the replica of Self. It may be nil if Self owns no keys.
	Local Replica
	// Ring says who owns a key. It must be set.
	Ring Ring
	// Caller reaches the other owners. It may be nil if there are none.
	Caller transport.Caller
	// Join merges what owners answered to reads. It must be set, and is used by many
	// goroutines at once.
	Join Join
	// Timeout bounds a call, and what it leaves behind. If zero, DefaultTimeout.
	Timeout time.Duration
	// ReadLevel is the level of a Read with level zero. If zero, Majority.
	ReadLevel Level
	// WriteLevel is the level of a Write with level zero. If zero, Majority.
	WriteLevel Level
	// Events are told what happens.
	Events Events
}

// Read returns the merged state of key as known to as many owners as level asks
// for, at the time that it returns: an owner that answered with less gets what the
// others have, and Read waits for that where it must. So the next Read finds it too,
// if the two levels together are more than the owners. Races: what a concurrent
// Write adds may or may not be in the answer.
//
// A key that nobody holds is no error: Found is false. The error is a [*LevelError],
// an [*UnavailableError], a [*TimeoutError], or that of ctx. Without fault a Read
// costs one round trip, and one more if the owners that answered first differ.
func (c *Coordinator) Read(ctx context.Context, key string, level Level) (res ReadResult, err error) {
	start := time.Now()
	level = cmp.Or(level, c.ReadLevel, Majority)
	defer func() { c.Events.read(key, level, res, err, start) }()
	if err := c.readable(); err != nil {
		return res, err
	}
	op, err := NewReadOp(key, c.Ring.Place(key), level, c.Join)
	if err != nil {
		return res, err
	}
	op.loads.self = c.Self
	if err := c.run(ctx, op); err != nil {
		return res, err
	}
	return op.Result()
}

// Write merges delta into the replicas of key, and returns when as many owners as
// level asks for have it. It is sent to all. The delta may be changed afterwards.
// Races: none, deltas merge in any order.
//
// The error is a [*LevelError], an [*UnavailableError], a [*TimeoutError], or that of
// ctx. Other than with a LevelError, some owners may have merged the delta
// nevertheless, and it then reaches the others in time; to be sure of it, write the
// same delta again. A Write costs one round trip.
func (c *Coordinator) Write(ctx context.Context, key string, delta []byte, level Level) (res WriteResult, err error) {
	start := time.Now()
	level = cmp.Or(level, c.WriteLevel, Majority)
	defer func() { c.Events.wrote(key, level, len(delta), res, err, start) }()
	if c.Ring == nil {
		return res, errNoRing
	}
	op, err := NewWriteOp(key, delta, c.Ring.Place(key), level)
	if err != nil {
		return res, err
	}
	op.acks.self = c.Self
	if err := c.run(ctx, op); err != nil {
		return res, err
	}
	return op.Result()
}

func (c *Coordinator) readable() error {
	switch {
	case c.Ring == nil:
		return errNoRing
	case c.Join == nil:
		return errNoJoin
	}
	return nil
}

// exchange makes one call.
func (c *Coordinator) exchange(ctx context.Context, s *Send) (state []byte, err error) {
	if s.To == c.Self {
		return s.direct(ctx, c.Local)
	}
	return s.remote(ctx, c.Caller)
}
