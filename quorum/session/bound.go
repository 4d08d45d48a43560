package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/eventual-go/eventual/quorum"
)

// A Bound reads keys of which the answer may be stale, and by no more than some time: it contains
// every write that was acknowledged longer ago than that when the read began. Where the node's own
// replica is known to be fresh enough it is read, and nobody is asked; otherwise others are.
//
// Times are compared on one clock, that of the node. It is safe for concurrent use once its fields
// are set.
type Bound struct {
	// Quorum is asked.
	Quorum Quorum
	// Self is the node whose replica is read without asking others.
	Self nodeID
	// Within is how old an answer may be.
	Within time.Duration
	// Age returns how old this node's replica of a key is: all writes are here that were acknowledged
	// longer ago than that. It returns false if that is not known. Func [Age] computes it from what anti-entropy
	// has brought. If nil, it is never known.
	Age func(key string) (age time.Duration, known bool)
	// Otherwise is how keys are read where the replica is too old: such that reads share an owner
	// with every write. The zero value is a majority, for writes at a majority. What is left zero of Level, Fallbacks,
	// Repair and NotFound is as for a majority of owners, whatever the bucket of the key says.
	Otherwise quorum.ReadOptions
}

// Read reads a key. The errors are those of the Quorum: there is no answer that is older. So one that is stale, because
// Otherwise or the bucket of the key has a Least, is refused, by a [*quorum.UnavailableError].
//
// Others are asked, too, where the node's own replica fails, or does not answer: not in a quarter of the time until the
// deadline of ctx, or not before the Quorum gives up.
func (b *Bound) Read(ctx context.Context, key string) (quorum.ReadResult, error) {
	if b.Quorum == nil {
		return quorum.ReadResult{}, errNoQuorum
	}
	if !b.fresh(key) {
		return b.others(ctx, key)
	}
	res, err := b.own(ctx, key)
	_, gone := errors.AsType[*quorum.UnavailableError](err) // it is no owner any more, or its replica fails
	if (gone || errors.Is(err, context.DeadlineExceeded)) && ctx.Err() == nil {
		return b.others(ctx, key)
	}
	return res, err
}

// own reads the node's own replica, and leaves time for others.
func (b *Bound) own(ctx context.Context, key string) (quorum.ReadResult, error) {
	if end, ok := ctx.Deadline(); ok {
		within, stop := context.WithTimeout(ctx, time.Until(end)/4)
		defer stop()
		ctx = within
	}
	return b.Quorum.Read(ctx, key, quorum.ReadOptions{
		Level: quorum.One, Primary: quorum.One, Least: quorum.One, Fallbacks: quorum.FallbacksNone, Repair: quorum.RepairOff,
		NotFound: quorum.NotFoundCounts, After: []quorum.Holders{{Nodes: []nodeID{b.Self}}},
	})
}

// others reads a key as Otherwise says.
func (b *Bound) others(ctx context.Context, key string) (quorum.ReadResult, error) {
	opts := b.Otherwise
	opts.Level = cmp.Or(opts.Level, quorum.Majority)
	opts.Fallbacks = cmp.Or(opts.Fallbacks, quorum.FallbacksNone)
	opts.Repair = cmp.Or(opts.Repair, quorum.RepairBlocking)
	opts.NotFound = cmp.Or(opts.NotFound, quorum.NotFoundCounts)
	res, err := b.Quorum.Read(ctx, key, opts)
	if err == nil && res.Stale {
		return quorum.ReadResult{}, stale(key, opts.Level, &res)
	}
	return res, err
}

// stale is the refusal of a read that fewer owners than a majority have answered, or hold.
func stale(key string, level quorum.Level, res *quorum.ReadResult) error {
	need := res.Owners/2 + 1
	return &quorum.UnavailableError{Refusal: quorum.Refusal{
		Op: quorum.OpRepair, Key: key, Level: level, Condition: "owners",
		Needed: need, Answered: min(res.Answered, need-1), Owners: res.Owners,
	}}
}

func (b *Bound) fresh(key string) bool {
	if b.Age == nil {
		return false
	}
	age, known := b.Age(key)
	return known && age <= b.Within
}

// Age returns how old the replica of one owner is, for [Bound]. Of each of the other owners of the
// key, covered says of when everything is here that it held then; zero if that never was. That is
// PeerStats.Covered of an antientropy.Loop: when the last complete exchange with it began, and not when it ended. Writes
// are acknowledged by as many owners as acks says, at least: a replica has what was acknowledged
// before some moment if it has what so many others held then that no acks owners are without one
// of these and without the replica itself. It is false if it has not, and where acks are more than there are owners.
//
// Where owners change it holds of what majorities acknowledge, if acks is a majority: whoever is an owner has got that from the owners before. What
// fewer acknowledge may be with one who is an owner no more, and has not handed it over. And of owners of whom this
// node has not heard yet it knows nothing: it hears of them when it next asks any node for the ring.
func Age(now time.Time, covered []time.Time, acks int) (age time.Duration, known bool) {
	need := len(covered) + 1 - acks
	switch {
	case acks < 1 || need < 0:
		return 0, false
	case need == 0:
		return 0, true
	}
	latest := slices.Clone(covered)
	slices.SortFunc(latest, func(a, b time.Time) int { return b.Compare(a) })
	since := latest[need-1]
	return max(now.Sub(since), 0), !since.IsZero()
}
