package session

import "hash/maphash"

// seed is this process's own: sums are compared with those of the same process, and are in no token's encoding.
var seed = maphash.MakeSeed()

// sumOf stands for a state, or for a delta, which is one too. It is never zero.
func sumOf(state []byte) uint64 { return maphash.Bytes(seed, state) | 1 }

// noteState adds a piece that is all of a state, if there is one. What majorities hold they hold for good: a state that one
// owner has answered with is with majorities if it is the last one that was known to be, to the byte. So who reads by one
// owner what it has itself written, or read at a majority, has nothing to bring to one.
func (t *Token) noteState(key string, state []byte, p *piece, instead []*piece) {
	hash, sum := hashOf(key), sumOf(state)
	if i := t.find(hash); i >= 0 && t.keys[i].whole == sum && len(state) > 0 {
		p.held.Majority = true
	}
	t.note(key, p, instead)
	if i := t.find(hash); i >= 0 && p.held.Majority && len(state) > 0 {
		t.keys[i].whole = sum
	}
}
