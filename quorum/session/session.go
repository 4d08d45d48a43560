package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/quorum"
)

// DefaultMax is the Max of a [Session] that has none.
const DefaultMax = 256

// DefaultAtOnce is the AtOnce of a [Session] that has none.
const DefaultAtOnce = 16

// maxPieces is how many pieces of what was seen of a key there may be before they are made one.
const maxPieces = 8

// A Quorum reads and writes keys, and says who holds what it read and wrote. A
// *quorum.Coordinator is one; so is what passes calls on to one. It is called by several goroutines at once; see
// Session.AtOnce.
type Quorum interface {
	Read(ctx context.Context, key string, opts quorum.ReadOptions) (quorum.ReadResult, error)
	Write(ctx context.Context, key string, delta []byte, opts quorum.WriteOptions) (quorum.WriteResult, error)
}

// Guarantees are what a session promises, to whom it is and to others; see the documentation of
// the package. They may be combined.
type Guarantees uint8

const (
	// ReadYourWrites has reads contain what the session has written.
	ReadYourWrites Guarantees = 1 << iota
	// MonotonicReads has reads contain what the session has read.
	MonotonicReads
	// MonotonicWrites has who reads at a majority see the session's writes in their order.
	MonotonicWrites
	// WritesFollowReads has who reads at a majority see what the session had read before it
	// wrote, where it sees what was written.
	WritesFollowReads

	// Everything is all four: causal consistency, for sessions that read at a majority.
	Everything = ReadYourWrites | MonotonicReads | MonotonicWrites | WritesFollowReads
)

// ErrUntold says that a [Quorum] does not say who holds what it has read or written.
var ErrUntold = errors.New("session: nothing is said of who holds it")

var errNoQuorum = errors.New("session: Quorum is nil")

// A Session is reads and writes of one client, which promise to come after one another as
// Guarantees say, whoever coordinates them and at whatever level. It has seen what its reads
// returned and its writes wrote, and no more: of a write that failed nothing is promised.
//
// Its fields are set before the first call. It is then safe for concurrent use; of calls that
// overlap in time none comes after the other. It must not be copied.
type Session struct {
	// Quorum is asked. It may be another one for each session of a [Token].
	Quorum Quorum
	// Guarantees are what is promised. If zero, Everything.
	Guarantees Guarantees
	// Max is how many keys are listed, at most 4,096. If zero, DefaultMax. Of those that were not used for
	// longest no more is known than that majorities hold what was seen: they, and all keys that the
	// session has not used, are then read at a majority.
	Max int
	// MaxBytes is how many bytes the token has at most, encoded, where no call is under way and the last one has succeeded. If
	// zero, DefaultMaxBytes. Keys that no majority holds are in it by their names: where these are long, there are fewer of
	// them. As much as 3,000 fits a cookie in base64.
	MaxBytes int
	// AtOnce is how many keys are brought to majorities at the same time, where a call has to do that with several. If
	// zero, DefaultAtOnce. If 1, they are brought one after the other, and no goroutine is started.
	AtOnce int

	mu    sync.Mutex
	token Token
	left  gauge
	// refused says what was resumed that asks for too much.
	refused *LimitError
}

// Token returns what the session has seen by now.
func (s *Session) Token() Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token.clone()
}

// Resume adds what others have seen: what is read and written from now on comes after it. A token with more keys that no majority
// holds than four times Max, and than 64, comes of no sessions with this Max, and would have it read them all: after that
// the calls of this session fail by a [*LimitError], and ask nobody.
func (s *Session) Resume(t Token) {
	most, bytes := s.limits()
	demands := t.demands()
	s.mu.Lock()
	defer s.mu.Unlock()
	if planted.Bug != planted.TokenDropped {
		s.token.Join(t)
	}
	s.token.fold(most, bytes)
	s.left.measure(&s.token, bytes)
	if limit := max(resumable*most, leastResumable); demands > limit {
		s.refused = &LimitError{Of: "reads that it asks for", Has: demands, Most: limit}
	}
}

// Forget gives up what was seen of a key: nothing is promised of it that was before. That is for who
// would rather go on than wait where a call is refused because nobody who had it can be asked,
// or is an owner any more; the error names the key, which need not be that of the call.
func (s *Session) Forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.token.find(hashOf(key)); i >= 0 {
		s.token.keys = slices.Delete(s.token.keys, i, i+1)
	}
}

// choose returns reads and writes, as far as guarantees speak of them.
func (s *Session) choose(aboutReads, aboutWrites Guarantees) (w what) {
	g := cmp.Or(s.Guarantees, Everything)
	if g&aboutReads != 0 {
		w |= read
	}
	if g&aboutWrites != 0 {
		w |= wrote
	}
	return w
}

