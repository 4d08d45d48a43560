package store

import (
	"cmp"
	"context"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
)

// Merge joins an encoded state, which may be a delta, into key, and returns the
// encoded part of it that was new here: empty when nothing was, and then nobody is
// notified and the index stays as it is. The state is not kept and may be reused;
// the result belongs to the caller. It costs O(state), whatever the size of what
// the key holds. The delta of a [Batch] is joined into all of its keys in one step, or refused as a whole, whatever the
// key; what was new of it is such a delta again.
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
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	novel, c, err := s.merge(key, state)
	if err := s.finish(c, err); err != nil {
		return nil, err
	}
	return novel, nil
}

// merge is Merge that has not waited for the disk.
func (s *Store) merge(key string, state []byte) (novel []byte, c Commit, err error) {
	if len(state) == 0 {
		return nil, nil, nil
	}
	if isBundle(state) {
		return s.mergeBundle(key, state)
	}
	at, value, err := unseal(state)
	if err != nil {
		return nil, nil, fmt.Errorf("store: merge %q: %w", key, err)
	}
	in, err := s.accept(value)
	if err != nil {
		return nil, nil, fmt.Errorf("store: merge %q: %w", key, err)
	}
	if err := s.meet(at); err != nil {
		return nil, nil, err
	}
	return s.unseen(func() ([]byte, Commit, error) { return s.mergeInto(key, at, in) })
}

// unseen merges, after the store has rotated if it must.
func (s *Store) unseen(merge func() ([]byte, Commit, error)) ([]byte, Commit, error) {
	for {
		novel, c, err := merge()
		seen, ok := err.(*seenError)
		if !ok {
			return novel, c, err
		}
		if err := s.rotate(seen); err != nil {
			return nil, nil, err
		}
	}
}

// mergeInto merges a value of a generation into a key. It fails with a *seenError, and has done nothing, if the store
// must rotate before.
func (s *Store) mergeInto(key string, at stamp, in *crdt.Value) (novel []byte, c Commit, err error) {
	e, a, err := s.acquire(key)
	if err != nil {
		return nil, nil, err
	}
	done := true
	defer func() { s.leave(e, done, false) }()
	in, err = s.lift(a, at, key, in)
	if err == nil {
		err = s.keepsPromise(a, e, in)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("store: merge %q: %w", key, err)
	}
	if seen := s.guard(a, e, in); seen != nil {
		return nil, nil, seen
	}
	s.preserve(e)
	done = false
	part, changed := e.value.MergeNovel(in)
	if !changed {
		done = true
		return nil, nil, nil
	}
	novel, err = part.AppendBinary(nil)
	done = true
	if err != nil {
		c, _ := s.changed(e, a.at, nil, false, true)
		return nil, c, &EncodeError{Key: e.key, Err: err}
	}
	c, err = s.changed(e, a.at, novel, false, true)
	return a.at.seal(novel), c, err
}

// MergeAll merges many states, each as [Store.Merge] of its key would, in their order, and waits for the disk once. What
// is refused concerns that key alone: errs has an error or nil for each, and novel what was new. There must be as many
// states as keys, or all are refused. Nothing has been
// acknowledged before all of it is durable.
func (s *Store) MergeAll(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error) {
	if err := s.begin(); err != nil {
		return make([][]byte, len(keys)), all(make([]error, len(keys)), err)
	}
	defer s.end()
	if len(states) != len(keys) {
		err := fmt.Errorf("store: merge: %d keys and %d states", len(keys), len(states))
		return make([][]byte, len(keys)), all(make([]error, len(keys)), err)
	}
	return s.mergeAll(ctx, keys, states)
}

// mergeAll is MergeAll for who is inside.
func (s *Store) mergeAll(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error) {
	novel, errs = make([][]byte, len(keys)), make([]error, len(keys))
	commits := make([]Commit, 0, 1)
	defer func() {
		for _, c := range commits { // a panic has left them
			_ = s.await(c)
		}
	}()
	for i, key := range keys {
		if errs[i] = ctx.Err(); errs[i] != nil {
			continue
		}
		var c Commit
		if novel[i], c, errs[i] = s.merge(key, states[i]); c != nil {
			commits = append(commits, c)
		}
	}
	var failed error
	some := len(commits) < len(keys)
	for len(commits) > 0 {
		c := commits[0]
		commits = commits[1:]
		failed = cmp.Or(s.await(c), failed)
	}
	if some {
		failed = cmp.Or(s.land(), failed)
	}
	if failed != nil {
		return make([][]byte, len(keys)), all(errs, failed)
	}
	return novel, errs
}

// all has one error be all of them.
func all(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
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
