package storetest

import (
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/antientropy"
)

const maxGeneration = 128

// A forgetful is a store that follows generations.
type forgetful interface {
	antientropy.Store
	antientropy.Follower
}

// founder is a new store that has entered the first generation; nil if it follows none.
func (s *suite) founder() (forgetful, error) {
	st, ok := s.New().(forgetful)
	if !ok {
		return nil, nil
	}
	if at := st.Generation(); at != "" {
		return nil, fmt.Errorf("a new store has met nobody, and is of generation %x", at)
	}
	return st, s.adopt(st, "")
}

// adopt has a store adopt a generation for which it has nothing to set aside.
func (s *suite) adopt(st forgetful, generation string) error {
	aside, err := st.Adopt(s.ctx, generation)
	if err != nil {
		return fmt.Errorf("an Adopt(%x): %w", generation, err)
	}
	for k := range aside {
		return fmt.Errorf("an Adopt(%x) set aside key %q", generation, k)
	}
	return nil
}

func (s *suite) generations() error {
	st, err := s.founder()
	if st == nil || err != nil {
		return err
	}
	newcomer := s.New().(forgetful)
	if records, ok := newcomer.Since("", 1<<20); !ok || len(records) > 0 {
		return errors.New("a store that has met nobody does not know the way from there")
	}
	at := st.Generation()
	if at == "" || len(at) > maxGeneration {
		return fmt.Errorf("the first generation has %d bytes", len(at))
	}
	twin, err := s.founder()
	if err != nil {
		return err
	}
	if twin.Generation() != at {
		return fmt.Errorf("two stores enter different first generations, %x and %x", at, twin.Generation())
	}
	if records, ok := st.Since(at, 1<<20); !ok || len(records) > 0 {
		return fmt.Errorf("from the present generation %d records lead on (%t)", len(records), ok)
	}
	if _, ok := st.Since("", 1<<20); ok {
		return errors.New("a store that has met others knows the way from one that has not")
	}
	if err := errors.Join(s.adopt(newcomer, at), s.adopt(newcomer, ""), s.adopt(newcomer, at)); err != nil {
		return err
	}
	if newcomer.Generation() != at {
		return fmt.Errorf("a new store adopted %x, and is of %x", at, newcomer.Generation())
	}
	return s.refusesRecords(st)
}

// refusesRecords gives a store bytes that are no records.
func (s *suite) refusesRecords(st forgetful) error {
	if _, err := s.merge(st, key, s.State(1)); err != nil {
		return err
	}
	before, err := s.look(st)
	if err != nil {
		return err
	}
	at := st.Generation()
	for _, record := range [][]byte{nil, {}, []byte("no record"), s.State(2)} {
		if st.Settle(s.ctx, record) == nil {
			return fmt.Errorf("a Settle took %x for a record", record)
		}
		if c, ok := st.(antientropy.Collector); ok && len(record) > 0 {
			if _, err := c.Prepare(s.ctx, record); err == nil {
				return fmt.Errorf("a Prepare took %x for a proposal", record)
			}
		}
	}
	if st.Generation() != at {
		return errors.New("a record that was refused changed the generation")
	}
	return s.unchanged("a record that was refused", st, before)
}

// emptied has a store adopt a generation that its own does not lead to.
func (s *suite) emptied() error {
	m, err := s.members(2)
	if m == nil || err != nil {
		return err
	}
	for _, st := range m[:2] {
		if _, err := s.merge(st, key, s.State(1)); err != nil {
			return err
		}
		if _, err := s.merge(st, "another "+key, s.State(2)); err != nil {
			return err
		}
	}
	if err := s.Delete(m[0], key); err != nil {
		return fmt.Errorf("a Delete: %w", err)
	}
	if _, err := s.collect(m[:1]...); err != nil {
		return err
	}
	aside, err := m[1].Adopt(s.ctx, m[0].Generation())
	if err != nil {
		return fmt.Errorf("an Adopt: %w", err)
	}
	if m[1].Index().Len() > 0 || m[1].Generation() != m[0].Generation() {
		return fmt.Errorf("a store that has met others adopted another generation, and holds %d keys at %x", m[1].Index().Len(), m[1].Generation())
	}
	if state, err := s.load(m[1], key); err != nil || len(state) > 0 {
		return fmt.Errorf("a store that was emptied has state %x (%v)", state, err)
	}
	seen := make(map[string]int)
	for k, state := range aside {
		if len(state) > 0 {
			seen[k]++
		}
	}
	if len(seen) != 2 || seen[key] != 1 || seen["another "+key] != 1 {
		return fmt.Errorf("a store that held two keys was emptied, and set aside %v", seen)
	}
	if _, err := s.exchange(m[1], m[0]); err != nil {
		return err
	}
	if !same(m[0], m[1]) {
		return errors.New("a store that was emptied was not filled again")
	}
	return nil
}
