package session

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A Token is what a session has seen, said by who holds it. It can be encoded, taken to another
// process, and be what a session there begins with; see [Session.Resume]. It says nothing of what is
// in the states, and of the keys only those that no majority holds are in it by name. It is neither
// secret nor signed: who forges one gets reads that promise less, or that fail, and may cause one read at
// a majority for each key that it lists by name, as many as a [Session] takes.
//
// The zero Token has seen nothing. It is a plain value for one goroutine.
type Token struct {
	rest bool    // what was seen of keys that are not listed is held by majorities
	keys []entry // the least recently used first
}

// An entry is what was seen of one key.
type entry struct {
	hash  uint64
	key   string // known if a piece is not held by a majority
	seen  []*piece
	whole uint64 // sum of a state that majorities hold all of, 0 if none is known; not encoded
	until int    // its place from the end, while tokens are joined
}

// A piece of what was seen is held by some nodes that each hold all of it. It is not changed.
type piece struct {
	of   what
	held quorum.Holders // its nodes in ascending order
}

// what is of what a piece is: of writes, of reads, or of both.
type what uint8

const (
	wrote what = 1 << iota
	read
)

// anything is what was seen of a key that is not listed any more.
var anything = &piece{of: wrote | read, held: quorum.Holders{Majority: true}}

// hashOf stands for a key in tokens.
func hashOf(key string) uint64 {
	sum := sha256.Sum256([]byte(key))
	return binary.BigEndian.Uint64(sum[:])
}

// find returns the place of a key, -1 if it is not listed.
func (t *Token) find(hash uint64) int {
	return slices.IndexFunc(t.keys, func(e entry) bool { return e.hash == hash })
}

// of returns what was seen of a key. It must not be changed.
func (t *Token) of(hash uint64) []*piece {
	if i := t.find(hash); i >= 0 {
		return t.keys[i].seen
	}
	if t.rest {
		return []*piece{anything}
	}
	return nil
}

// note adds a piece to what was seen of a key. The piece contains what others are in whose place it is. If it is of
// a read or a write, the key is then the last that was used.
func (t *Token) note(key string, p *piece, instead []*piece) {
	hash := hashOf(key)
	var left []*piece
	own := p.of
	for _, old := range t.of(hash) {
		switch rest := old.of &^ own; {
		case !slices.Contains(instead, old):
			left = append(left, old)
		case old.held.Majority && !p.held.Majority && rest != 0: // that is not to be lost
			left = append(left, &piece{of: rest, held: old.held})
		default:
			p = &piece{of: p.of | old.of, held: p.held}
		}
	}
	if p.of == 0 {
		return // what it is in the place of is gone already
	}
	e, i := entry{hash: hash, key: key, seen: add(left, p)}, t.find(hash)
	if i >= 0 {
		e.whole = t.keys[i].whole
	}
	if i >= 0 && own == 0 {
		t.keys[i] = e
		return
	}
	if i >= 0 {
		t.keys = slices.Delete(t.keys, i, i+1)
	}
	t.keys = append(t.keys, e)
}

// add adds a piece to others. Where one node has both of what is of one kind, or majorities have,
// they become one.
func add(all []*piece, p *piece) (out []*piece) {
	for _, old := range all {
		if h, ok := both(&old.held, &p.held); ok && old.of == p.of {
			p = &piece{of: p.of, held: h}
		} else {
			out = append(out, old)
		}
	}
	out = append(out, p)
	slices.SortFunc(out, comparePieces)
	return out
}

// both returns who holds what a and b hold. It fails if that is nobody who is known. Nodes that
// were owners by two placements have by the later one what they had by the other.
func both(a, b *quorum.Holders) (h quorum.Holders, ok bool) {
	h.Majority = a.Majority && b.Majority
	for _, n := range a.Nodes {
		if _, has := slices.BinarySearch(b.Nodes, n); has {
			h.Nodes, h.Version = append(h.Nodes, n), max(a.Version, b.Version)
		}
	}
	return h, h.Majority || len(h.Nodes) > 0
}

func comparePieces(a, b *piece) int {
	more := func(so bool) int {
		if so {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(a.held.Version, b.held.Version), slices.Compare(a.held.Nodes, b.held.Nodes),
		more(a.held.Majority)-more(b.held.Majority), cmp.Compare(a.of, b.of),
	)
}

// settled reports whether majorities hold all of an entry, of what it is about.
func (e *entry) settled(of what) bool {
	return !slices.ContainsFunc(e.seen, func(p *piece) bool { return p.of&of != 0 && !p.held.Majority })
}

// clone returns a copy.
func (t *Token) clone() Token { return Token{rest: t.rest, keys: slices.Clone(t.keys)} }

// Join adds what another token has seen: of two devices of one user, of a request and what came
// of it. It is commutative, and to join it twice asks for no more. Where no node holds what both have seen of a key, both
// are kept. It may list as many keys as both; a session makes it smaller again.
func (t *Token) Join(other Token) {
	mine, theirs := t.index(), other.index()
	var keys []entry
	for hash, e := range mine {
		keys = append(keys, join(e, theirs[hash], other.rest))
	}
	for hash, e := range theirs {
		if mine[hash] == nil {
			keys = append(keys, join(e, nil, t.rest))
		}
	}
	slices.SortFunc(keys, func(a, b entry) int { return cmp.Or(cmp.Compare(b.until, a.until), cmp.Compare(a.hash, b.hash)) })
	for i := range keys {
		keys[i].until = 0
	}
	t.keys, t.rest = keys, t.rest || other.rest
}

// index returns a copy of the keys by their hashes, with their places from the end.
func (t *Token) index() map[uint64]*entry {
	m := make(map[uint64]*entry, len(t.keys))
	for i, e := range t.keys {
		e.until = len(t.keys) - i
		m[e.hash] = &e
	}
	return m
}

// join returns what was seen of a key by two tokens, of which b may not list it, and then
// have seen it with the rest.
func join(a, b *entry, rest bool) entry {
	out, all := *a, slices.Clone(a.seen)
	switch {
	case b != nil:
		all = append(all, b.seen...)
		out.key, out.whole, out.until = cmp.Or(a.key, b.key), cmp.Or(a.whole, b.whole), min(a.until, b.until)
	case rest:
		all = append(all, anything)
	}
	slices.SortFunc(all, comparePieces)
	out.seen = nil
	for _, p := range all {
		out.seen = add(out.seen, p)
	}
	return out
}

// sorted returns holders with their nodes in ascending order, each once. It copies them.
func sorted(h quorum.Holders) quorum.Holders {
	h.Nodes = slices.Clone(h.Nodes)
	slices.Sort(h.Nodes)
	h.Nodes = slices.Compact(h.Nodes)
	if len(h.Nodes) == 0 {
		h.Nodes, h.Version = nil, 0
	}
	return h
}

type nodeID = transport.NodeID
