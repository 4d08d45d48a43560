package antientropy

import (
	"context"
	"slices"

	"github.com/eventual-go/eventual/merkle"
)

// pull asks for the next ranges; when there are none, and none to look at again, the
// session goes on.
func (r *Round) pull(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.cfg.Give {
		r.compare()
		return nil
	}
	index := r.store.Index()
	size, err := r.askAgain(ctx, index)
	if err != nil {
		return err
	}
	if len(r.asked)+len(r.todo) == 0 {
		r.todo = r.looks.take()
	}
	for len(r.todo) > 0 && len(r.asked) < r.window {
		at := r.todo[0]
		if r.inFlight(index, at) {
			r.deferred = append(r.deferred, at)
			r.todo = r.todo[1:]
			continue
		}
		q := question{at: at, insist: r.insists(at)}
		if q.own, err = r.holds(ctx, index, at, nil); err != nil {
			return err
		}
		if size += q.size(); size > r.limit && len(r.asked) > 0 {
			break
		}
		r.asked, r.todo = append(r.asked, q), r.todo[1:]
	}
	if len(r.asked) == 0 {
		r.compare()
		return nil
	}
	r.ask(methodPull, encodeQuestions(&questions{limit: r.limit, skip: r.skip, own: r.own, items: r.asked, seen: r.sights()}))
	return nil
}

// askAgain brings what is left over from the last pull up to date, as our side has
// moved on, and returns what it takes. What no longer fits waits for the next pull.
func (r *Round) askAgain(ctx context.Context, index *merkle.Tree) (size int, err error) {
	size = r.head()
	for i := range r.asked {
		q := &r.asked[i]
		if q.own, err = r.holds(ctx, index, q.at, q.own); err != nil {
			return 0, err
		}
		if size += q.size(); size > r.limit && i > 0 {
			later := make([]merkle.Range, 0, len(r.asked)-i+len(r.todo))
			for _, q := range r.asked[i:] {
				later = append(later, q.at)
			}
			r.todo, r.asked = append(later, r.todo...), r.asked[:i]
			return r.limit, nil
		}
	}
	return size, nil
}

// inFlight reports whether a range is left to deltas.
func (r *Round) inFlight(index *merkle.Tree, at merkle.Range) bool {
	if r.cfg.InFlight == nil || r.insists(at) {
		return false
	}
	for key := range keysAt(index, at) {
		if r.cfg.InFlight(key) {
			return true
		}
	}
	return false
}

// pulled merges what the peer sent, and goes on to what to send back. Each answer
// settles a range or brings at least one of the few keys that a range can have, so
// no peer keeps a round busy for ever.
func (r *Round) pulled(ctx context.Context, resp []byte) error {
	a, err := decodeAnswers(resp, len(r.asked))
	if err != nil {
		return err
	}
	for i := range a.at {
		if !r.asked[i].name(a.at[i].keys) {
			return &CorruptError{Method: methodPull, Reason: "equal to what was not told"}
		}
	}
	first := &a.at[0]
	if r.skip+len(first.keys) > maxKeysAt {
		return &CorruptError{Method: methodPull, Reason: "more keys than a range has"}
	}
	if err := r.take(ctx, a); err != nil {
		return err
	}
	skip, settled := r.partial(a, len(a.at))
	first.keys = append(r.part, first.keys...)
	r.compareAgain(a.at[:settled])
	r.skip, r.part = skip, nil
	if settled < len(a.at) {
		r.part = r.known(a.at[settled].keys)
	}
	r.asked = r.asked[settled:]
	r.resize(settled, len(r.asked) == 0)
	return r.push(ctx)
}

// known is what to remember of keys until the rest of their range comes: what was seen
// of them as far as one message holds it.
func (r *Round) known(keys []found) (kept []found) {
	left := r.limit
	for _, f := range keys {
		if f.told() {
			continue
		}
		k := found{kind: f.kind, key: f.key, sum: f.sum, failed: f.failed, noRoom: f.noRoom}
		if left -= len(f.seen); left >= 0 {
			k.seen = slices.Clone(f.seen)
		}
		k.size = max(f.size, len(f.state))
		kept = append(kept, k)
	}
	return kept
}

