package simulation

import (
	"context"
	"errors"

	"github.com/eventual-go/eventual/internal/large"
)

// Values of a run are small. These are large from a few elements on, so that both ways to
// repair a key are taken.
func init() { large.Parts, large.Seen = 4, 64 }

// A sight is what a store held that said what it has seen.
type sight struct {
	shadow shadow
	state  []byte
}

// A portion is what somebody lacks of a state who has seen something. For who has that, it
// means as much as the state does; for anybody else the simulator does not know what.
type portion struct{ seen, all shadow }

// errNotFor is the answer of a replica that is sent a portion which is not for it: what it
// had seen was on a disk that it lost, or in a store that was emptied since.
var errNotFor = errors.New("simulation: a portion that was for somebody else")

// Seen implements antientropy.Differ.
func (p *replica) Seen(ctx context.Context, key string) ([]byte, error) {
	if !p.ready() {
		return nil, errFallen
	}
	seen, err := p.store.Seen(ctx, key)
	if len(seen) == 0 || err != nil || p.run.plan.retires {
		return seen, err
	}
	state, err := p.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	p.run.sights[key+"\x00"+string(seen)] = &sight{p.shadows[p.run.ledger(key).index], state}
	return seen, nil
}

// LoadSince implements antientropy.Differ. It checks that who has seen so much comes to the
// same by what it lacks as by all there is.
func (p *replica) LoadSince(ctx context.Context, key string, seen []byte) ([]byte, error) {
	r := p.run
	if !p.ready() {
		return nil, errFallen
	}
	part, err := p.store.LoadSince(ctx, key, seen)
	if err != nil || r.plan.retires {
		return part, err
	}
	all, err := p.Load(ctx, key)
	if err != nil || string(part) == string(all) {
		return part, err
	}
	l, of := r.ledger(key), r.sights[key+"\x00"+string(seen)]
	if of == nil {
		r.fail(bytesUnknown, key, "seen %x", seen)
		return nil, errStopped
	}
	mine := p.shadows[l.index]
	if a, b := r.joined(l, of.state, part), r.joined(l, of.state, all); a != b {
		r.fail(portionWrong, key, "to %v of %v that is %x: %x comes to %x, and not %x", of.shadow, mine, all, part, a, b)
		return nil, errStopped
	}
	if len(part) == 0 {
		r.did("a key of which nothing lacked")
		return nil, nil
	}
	r.did("a part of a key sent")
	r.portions[contentKey(key, part)] = portion{of.shadow, mine}
	return part, nil
}

// joined is what two states come to.
func (r *run) joined(l *ledger, a, b []byte) string {
	_, x := unseal(a)
	_, y := unseal(b)
	v, err := r.kinds.Decode(x)
	if err == nil {
		w, bad := r.kinds.Decode(y)
		v.Merge(w)
		err = bad
	}
	joined, bad := v.AppendBinary(nil)
	if err = errors.Join(err, bad); err != nil {
		r.fail(errorUnexplained, l.key, "decode: %v", err)
	}
	return string(joined)
}

// meaning is the shadow of a state that arrives at a replica, and which marks in it may not be
// in the bytes, as the replica has them. It reports false for a portion that is not for it.
func (p *replica) meaning(l *ledger, state []byte) (in shadow, known bitset, ok bool) {
	r, at := p.run, contentKey(l.key, state)
	of, isPortion := r.portions[at]
	if _, made := r.content[at]; made || !isPortion {
		return r.meaning(l, state), nil, true
	}
	if !l.covers(p.knows(l), of.seen) {
		return shadow{}, nil, false
	}
	r.did("a key repaired by what it lacked")
	return of.all, of.seen.seen, true
}
