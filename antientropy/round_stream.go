package antientropy

import (
	"context"

	"github.com/eventual-go/eventual/merkle"
)

// A store that has next to nothing of what a peer has is not asked for one
// difference at a time. The peer streams its keys in the order of the index, and a
// comparison afterwards finds what is left, both ways.

// muchMissing is from how many differences on a comparison may be given up: there
// have to be four times as many as the store has keys. A store that has none goes
// without so many if the first answer does not tell of any single one.
const muchMissing = 256

// streams reports whether to go on with a stream instead of the session, which found
// that something differs.
func (r *Round) streams() bool {
	if r.streamedAll {
		return false
	}
	if r.keys == 0 && r.result.Different == 0 || r.resumes() {
		return true
	}
	return r.result.Different >= max(muchMissing, 4*r.keys)
}

// resumes reports whether the rest of a stream is wanted still: what it was to bring
// may have come by other ways.
func (r *Round) resumes() bool {
	c := r.cfg.Resume
	return c != (Cursor{}) && r.keys < c.had+c.left/2
}

// streaming reports whether the next request is to stream.
func (r *Round) streaming() bool { return r.method == methodStream }

// seek goes on from another cursor.
func (r *Round) seek(c Cursor) {
	r.cursor = c
	r.stream()
}

// stream asks for the keys from the cursor on, of as many ranges as leave room for an answer
// of use; if there are none left, it is over.
func (r *Round) stream() {
	r.todo, r.next = nil, nil
	r.asking = restOf(r.cfg.Ranges, r.cursor.at)
	if len(r.cfg.Ranges) > 0 && len(r.asking) == 0 {
		r.compareAnew()
		return
	}
	r.asking = r.asking[:min(len(r.asking), max(1, r.limit/4/rangeSize))]
	r.ask(methodStream, encodeStream(&starting{limit: r.limit, from: r.cursor, own: r.own, ranges: r.asking}))
}

// streamed merges what the peer sent, and asks for the rest, or compares anew.
func (r *Round) streamed(ctx context.Context, resp []byte) error {
	s, err := decodeStreamed(resp, r.cursor)
	if err != nil {
		return err
	}
	for _, e := range s.entries {
		if len(r.asking) > 0 && !contains(r.asking, r.hasher.Position(e.key)) {
			return &CorruptError{Method: methodStream, Reason: "key is of no range asked for: do both sides hash with the same secret?"}
		}
	}
	for _, k := range s.refused {
		r.withhold(k.key, k.err(r.limit))
		r.toldOf(k.key)
	}
	if err := r.absorb(ctx, s.entries); err != nil {
		return err
	}
	r.result.Strategy = FullState
	r.cursor, r.left = r.after(s.next), s.left
	r.cursor.had = keysIn(r.store.Index(), r.cfg.Ranges)
	if r.cursor.end {
		r.compareAnew()
		return nil
	}
	r.stream()
	return nil
}

// after is where the stream goes on: where the ranges that were asked for end, with the next.
func (r *Round) after(next Cursor) Cursor {
	const some = 2 // keys are left, nobody knows how many
	if n := len(r.asking); next.end && n > 0 {
		if last := r.asking[n-1].To; last < merkle.Full.To {
			if rest := restOf(r.cfg.Ranges, last+1); len(rest) > 0 {
				return Cursor{at: rest[0].From, left: some}
			}
		}
	}
	return next
}

// absorb merges keys of the stream. Nothing is passed on: what one peer has had all along
// the others are not to be sent again; who lacks some of it finds out.
func (r *Round) absorb(ctx context.Context, all []entry) error {
	of := func(i int) (string, []byte) { return all[i].key, all[i].state }
	return r.merge(ctx, len(all), of, nil, func(i int) { r.toldOf(all[i].key) })
}

// toldOf remembers a key that was refused, so that it is not asked for again at once.
func (r *Round) toldOf(key string) {
	const most = 1 << 16
	if r.told == nil {
		r.told = make(map[uint32]bool)
	}
	if len(r.told) < most {
		p := r.hasher.Position(key)
		r.told[place(merkle.Range{From: p, To: p})] = true
	}
}

// compareAnew begins a session with the store as it is now, after all was streamed.
func (r *Round) compareAnew() {
	r.streamedAll = true
	r.startOver()
}

// startOver begins a session with the store as it is now.
func (r *Round) startOver() {
	r.cursor, r.left = Cursor{}, 0
	r.result.Different = 0
	r.begin()
}

// Resume is how far a round of [FullState] has come, for the Resume of the next one
// with any peer, if it ends early. It is the zero Cursor if it was complete.
func (r *Round) Resume() Cursor { return r.cursor }

// Remaining estimates how many keys are still to come or to be sent, of those that
// are known to differ. While the comparison goes on it is too few.
func (r *Round) Remaining() int {
	return r.left + len(r.todo) + len(r.asked) + len(r.sends) + len(r.looks.next)
}
