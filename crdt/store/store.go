package store

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/vclock"
)

// Config is what a [Store] is made of. The zero value is a store of the standard
// kinds under a fresh replica identity.
type Config struct {
	// Replica names the writer. It must never have written under this name before
	// in another store or process, because a store in memory forgets which events
	// it numbered: use [vclock.NewReplicaID] at each start, and [vclock.Named] only
	// where a store lives as long as all that it wrote (a test).
	// If zero, vclock.NewReplicaID("replica"). On disk ([Open]) it only names the store, which
	// begins under an identity that nobody ever had: give the same name at each Open, or none, since with another
	// one it takes another identity.
	Replica vclock.ReplicaID

	// Kinds are the types that values may have. All replicas of a cluster need the
	// same. Types of your own work best if they are a [crdt.Decomposable] where they grow
	// large (without it, each change has the index encode and hash the whole), and with all of the methods Empty (without it,
	// each write encodes the state to find out), MergeNovel (without it, a merge
	// passes on the whole of what it was given) and Reset (without it, a key cannot
	// be deleted). If nil, [crdt.Standard].
	Kinds *crdt.Kinds

	// Secret keys the fingerprints of the index. Stores with different secrets
	// have different fingerprints for equal states; with a secret that outsiders
	// do not know, they cannot construct states whose fingerprints collide.
	// If empty, the fingerprints are keyed with the empty secret: fine among
	// writers who trust one another.
	Secret []byte

	// Now is the physical clock behind the timestamps. If nil, time.Now.
	Now func() time.Time

	// MaxDrift is how far ahead of this clock a merged timestamp may be; [Store.Merge]
	// refuses what is further ahead. If zero, one minute.
	MaxDrift time.Duration

	// Grace is how long after its deadline a key is swept ([Store.Sweep]): longer than a deadline that is put off takes to
	// arrive everywhere, and than clocks differ. If zero, one minute; if negative, none.
	Grace time.Duration

	// Retain bounds the bytes of the records that are kept after they were settled (see
	// [Store.Settle]): a replica that was away for no more than those takes them up where
	// it was, and one that was away for longer is emptied ([Store.Adopt]). A record has about
	// 60 bytes for each key that was deleted, and at most as many as a message. The last one
	// is kept whatever its size. If zero, 16 MiB.
	Retain int

	// Sync says when a write to a [Backend] is durable, see [Open]. If zero, each call waits until what it wrote is: what
	// was acknowledged is there after a power cut. If positive, calls do not wait, and what they wrote is durable after
	// that time at the latest: a crash of the machine, and with some backends one of the process, takes away what is
	// younger. If negative, it is durable whenever the backend likes, and after [Store.Close].
	Sync time.Duration

	// Cache bounds the bytes of values that are held in memory beside a [Backend], counted as they are encoded and with
	// 64 bytes each; in memory a value takes a small multiple of that. What is in the index, about 250 bytes and the
	// key, is held for each key in any case. If zero, 64 MiB.
	Cache int64

	// NewReplica makes an identity that nobody ever had, for when the store takes another one ([Events]). It is called
	// with locks held, as Now may be, so it must not call the store. If nil,
	// [vclock.NewReplicaID] with the beginning of Replica.
	NewReplica func() vclock.ReplicaID

	// Events are told of what happens. All are optional.
	Events Events

	// MaxWatched bounds the keys that wait in one [Store.Watch] range; past it they are replaced by one that stands for
	// all. If zero, 65,536.
	MaxWatched int

	// MaxPending bounds the bytes of deltas that wait in one [Store.Updates] range;
	// past it a delta is replaced by nil. If zero, 8 MiB.
	MaxPending int
}

// A Store keeps the state of many keys and is safe for concurrent use. Make one in memory with [New], and one on disk
// with [Open].
type Store struct {
	kinds      *crdt.Kinds
	named      vclock.ReplicaID // as the program calls it, zero if it does not
	clock      *vclock.HLC
	now        func() time.Time
	fresh      func() vclock.ReplicaID
	events     Events
	maxPending int
	maxWatched int
	retain     int
	table      table
	index      *index
	hub        hub
	disk       *disk
	cache      cache
	life       life
	reports    reports
	deadlines  deadlines
	dates      bool // keys may have deadlines
	grace      time.Duration
	snapshots  atomic.Pointer[[]*Snapshot] // those that are open; replaced, never edited

	era       atomic.Pointer[era]
	turning   sync.Mutex    // held by who replaces the era; taken before the lock of any entry
	writers   uint64        // how many identities there were; under turning
	proposals atomic.Uint64 // how many were made
	leaving   leaving
	rotations atomic.Uint64
	damages   atomic.Uint64
}

