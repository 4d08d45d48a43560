package antientropy

import (
	"cmp"
	"context"
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// A pulling gathers the answer to one pull.
type pulling struct {
	*Responder
	from  transport.NodeID
	limit int // bytes of the answer
	used  int
	index *merkle.Tree
	seen  []sight // by the one who asks
	reply answers
}

func (s *Responder) pull(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	q, err := decodeQuestions(req)
	if err != nil {
		return nil, err
	}
	if s.apart(q.own) {
		return encodeElsewhere(new(elsewhere)), nil
	}
	limit := min(maxMessage(q.limit), maxMessage(s.MaxMessage))
	p := &pulling{Responder: s, from: from, limit: limit, used: messageOverhead, index: s.Store.Index(), seen: q.seen}
	skip := q.skip
	for _, it := range q.items {
		full, err := p.answer(ctx, it, skip)
		if err != nil {
			return nil, err
		}
		if full {
			break
		}
		skip = 0
	}
	p.recheck()
	return encodeAnswers(&p.reply), nil
}

// answer adds what is held in one range, and reports whether the reply is full. A
// key always fits into an empty reply, so each reply brings the peer further. Keys
// that the peer has in the same state are left out but for their number.
func (p *pulling) answer(ctx context.Context, q question, skip int) (full bool, err error) {
	if p.used+rangeOverhead > p.limit {
		return true, nil
	}
	if p.equal(q) {
		p.add(at{equal: true}, rangeOverhead)
		return false, nil
	}
	here, size, same := at{}, rangeOverhead, matcher(q.own)
	for key, sum := range keysAt(p.index, q.at) {
		f := found{kind: foundSame}
		var ok bool
		f.size, ok = same.match(sum)
		if skip > 0 {
			skip--
			continue
		}
		if !ok {
			if f, err = p.find(ctx, key, sum, q.insist); err != nil {
				return false, err
			}
		}
		if p.used+size+f.cost() > p.limit {
			full = true
			break
		}
		size += f.cost()
		here.keys = append(here.keys, f)
	}
	p.reply.more = full && len(here.keys) > 0
	if !full || p.reply.more {
		p.add(here, size)
	}
	return full, nil
}

// equal reports whether the peer has just what is held in a range.
func (p *pulling) equal(q question) bool {
	n, same := 0, matcher(q.own)
	for _, sum := range keysAt(p.index, q.at) {
		if _, ok := same.match(sum); !ok {
			return false
		}
		n++
	}
	return n == len(q.own) || planted.Bug == planted.OverClaim
}

// matcher pairs own keys with those of the peer, each once.
func matcher(theirs []hold) sames { return sames{theirs: theirs} }

type sames struct {
	theirs []hold
	taken  uint64 // bits, of maxHeld
}

// match returns which of the peer's keys has the fingerprint.
func (s *sames) match(sum merkle.Fingerprint) (index int, ok bool) {
	for i, h := range s.theirs {
		if h.sum == sum.Lo && s.taken>>i&1 == 0 {
			s.taken |= 1 << i
			return i, true
		}
	}
	return 0, false
}

func (p *pulling) add(a at, size int) {
	p.reply.at = append(p.reply.at, a)
	p.used += size
}

// find says what there is to say of one key.
func (p *pulling) find(ctx context.Context, key string, sum merkle.Fingerprint, insist bool) (found, error) {
	if !insist && p.InFlight != nil && p.InFlight(p.from, key) && fits(key, 0, p.limit) {
		return found{kind: foundUnderway, key: key}, nil
	}
	if f, ok, err := p.part(ctx, key, sum, insist); ok || err != nil {
		return f, err
	}
	state, err := p.Store.Load(ctx, key)
	switch {
	case ctx.Err() != nil:
		return found{}, ctx.Err()
	case err != nil:
		p.refused(Refused{Peer: p.from, Key: key, Err: err})
		return found{kind: foundFailed, key: cut(key, maxToldKey), reason: cut(err.Error(), maxReason)}, nil
	case !fits(key, len(state), p.limit):
		return p.tooLarge(key, len(state)), nil
	}
	return found{kind: foundState, key: key, sum: sum, state: state, insist: insist}, nil
}

func (p *pulling) tooLarge(key string, size int) found {
	p.refused(Refused{Peer: p.from, Key: key, Err: &TooLargeError{Key: key, Size: size, Max: p.limit}})
	return found{kind: foundTooLarge, key: cut(key, maxToldKey), size: size}
}

// part says what the peer lacks of one key, if it told what it has seen of it. What is
// seen here is looked up first: so it does not claim what is not in the part.
func (p *pulling) part(ctx context.Context, key string, sum merkle.Fingerprint, insist bool) (f found, ok bool, err error) {
	differ, theirs := differOf(p.Store), p.seenOf(key)
	if differ == nil || theirs == nil {
		return f, false, nil
	}
	f = found{kind: foundPart, key: key, sum: sum, insist: insist}
	f.seen, err = differ.Seen(ctx, key)
	if err == nil {
		f.state, err = differ.LoadSince(ctx, key, theirs)
	}
	switch {
	case ctx.Err() != nil:
		return f, false, ctx.Err()
	case err != nil:
		return f, false, nil // the whole will do
	case !fits(key, len(f.state), p.limit):
		return p.tooLarge(key, len(f.state)), true, nil
	case !fits(key, len(f.seen), p.limit):
		f.seen = nil // never is there room
	case !fits(key, len(f.state)+len(f.seen), p.limit):
		f.seen, f.noRoom = nil, true
	}
	return f, true, nil
}

// seenOf returns what the peer has seen of a key, nil if it has not said so.
func (p *pulling) seenOf(key string) []byte {
	if len(p.seen) == 0 {
		return nil
	}
	i, ok := slices.BinarySearchFunc(p.seen, p.index.Hasher().Position(key), func(s sight, at merkle.Position) int {
		return cmp.Compare(s.at, at)
	})
	if !ok {
		return nil
	}
	return p.seen[i].seen
}

// recheck compares the fingerprints again after all states were loaded. A state
// whose fingerprint changed meanwhile is sent without one: what the peer would
// conclude from a wrong one is that it must send the key back.
func (p *pulling) recheck() {
	if !p.loaded() {
		return
	}
	now := p.Store.Index()
	for _, at := range p.reply.at {
		for i := range at.keys {
			f := &at.keys[i]
			if !f.compared() {
				continue
			}
			sum, _ := now.Get(f.key)
			if sum != f.sum && !f.insist {
				f.kind, f.seen = foundMoving, nil
			}
			f.sum = sum
		}
	}
}

func (p *pulling) loaded() bool {
	for _, at := range p.reply.at {
		for _, f := range at.keys {
			if f.compared() {
				return true
			}
		}
	}
	return false
}
