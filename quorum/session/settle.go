package session

import (
	"cmp"
	"context"
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/quorum"
)

// few returns what was seen of a key, in so few pieces that a read may come after them.
func (s *Session) few(ctx context.Context, key string) ([]*piece, error) {
	for {
		used := s.seen(key, wrote|read)
		if len(used) <= maxPieces {
			return used, nil
		}
		if err := s.toMajority(ctx, key, used[:maxPieces]); err != nil {
			return nil, err
		}
	}
}

// settleAll has majorities hold what was seen, until now, of all keys and is of one kind or the other. What reads leave
// meanwhile is not waited for: this began before they ended.
func (s *Session) settleAll(ctx context.Context, of what) error {
	return s.settleEach(ctx, s.unsettled(of))
}

func (s *Session) unsettled(of what) (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.token.keys {
		if e := &s.token.keys[i]; !e.settled(of) && planted.Bug != planted.WritesUnsettled {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// settleEach settles some keys, several at once.
func (s *Session) settleEach(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	return each(ctx, s.atOnce(), keys, s.settle)
}

func (s *Session) atOnce() int { return cmp.Or(max(s.AtOnce, 0), DefaultAtOnce) }

// settle brings what was seen of a key to a majority of its owners.
func (s *Session) settle(ctx context.Context, key string) error {
	used, err := s.few(ctx, key)
	if err != nil || len(used) == 0 {
		return err
	}
	return s.toMajority(ctx, key, used)
}

func (s *Session) toMajority(ctx context.Context, key string, used []*piece) error {
	by, err := s.bring(ctx, key, quorum.Majority, used)
	if err == nil && !by.Majority {
		return ErrUntold
	}
	return err
}

// bring brings some of what was seen of a key to as many owners as a level asks for, and returns who holds it then.
func (s *Session) bring(ctx context.Context, key string, level quorum.Level, used []*piece) (*quorum.Holders, error) {
	state, by, err := bring(ctx, s.Quorum, key, level, holders(used))
	if err == nil && !slices.Equal(used, []*piece{anything}) { // a key that is not listed stays so
		s.note(key, state, &piece{held: sorted(*by)}, used)
	}
	return by, err
}

// bring has as many owners of a key as a level asks for hold all that they had among them, and what those hold whom it
// comes after: by reading it there, or, where the read was answered although it could not repair so many, by writing it. It
// returns what that is, and who holds it.
func bring(ctx context.Context, q Quorum, key string, level quorum.Level, after []quorum.Holders) (state []byte, by *quorum.Holders, err error) {
	res, err := q.Read(ctx, key, quorum.ReadOptions{
		Level: level, Least: level, // not what a bucket says
		Fallbacks: quorum.FallbacksNone, Repair: quorum.RepairBlocking, Holders: true, After: after,
	})
	switch {
	case err != nil:
		return nil, nil, err
	case res.Holders == nil:
		return nil, nil, ErrUntold
	case res.Stale:
		by, err := hold(ctx, q, key, res.State, level)
		return res.State, by, err
	case len(res.Holders.Nodes) == 0 && !res.Holders.Majority:
		return nil, nil, ErrUntold
	}
	return res.State, res.Holders, nil
}

// hold has as many owners hold a state as a level asks for, and returns which.
func hold(ctx context.Context, q Quorum, key string, state []byte, level quorum.Level) (*quorum.Holders, error) {
	res, err := q.Write(ctx, key, state, quorum.WriteOptions{Level: level, Fallbacks: quorum.FallbacksNone, Holders: true})
	if err == nil && (res.Holders == nil || len(res.Holders.Nodes) == 0) {
		err = ErrUntold
	}
	return res.Holders, err
}
