package store

import (
	"context"
	"fmt"
	"iter"
)

// Adopt takes on a generation without the records that led to it.
//
// A store that has met no other yet keeps what it holds: nothing of that can have been forgotten elsewhere. So a new
// replica joins a cluster; with an empty generation, two that are new begin the chain.
//
// Any other store becomes empty, at the cost of its size: it was away for longer than records are kept, so what it
// holds may have been deleted and forgotten since, and must not be a source for others. What it held is yielded by
// aside, each key with its encoded value (of no generation: for [crdt.Kinds.Decode]), once, and it is nowhere else any
// more. What its own program wrote while it was away is in there, too.
//
// The error is ctx's, or says that this is no generation; then nothing has changed.
func (s *Store) Adopt(ctx context.Context, generation string) (aside iter.Seq2[string, []byte], err error) {
	if err := ctx.Err(); err != nil {
		return nothing, err
	}
	at, ok := parseStamp(generation)
	if !ok {
		return nothing, fmt.Errorf("store: adopt: %q is no generation", generation)
	}
	if at.isZero() {
		at = genesis
	}
	s.turning.Lock()
	defer s.turning.Unlock()
	a := s.era.Load()
	switch {
	case a.at == at:
		return nothing, nil
	case a.at.isZero():
		s.era.Store(&era{at: at, tenure: a.tenure, writer: a.writer})
		return nothing, nil
	case generation == "":
		return nothing, nil // it has met others
	}
	next := &era{at: at, tenure: a.tenure + 1, writer: s.nextWriter(), arrivals: new(arrivals)}
	s.turn(next, func() {
		for key := range s.table.all() {
			s.visit(key)
		}
	})
	return next.arrivals.yield, nil
}

// meet notes that something of another store was merged, or is about to be.
func (s *Store) meet(at stamp) {
	if at == genesis && s.era.Load().at.isZero() {
		s.enter()
	}
}

func (s *Store) enter() {
	s.turning.Lock()
	defer s.turning.Unlock()
	if a := s.era.Load(); a.at.isZero() {
		s.era.Store(&era{at: genesis, tenure: a.tenure, writer: a.writer})
	}
}
