package store

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/eventual-go/eventual/crdt"
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

	// MaxPending bounds the bytes of deltas that wait in one [Store.Updates] range;
	// past it a delta is replaced by nil. If zero, 8 MiB.
	MaxPending int
}

// A Store keeps the state of many keys in memory and is safe for concurrent use.
// Make one with [New].
type Store struct {
	kinds      *crdt.Kinds
	writer     Writer
	maxPending int
	table      table
	index      index
	hub        hub
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
		writer:     Writer{Replica: replica, clock: clock},
		maxPending: cmp.Or(cfg.MaxPending, 8<<20),
		index:      newIndex(cfg.Secret),
	}
	s.table.seed = maphash.MakeSeed()
	return s
}

// Replica is the identity under which this store writes.
func (s *Store) Replica() vclock.ReplicaID { return s.writer.Replica }

// Clock is the clock that stamps this store's writes. It has observed every
// timestamp that was merged.
func (s *Store) Clock() *vclock.HLC { return s.writer.clock }

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
	e := s.table.lookup(key)
	if e == nil {
		return nil, nil
	}
	defer e.mu.Unlock()
	state, err := e.encode(nil)
	if len(state) == 0 || err != nil {
		return nil, err
	}
	return state, nil
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
// (*[crdt.CorruptError], [crdt.ErrVersion] and the like) and a state with a
// timestamp further ahead than Config.MaxDrift (*[vclock.DriftError]); ctx's
// error, if ctx has ended, is returned as it is. A local write that follows a
// merge gets a timestamp later than any that was merged.
func (s *Store) Merge(ctx context.Context, key string, state []byte) (novel []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(state) == 0 {
		return nil, nil
	}
	in, err := s.accept(state)
	if err != nil {
		return nil, fmt.Errorf("store: merge %q: %w", key, err)
	}
	e := s.table.acquire(key)
	done := false
	defer func() { s.leave(e, done, false) }()
	part, changed := e.value.MergeNovel(in)
	if !changed {
		done = true
		return nil, nil
	}
	novel, err = part.AppendBinary(nil)
	done = true
	return s.commit(e, novel, err, false)
}

// accept decodes a state and lets the clock observe it.
func (s *Store) accept(state []byte) (*crdt.Value, error) {
	v, err := s.kinds.Decode(state)
	if err != nil {
		return nil, err
	}
	if latest := v.Latest(); !latest.IsZero() {
		if err := s.writer.clock.Observe(latest); err != nil {
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
	v, err := s.accept(a)
	if err != nil {
		return nil, fmt.Errorf("store: join: %w", err)
	}
	w, err := s.accept(b)
	if err != nil {
		return nil, fmt.Errorf("store: join: %w", err)
	}
	switch {
	case !v.Merge(w):
		return a, nil
	case len(a) == 0:
		return b, nil
	}
	return v.AppendBinary(nil)
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
	e := s.table.lookup(key)
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
	return s.commit(e, delta, err, true)
}

// commit makes a change of the locked entry known. delta is its encoding, or err
// says that there is none.
func (s *Store) commit(e *entry, delta []byte, err error, local bool) ([]byte, error) {
	if err != nil {
		s.changed(e, nil, local)
		return nil, &EncodeError{Key: e.key, Err: err}
	}
	s.changed(e, delta, local)
	return delta, nil
}

// changed tells the index and the followers of a change of the locked entry. A nil
// delta says that there was none to be had.
func (s *Store) changed(e *entry, delta []byte, local bool) {
	s.table.touched(e)
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
