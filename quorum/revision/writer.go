package revision

import (
	"context"
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/quorum"
)

// A Quorum reads and writes keys. A *quorum.Coordinator is one, and so is a *session.Session over one.
type Quorum interface {
	Read(ctx context.Context, key string, opts quorum.ReadOptions) (quorum.ReadResult, error)
	Write(ctx context.Context, key string, delta []byte, opts quorum.WriteOptions) (quorum.WriteResult, error)
}

// A Writer writes keys on the condition that they are what was read. Rivals at one Writer take turns by key; of rivals
// at Writers of different nodes several may succeed, and what they wrote is merged: see the package.
//
// Its fields are set before the first call. It is then safe for concurrent use, and must not be copied.
type Writer struct {
	// Quorum is asked. It must be set.
	Quorum Quorum
	// Join merges states, as it does for the Quorum. It must be set.
	Join quorum.Join
	// Content returns what is in a state, as far as it matters whether that is the same: nothing, if the key is to count
	// as one that holds nothing. It must depend on the state alone, be alike on all nodes, and neither change nor keep the
	// state. If nil, it is the state itself.
	Content func(state []byte) ([]byte, error)

	turns turns
}

// majorities are reads that contain what majorities have acknowledged, and go back behind no other.
var majorities = quorum.ReadOptions{
	Level: quorum.Majority, Fallbacks: quorum.FallbacksNone, Repair: quorum.RepairBlocking, NotFound: quorum.NotFoundCounts,
}

// Revision returns the revision of a state that was read by other means: at a lower level, say. A state that is stale has
// one that a later Write will not find.
func (w *Writer) Revision(state []byte) (Revision, error) {
	if w.Content == nil || len(state) == 0 {
		return of(state), nil
	}
	content, err := w.Content(state)
	if err != nil {
		return Revision{}, fmt.Errorf("revision: content: %w", err)
	}
	return of(content), nil
}

// Read reads a key at a majority, whatever its bucket says, and returns its revision. The errors are those of the
// Quorum and of Content.
func (w *Writer) Read(ctx context.Context, key string) (quorum.ReadResult, Revision, error) {
	if w.Quorum == nil {
		return quorum.ReadResult{}, Revision{}, errNoQuorum
	}
	res, err := w.Quorum.Read(ctx, key, majorities)
	switch {
	case err != nil:
		return quorum.ReadResult{}, Revision{}, err
	case res.Stale: // a bucket may say that less will do
		return quorum.ReadResult{}, Revision{}, stale(key, &res)
	}
	r, err := w.Revision(res.State)
	return res, r, err
}

// stale is the refusal of a read that fewer than a majority have answered, or hold.
func stale(key string, res *quorum.ReadResult) error {
	need := res.Owners/2 + 1
	return &quorum.UnavailableError{Refusal: quorum.Refusal{
		Op: quorum.OpRepair, Key: key, Level: quorum.Majority, Condition: "owners",
		Needed: need, Answered: min(res.Answered, need-1), Owners: res.Owners,
	}}
}

// Write reads key at a majority, and if its revision is expected writes what delta makes of its state, to as many owners as
// opts say, a majority at least. It returns the revision of that state with the delta in it, which is what the key has
// unless a rival was there; see the package for how to find out. Otherwise it returns a [*ConflictError], with what the key
// holds, and delta is not called.
//
// Delta is called once at most, while others that write this key wait: it should be quick, and must not write the key
// itself. It gets the state that was expected, empty if there is none, and should take the place of that and of no
// more; it must not change or keep it. It may apply the delta to the node's own replica, with opts.Applied set: that
// is where events are numbered. What it has applied stays there and spreads, whatever comes of the rest. If it
// returns an error that passes, and if it returns an empty delta nothing is written, and the revision is as it was.
//
// Level is Majority, if zero, EachMajority or All; a *[quorum.LevelError] refuses others. Where others may stand in
// for owners, a majority must be owners all the same: Primary becomes Majority if it is zero, whatever the bucket of the
// key says, or One. EachMajority and All stay, being more. All else is refused, since it may ask for more and for less. An
// [*UnknownError] says that the delta was sent; with all other errors nothing was.
func (w *Writer) Write(ctx context.Context, key string, expected Revision,
	delta func(state []byte) ([]byte, error), opts quorum.WriteOptions) (quorum.WriteResult, Revision, error) {
	if err := w.prepare(&opts); err != nil {
		return quorum.WriteResult{}, Revision{}, err
	}
	leave, err := w.turns.take(ctx, key)
	if err != nil {
		return quorum.WriteResult{}, Revision{}, err
	}
	defer leave()
	read, current, err := w.Read(ctx, key)
	switch {
	case err != nil:
		return quorum.WriteResult{}, Revision{}, err
	case current != expected:
		return quorum.WriteResult{}, Revision{}, &ConflictError{Key: key, Expected: expected, Current: current, State: read.State}
	}
	d, err := delta(read.State)
	switch {
	case err != nil:
		return quorum.WriteResult{}, Revision{}, err
	case len(d) == 0:
		return quorum.WriteResult{Answered: read.Answered, Owners: read.Owners}, current, nil
	}
	return w.write(ctx, key, read.State, d, opts)
}

// prepare has a write be such that reads at a majority meet it.
func (w *Writer) prepare(opts *quorum.WriteOptions) error {
	if w.Join == nil {
		return errNoJoin
	}
	switch opts.Level {
	case quorum.Default:
		opts.Level = quorum.Majority
	case quorum.Majority, quorum.EachMajority, quorum.All:
	default:
		return &quorum.LevelError{Level: opts.Level, Reason: "a conditional write is met by reads at a majority"}
	}
	switch opts.Primary {
	case quorum.Default, quorum.One: // which a majority contains
		opts.Primary = quorum.Majority
	case quorum.Majority, quorum.EachMajority, quorum.All:
	default:
		return &quorum.LevelError{Level: opts.Primary, Reason: "a conditional write is held by a majority of owners themselves, or by each majority, or by all"}
	}
	return nil
}

// write writes a delta over a state. It is joined first: what cannot be is not sent.
func (w *Writer) write(ctx context.Context, key string, state, delta []byte, opts quorum.WriteOptions) (quorum.WriteResult, Revision, error) {
	after, err := w.Join(state, delta)
	if err != nil {
		return quorum.WriteResult{}, Revision{}, err
	}
	next, err := w.Revision(after)
	if err != nil {
		return quorum.WriteResult{}, Revision{}, err
	}
	res, err := w.Quorum.Write(ctx, key, delta, opts)
	if err == nil {
		return res, next, nil
	}
	if _, unsent := errors.AsType[*quorum.LevelError](err); !unsent {
		err = &UnknownError{Key: key, Delta: delta, Revision: next, Err: err}
	}
	return res, Revision{}, err
}