// partial leaves the last range to the next pull if more of it is to come.
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

// resize has the next pull ask for about as many ranges as one answer holds.
func (r *Round) resize(settled int, all bool) {
	const least = 32
	if all {
		r.window *= 2
	} else {
		r.window = max(least, 2*settled)
	}
	r.window = min(r.window, 1<<20)
}

// take merges the keys of all ranges, once each is known to belong there. Events tell first
// what the peer could not send.
func (r *Round) take(ctx context.Context, a *answers) error {
	var states []*found
	for i := range a.at {
		for j := range a.at[i].keys {
			f := &a.at[i].keys[j]
			if err := r.check(&r.asked[i], f); err != nil {
				return err
			}
			if f.told() {
				r.withhold(f.key, f.problem(r.limit))
			} else if len(f.state) > 0 {
				states = append(states, f)
			}
		}
	}
	of := func(i int) (string, []byte) { return states[i].key, states[i].state }
	return r.merge(ctx, len(states), of, r.cfg.Learned, func(i int) { states[i].failed = true })
}

// check reports what the answer to a question cannot have.
func (r *Round) check(q *question, f *found) error {
	switch {
	case !f.told() && !q.at.Contains(r.hasher.Position(f.key)):
		return &CorruptError{Method: methodPull, Reason: "key is not of the range asked for: do both sides hash with the same secret?"}
	case f.kind == foundPart && !q.sees(f.key):
		return &CorruptError{Method: methodPull, Reason: "part of a key of which nothing was told"}
	}
	return nil
}

// merge merges n states that the peer sent. learned, if not nil, is told what was new, and
// refused which one was refused.
func (r *Round) merge(ctx context.Context, n int, of func(i int) (key string, state []byte), learned func(key string, novel []byte), refused func(i int)) error {
	for first, in := range lots(r.store, n, of) {
		in.merge(ctx)
		r.result.KeysReceived += in.len()
		for i, key := range in.keys {
			switch novel, err := in.novel[i], in.errs[i]; {
			case err != nil && ctx.Err() != nil: // the round ends here
			case err != nil:
				r.withhold(key, err)
				refused(first + i)
			case len(novel) > 0:
				r.result.KeysNovel++
				if learned != nil {
					learned(key, novel)
				}
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// compareAgain picks the keys to send back: those in the settled ranges, the first
// of those asked for, that differ from what the peer has there, now that what it has
// was merged.
func (r *Round) compareAgain(settled []at) {
	index := r.store.Index()
	for i, at := range settled {
		if !at.equal {
			r.compareAt(index, &r.asked[i], at.keys)
		}
	}
}

func (r *Round) compareAt(index *merkle.Tree, q *question, theirs []found) {
	left := slices.ContainsFunc(theirs, func(f found) bool { return f.kind == foundUnderway })
	var parts []part
	for key, mine := range keysAt(index, q.at) {
		switch their := lookup(theirs, key); {
		case their == nil:
			r.sends = append(r.sends, due{key: key, at: q.at})
		case their.kind == foundSame: // what changed here since is for the next round
		case !their.compared():
			left = true // written to at the peer just now
		case their.sum == mine:
		case their.kind == foundPart:
			parts = append(parts, part{their, mine})
		default:
			r.sends = append(r.sends, due{key: key, at: q.at})
		}
	}
	if len(parts) > 0 && !r.repair(q, parts) {
		left = true
	}
	if left {
		r.deferred = append(r.deferred, q.at)
	}
}

// lookup returns the last word about a key, nil if there is none.
func lookup(theirs []found, key string) *found {
	for i := range slices.Backward(theirs) {
		if f := &theirs[i]; f.key == key && !f.told() {
			return f
		}
	}
	return nil
}
