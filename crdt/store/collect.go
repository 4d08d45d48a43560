package store

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Propose returns a proposal to forget the residues of deleted keys that nobody has written to here for so long, at most
// so many bytes of it; nil if there are none. It is the first step of three:
//
//	proposal := one.Propose(limit, quiet)
//	replies = append(replies, each.Prepare(ctx, proposal)...)   // every replica of the cluster, also the one that proposes
//	record := one.Conclude(ctx, proposal, replies)
//	each.Settle(ctx, record)                                    // every other one, as soon as it can
//
// Only one replica of a cluster should propose, and package antientropy does all that. If the replies are not all had,
// the proposal is simply dropped. See [crdt.Value.Spent] for what can be forgotten. Propose costs O(deleted keys).
func (s *Store) Propose(limit int, quiet time.Duration) (proposal []byte) {
	a := s.era.Load()
	if a.at.isZero() {
		return nil
	}
	size := recordOverhead
	var residues []residue
	for _, key := range s.table.buriedKeys(s.now().Add(-quiet)) {
		res, ok := s.residueOf(key, a)
		if !ok {
			continue
		}
		if size += len(res.key) + len(res.value) + residueOverhead; size > limit {
			break
		}
		residues = append(residues, res)
	}
	if len(residues) == 0 {
		return nil
	}
	return newRecord(a.at, s.base.Bytes(), s.proposals.Add(1), residues).encoded
}

// residueOf returns what is left of a key, if that is a residue, of this era.
func (s *Store) residueOf(key string, of *era) (residue, bool) {
	e, a := s.lookup(key)
	if e == nil {
		return residue{}, false
	}
	defer e.mu.Unlock()
	if a.at != of.at || !e.value.Spent() {
		return residue{}, false
	}
	value, err := e.encode(nil)
	return residue{key, value}, err == nil && len(value) > 0
}

// buriedKeys returns the keys that have shown nothing, and been left alone, since a moment, in ascending order.
func (t *table) buriedKeys(since time.Time) (keys []string) {
	for i := range t.shards {
		keys = t.shards[i].appendBuried(keys, since)
	}
	slices.Sort(keys)
	return keys
}

// Prepare merges the residues of a proposal, so that this store has all that is to be forgotten, and promises to take it
// for the next record in preference to any proposal that came before. The reply tells which of them were refused, as
// they would be by [Store.Merge].
//
// It costs O(proposal). Errors: *[StaleError] if the proposal is not for the generation after this store's, ctx's error,
// and those of bytes.
func (s *Store) Prepare(ctx context.Context, proposal []byte) (reply []byte, err error) {
	r, err := decodeRecord(proposal)
	if err != nil {
		return nil, fmt.Errorf("store: prepare: %w", err)
	}
	if a := s.era.Load(); !r.on(a.at) {
		return nil, a.stale(r.at)
	}
	var refused []int
	for i, res := range r.residues {
		if _, err := s.mergeResidue(ctx, r, res); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			refused = append(refused, i)
		}
	}
	s.turning.Lock()
	defer s.turning.Unlock()
	a := *s.era.Load()
	if !r.on(a.at) {
		return nil, a.stale(r.at)
	}
	a.promised = r.at.id
	s.era.Store(&a)
	return encodeReply(refused), nil
}

func (s *Store) mergeResidue(ctx context.Context, r *record, res residue) (novel []byte, err error) {
	if v, err := s.kinds.Decode(res.value); err != nil || !v.Spent() {
		return nil, corrupt(formRecord, fmt.Errorf("a residue that is none: %w", err))
	}
	return s.Merge(ctx, res.key, r.before().seal(res.value))
}

// Conclude makes a record of a proposal, with the replies of all replicas, and settles it here. It returns what all the
// others are to [Store.Settle], and nil if nothing is left of the proposal.
//
// Errors: *[StaleError] if another proposal was prepared since, or another record settled: then nothing came of this
// one, on any replica.
func (s *Store) Conclude(ctx context.Context, proposal []byte, replies [][]byte) (recorded []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := decodeRecord(proposal)
	if err != nil {
		return nil, fmt.Errorf("store: conclude: %w", err)
	}
	refused := make(map[int]bool)
	for _, reply := range replies {
		if err := decodeReply(reply, len(r.residues), refused); err != nil {
			return nil, fmt.Errorf("store: conclude: %w", err)
		}
	}
	left := r.without(refused)
	if len(left.residues) == 0 {
		return nil, nil
	}
	if err := s.settle(left, func(a *era) bool { return a.promised == r.at.id }); err != nil {
		return nil, err
	}
	return left.encoded, nil
}
