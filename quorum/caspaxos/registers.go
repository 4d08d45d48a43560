package caspaxos

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// Defaults of a [Registers].
const (
	DefaultTimeout  = 2 * time.Second
	DefaultMaxValue = 512 << 10
)

// Registers reads and changes keys of which each is one linearizable register. Any node can do so, also one that holds
// nothing; there is no leader.
//
// The fields are set before first use and not changed afterwards. It is then safe for concurrent use, has nothing to
// close, and must not be copied. Each call starts a goroutine for each node that it asks, and one for changes that wait
// behind it; those of requests to accept, and of changes, may outlive their call, by Timeout at most (unless Caller or
// Local does not heed its context).
type Registers struct {
	// Self is the node that this runs on.
	Self transport.NodeID
	// Local is where this node stores what it promises and accepts: one Registers alone may serve it. It may be nil if
	// Self holds no keys.
	Local Store
	// Kinds is the table of kinds of Local, which has [Kind]. It must be set where Local is.
	Kinds *crdt.Kinds
	// Ring says who holds a key; it is asked for the key with [Prefix]. It must be set. If it has a method
	//
	//	Refresh(ctx context.Context, from transport.NodeID) error
	//
	// it is called when a node has refused a request because it knows of a later placement, to learn of that from it.
	Ring quorum.Ring
	// Caller reaches the other nodes. It may be nil if there are none.
	Caller transport.Caller
	// Timeout bounds a call. If zero or less, DefaultTimeout.
	Timeout time.Duration
	// Ahead has each change ask for the promises that the next one needs (§2.2.1 of the paper), so that keys that one
	// node changes again and again cost one round trip a change. Reads do not mind; changes by others take it away, and
	// nobody asks for it while others change the key, too.
	Ahead bool

	// MaxValue is the most bytes that a value may have. If zero or less, DefaultMaxValue. It must be the same on all
	// nodes, and never less than it was. A value and its key, and 400 bytes, have to fit into a message of Caller and of
	// whatever else carries states: what does not would keep its key from ever being changed again.
	MaxValue int

	turns    turns         // of requests
	lines    lines         // of calls that propose
	proposer atomic.Uint64 // zero before the first ballot
	calls    atomic.Uint64 // that have had a ballot
	guess    atomic.Uint64 // what acceptors may have heard of
	leases   leases
}

// Read returns what key holds. It is linearizable: it contains every change that was acknowledged before it began, and
// all that any call had returned by then. It costs one round trip, and nothing is written, where no change is under
// way; else it looks again. It proposes what it found, as Change does, only where a change was left half done.
//
// A key that holds nothing is no error. The error is a [*quorum.LevelError], a [*quorum.UnavailableError], a
// [*quorum.TimeoutError], or that of ctx.
func (r *Registers) Read(ctx context.Context, key string) (Value, error) {
	v, err, over := r.look(ctx, key)
	if over {
		return v, err
	}
	return r.change(ctx, key, wish{decide: read})
}

// CompareAndSet changes key to next if its version is expected, and returns what it then holds, with its new version.
// A nil next deletes, an empty one does not. The zero version is expected of a key that was never written; one that
// was deleted has a version, and [Registers.Create] takes both. Of several calls that expect one version one succeeds.
//
// The error is a [*ConflictError] with what the key holds instead, an [*UnknownError], or as for Read: then nothing
// was changed. It costs two round trips to a majority of the owners, of which the second one writes; more if others
// change the key at the same time.
func (r *Registers) CompareAndSet(ctx context.Context, key string, expected Ballot, next []byte) (Value, error) {
	if err := r.fits(key, next); err != nil {
		return Value{}, err
	}
	return r.change(ctx, key, wish{when: condition{whenVersion, expected}, guess: expected, decide: func(v Value) ([]byte, bool, error) {
		if v.Version != expected {
			return nil, false, &ConflictError{Key: key, Expected: expected, Current: v}
		}
		return next, true, nil
	}})
}

// Create changes key to data if it holds nothing: because it was never written, or because it was deleted. Nil data is
// taken as empty. Otherwise it is as [Registers.CompareAndSet].
func (r *Registers) Create(ctx context.Context, key string, data []byte) (Value, error) {
	if data == nil {
		data = []byte{}
	}
	if err := r.fits(key, data); err != nil {
		return Value{}, err
	}
	return r.change(ctx, key, wish{when: condition{what: whenAbsent}, decide: func(v Value) ([]byte, bool, error) {
		if v.Found {
			return nil, false, &ConflictError{Key: key, Current: v}
		}
		return data, true, nil
	}})
}

// Change sets key to what next makes of its current value, and returns what it then holds. A nil result deletes. Next
// may be called several times, one after the other, each time with a value that may turn out not to be the one that is
// changed; one of the results is set, once. It should be quick, and must not block, nor change the same key. If it returns an error nothing is
// changed, and Change returns that error untouched; what it was given is then what the key did hold.
//
// The other errors are an [*UnknownError], or as for Read. It costs as much as [Registers.CompareAndSet].
func (r *Registers) Change(ctx context.Context, key string, next func(current Value) ([]byte, error)) (Value, error) {
	if next == nil {
		return Value{}, errNoChange
	}
	return r.change(ctx, key, r.changing(key, next))
}

func read(Value) ([]byte, bool, error) { return nil, false, nil }

// changing is the wish of a change; a result that is too large is refused.
func (r *Registers) changing(key string, next func(Value) ([]byte, error)) wish {
	return wish{when: condition{what: whenHeld}, decide: func(v Value) ([]byte, bool, error) {
		data, err := next(v)
		if err == nil {
			err = r.fits(key, data)
		}
		return data, err == nil, err
	}}
}

func (r *Registers) fits(key string, data []byte) error {
	if n := len(data); n > r.maxValue() {
		return &TooLargeError{Key: key, Size: n, Limit: r.maxValue()}
	}
	return nil
}

func (r *Registers) timeout() time.Duration { return cmp.Or(max(r.Timeout, 0), DefaultTimeout) }
func (r *Registers) maxValue() int          { return cmp.Or(max(r.MaxValue, 0), DefaultMaxValue) }
