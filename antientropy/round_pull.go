package antientropy

import (
	"context"

	"github.com/eventual-go/eventual/merkle"
)

// pull asks for the next positions; when there are none, the session goes on.
func (r *Round) pull(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	index := r.store.Index()
	for i := range r.asked { // left over from the last pull; our side has moved on
		r.asked[i].sum = sumAt(index, r.asked[i].at)
	}
	most := min(r.window, (r.limit-messageOverhead)/pullItemSize)
	for len(r.todo) > 0 && len(r.asked) < most {
		p := r.todo[0]
		r.todo = r.todo[1:]
		if !r.insist[p] && r.inFlight(index, p) {
			r.deferred = append(r.deferred, p)
			continue
		}
		r.asked = append(r.asked, question{at: p, sum: sumAt(index, p), insist: r.insist[p]})
	}
	if len(r.asked) == 0 {
		r.compare()
		return nil
	}
	r.ask(methodPull, encodeQuestions(&questions{limit: r.limit, skip: r.skip, items: r.asked}))
	return nil
}

func (r *Round) inFlight(index *merkle.Tree, p merkle.Position) bool {
	if r.cfg.InFlight == nil {
		return false
	}
	for key := range keysAt(index, p) {
		if r.cfg.InFlight(key) {
			return true
		}
	}
	return false
}

// pulled merges what the peer sent, and goes on to what to send back.
func (r *Round) pulled(ctx context.Context, resp []byte) error {
	a, err := decodeAnswers(resp, len(r.asked))
	if err != nil {
		return err
	}
	for i := range a.at {
		if err := r.take(ctx, r.asked[i].at, a.at[i].keys); err != nil {
			return err
		}
	}
	settled := len(a.at)
	r.skip, settled = r.partial(a, settled)
	r.compareAgain(a, settled)
	r.asked = r.asked[settled:]
	r.resize(settled, len(r.asked) == 0)
	return r.push(ctx)
}

// partial leaves the last position to the next pull if more of it is to come.
func (r *Round) partial(a *answers, settled int) (skip, whole int) {
	if !a.more {
		return 0, settled
	}
	skip = len(a.at[settled-1].keys)
	if settled == 1 {
		skip += r.skip
	}
	return skip, settled - 1
}

// resize has the next pull ask for about as many positions as one answer holds.
func (r *Round) resize(settled int, all bool) {
	const least = 32
	if all {
		r.window *= 2
	} else {
		r.window = max(least, 2*settled)
	}
	r.window = min(r.window, 1<<20)
}

// take merges the keys of one position. The order of events is that of the peer's
// answer.
func (r *Round) take(ctx context.Context, p merkle.Position, keys []found) error {
	for i := range keys {
		f := &keys[i]
		told := f.kind == foundTooLarge || f.kind == foundFailed
		if !told && r.hasher.Position(f.key) != p {
			return &CorruptError{Method: methodPull, Reason: "key is not of the position asked for: do both sides hash with the same secret?"}
		}
		r.theirs[f.key] = found{kind: f.kind, sum: f.sum}
		switch f.kind {
		case foundTooLarge, foundFailed:
			r.refuse(f.key, f.problem(r.limit))
		case foundState, foundMoving:
			if err := r.merge(ctx, f.key, f.state); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Round) merge(ctx context.Context, key string, state []byte) error {
	r.result.KeysReceived++
	novel, err := r.store.Merge(ctx, key, state)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.refuse(key, err)
	case len(novel) > 0:
		r.result.KeysNovel++
		if r.cfg.Learned != nil {
			r.cfg.Learned(key, novel)
		}
	}
	return nil
}

// compareAgain picks the keys to send back: those at the settled positions that
// differ from what the peer has there, now that what it has was merged.
func (r *Round) compareAgain(a *answers, settled int) {
	index := r.store.Index()
	underway := r.underway()
	for i := range settled {
		if a.at[i].equal {
			continue
		}
		p := r.asked[i].at
		left := underway[p]
		for key, mine := range keysAt(index, p) {
			switch their, known := r.theirs[key]; {
			case !known, their.kind == foundTooLarge, their.kind == foundFailed:
				r.sends = append(r.sends, key)
			case their.kind == foundState && their.sum != mine:
				r.sends = append(r.sends, key)
			case their.kind == foundState:
			default:
				left = true // written to at the peer just now
			}
		}
		if left {
			r.deferred = append(r.deferred, p)
		}
	}
	r.forget(a, settled)
}

// underway are the positions of keys that the peer left to its deltas, whether or
// not they are known here, and in whichever answer they came.
func (r *Round) underway() map[merkle.Position]bool {
	var at map[merkle.Position]bool
	for key, f := range r.theirs {
		if f.kind != foundUnderway {
			continue
		}
		if at == nil {
			at = make(map[merkle.Position]bool)
		}
		at[r.hasher.Position(key)] = true
	}
	return at
}

// forget drops what is known of the settled positions' keys.
func (r *Round) forget(a *answers, settled int) {
	if settled == len(a.at) {
		clear(r.theirs)
		return
	}
	for _, at := range a.at[:settled] {
		for _, f := range at.keys {
			delete(r.theirs, f.key)
		}
	}
}
