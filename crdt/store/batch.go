package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/crdt"
)

// A Batch is a number of changes to be made together, see [Store.Apply]. The zero Batch is empty. It may be applied more
// than once. It is for one goroutine at a time.
type Batch struct{ steps []step }

// A step is one change of a batch.
type step struct {
	key    string
	remove bool
	whole  bool // it must be possible to reset the value
	dates  bool // it sets when the key ends
	known  func(k *crdt.Kinds) error
	change func(s *Store, e *entry, a *era) (delta []byte, err error)
}

// Put adds a change to a batch: what [Update] does with fn. Several changes of one key are made in their order.
func Put[P crdt.State[P]](b *Batch, key string, fn func(v P, by Writer) (delta P)) {
	b.steps = append(b.steps, step{
		key:   key,
		known: known[P],
		change: func(s *Store, e *entry, a *era) ([]byte, error) {
			v, err := crdt.Ensure[P](s.kinds, &e.value)
			if err != nil {
				return nil, err
			}
			by := s.writerOf(e, a)
			return encodeDelta(s.kinds, by, fn(v, by))
		},
	})
}

// Delete adds a deletion to a batch: what [Store.Delete] does.
func (b *Batch) Delete(key string) {
	b.steps = append(b.steps, step{key: key, remove: true, whole: true})
}

// Len is how many changes the batch has.
func (b *Batch) Len() int { return len(b.steps) }

// A BatchError says that a batch contradicts itself: it changes a key and deletes it. Nothing has changed.
type BatchError struct{ Key string }

// Error implements error.
func (e *BatchError) Error() string {
	return fmt.Sprintf("store: batch: %q is both changed and deleted", e.Key)
}

// Apply makes all changes of a batch in one step. Nobody sees some of them without the others: not who takes a
// [Store.Snapshot] meanwhile; not who opens the store after a crash; and not another store that gets them by the delta
// that is returned, or by [Store.Updates], since it merges them in one step too. Only where deltas do not arrive and
// stores are reconciled, key by key, may another store have some of them before the others, for a while. And [View]
// looks at one key: two views, one after the other, may see the state before and the one after.
//
// The locks of all keys are held while the functions run, in the order in which they were put. They are as for [Update]. If one
// panics, the changes that were made until then are in the store, and those after it are not.
//
// Errors: *[crdt.UnknownKindError], *[BatchError], [crdt.ErrGrowOnly] where a value cannot be reset (then nothing has
// changed); *[EncodeError], of the first change that has no encoding, while the others are made; those of a disk
// ([Open]).
func (s *Store) Apply(b *Batch) (Delta, error) {
	if err := s.begin(); err != nil {
		return Delta{}, err
	}
	defer s.end()
	keys, err := b.check(s.kinds)
	if err != nil || len(keys) == 0 {
		return Delta{}, err
	}
	delta, c, err := s.applyBatch(b, keys)
	return delta, s.finish(c, err)
}

