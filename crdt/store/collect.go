package store

import (
	"cmp"
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
	if s.begin() != nil {
		return nil
	}
	defer s.end()
	a := s.era.Load()
	if a.at.isZero() {
		return nil
	}
	p := pack{room: limit - recordOverhead, left: limit - recordOverhead}
	for _, key := range s.table.buriedKeys(s.now().Add(-quiet)) {
		if it, ok := s.residueOf(key, a); ok && !p.put(&p.residues, it) && p.items() > 0 {
			break // the next one has room, or nothing has
		}
	}
	s.bequeath(&p, a)
	if p.items() == 0 {
		return nil
	}
	return newRecord(a.at, a.base, s.proposals.Add(1), p.record).encoded
}

// A pack is a record to be, with room for so many bytes, of which so many are left.
type pack struct {
	record
	room, left int
}

// put adds an item to a list of the record, if it fits.
func (p *pack) put(list *[]item, it item) bool {
	cost := len(it.key) + len(it.value) + itemOverhead
	if cost > p.left {
		return false
	}
	p.left -= cost
	*list = append(*list, it)
	return true
}

// residueOf returns what is left of a key, if that is a residue, of this era.
func (s *Store) residueOf(key string, of *era) (item, bool) {
	e, a, err := s.lookup(key)
	if e == nil || err != nil {
		return item{}, false
	}
	defer e.mu.Unlock()
	if a.at != of.at || !e.value.Spent() {
		return item{}, false
	}
	value, err := e.encode(nil)
	return item{key, value}, err == nil && len(value) > 0
}

// buriedKeys returns the keys that have shown nothing, and been left alone, since a moment, in ascending order.
func (t *table) buriedKeys(since time.Time) (keys []string) {
	for i := range t.shards {
		keys = t.shards[i].appendBuried(keys, since)
	}
	slices.Sort(keys)
	return keys
}

// Prepare merges what is in a proposal, so that this store has all that is to be forgotten, and promises to take it
// for the next record in preference to any proposal that came before. The reply tells of which keys it was refused, as
// [Store.Merge] would, or contradicts what is held here. An empty proposal takes back what was promised, for when nothing
// came of it: until then whatever contradicts a departure in it is refused.
//
// It costs O(proposal). Errors: *[StaleError] if the proposal is not for the generation after this store's, ctx's error,
// those of bytes, and those of a disk ([Open]).
func (s *Store) Prepare(ctx context.Context, proposal []byte) (reply []byte, err error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	if len(proposal) == 0 {
		if err := s.release(nil); err != nil {
			return nil, err
		}
		return nil, ctx.Err()
	}
	r, err := decodeRecord(proposal)
	if err != nil {
		return nil, fmt.Errorf("store: prepare: %w", err)
	}
	if a := s.era.Load(); !r.on(a.at) {
		return nil, a.stale(r.at)
	}
	refused, err := s.acknowledge(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := s.promise(r); err != nil {
		return nil, err
	}
	for i, it := range r.estates { // what comes later is refused if it contradicts the promise
		if s.inherits(r, it) != nil {
			refused = append(refused, len(r.residues)+i)
		}
	}
	return encodeReply(refused), ctx.Err()
}

// acknowledge merges what is in a proposal, and returns which residues it was refused, by their indices. Whether an
// estate was, shows later.
func (s *Store) acknowledge(ctx context.Context, r *record) (refused []int, err error) {
	items := slices.Concat(r.residues, r.estates)
	keys, states := make([]string, len(items)), make([][]byte, len(items))
	for i, it := range items {
		keys[i], states[i] = it.key, r.before().seal(it.value)
	}
	_, errs := s.mergeAll(ctx, keys, states)
	for i, it := range r.residues {
		if v, err := s.kinds.Decode(it.value); err != nil || !v.Spent() || errs[i] != nil {
			refused = append(refused, i)
		}
	}
	return refused, cmp.Or(ctx.Err(), s.ending())
}

// promise takes a proposal for the next record.
func (s *Store) promise(r *record) error {
	s.turning.Lock()
	defer s.turning.Unlock()
	a := *s.era.Load()
	if !r.on(a.at) {
		return a.stale(r.at)
	}
	a.promised = r
	return s.become(&a)
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
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	r, err := decodeRecord(proposal)
	if err != nil {
		return nil, fmt.Errorf("store: conclude: %w", err)
	}
	refused := make(map[int]bool)
	for _, reply := range replies {
		if err := decodeReply(reply, r.items(), refused); err != nil {
			return nil, fmt.Errorf("store: conclude: %w", err)
		}
	}
	left := r.without(refused)
	if left.items() == 0 {
		return nil, s.release(r)
	}
	if err := s.settle(left, func(a *era) bool { return a.promised != nil && a.promised.at == r.at }); err != nil {
		return nil, err
	}
	return left.encoded, nil
}

// release takes a promise back, or only that of one proposal.
func (s *Store) release(r *record) error {
	s.turning.Lock()
	defer s.turning.Unlock()
	if a := *s.era.Load(); a.promised != nil && (r == nil || a.promises(r.at)) {
		a.promised = nil
		return s.become(&a)
	}
	return nil
}
