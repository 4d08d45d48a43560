package quorum

import (
	"bytes"
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// DefaultTimeout is the Timeout of a [Coordinator] that has none.
const DefaultTimeout = 2 * time.Second

// A Coordinator reads and writes keys at as many of their owners as a level asks
// for. Any node can coordinate any key, also one that it does not own. A write whose delta numbers events, as
// those of sets and counters do, is best made by an owner, which has the key: others pass the request on.
//
// The fields are set before the first call and not changed afterwards. A Coordinator
// is then safe for concurrent use; it has nothing to close, and must not be copied.
//
// What several calls ask of one node at the same time goes there in one message. A
// call starts a goroutine for what it asks of Local, unless that has a method
// Durable() bool that says no, and may start one for each other node. It returns as
// soon as its level is decided; what is under way by then goes on, so that the owners
// that have not answered get the write, or what the read found, too. It ends with the
// answer of their node, or when Timeout has passed since it was sent, or soon after:
// also if the ctx of the call has ended before. Caller and Replica see no values of
// that ctx, since messages are shared, unless Carry has Caller see some. (One that does
// not heed its own context makes it last as long as it takes.)
//
// How long each node takes to answer is measured. Reads ask those first that answer
// quickly, and others when it takes longer than it should; see [ReadOp.Hedge]. A node
// that fails to be reached, or has not answered for SuspectAfter and eight times as
// long as it should take, is suspected to be away: it is asked only where the others
// are too few, or once in a while, and hints are kept for it without waiting.
type Coordinator struct {
	// Self is the node that this Coordinator runs on. If it is an owner of a key, the
	// Local replica is asked, by a direct call, and counted like any other.
	Self transport.NodeID
	// Local is the replica of Self. It may be nil if Self owns no keys. Where replicas forget what deletions left, it
	// should have the methods GenerationOf and Lift of [github.com/eventual-go/eventual/crdt/store.Store], also if Self owns no
	// keys, so that no read brings back what was forgotten while it was under way.
	Local Replica
	// Ring says who owns a key. It must be set. If it has a method
	//
	//	Refresh(ctx context.Context, from transport.NodeID) error
	//
	// it is called when a node has refused a call because it knows of a later
	// placement, to learn of that from it; then the call is made once more.
	Ring Ring
	// Caller reaches the other owners. It may be nil if there are none.
	Caller transport.Caller
	// Join merges what owners answered to reads. It must be set, and is used by many
	// goroutines at once.
	Join Join
	// Hints keep what owners miss that are away. If nil, that is left to anti-entropy.
	Hints Hints
	// Buckets say what is asked of keys where a call does not say; of several whose
	// prefix a key has, the longest counts.
	Buckets []Bucket
	// Timeout bounds a call, and what it leaves behind. If zero, DefaultTimeout.
	Timeout time.Duration
	// SuspectAfter is how long a node that is silent is waited for, at least. If zero, a
	// quarter of a second.
	SuspectAfter time.Duration
	// MaxMessage is about how many bytes a message has that carries more than one task.
	// A task that is larger goes alone. If zero, DefaultMaxMessage.
	MaxMessage int
	// Carry has messages carry values, traces for example, for Caller to see. It is given
	// the context of a message, and those of the calls that have something in it, once for
	// each thing that they want; it returns the former with what it adds to it. It must
	// neither end that nor keep the others. It is called for each message, by many goroutines
	// at once. If nil, Caller sees no values.
	Carry func(ctx context.Context, calls []context.Context) context.Context
	// Events are told what happens.
	Events Events

	terms    terms
	spares   spares
	nodes    sync.Map // of *node, by transport.NodeID
	counters counters

	tells        sync.Once
	generationOf func(state []byte) string
}

// refresher is a [Ring] that can learn from another node.
type refresher interface {
	Refresh(ctx context.Context, from transport.NodeID) error
}

// Read returns the merged state of key as known to as many owners as are asked for,
// at the time that it returns; see [ReadOptions] for what becomes of owners that
// answered with less. Races: what a concurrent Write adds may or may not be in the
// answer.
//
// A key that nobody holds is no error: Found is false. The error is a [*LevelError],
// an [*UnavailableError], a [*TimeoutError], or that of ctx. Where this node is an
// owner, a Read that waits for one more costs one message there and back, with the
// state in it only where it differs; with repair, one more.
func (c *Coordinator) Read(ctx context.Context, key string, opts ReadOptions) (res ReadResult, err error) {
	start := time.Now()
	b := c.bucket(key)
	opts = opts.or(b.Read)
	defer func() { c.read(key, &opts, res, err, start) }()
	if err := c.readable(); err != nil {
		return res, err
	}
	back := WriteOptions{}.or(b.Write)
	prefer := func(id transport.NodeID) int { return c.prefer(id, start) }
	generation := c.generation()
	left := cmp.Or(c.Timeout, DefaultTimeout)
	var stale *ReadResult // what will do, where a later ring does not answer better
	for {
		op, err := NewReadOp(ReadConfig{
			Key: key, Placement: c.Ring.Place(key), Self: c.Self, Options: opts, Join: c.Join,
			WriteBack: back.demand(), Prefer: prefer, Generation: generation, Since: c.forgotten(),
		})
		if err != nil {
			return res, err
		}
		if err := c.run(ctx, op, start, left); err != nil {
			return res, err
		}
		res, err = op.Result()
		if err != nil && stale != nil {
			return *stale, nil
		}
		if err == nil && !res.Stale || !c.again(ctx, op, key, op.cfg.Placement.Version, start, &left) {
			return res, err
		}
		if err == nil {
			stale = &ReadResult{}
			*stale = res
		}
	}
}

// Write merges delta into the replicas of key, and returns when as many owners as
// are asked for have it. It is sent to all. The delta may be changed afterwards.
// Races: none, deltas merge in any order.
//
// The error is a [*LevelError], an [*UnavailableError], a [*TimeoutError], or that of
// ctx. Other than with a LevelError, some owners may have merged the delta
// nevertheless, and it then reaches the others in time; to be sure of it, write the
// same delta again: that is harmless. A Write costs one message to each owner.
func (c *Coordinator) Write(ctx context.Context, key string, delta []byte, opts WriteOptions) (res WriteResult, err error) {
	start := time.Now()
	opts = opts.or(c.bucket(key).Write)
	defer func() { c.wrote(key, &opts, len(delta), res, err, start) }()
	if c.Ring == nil {
		return res, errNoRing
	}
	delta = bytes.Clone(delta)
	away := func(id transport.NodeID) bool { return c.node(id).pulse.away(start, c.SuspectAfter) }
	left := cmp.Or(c.Timeout, DefaultTimeout)
	var before error // of the attempt before, by which something was sent
	for {
		op, err := NewWriteOp(WriteConfig{
			Key: key, Delta: delta, Placement: c.Ring.Place(key), Self: c.Self, Options: opts,
			Hints: c.Hints != nil, Away: away, Durable: opts.Applied && durableOf(c.Local),
		})
		switch {
		case err != nil && before != nil:
			return res, before
		case err != nil:
			return res, err
		}
		if err := c.run(ctx, op, start, left); err != nil {
			return res, err
		}
		res, err = op.Result()
		if err == nil || !c.again(ctx, op, key, op.cfg.Placement.Version, start, &left) {
			return res, err
		}
		before = err
	}
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

// again reports whether the ring has changed since a call, by what one of those has
// told that refused it, and whether some of the call's time is left.
func (c *Coordinator) again(ctx context.Context, op machine, key string, asked uint64, start time.Time, left *time.Duration) bool {
	by, version := op.outdated()
	if version <= asked {
		return false
	}
	remains := func() bool {
		*left = cmp.Or(c.Timeout, DefaultTimeout) - time.Since(start)
		return *left > 0
	}
	if !remains() || c.Ring.Place(key).Version > asked {
		return *left > 0
	}
	r, ok := c.Ring.(refresher)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, *left)
	defer cancel()
	return r.Refresh(ctx, by) == nil && c.Ring.Place(key).Version > asked && remains()
}
