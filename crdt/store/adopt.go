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
// more. What its own program wrote while it was away is in there, too. On disk it is until aside was yielded, or the
// store is opened the next time.
//
// The error is ctx's, or says that this is no generation; then nothing has changed. Or it is one of a disk.
func (s *Store) Adopt(ctx context.Context, generation string) (aside iter.Seq2[string, []byte], err error) {
	if err := ctx.Err(); err != nil {
		return nothing, err
	}
	if err := s.begin(); err != nil {
		return nothing, err
	}
	defer s.end()
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
		return nothing, s.become(a.met(at))
	case generation == "":
		return nothing, nil // it has met others
	}
	next := &era{at: at, tenure: a.tenure + 1, base: a.base, rotation: a.rotation, arrivals: new(arrivals)}
	next.writer = s.nextWriter(a.base)
	err = s.turn(next, a.chain, func() error { return s.visitAll(s.table.all()) })
	return func(yield func(string, []byte) bool) {
		if s.yield(next.arrivals, yield) {
			s.forgetTenure(a.tenure)
		}
	}, err
}

// met is the era of a store that has met others for the first time.
func (a *era) met(at stamp) *era {
	return &era{at: at, tenure: a.tenure, base: a.base, rotation: a.rotation, writer: a.writer}
}

// meet notes that something of another store was merged, or is about to be.
func (s *Store) meet(at stamp) error {
	if at != genesis || !s.era.Load().at.isZero() {
		return nil
	}
	s.turning.Lock()
	defer s.turning.Unlock()
	if a := s.era.Load(); a.at.isZero() {
		return s.become(a.met(genesis))
	}
	return nil
}
