package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// DefaultMaxBytes is the MaxBytes of a [Session] that has none.
const DefaultMaxBytes = 4096

// A LimitError says that a token has more of something than it may have.
type LimitError struct {
	Of        string // what it is: keys, reads that the token asks for, parts of what was seen of one key
	Has, Most int
}

// Error says what there is too much of.
func (e *LimitError) Error() string {
	return fmt.Sprintf("session: a token with %d %s, of %d at most", e.Has, e.Of, e.Most)
}

// resumable is how many times as many reads as a token of a session may ask for it may ask for that is resumed: as many as
// four sessions, joined, or more if these have few keys.
const (
	resumable      = 4
	leastResumable = 64
)

// limits are how many keys are listed, and how many bytes they take.
func (s *Session) limits() (keys, bytes int) {
	keys = min(max(cmp.Or(s.Max, DefaultMax), 1), maxKeys/resumable)
	return keys, cmp.Or(max(s.MaxBytes, 0), DefaultMaxBytes)
}

// ready fails if nothing may be asked.
func (s *Session) ready() error {
	if s.Quorum == nil {
		return errNoQuorum
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != nil {
		return s.refused
	}
	return nil
}

// prepare makes room for a key of which something will be kept, and one piece of many.
func (s *Session) prepare(ctx context.Context, key string, keeps what) error {
	if err := s.ready(); err != nil {
		return err
	}
	if _, err := s.few(ctx, key); err != nil || keeps == 0 {
		return err
	}
	_, most := s.limits()
	return s.room(ctx, key, min(perKey+len(key), most/2))
}

// perKey is about how many bytes a key takes beside its name, with new nodes.
const perKey = 64

// tidy has the token have no more keys and bytes than it may. There mostly are no more, since there was room for the key.
func (s *Session) tidy(ctx context.Context, key string) error { return s.room(ctx, key, 0) }

// room makes room for a key, and for so many bytes if it is not listed. First keys with long names are brought to majorities, since
// these are then not listed by name. If that is not enough, or cannot be done, keys that majorities hold are left out, others
// after they were brought there. To leave out is the last resort: all keys that are not listed are read at a majority from then on.
func (s *Session) room(ctx context.Context, key string, bytes int) error {
	err := s.settleEach(ctx, s.crowd(key, bytes, false))
	crowd := s.crowd(key, bytes, true)
	if err != nil && len(crowd) > 0 {
		return err
	}
	if err := s.settleEach(ctx, crowd); err != nil || len(crowd) == 0 {
		return err
	}
	s.crowd(key, bytes, true)
	return nil
}

// crowd returns keys to be brought to majorities for there to be room: to be listed without their names, or to be left
// out after that, where those were left out that majorities hold. If any, then as many as go at once, so that it need not be done
// again for each key that is used.
func (s *Session) crowd(key string, bytes int, out bool) (keys []string) {
	most, mostBytes := s.limits()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.find(hashOf(key)) < 0 {
		most--
	} else {
		bytes = 0
	}
	if bytes <= s.left.bytes && (!out || len(s.token.keys) <= most) {
		return nil
	}
	excess, less := 0, settledSize
	if out {
		excess, less = s.token.fold(most, mostBytes-bytes), 0
	}
	s.left.measure(&s.token, mostBytes)
	return s.token.crowd(excess, bytes-s.left.bytes, less, s.atOnce())
}

// crowd returns the keys that no majority holds, those not used for longest, of which one is rid of so many keys and so many
// bytes, where each keeps some.
func (t *Token) crowd(excess, over, keep, atOnce int) (keys []string) {
	if excess <= 0 && over <= 0 {
		return nil
	}
	for i := range t.keys {
		e := &t.keys[i]
		if excess <= 0 && over <= 0 && len(keys) >= atOnce {
			break
		}
		if gain := e.size(1) - keep; gain > 0 && !e.settled(wrote|read) {
			keys, excess, over = append(keys, e.key), excess-1, over-gain
		}
	}
	return keys
}

// settledSize is about what it takes to list a key that majorities hold.
const settledSize = 15

// fold leaves out keys that majorities hold, those that were not used for longest, until there are no more than so many keys
// and bytes. It returns how many keys there are too many.
func (t *Token) fold(keys, bytes int) (excess int) {
	excess, over := len(t.keys)-keys, t.size()-bytes
	t.keys = slices.DeleteFunc(t.keys, func(e entry) bool {
		if excess <= 0 && over <= 0 || !e.settled(wrote|read) {
			return false
		}
		excess, over, t.rest = excess-1, over-e.size(1), true
		return true
	})
	return excess
}

// demands returns how many reads it takes, at most, to have majorities hold all that a token says.
func (t *Token) demands() (reads int) {
	for i := range t.keys {
		if e := &t.keys[i]; !e.settled(wrote | read) {
			reads += 1 + max(len(e.seen)-2, 0)/(maxPieces-1)
		}
	}
	return reads
}
