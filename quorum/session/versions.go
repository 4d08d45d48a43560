package session

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"sync"

	"github.com/eventual-go/eventual/quorum"
)

// defaultKeys is the Max of a [VersionBound] that has none.
const defaultKeys = 4096

// A VersionBound writes keys such that no owner falls behind by more than so many versions: of the writes to a key
// that it has acknowledged an owner lacks at most Most, whoever reads it there and at whatever level. Before one more is
// sent, all owners are brought up; where they cannot be, the write is refused. So who reads is protected by who writes, as
// with the bounded staleness of Cosmos DB, which throttles writers, and the numerical error of TACT (Yu, Vahdat:
// Design and Evaluation of a Continuous Consistency Model for Replicated Services, OSDI 2000).
//
// Writers at several nodes, each with a VersionBound of its own, are bounded each by itself: an owner lacks at most the
// sum. What did not pass through any is not counted. For what holds while the ring changes see the documentation of the package.
//
// Its fields are set before the first call. It is then safe for concurrent use, and must not be copied.
type VersionBound struct {
	// Quorum is asked.
	Quorum Quorum
	// Most is how many of the acknowledged writes to a key an owner may lack. If less than 1, 1.
	Most int
	// Max is how many keys are remembered, beside those that are being written to. If zero, 4,096. Of a key that
	// is not, such as each one after a start, nothing is known, and the first write brings all owners up: have it
	// larger than the number of keys that are written to again and again.
	Max int

	mu    sync.Mutex
	keys  map[string]*list.Element // of *budget
	order list.List                // the last used first
}

// A budget is how many writes of a key some owner may lack. It is a core: no lock, nobody waits in it.
type budget struct {
	key     string
	spent   int // writes that not all owners are known to have
	under   int // of these, under way
	filling *gate
	freed   *gate // when a write has ended; made for those who wait for that
}

// A gate opens once.
type gate struct {
	done  chan struct{}
	ended int // writes that had ended when a filling began
	err   error
}

func newGate() *gate { return &gate{done: make(chan struct{})} }

func (b *VersionBound) most() int { return max(b.Most, 1) }

// Read passes on: it is the writes that are bounded. So a VersionBound is the Quorum of a [Session], too.
func (b *VersionBound) Read(ctx context.Context, key string, opts quorum.ReadOptions) (quorum.ReadResult, error) {
	if b.Quorum == nil {
		return quorum.ReadResult{}, errNoQuorum
	}
	return b.Quorum.Read(ctx, key, opts)
}

// Write writes a delta, once the owners lack less than Most of the writes before it. To bring them up costs a read at
// All, once for every Most writes of a key, and for the first that is not remembered; who writes meanwhile waits for the same
// one. What is written at Level All is not counted once it is acknowledged. Where writers would have more than Most under way,
// they wait for one another.
//
// It is acknowledged by a majority of the owners themselves at least, whatever the level: only that is with them also when
// owners change.
//
// The errors are those of the Quorum; of the read at All, too: then nothing was sent. A write that failed counts like any other,
// since some owners may have it; and so does one in which the Quorum panicked.
func (b *VersionBound) Write(ctx context.Context, key string, delta []byte, opts quorum.WriteOptions) (quorum.WriteResult, error) {
	if b.Quorum == nil {
		return quorum.WriteResult{}, errNoQuorum
	}
	u, err := b.enter(ctx, key)
	if err != nil {
		return quorum.WriteResult{}, err
	}
	everywhere := false // as far as is known, also if the Quorum panics
	defer func() { b.leave(u, everywhere) }()
	if opts.Holders = true; opts.Level == quorum.All {
		opts.Primary = quorum.All // of those to come, too: who is to come has got all that it is to get, maybe
	}
	opts.Primary = cmp.Or(opts.Primary, quorum.Majority)
	res, err := b.Quorum.Write(ctx, key, delta, opts)
	switch {
	case err != nil:
		return res, err
	case res.Holders == nil:
		return quorum.WriteResult{}, ErrUntold
	case !res.Holders.Majority:
		if _, err := hold(ctx, b.Quorum, key, delta, quorum.Majority); err != nil {
			return quorum.WriteResult{}, err
		}
	}
	everywhere = opts.Primary == quorum.All
	return res, nil
}

// enter waits until a write may begin, and counts it.
func (b *VersionBound) enter(ctx context.Context, key string) (*budget, error) {
	for {
		u, wait, leads := b.turn(key)
		switch {
		case wait == nil:
			return u, nil
		case leads:
			return u, b.fill(ctx, u, wait)
		}
		select {
		case <-wait.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if wait.err != nil {
			return nil, wait.err
		}
	}
}

// turn counts a write if there is room for it, and says what to wait for if there is none; or that it is for the caller
// to fill the budget.
func (b *VersionBound) turn(key string) (u *budget, wait *gate, leads bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u = b.budget(key)
	switch {
	case u.spent < b.most():
		u.begin()
	case u.filling != nil:
		wait = u.filling
	case u.spent == u.under: // all are under way: nothing would be gained
		if u.freed == nil {
			u.freed = newGate()
		}
		wait = u.freed
	default:
		wait, leads = newGate(), true
		wait.ended, u.filling = u.spent-u.under, wait
	}
	b.evict()
	return u, wait, leads
}

// budget returns what is known of a key, and has it be the last used. Of one that is not remembered it is assumed that
// owners lack as much as they may.
func (b *VersionBound) budget(key string) *budget {
	if at := b.keys[key]; at != nil {
		b.order.MoveToFront(at)
		return at.Value.(*budget)
	}
	if b.keys == nil {
		b.keys = make(map[string]*list.Element)
	}
	u := &budget{key: key, spent: b.most()}
	b.keys[key] = b.order.PushFront(u)
	return u
}

// evict forgets the keys not used for longest, of those that nobody waits for or is writing to. Owners lack no more by that.
func (b *VersionBound) evict() {
	excess := len(b.keys) - cmp.Or(max(b.Max, 0), defaultKeys)
	for at := b.order.Back(); at != nil && excess > 0; {
		u, before := at.Value.(*budget), at.Prev()
		if u.under == 0 && u.filling == nil {
			b.order.Remove(at)
			delete(b.keys, u.key)
			excess--
		}
		at = before
	}
}

func (u *budget) begin() { u.spent++; u.under++ }

// errBurst is for who waits for a call that panics.
var errBurst = errors.New("session: the Quorum panicked while it brought all owners up")

// fill brings all owners up and counts the write for which it did. What was under way when it began stays counted.
func (b *VersionBound) fill(ctx context.Context, u *budget, f *gate) error {
	err := errBurst
	defer func() { b.filled(u, f, err, ctx.Err() == nil) }()
	_, _, err = bring(ctx, b.Quorum, u.key, quorum.All, nil)
	return err
}

// filled ends a filling. If it failed, those who wait are told why; but if that may be because its own time is over, they go on by
// themselves.
func (b *VersionBound) filled(u *budget, f *gate, err error, inTime bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.filling = nil
	if err == nil {
		u.spent -= f.ended
		u.begin()
	} else if inTime {
		f.err = err
	}
	close(f.done)
}

// leave ends a write.
func (b *VersionBound) leave(u *budget, everywhere bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.under--
	if everywhere {
		u.spent--
	}
	if u.freed != nil {
		close(u.freed.done)
		u.freed = nil
	}
}
