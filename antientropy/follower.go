package antientropy

import (
	"context"
	"iter"
	"time"
)

// A Follower is what a [Store] may offer besides, if it can forget: what deletions
// leave behind, say, once every replica has it. crdt/store.Store is one, and package
// storetest checks one of your own.
//
// What is to be forgotten comes in records, on each of which all replicas agree before
// any forgets it; see [Epoch]. To settle a record is to merge what it names and then to
// forget that. The records follow one another, the same at every replica, and each leads
// a store from one generation to the next.
//
// A store of a later generation cannot tell what it has forgotten from what it has never
// seen. So every state that leaves the store, by Load, as a delta or as what was novel,
// says of which generation it is, and Merge looks at that. One of the store's own
// generation is merged. To one of an earlier generation what the records since then name
// is applied first, so that it brings nothing back; this takes those records, of which a
// store keeps the last ones. One of the generation that the store promised to go on to
// next ([Collector]) is merged. Any other is refused, by an error that concerns its key.
// Fingerprints do not depend on generations.
type Follower interface {
	// Generation names the records that were settled: stores have equal ones if and
	// only if they settled the same. It is empty until the store has met another: while
	// all that it holds was written here and nothing of another store was ever merged. It
	// has at most 128 bytes. More records should make it greater, in byte order.
	Generation() string

	// Since returns the records that lead from a generation to the present one, the
	// oldest first, as many as have limit bytes together, but always one if there is one.
	// There is none, and ok is true, if it is the present generation; ok is false if the
	// way from there is not known, or not any more.
	Since(generation string, limit int) (records [][]byte, ok bool)

	// Settle applies the record that follows the present generation, whatever the store
	// holds, and does nothing if it was applied before. Any other is an error and changes
	// nothing. What is written to a key that was forgotten, and is made again, must never
	// be taken for what it had before.
	Settle(ctx context.Context, record []byte) error

	// Adopt takes on a generation without the records that lead there. A store that has
	// met no other keeps what it holds; an empty generation has it enter the first one of
	// all. Any other store becomes empty: aside yields what it held, each key with
	// its state, once, at any time later. Then an empty generation, or the present one,
	// changes nothing.
	Adopt(ctx context.Context, generation string) (aside iter.Seq2[string, []byte], err error)
}

// A Collector is what a [Follower] offers besides if it takes part in finding out what
// can be forgotten: the members of an [Epoch] do. [Collection] says in which order.
type Collector interface {
	// Propose returns a proposal of what to forget next: of what can be forgotten, and was
	// not written to for so long. Neither it nor the record that comes of it has more
	// than limit bytes. It is nil if there is nothing. No two proposals are ever equal, also
	// if they name the same: by what was prepared a member knows what may come of it.
	Propose(limit int, quiet time.Duration) (proposal []byte)

	// Prepare merges what a proposal names, and promises to go on with it: only the last
	// proposal that was prepared can be concluded here. It is an error if the proposal is
	// not on top of the present generation. An empty proposal takes back what was promised,
	// if anything was: nothing came of it, and nothing will. A [Collection] asks for that once
	// all members have said that they are of one epoch and of this generation, and a node
	// that is no member any more does so by itself.
	Prepare(ctx context.Context, proposal []byte) (reply []byte, err error)

	// Conclude makes a record of a proposal that every member has prepared, with the
	// replies of all of them, and settles it here. The record is nil if nothing came of
	// it. It is an error if something else was prepared or settled since.
	Conclude(ctx context.Context, proposal []byte, replies [][]byte) (record []byte, err error)
}
