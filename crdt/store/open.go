package store

import (
	"cmp"
	"fmt"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/vclock"
)

// Open returns a store of what there is in a backend, which belongs to the store from then on: nobody else may use it,
// and [Store.Close] closes it. If Open fails, it is open still.
//
// What a store has on disk is there again after it was closed, and after a crash as far as Config.Sync says: each call
// is whole or not there at all. Values come into memory as they are used, up to Config.Cache. Keys are read here, with
// their fingerprints, but no values: it takes about three seconds for a million keys. The fingerprints are those that
// Config.Secret and the types' parts give, and are checked in sum after the store was closed; if they do not fit, or
// the secret is another one, they are made anew from all values, in a goroutine that Close ends, and until then
// [Store.Index] has those keys only that were looked at.
//
// The store goes on under the identity that it had, with which it numbers its events, only if it was closed, and what is
// in the backend was not copied, restored or moved since. Otherwise it takes another one ([Events].Rotated). What else
// it needs to know, it has on disk too: what it has settled and promised, and a moment that no timestamp has passed.
//
// All methods of a store on disk may return, besides the errors that they name, [ErrClosed] and a [*FailedError], also
// wrapped, which is final: then what was acknowledged is on disk, and the call that fails may be or may be not. What
// cannot be read of a key that is damaged is none: the store goes on with what can be read ([Events].Damaged). A method that
// has no error to return does nothing, or returns what was there last.
//
// Errors: those of the backend; *[crdt.CorruptError] and [crdt.ErrVersion] if it holds something else, or something
// newer.
func Open(cfg Config, b Backend) (*Store, error) {
	s := newStore(cfg)
	s.disk = &disk{backend: b, place: b.Place(), each: cfg.Sync == 0, every: max(0, cfg.Sync)}
	s.cache.limit = cmp.Or(max(0, cfg.Cache), 64<<20)
	err := s.recover(cfg.Replica)
	s.reports.deliver()
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	s.rebuild()
	return s, nil
}

// recover makes the store what it was. Nothing is written before all that is needed was read.
func (s *Store) recover(replica vclock.ReplicaID) error {
	h, err := s.readHead()
	if err != nil {
		return err
	}
	if h == nil {
		return s.found(replica)
	}
	a, err := s.readEra(h)
	if err != nil {
		return err
	}
	if err := s.readClock(); err != nil {
		return err
	}
	if err := s.readRows(a.tenure); err != nil {
		return err
	}
	if err := s.verify(h, a.tenure); err != nil {
		return err
	}
	if s.named = h.named; !replica.IsZero() {
		s.named = replica
	}
	s.writers = h.writers
	if reason := s.doubts(h); reason != 0 {
		s.renew(a, &Rotation{From: a.writer, Reason: reason})
	}
	return s.resume(a)
}

// found makes a store of a backend that holds nothing. It may be one that was lost with all that it numbered under its
// name, so it begins under an identity that nobody ever had.
func (s *Store) found(replica vclock.ReplicaID) error {
	s.named = replica
	id := s.fresh()
	s.begins(&era{base: id, writer: id})
	return s.persist(s.era.Load())
}

// doubts says why the store must not go on under the identity that it had; 0 if it may.
func (s *Store) doubts(h *head) Reason {
	switch {
	case planted.Bug == planted.IdentityTrusted:
	case !h.closed:
		return Unclean
	case h.place == "" || h.place != s.disk.place:
		return Moved
	case h.named != s.named:
		return Renamed
	}
	return 0
}

// resume goes on where the store was: it takes its identity in use, and finishes what was begun.
func (s *Store) resume(a *era) error {
	s.turning.Lock()
	defer s.turning.Unlock()
	s.begins(a)
	if err := s.persist(a); err != nil {
		return err
	}
	if err := s.dropTenures(a.tenure); err != nil {
		return err
	}
	if a.arrivals != nil {
		if err := s.complete(a, func() error { return s.visitAll(a.arrivals.record.keys()) }); err != nil {
			return err
		}
	}
	return nil
}
