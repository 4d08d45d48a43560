package store

import (
	"context"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/large"
	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// Seen says in few bytes what this store has seen of key, for [Store.LoadSince] of another one: which events, and a
// hash of the rest. It returns nothing where that is not worth its while: where there is no such key, where nothing in it
// is large (see [crdt.Value.Large]; so [Store.Index] must have been called since the key came to be), and where it
// would not be much shorter than the state. It costs O(events seen, as runs, and what no events can tell of), under the
// key's lock. The bytes belong to the caller. Two stores need one Config.Secret for it to be of much use.
//
// Errors: *[EncodeError], and ctx's error if ctx has ended.
func (s *Store) Seen(ctx context.Context, key string) ([]byte, error) {
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
	defer e.mu.Unlock()
	parts := e.value.Large()
	if parts == 0 {
		return nil, nil
	}
	_, hash, err := s.rest(e)
	if err != nil {
		return nil, err
	}
	contexts := e.value.Contexts()
	if planted.Bug == planted.OverSeen {
		contexts = ahead(contexts)
	}
	seen := (&digest{at: a.at.plainly(), rest: hash, contexts: contexts}).encode()
	if len(seen) > large.Seen*parts {
		return nil, nil
	}
	return seen, nil
}

// LoadSince returns what a store lacks of key that returned seen, as a state: to merge it there has the effect of
// merging all of it, also if that store has gone on since. It is nothing if nothing is lacking, and the whole state, as
// by [Store.Load], if seen is nothing, of another generation or of another form. Of types without a causal context it
// has the whole, unless both have the same of all of them. It costs O(seen + what is returned), and at most O(state).
// The result belongs to the caller; seen is not kept.
//
// Errors: *[crdt.CorruptError] and the like if seen does not decode; *[EncodeError]; ctx's error if ctx has ended.
func (s *Store) LoadSince(ctx context.Context, key string, seen []byte) ([]byte, error) {
	if len(seen) == 0 {
		return s.Load(ctx, key)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, err := decodeDigest(seen)
	if err != nil {
		return nil, fmt.Errorf("store: load %q since: %w", key, err)
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	e, a, err := s.lookup(key)
	if e == nil || err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	value, err := s.encodeSince(e, a, d)
	if err != nil {
		return nil, err
	}
	return a.at.seal(value), nil
}

// encodeSince encodes what the locked entry has beyond d.
func (s *Store) encodeSince(e *entry, a *era, d *digest) ([]byte, error) {
	if d.at != a.at.plainly() {
		return e.encode(nil)
	}
	rest, hash, err := s.rest(e)
	if err != nil {
		return nil, err
	}
	delta := e.value.Delta(d.contexts)
	if hash == d.rest { // they have that already
		delta, _ = rest.MergeNovel(delta)
	}
	b, err := delta.AppendBinary(nil)
	if err != nil {
		return nil, &EncodeError{Key: e.key, Err: err}
	}
	return b, nil
}

// rest returns what no events tell of in the locked entry, which is what it would send to one who has seen them all:
// what has ended, and types without events. Its hash is 0 if that is nothing.
func (s *Store) rest(e *entry) (*crdt.Value, uint64, error) {
	rest := e.value.Delta(e.value.Contexts())
	b, err := rest.AppendBinary(nil)
	if err != nil {
		return nil, 0, &EncodeError{Key: e.key, Err: err}
	}
	if len(b) == 0 {
		return rest, 0, nil
	}
	_, lo := s.index.hash(b)
	return rest, lo, nil
}

// A digest is what a store has seen of a key. If one store has the rest that another has a hash of, and all of the
// events, it lacks nothing. Its wire form is an array of
//
//	[version, number, id, hash, contexts]
//
// with the two numbers of the generation, genesis for a store that has met nobody, and the contexts as bytes.
type digest struct {
	at       stamp
	rest     uint64
	contexts *crdt.Contexts
}

const (
	formSeen    = "seen"
	seenVersion = 1
)

// plainly is the stamp of states that carry none.
func (s stamp) plainly() stamp {
	if s.isPlain() {
		return genesis
	}
	return s
}

func (d *digest) encode() []byte {
	contexts, _ := d.contexts.AppendBinary(nil) // it does not fail
	w := wire.NewWriter(make([]byte, 0, len(contexts)+32))
	w.Array(5)
	w.Uint(seenVersion)
	w.Uint(d.at.number)
	w.Uint(d.at.id)
	w.Uint(d.rest)
	w.Bytes(contexts)
	return w.Done()
}

// decodeDigest returns a digest of no generation for a later form.
func decodeDigest(b []byte) (*digest, error) {
	r, err := wire.NewReader(b)
	if err != nil {
		return nil, corrupt(formSeen, err)
	}
	n := r.Array()
	if v := r.Uint(); r.Err() == nil && v > seenVersion {
		return new(digest), nil
	} else if v != seenVersion || n != 5 {
		r.Fail("unknown form")
	}
	d := &digest{at: stamp{r.Uint(), r.Uint()}, rest: r.Uint(), contexts: new(crdt.Contexts)}
	contexts := r.Bytes()
	if at, ok := d.at.known(); !ok || at.isZero() {
		r.Fail("no generation")
	}
	if err := corrupt(formSeen, r.Close()); err != nil {
		return nil, err
	}
	if err := d.contexts.UnmarshalBinary(contexts); err != nil {
		return nil, err
	}
	return d, nil
}

// ahead claims one event more of each kind than was seen.
func ahead(seen *crdt.Contexts) *crdt.Contexts {
	for _, c := range seen.All() {
		for span := range c.Clone().All() {
			c.Add(vclock.Dot{Replica: span.Replica, Seq: span.Hi + 1})
			break
		}
	}
	return seen
}