// New returns an empty store in memory.
func New(cfg Config) *Store {
	s := newStore(cfg)
	replica := cfg.Replica
	if replica.IsZero() {
		replica = s.fresh()
	}
	s.begins(&era{base: replica, writer: replica})
	return s
}

// newStore returns a store that is nobody yet.
func newStore(cfg Config) *Store {
	s := &Store{
		kinds:      cfg.Kinds,
		named:      cfg.Replica,
		now:        cfg.Now,
		fresh:      cfg.NewReplica,
		events:     cfg.Events,
		maxPending: cmp.Or(cfg.MaxPending, 8<<20),
		maxWatched: cmp.Or(cfg.MaxWatched, 1<<16),
		retain:     cmp.Or(cfg.Retain, 16<<20),
		grace:      max(0, cmp.Or(cfg.Grace, time.Minute)),
		index:      newIndex(cfg.Secret),
	}
	if s.kinds == nil {
		s.kinds = crdt.Standard()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.fresh == nil {
		prefix := cmp.Or(cfg.Replica, vclock.Named("replica")).String()
		s.fresh = func() vclock.ReplicaID { return vclock.NewReplicaID(prefix[:min(6, len(prefix))]) }
	}
	s.dates = known[*crdt.Expiry](s.kinds) == nil
	s.clock = &vclock.HLC{Replica: cfg.Replica, MaxDrift: cfg.MaxDrift, Now: cfg.Now}
	s.life.left.L = &s.life.mu
	s.table.seed = maphash.MakeSeed()
	return s
}

// begins has the store be somebody, before anybody uses it.
func (s *Store) begins(a *era) {
	s.clock.Replica = a.base
	s.era.Store(a)
}

// Replica is the identity under which this store writes to keys that it makes. After
// a record was settled ([Store.Settle]) or keys discarded ([Store.Discard]) it is another: a key that is made anew, after it
// was forgotten, must not number its events as before.
func (s *Store) Replica() vclock.ReplicaID { return s.era.Load().writer }

// nextWriter returns an identity of the same base that was never used. s.turning is held.
func (s *Store) nextWriter(base vclock.ReplicaID) vclock.ReplicaID {
	if planted.Bug == planted.IdentityKept {
		return base
	}
	s.writers++
	return vclock.Named(fmt.Sprintf("%v incarnation %d", base, s.writers))
}

// Clock is the clock that stamps this store's writes. It has observed every
// timestamp that was merged.
func (s *Store) Clock() *vclock.HLC { return s.clock }

// Load returns the encoded state of key: nil, nil where the store holds nothing.
// A deleted key still has a state, what is left of its causal history. The bytes
// are canonical (equal states, equal bytes) and belong to the caller. It costs
// one encoding of the state, under the key's lock. Where writes return when they are durable (Config.Sync), so does
// Load, if the value was changed by one that is still waited for, which it waits for too: what it has told of, a crash
// does not take back. ([View], and a [Snapshot], wait for nothing.)
//
// Errors: *[EncodeError], ctx's error if ctx has ended, and those of a disk ([Open]).
func (s *Store) Load(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	e, a, err := s.lookup(key)
	if e == nil || err != nil {
		return nil, err
	}
	value, flight, err := e.told()
	if flight != nil && err == nil {
		err = flight.wait(ctx)
	}
	if len(value) == 0 || err != nil {
		return nil, err
	}
	return a.at.seal(value), nil
}

// told unlocks the entry, and returns what is to be told of it, and what has to land before.
func (e *entry) told() (value []byte, f *flight, err error) {
	defer e.mu.Unlock()
	value, err = e.encode(nil)
	return value, e.flight.Load(), err
}

// encode appends the state of the locked entry to dst.
func (e *entry) encode(dst []byte) ([]byte, error) {
	b, err := e.value.AppendBinary(dst)
	if err != nil {
		return nil, &EncodeError{Key: e.key, Err: err}
	}
	return b, nil
}
