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
	// If zero, vclock.NewReplicaID("replica").
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

	// Retain bounds the bytes of the records that are kept after they were settled (see
	// [Store.Settle]): a replica that was away for no more than those takes them up where
	// it was, and one that was away for longer is emptied ([Store.Adopt]). A record has about
	// 60 bytes for each key that was deleted, and at most as many as a message. The last one
	// is kept whatever its size. If zero, 16 MiB.
	Retain int

	// MaxPending bounds the bytes of deltas that wait in one [Store.Updates] range;
	// past it a delta is replaced by nil. If zero, 8 MiB.
	MaxPending int
}

// A Store keeps the state of many keys in memory and is safe for concurrent use.
// Make one with [New].
type Store struct {
	kinds      *crdt.Kinds
	base       vclock.ReplicaID // the first identity, of which the later ones are made
	clock      *vclock.HLC
	now        func() time.Time
	maxPending int
	retain     int
	table      table
	index      index
	hub        hub

	era       atomic.Pointer[era]
	turning   sync.Mutex    // held by who replaces the era; taken before the lock of any entry
	writers   uint64        // how many identities there were; under turning
	proposals atomic.Uint64 // how many were made
	leaving   leaving
}

// New returns an empty store.
func New(cfg Config) *Store {
	replica := cfg.Replica
	if replica.IsZero() {
		replica = vclock.NewReplicaID("replica")
	}
	kinds := cfg.Kinds
	if kinds == nil {
		kinds = crdt.Standard()
	}
	clock := &vclock.HLC{Replica: replica, MaxDrift: cfg.MaxDrift, Now: cfg.Now}
	s := &Store{
		kinds:      kinds,
		base:       replica,
		clock:      clock,
		now:        cfg.Now,
		maxPending: cmp.Or(cfg.MaxPending, 8<<20),
		retain:     cmp.Or(cfg.Retain, 16<<20),
		index:      newIndex(cfg.Secret),
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.table.seed = maphash.MakeSeed()
	s.era.Store(&era{writer: replica})
	return s
}

// Replica is the identity under which this store writes to keys that it makes. After
// a record was settled ([Store.Settle]) it is another: a key that is made anew, after it
// was forgotten, must not number its events as before.
func (s *Store) Replica() vclock.ReplicaID { return s.era.Load().writer }

// nextWriter returns an identity that was never used. s.turning is held.
func (s *Store) nextWriter() vclock.ReplicaID {
	if planted.Bug == planted.IdentityKept {
		return s.base
	}
	s.writers++
	return vclock.Named(fmt.Sprintf("%v incarnation %d", s.base, s.writers))
}

// Clock is the clock that stamps this store's writes. It has observed every
// timestamp that was merged.
func (s *Store) Clock() *vclock.HLC { return s.clock }

// Load returns the encoded state of key: nil, nil where the store holds nothing.
// A deleted key still has a state, what is left of its causal history. The bytes
// are canonical (equal states, equal bytes) and belong to the caller. It costs
// one encoding of the state, under the key's lock.
//
// Errors: *[EncodeError], and ctx's error if ctx has ended.
func (s *Store) Load(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e, a := s.lookup(key)
	if e == nil {
		return nil, nil
	}
	defer e.mu.Unlock()
	value, err := e.encode(nil)
	if len(value) == 0 || err != nil {
		return nil, err
	}
	return a.at.seal(value), nil
}

// encode appends the state of the locked entry to dst.
func (e *entry) encode(dst []byte) ([]byte, error) {
	b, err := e.value.AppendBinary(dst)
	if err != nil {
		return nil, &EncodeError{Key: e.key, Err: err}
	}
	return b, nil
}

// Merge joins an encoded state, which may be a delta, into key, and returns the
// encoded part of it that was new here: empty when nothing was, and then nobody is
// notified and the index stays as it is. The state is not kept and may be reused;
// the result belongs to the caller. It costs O(state), whatever the size of what
// the key holds.
//
// A refused state changes nothing. Refused are bytes that do not decode
// (*[crdt.CorruptError], [crdt.ErrVersion] and the like), a state with a
// timestamp further ahead than Config.MaxDrift (*[vclock.DriftError]), one from a
// replica that knows nothing of what this one has forgotten since (*[StaleError]), and
// one with writes of a departed replica that nobody else had, for as long as a record is
// being agreed on that says it left none (*[crdt.HandoverError]); ctx's error, if ctx has
// ended, is returned as it is. A local write that follows a merge gets a timestamp later
// than any that was merged.
func (s *Store) Merge(ctx context.Context, key string, state []byte) (novel []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(state) == 0 {
		return nil, nil
	}
	at, value, err := unseal(state)
	if err != nil {
		return nil, fmt.Errorf("store: merge %q: %w", key, err)
	}
	in, err := s.accept(value)
	if err != nil {
		return nil, fmt.Errorf("store: merge %q: %w", key, err)
	}
	s.meet(at)
	e, a := s.acquire(key)
	done := true
	defer func() { s.leave(e, done, false) }()
	in, err = s.lift(a, at, key, in)
	if err != nil {
		return nil, fmt.Errorf("store: merge %q: %w", key, err)
	}
	if err := s.keepsPromise(a, e, in); err != nil {
		return nil, fmt.Errorf("store: merge %q: %w", key, err)
	}
	done = false
	part, changed := e.value.MergeNovel(in)
	if !changed {
		done = true
		return nil, nil
	}
	novel, err = part.AppendBinary(nil)
	done = true
	return s.commit(e, a, novel, err, false)
}

// accept decodes a state and lets the clock observe it.
func (s *Store) accept(state []byte) (*crdt.Value, error) {
	v, err := s.kinds.Decode(state)
	if err != nil {
		return nil, err
	}
	if latest := v.Latest(); !latest.IsZero() {
		if err := s.clock.Observe(latest); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Join merges two encoded states, of which either may be empty, into one. It
// changes no key; the clock observes what it accepts. It refuses what Merge would refuse, so that whoever collects the
// answers of several replicas leaves out the one whose clock is far ahead in place
// of handing on what nobody will take. It fails as [crdt.Kinds.Join] does, and with
// a *[vclock.DriftError]. The result may be one of the arguments.
func (s *Store) Join(a, b []byte) ([]byte, error) {
	switch {
	case len(a) == 0:
		a, b = b, a
		fallthrough
	case len(b) == 0:
		_, _, err := s.open(a)
		return a, joining(err)
	}
	av, v, err := s.open(a)
	if err != nil {
		return nil, joining(err)
	}
	bv, w, err := s.open(b)
	if err != nil {
		return nil, joining(err)
	}
	at := av
	if bv.compare(av) < 0 {
		at = bv
	}
	if !v.Merge(w) && at == av {
		return a, nil
	}
	value, err := v.AppendBinary(nil)
	return at.seal(value), joining(err)
}

func joining(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: join: %w", err)
}

// open returns what is in a state that Merge would not refuse, and its generation.
func (s *Store) open(state []byte) (at stamp, v *crdt.Value, err error) {
	at, value, err := unseal(state)
	if err != nil {
		return at, nil, err
	}
	if a := s.era.Load(); !a.admits(at) {
		return at, nil, a.stale(at)
	}
	v, err = s.accept(value)
	return at, v, err
}

// Delete resets everything that key holds here: exactly what this store has seen
// goes, and what others wrote concurrently stays. It returns the encoded delta, to
// be merged elsewhere; nil when there was nothing to delete.
//
// The key keeps its causal residue, which is what makes the deletion travel and a
// later re-creation safe: it stays in the index and in [Store.Load], while
// [Store.View] and [Store.Keys] no longer show it.
//
// Errors: [crdt.ErrGrowOnly] where a value cannot be reset (then nothing changes),
// *[EncodeError].
func (s *Store) Delete(key string) (delta []byte, err error) {
	e, a := s.lookup(key)
	if e == nil {
		return nil, nil
	}
	done := true
	defer func() { s.leave(e, done, true) }()
	if e.value.Empty() {
		return nil, nil
	}
	done = false
	d, err := e.value.Reset()
	if err != nil {
		done = true
		return nil, fmt.Errorf("store: delete %q: %w", key, err)
	}
	delta, err = d.AppendBinary(nil)
	done = true
	if err == nil && len(delta) == 0 {
		return nil, nil
	}
	return s.commit(e, a, delta, err, true)
}

// commit makes a change of the locked entry known. delta is its encoding, or err
// says that there is none.
func (s *Store) commit(e *entry, a *era, delta []byte, err error, local bool) ([]byte, error) {
	if err != nil {
		s.changed(e, nil, local)
		return nil, &EncodeError{Key: e.key, Err: err}
	}
	delta = a.at.seal(delta)
	s.changed(e, delta, local)
	return delta, nil
}

// changed tells the index and the followers of a change of the locked entry. A nil
// delta says that there was none to be had.
func (s *Store) changed(e *entry, delta []byte, local bool) {
	s.table.touched(e, s.now)
	s.hub.publish(e.key, delta, local)
}

// leave unlocks e. Unless done, foreign code was left by a panic (or a Goexit)
// half way: whatever it did to the value has happened, so it is made known.
func (s *Store) leave(e *entry, done, local bool) {
	defer e.mu.Unlock()
	if !done {
		s.changed(e, nil, local)
	}
	if !e.written {
		s.table.discard(e)
	}
}