// check returns the keys in ascending order.
func (b *Batch) check(k *crdt.Kinds) ([]string, error) {
	removed := make(map[string]bool)
	for _, st := range b.steps {
		if before, ok := removed[st.key]; ok && before != st.remove {
			return nil, &BatchError{st.key}
		}
		removed[st.key] = st.remove
		if st.known == nil {
			continue
		}
		if err := st.known(k); err != nil {
			return nil, fmt.Errorf("store: batch: %q: %w", st.key, err)
		}
	}
	keys := make([]string, 0, len(removed))
	for key := range removed {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, nil
}

// A group is a number of locked entries of one era, in ascending order of their keys, and what was changed in them.
type group struct {
	store   *Store
	era     *era
	entries []*entry
	deltas  [][][]byte // by entry
	begun   []bool     // by entry: it may have changed
	done    bool
	local   bool
}

// acquireAll returns the locked entries of keys, which are in ascending order, as lookups do that lock several: nobody
// waits in a circle.
func (s *Store) acquireAll(keys []string, local bool) (*group, error) {
	for {
		g := &group{store: s, local: local, done: true}
		for _, key := range keys {
			e, a, err := s.acquire(key)
			if err != nil {
				g.leave()
				return nil, err
			}
			g.entries = append(g.entries, e)
			if g.era == nil {
				g.era = a
			}
			if a.at != g.era.at || a.tenure != g.era.tenure || a.rotation != g.era.rotation || a.writer != g.era.writer {
				g.era = nil // a record was settled in between, or keys discarded
				break
			}
		}
		if g.era != nil {
			g.deltas = make([][][]byte, len(keys))
			g.begun = make([]bool, len(keys))
			return g, nil
		}
		g.leave()
	}
}

// leave unlocks the entries. Unless done, foreign code was left by a panic half way: what it did has happened.
func (g *group) leave() {
	for i, e := range g.entries {
		g.store.leave(e, g.done || !g.begun[i], g.local)
	}
}

func (g *group) find(key string) int {
	i, _ := slices.BinarySearchFunc(g.entries, key, func(e *entry, key string) int {
		switch {
		case e.key < key:
			return -1
		case e.key > key:
			return 1
		}
		return 0
	})
	return i
}

// items returns what was changed, in ascending order of keys.
func (g *group) items() (items []item) {
	for i, e := range g.entries {
		if len(g.deltas[i]) == 0 {
			continue
		}
		if value := Joined(g.store.kinds, g.deltas[i]...); len(value) > 0 {
			items = append(items, item{e.key, value})
		}
	}
	return items
}

func (s *Store) applyBatch(b *Batch, keys []string) (_ Delta, c Commit, err error) {
	g, err := s.acquireAll(keys, true)
	if err != nil {
		return Delta{}, nil, err
	}
	defer g.leave()
	for _, st := range b.steps {
		if e := g.entries[g.find(st.key)]; st.whole && !e.value.Resettable() {
			return Delta{}, nil, fmt.Errorf("store: batch: %q: %w", st.key, crdt.ErrGrowOnly)
		}
	}
	s.preserve(g.entries...)
	g.done = false
	var failed error
	for _, st := range b.steps {
		i := g.find(st.key)
		if e := g.entries[i]; !st.dates && e.deadline.Load() != 0 && e.expired(s.now()) {
			g.begun[i] = true
			delta, err := s.revive(e)
			if err != nil {
				failed = errors.Join(failed, &EncodeError{Key: st.key, Err: err})
			}
			g.deltas[i] = append(g.deltas[i], delta)
		}
		g.begun[i] = true
		delta, err := st.run(s, g.entries[i], g.era)
		if err != nil {
			failed = errors.Join(failed, &EncodeError{Key: st.key, Err: err})
			g.entries[i].unsaved = true
		}
		if len(delta) > 0 {
			g.deltas[i] = append(g.deltas[i], delta)
		}
		if s.dates {
			s.dated(g.entries[i])
		}
	}
	g.done = true
	items := g.items()
	c, err = s.changedAll(g, items)
	if err == nil {
		err = failed
	}
	if len(items) == 0 {
		return Delta{}, c, err
	}
	return Delta{key: items[0].key, state: bundled(g.era.at, items[0].key, items)}, c, err
}

func (st *step) run(s *Store, e *entry, a *era) ([]byte, error) {
	if !st.remove {
		return st.change(s, e, a)
	}
	if e.value.Empty() && e.deadline.Load() == 0 {
		return nil, nil
	}
	d, err := e.value.Reset()
	if err != nil {
		return nil, err
	}
	return d.AppendBinary(nil)
}

// changedAll makes the changes of a group known, as changed does for one: on disk they are one step.
func (s *Store) changedAll(g *group, items []item) (c Commit, err error) {
	b := newBatch()
	defer b.release()
	var failed error
	for i, e := range g.entries {
		j, ok := slices.BinarySearchFunc(items, e.key, compareItem)
		if !ok && !(g.begun[i] && e.unsaved) {
			continue
		}
		if !e.written {
			s.cache.admit(e, 0)
		}
		s.touched(e)
		var delta []byte
		if ok {
			delta = items[j].value
		}
		if s.disk != nil {
			if err := s.put(b, e, delta); err != nil {
				failed = errors.Join(failed, err)
			}
		}
	}
	if len(b.ops) > 0 {
		if c, err = s.apply(b, true); err != nil {
			return nil, err
		}
	}
	s.hub.publishAll(g, items)
	return c, failed
}
