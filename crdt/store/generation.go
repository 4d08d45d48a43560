package store

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/eventual-go/eventual/crdt"
)

// A StaleError says that a state, a record or a proposal is not of a generation that this store can relate to its own:
// it comes from a replica that was away for longer than records are kept ([Config.Retain]), from one that went another
// way, or from one that is ahead of this store. Its states must not be merged: they may contain what was deleted and
// forgotten.
type StaleError struct {
	Have, Got string // generations, as [Store.Generation] has them
}

// Error implements error.
func (e *StaleError) Error() string {
	return fmt.Sprintf("store: of generation %x, where this store is of %x", e.Got, e.Have)
}

func (a *era) stale(got stamp) error { return &StaleError{Have: a.at.text(), Got: got.text()} }

// Generation says which records this store has settled. Stores that settled the same have equal ones, and states of one
// may be merged into the other. It is opaque, but for its byte order: after a record it is greater than before. It is
// empty in a store that has met no other yet, and that has not settled anything.
func (s *Store) Generation() string { return s.era.Load().at.text() }

// GenerationOf returns the generation of a state, as [Store.Load] returns it: that of the store when it was loaded, in the
// form of [Store.Generation], or empty if nothing had been forgotten by then. Of an empty state it is that of the store as
// it is now. So those who merge the states of several stores can tell that one of them may have forgotten what another
// state still shows as if it had never been deleted. See
// [github.com/eventual-go/eventual/quorum.ReadConfig].
func (s *Store) GenerationOf(state []byte) string {
	at := s.era.Load().at
	if len(state) > 0 {
		at, _, _ = unseal(state)
	}
	if at.isPlain() {
		return ""
	}
	return at.text()
}

// Lift returns what is left of a state of a key by what has been forgotten here by now, as a state of this store's
// generation: empty if that is nothing. It changes no key, and costs O(state). Errors: *[StaleError] if the state is of
// a generation that this store cannot relate to its own, *[crdt.CorruptError] and the like.
func (s *Store) Lift(key string, state []byte) ([]byte, error) {
	if len(state) == 0 {
		return nil, nil
	}
	at, value, err := unseal(state)
	if err != nil {
		return nil, lifting(key, err)
	}
	a := s.era.Load()
	if at == a.at || at.isPlain() && a.at.isPlain() {
		return state, nil
	}
	v, err := s.kinds.Decode(value)
	if err == nil {
		v, err = s.lift(a, at, key, v)
	}
	if err != nil || v == nil {
		return nil, lifting(key, err)
	}
	value, err = v.AppendBinary(nil)
	return a.at.seal(value), lifting(key, err)
}

func lifting(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: lift %q: %w", key, err)
}

// Since returns the records that lead from a generation to the present one, the oldest first: at most so many bytes of
// them, but one if there are any. ok is false if that is not known, or not any more.
func (s *Store) Since(generation string, limit int) (records [][]byte, ok bool) {
	at, ok := parseStamp(generation)
	a := s.era.Load()
	if !ok {
		return nil, false
	}
	i, ok := a.position(at)
	if !ok {
		return nil, false
	}
	size := 0
	for _, r := range a.chain[i:] {
		if size += len(r.encoded); size > limit && len(records) > 0 {
			break
		}
		records = append(records, r.encoded)
	}
	return records, true
}

// Decode returns the value in a state, such as [Store.Load] returns and the deltas of [Update], of whatever generation:
// nothing is merged and no clock is asked. The errors are those of [crdt.Kinds.Decode].
func (s *Store) Decode(state []byte) (*crdt.Value, error) {
	_, value, err := unseal(state)
	if err != nil {
		return nil, err
	}
	return s.kinds.Decode(value)
}

// Settle applies the next record of the chain, on which the replicas agreed ([Store.Conclude]): each residue in it is
// merged and then forgotten, so that a key which holds nothing else is gone from the store and from its index; and
// what departed replicas left passes to their heir ([Store.Retire]). It is exact whatever the store holds. A record that was settled before is not settled again.
//
// It costs O(record), and each key waits for its own part alone. Errors: *[StaleError] if the record is not the next
// one; *[crdt.CorruptError] and the like, *[vclock.DriftError]; *[crdt.HandoverError] where this store holds what a
// replica that departed cannot have written, or what took away a part of that, by a replica that was away: then it can
// only [Store.Adopt] where the others are. Then nothing has changed.
func (s *Store) Settle(ctx context.Context, recorded []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	r, err := decodeRecord(recorded)
	if err != nil {
		return fmt.Errorf("store: settle: %w", err)
	}
	return s.settle(r, func(a *era) bool { return true })
}

