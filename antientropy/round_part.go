package antientropy

import (
	"context"
	"slices"

	"github.com/eventual-go/eventual/merkle"
)

// A key of which both sides can tell what the other lacks ([Differ]) is repaired by parts:
// the peer answers with what this side lacks, and this side sends what the peer lacks. What
// both say that they have seen is relied on for what is sent, and never for what is equal:
// that the fingerprints tell alone. So a key that was not equal after the peer's part came is
// looked at a second time, when the rest of the round is done. Nearly always it is equal then,
// for a few bytes. If not, then
//
//   - either the fingerprint of one side has moved between the two looks. Then it was written
//     to, or one of the parts brought something but not all; the next round goes on with it.
//   - or both have stood still, and parts do not help: a hash collides, an identity was used
//     twice, or a Differ is wrong. Then the range is asked for a third time without a word of
//     what was seen, so that whole states are exchanged, in this round. If the first look brought
//     nothing and left nothing to send, the second is left out.
//
// A peer that has no room to say what it has seen, beside what this side lacks, has it the
// next time: then the first look is early, and does not count.
//
// So no difference stays hidden behind what Differs say: at the end of a round each key that
// was asked for is equal, or was exchanged whole, or was told to Refused, or is left to the next
// round as Deferred: since deltas of it are under way, or since it has moved. Once
// nobody writes, the states of both only move upwards, below the join of both, by something that
// one has and the other lacks, of which there is so much; so the last case comes to its end,
// whatever is in the parts. A right Differ brings in each round all that both sides had when
// it began, also while they are written to.

// A due is a key to send.
type due struct {
	key    string
	at     merkle.Range // that was asked for
	part   bool         // what the peer lacks, by what it has seen
	seen   []byte       // nothing if the peer cannot tell
	lacked bool         // the peer sent something itself
	insist bool
}

// loadDue loads what to send of a key.
func (r *Round) loadDue(ctx context.Context, d *due) ([]byte, error) {
	if differ := differOf(r.store); d.part && len(d.seen) > 0 && differ != nil {
		if since, err := differ.LoadSince(ctx, d.key, d.seen); err == nil || ctx.Err() != nil {
			return since, err
		}
	}
	return r.store.Load(ctx, d.key)
}

// holds is what to tell of a range, with what was seen of the keys there, as far as it fits
// and is of use. Of those that have not changed since it was told before it is the same.
func (r *Round) holds(ctx context.Context, index *merkle.Tree, at merkle.Range, before []hold) ([]hold, error) {
	own, differ := heldAt(index, at), differOf(r.store)
	if differ == nil || r.looks.whole(at) {
		return own, nil
	}
	left := r.limit - r.head() - (&question{at: at, own: own}).size()
	for i := range own {
		h := &own[i]
		if b := slices.IndexFunc(before, func(b hold) bool { return b.key == h.key && b.sum == h.sum }); b >= 0 {
			h.seen = before[b].seen
		} else {
			seen, err := differ.Seen(ctx, h.key)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err == nil {
				h.seen = seen
			}
		}
		if len(h.seen) == 0 {
			continue
		}
		if left -= len(h.seen) + sightOverhead; left < 0 {
			h.seen, left = nil, left+len(h.seen)+sightOverhead
		}
	}
	return own, nil
}

// sights are what was seen of the keys asked for.
func (r *Round) sights() (all []sight) {
	for i := range r.asked {
		for _, h := range r.asked[i].own {
			if len(h.seen) == 0 {
				continue
			}
			s := sight{r.hasher.Position(h.key), h.seen}
			if n := len(all); n == 0 || all[n-1].at < s.at { // no two keys share a position
				all = append(all, s)
			}
		}
	}
	return all
}

// sees reports whether the question told what was seen of a key.
func (q *question) sees(key string) bool {
	return slices.ContainsFunc(q.own, func(h hold) bool { return h.key == key && len(h.seen) > 0 })
}

// A part is a key of which the peer has sent what was lacking, and that still differs.
type part struct {
	their *found
	mine  merkle.Fingerprint
}

// repair goes on with keys in one range that still differ. It reports false if one of them
// has moved since it was looked at before.
func (r *Round) repair(q *question, parts []part) (still bool) {
	now := &look{sums: make([]merkle.Fingerprint, 0, 2*len(parts))}
	noRoom := false
	for _, p := range parts {
		now.sums = append(now.sums, p.mine, p.their.sum)
		now.over = now.over || p.their.failed
		noRoom = noRoom || p.their.noRoom
	}
	before := r.looks.at[q.at]
	if before != nil && !before.early {
		return r.looks.again(q.at, before, now.sums) || r.cfg.insistAll && r.looks.anyhow(q.at, before)
	}
	now.early = before == nil && noRoom
	r.looks.first(q.at, now)
	for _, p := range parts {
		f := p.their
		if f.noRoom {
			continue // what it lacks is for the next look
		}
		r.sends = append(r.sends, due{
			key: f.key, part: true, seen: slices.Clone(f.seen), at: q.at,
			lacked: f.size > 0 || len(f.state) > 0, insist: q.insist,
		})
	}
	return true
}
