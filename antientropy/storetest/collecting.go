package storetest

import (
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/antientropy"
)

const room = 1 << 16 // for a proposal

// A member is a store that takes part in finding out what can be forgotten.
type member interface {
	forgetful
	antientropy.Collector
}

// members are so many stores of the first generation; nil where that is not to be checked.
func (s *suite) members(n int) (all []member, err error) {
	for range n {
		st, err := s.founder()
		m, ok := st.(member)
		if !ok || s.Delete == nil || err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// prepared has all prepare what the first one proposes.
func (s *suite) prepared(all ...member) (proposal []byte, replies [][]byte, err error) {
	if proposal = all[0].Propose(room, 0); len(proposal) == 0 || len(proposal) > room {
		return nil, nil, fmt.Errorf("what was deleted is proposed in %d bytes, of %d at most", len(proposal), room)
	}
	if part := all[0].Propose(len(proposal)-1, 0); len(part) >= len(proposal) {
		return nil, nil, fmt.Errorf("a proposal of at most %d bytes has %d", len(proposal)-1, len(part))
	}
	for _, m := range all {
		reply, err := m.Prepare(s.ctx, proposal)
		if err != nil {
			return nil, nil, fmt.Errorf("a Prepare: %w", err)
		}
		replies = append(replies, reply)
	}
	return proposal, replies, nil
}

// concluded has all prepare what the first one proposes, which then concludes it.
func (s *suite) concluded(all ...member) (record []byte, err error) {
	proposal, replies, err := s.prepared(all...)
	if err != nil {
		return nil, err
	}
	before := all[0].Generation()
	record, err = all[0].Conclude(s.ctx, proposal, replies)
	switch now := all[0].Generation(); {
	case err != nil:
		return nil, fmt.Errorf("a Conclude: %w", err)
	case len(record) == 0 || len(record) > room:
		return nil, fmt.Errorf("of what all have prepared came a record of %d bytes", len(record))
	case now <= before || len(now) > maxGeneration:
		return nil, fmt.Errorf("a record led from generation %x to %x", before, now)
	}
	return record, nil
}

// collect is concluded, and has all the others settle it.
func (s *suite) collect(all ...member) (record []byte, err error) {
	if record, err = s.concluded(all...); err != nil {
		return nil, err
	}
	for _, m := range all[1:] {
		if err := s.settle(m, all[0], record); err != nil {
			return nil, err
		}
	}
	return record, nil
}

// settle has a store settle a record, twice, and then be where another is.
func (s *suite) settle(st, other forgetful, record []byte) error {
	for range 2 {
		if err := st.Settle(s.ctx, record); err != nil {
			return fmt.Errorf("a Settle: %w", err)
		}
		if st.Generation() != other.Generation() {
			return fmt.Errorf("stores that settled the same are of generations %x and %x", st.Generation(), other.Generation())
		}
	}
	return nil
}

// buried are members, and a guest, that had some states under a key, of which the first
// two know that it was deleted.
func (s *suite) buried() (all []member, alive, dead []byte, err error) {
	all, err = s.members(3)
	if all == nil || err != nil {
		return nil, nil, nil, err
	}
	for _, m := range all {
		for i := range 3 {
			if _, err := s.merge(m, key, s.State(i)); err != nil {
				return nil, nil, nil, err
			}
		}
		if _, err := s.merge(m, "another "+key, s.State(9)); err != nil {
			return nil, nil, nil, err
		}
	}
	if alive, err = s.load(all[0], key); err != nil {
		return nil, nil, nil, err
	}
	if err := s.Delete(all[0], key); err != nil {
		return nil, nil, nil, fmt.Errorf("a Delete: %w", err)
	}
	if dead, err = s.load(all[0], key); err != nil {
		return nil, nil, nil, err
	}
	_, err = s.merge(all[1], key, dead)
	return all, alive, dead, err
}

// forgetting has stores forget a key, and all that is late arrive.
func (s *suite) forgetting() error {
	all, alive, dead, err := s.buried()
	if all == nil || err != nil {
		return err
	}
	a, b, guest := all[0], all[1], all[2]
	first := guest.Generation()
	record, err := s.concluded(a, b)
	if err != nil {
		return err
	}
	if err := s.promised(a, b, guest); err != nil {
		return err
	}
	if err := s.settle(b, a, record); err != nil {
		return err
	}
	for _, m := range []member{a, b} {
		state, err := s.load(m, key)
		if _, found := m.Index().Get(key); err != nil || len(state) > 0 || found {
			return fmt.Errorf("a key that was forgotten has state %x (%v), and the index has it: %t", state, err, found)
		}
		for _, late := range [][]byte{alive, dead, s.State(1)} {
			if _, err := m.Merge(s.ctx, key, late); err != nil {
				return fmt.Errorf("a Merge of what was sent before it was forgotten: %w", err)
			}
		}
		if !same(m, a) {
			return errors.New("two stores have forgotten the same, and their roots differ")
		}
	}
	if proposal := a.Propose(room, 0); len(proposal) > 0 { // of what came late
		if _, err := s.collect(a, b); err != nil {
			return err
		}
	}
	if a.Index().Len() != 1 {
		return errors.New("what was forgotten came back by a state from before")
	}
	return s.catchUp(a, guest, first)
}

// promised has a member that has promised a record, and a guest that has not, take states
// of one that has settled it.
func (s *suite) promised(ahead, promised, guest member) error {
	if _, err := s.merge(ahead, "new", s.State(4)); err != nil {
		return err
	}
	state, err := s.load(ahead, "new")
	if err != nil {
		return err
	}
	if _, err := s.merge(promised, "new", state); err != nil {
		return fmt.Errorf("of the generation that was promised: %w", err)
	}
	before, err := s.look(guest)
	if err != nil {
		return err
	}
	if _, err := guest.Merge(s.ctx, "new", state); err == nil {
		return errors.New("a Merge took a state of a later generation that it has not promised")
	}
	if err := s.unchanged("a state of a later generation, refused,", guest, before); err != nil {
		return err
	}
	for _, m := range []member{ahead, promised} { // it is done with
		if err := s.Delete(m, "new"); err != nil {
			return fmt.Errorf("a Delete: %w", err)
		}
	}
	return nil
}

// catchUp has a store take the records that it lacks, if they are kept, as a peer would
// bring it there.
func (s *suite) catchUp(ahead, guest member, from string) error {
	records, ok := ahead.Since(from, 1)
	if ok && len(records) == 0 {
		return errors.New("a Since has no record, where at least one leads on")
	}
	if _, err := s.exchange(guest, ahead); err != nil {
		return fmt.Errorf("a store that was away: %w", err)
	}
	if guest.Generation() != ahead.Generation() || !same(guest, ahead) {
		return errors.New("a store that was away is not where the others are after an exchange")
	}
	if !ok {
		return nil // nor is what the tests have known there
	}
	if novel, err := s.merge(guest, key, s.State(5)); err != nil || len(novel) == 0 {
		return fmt.Errorf("what was never seen brings nothing under a key that was forgotten (%v)", err)
	}
	return nil
}

// promises has members prepare two proposals, of which only the last may come to anything.
func (s *suite) promises() error {
	all, _, _, err := s.buried()
	if all == nil || err != nil {
		return err
	}
	a, b := all[0], all[1]
	one, replies, err := s.prepared(a, b)
	if err != nil {
		return err
	}
	at := a.Generation()
	if reply, err := a.Prepare(s.ctx, nil); err != nil || len(reply) > 0 {
		return fmt.Errorf("a Prepare of nothing, which takes a promise back: %x (%v)", reply, err)
	}
	if _, err := a.Conclude(s.ctx, one, replies); err == nil || a.Generation() != at {
		return fmt.Errorf("a proposal was concluded after it was taken back (%v)", err)
	}
	if _, err := s.concluded(b, a); err != nil {
		return err
	}
	at = a.Generation()
	if _, err := a.Conclude(s.ctx, one, replies); err == nil || a.Generation() != at {
		return fmt.Errorf("a proposal was concluded after another was prepared (%v)", err)
	}
	if _, err := b.Prepare(s.ctx, one); err == nil {
		return errors.New("a proposal was prepared that is not on top of the present generation")
	}
	return nil
}