// settle applies a record if the era is as it must be.
func (s *Store) settle(r *record, may func(*era) bool) error {
	s.turning.Lock()
	defer s.turning.Unlock()
	a := s.era.Load()
	if _, known := a.position(r.at); known {
		return nil
	}
	if !r.on(a.at) || !may(a) {
		return a.stale(r.at)
	}
	looking := *a
	looking.settling = r // what comes from now on is refused if it contradicts that
	s.era.Store(&looking)
	if err := s.check(r); err != nil {
		s.era.Store(a)
		return fmt.Errorf("store: settle: %w", err)
	}
	next := &era{
		at:       r.at,
		chain:    extended(a.chain, r, s.retain),
		tenure:   a.tenure,
		base:     a.base,
		rotation: a.rotation,
		writer:   s.nextWriter(a.base),
		heirs:    r.will.heirs(a.heirs),
		arrivals: &arrivals{record: r},
	}
	return s.turn(next, a.chain, func() error { return s.visitAll(r.keys()) })
}

// check refuses a record with an item that is none, or with one that this store cannot take.
func (s *Store) check(r *record) error {
	for _, it := range r.residues {
		v, err := s.accept(it.value)
		if err == nil && !v.Spent() {
			err = &crdt.CorruptError{Kind: formRecord, Reason: "a residue that is none"}
		}
		if err != nil {
			return fmt.Errorf("%q: %w", it.key, err)
		}
	}
	for _, it := range r.estates {
		if err := s.inherits(r, it); err != nil {
			return fmt.Errorf("%q: %w", it.key, err)
		}
	}
	return nil
}

// inherits refuses an estate that contradicts what this store holds.
func (s *Store) inherits(r *record, it item) error {
	cut, err := s.accept(it.value)
	if err != nil {
		return err
	}
	var v *crdt.Value
	self := s.Replica()
	if e, a, err := s.lookup(it.key); err != nil {
		return err
	} else if e != nil {
		v = e.value.Clone()
		if !e.writer.IsZero() && e.rotation == a.rotation {
			self = e.writer
		}
		e.mu.Unlock()
	} else {
		v = cut.Clone()
	}
	if slices.Contains(r.will.from, self) {
		return &crdt.HandoverError{Replica: self, Reason: reasonHere}
	}
	_, err = v.Handover(cut, r.will.to, r.will.from...)
	return err
}

// reasonHere is why a store does not take part in its own departure: it would number its events anew.
const reasonHere = "has not departed, it writes here"

// turn makes the next era the present one while the keys concerned come along. On disk it is a promise first: who finds
// it after a crash has them come along. s.turning is held.
func (s *Store) turn(next *era, chain []*record, visit func() error) error {
	if err := s.persist(next, chainOps(chain, next.chain)...); err != nil {
		return err
	}
	s.era.Store(next)
	return s.complete(next, visit)
}

// complete has the keys concerned come along to an era that is the present one. If one cannot be read the store ends:
// the next era would not know of it, and whoever opens the store again goes on here.
func (s *Store) complete(a *era, visit func() error) error {
	if err := visit(); err != nil {
		if s.ending() == nil {
			err = s.fail(err)
		}
		return err
	}
	done := *a
	done.arrivals = nil
	return s.become(&done)
}

// become makes an era the present one that no key has to come along to. s.turning is held.
func (s *Store) become(next *era) error {
	if err := s.persist(next); err != nil {
		return err
	}
	s.era.Store(next)
	return nil
}

// visitAll has keys come along.
func (s *Store) visitAll(keys iter.Seq[string]) error {
	for key := range keys {
		if e, _, err := s.lookup(key); err != nil {
			return err
		} else if e != nil {
			e.mu.Unlock()
		}
	}
	return nil
}