// keeps returns of what kind a piece is that comes of a read or of a write. Where as much is
// promised of reads as of writes they need not be told apart.
func (s *Session) keeps(kind what) what {
	reads, writes := s.choose(MonotonicReads|WritesFollowReads, 0), s.choose(0, ReadYourWrites|MonotonicWrites)
	later, before := s.choose(MonotonicReads, ReadYourWrites), s.choose(WritesFollowReads, MonotonicWrites)
	if alike := func(w what) bool { return w == 0 || w == read|wrote }; alike(later) && alike(before) {
		return reads | writes
	}
	return (reads | writes) & kind
}

// Read reads a key, and what it returns contains what the guarantees say. It asks an owner that
// has that, and at Level One nobody else. Where none of those can be asked the read fails, by the
// errors of the Quorum: a [*quorum.UnavailableError] or a [*quorum.TimeoutError] that
// speaks of owners that have what was seen. It is then repeated later, or in a session that has seen less.
//
// A read that costs nothing more than one without a session is the rule. Where nobody holds all
// of what it returns (RepairOff and RepairAsync), it is written to one owner first; where a token
// has no room for another key, AtOnce of those not used for longest that no majority holds are brought to one first. A key
// whose name alone takes too much room is brought there at once.
func (s *Session) Read(ctx context.Context, key string, opts quorum.ReadOptions) (quorum.ReadResult, error) {
	keeps := s.keeps(read)
	if err := s.prepare(ctx, key, keeps); err != nil {
		return quorum.ReadResult{}, err
	}
	used := s.seen(key, s.choose(MonotonicReads, ReadYourWrites))
	opts.After, opts.Holders = append(slices.Clone(opts.After), holders(used)...), true
	if planted.Bug == planted.HoldersIgnored {
		opts.After = nil
	}
	res, err := s.Quorum.Read(ctx, key, opts)
	if err != nil || !res.Found || keeps == 0 && len(used) == 0 {
		return res, err
	}
	by := res.Holders
	switch {
	case by == nil:
		return quorum.ReadResult{}, ErrUntold
	case len(by.Nodes) > 0:
	case keeps == 0:
		return res, nil // what is known of the writes stays true
	default:
		if by, err = hold(ctx, s.Quorum, key, res.State, quorum.One); err != nil {
			return quorum.ReadResult{}, err
		}
	}
	s.note(key, res.State, &piece{of: keeps, held: sorted(*by)}, used)
	if err := s.tidy(ctx, key); err != nil {
		return quorum.ReadResult{}, err
	}
	return res, nil
}

// Write writes a delta. Before that is sent, what the session has seen of any key, and the
// guarantees speak of, is brought to a majority of its owners where it is not there yet: by
// one read of each such key at a majority, AtOnce of them at a time. It is what was seen by calls that had ended when this
// one began. Where all is read or written at majorities there is nothing to bring.
//
// It is acknowledged by an owner at least, also at level Any. The errors are those of the Quorum;
// those of reads, too.
func (s *Session) Write(ctx context.Context, key string, delta []byte, opts quorum.WriteOptions) (quorum.WriteResult, error) {
	keeps := s.keeps(wrote)
	if err := s.prepare(ctx, key, keeps); err != nil {
		return quorum.WriteResult{}, err
	}
	if err := s.settleAll(ctx, s.choose(WritesFollowReads, MonotonicWrites)); err != nil {
		return quorum.WriteResult{}, err
	}
	opts.Holders = true
	res, err := s.Quorum.Write(ctx, key, delta, opts)
	if err != nil || keeps == 0 {
		return res, err
	}
	by := res.Holders
	if by != nil && len(by.Nodes) == 0 { // hints alone
		by, err = hold(ctx, s.Quorum, key, delta, quorum.One)
	}
	switch {
	case err != nil:
		return quorum.WriteResult{}, err
	case by == nil:
		return quorum.WriteResult{}, ErrUntold
	}
	s.note(key, delta, &piece{of: keeps, held: sorted(*by)}, nil)
	if err := s.tidy(ctx, key); err != nil {
		return quorum.WriteResult{}, err
	}
	return res, nil
}

// seen returns the pieces of what was seen of a key that are of one kind or the other.
func (s *Session) seen(key string, of what) (used []*piece) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.token.of(hashOf(key)) {
		if p.of&of != 0 {
			used = append(used, p)
		}
	}
	return used
}

func (s *Session) note(key string, state []byte, p *piece, instead []*piece) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hash := hashOf(key)
	before := s.left.of(&s.token, hash)
	s.token.noteState(key, state, p, instead)
	s.left.note(before, s.left.of(&s.token, hash), &p.held)
}

func holders(all []*piece) (h []quorum.Holders) {
	for _, p := range all {
		h = append(h, p.held)
	}
	return h
}
