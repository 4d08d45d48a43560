package merkle

import (
	"iter"
	"sync/atomic"

	"github.com/eventual-go/eventual/internal/planted"
)

// Tree is an index of keys and the states they are in, ordered by [Position],
// in which the fingerprint of any range of positions is at hand. What it holds
// for a key is one [Hasher.Element]; the fingerprint of a range, and of the
// whole tree, is the sum of what it holds there. It depends on the content
// alone, never on the order or history of the calls.
//
// Any number of goroutines may call the reading methods and Snapshot at the
// same time; Set and Delete need the tree for themselves. A tree and its
// snapshots are independent: each may be read or written while others are,
// with no locking between them.
//
// The tree is a copy-on-write trie over the hexadecimal digits of the position
// with leaves of up to 256 keys, each node with the count and the sum of what is
// below it. It costs 40 bytes a key and 2 to 6 of overhead, plus the key's
// own bytes where nobody else holds them. Beside it stands a sketch for sessions, of
// 3 to 6 bytes a key up to 199 kB in all.
type Tree struct {
	hasher *Hasher
	root   *node
	sketch *sketch               // nil in a small tree
	fork   bool                  // a snapshot, not written to so far
	owner  atomic.Pointer[owner] // nil: owns no node, a snapshot shares them all
}

// New returns an empty tree. If h is nil, it is NewHasher(nil).
func New(h *Hasher) *Tree {
	if h == nil {
		h = NewHasher(nil)
	}
	return &Tree{hasher: h}
}

// Hasher returns the hasher that the tree was made with.
func (t *Tree) Hasher() *Hasher { return t.hasher }

// Set records that key is in the given state and reports whether that changed
// the tree. state may be any fingerprint that is equal exactly when states are,
// such as [Hasher.Sum] of their canonical encoding. O(log n); the first Set on
// a path after a Snapshot copies that path.
func (t *Tree) Set(key string, state Fingerprint) (changed bool) {
	e := entry{pos: t.hasher.Position(key), sum: t.hasher.Element(key, state), key: key}
	old, found := t.root.find(e.pos, key)
	if found && old == e.sum {
		return false
	}
	by := change{sum: e.sum.Sub(old)}
	if !found {
		by.count = 1
	}
	o := t.writer()
	t.root = o.put(t.root, 0, e, by)
	t.resketch(o, by, func(s *sketch) {
		if planted.Bug == planted.PoisonedSketch && found && e.pos%2 == 0 {
			return
		}
		if found {
			s.add(t.hasher.sketchID(e.pos, old), -1)
		}
		s.add(t.hasher.sketchID(e.pos, e.sum), 1)
	})
	return true
}

// Delete forgets key and reports whether the tree held it. O(log n).
func (t *Tree) Delete(key string) (changed bool) {
	pos := t.hasher.Position(key)
	old, found := t.root.find(pos, key)
	if !found {
		return false
	}
	by := change{sum: Fingerprint{}.Sub(old), count: -1}
	o := t.writer()
	t.root = o.remove(t.root, 0, entry{pos: pos, key: key}, by)
	t.resketch(o, by, func(s *sketch) { s.add(t.hasher.sketchID(pos, old), -1) })
	return true
}

// Get returns what the tree holds for key: the [Hasher.Element] of the key and
// the state last set. O(log n).
func (t *Tree) Get(key string) (element Fingerprint, found bool) {
	return t.root.find(t.hasher.Position(key), key)
}

// Len returns the number of keys.
func (t *Tree) Len() int { return t.root.len() }

// Root returns the fingerprint of everything in the tree. Two trees of one
// secret have equal roots exactly if they hold equal keys in equal states, but
// for a chance of 2^-128. It is a sum: show it only to those who may see
// fingerprints, and [Hasher.Sum] of its bytes to others.
func (t *Tree) Root() Fingerprint { return t.root.total() }

// Sum returns the fingerprint of what the tree holds in r and the number of
// its keys. O(log n).
func (t *Tree) Sum(r Range) (Fingerprint, int) {
	if r.isEmpty() {
		return Fingerprint{}, 0
	}
	return t.root.within(0, 0, r)
}

// Range yields the keys of r with what the tree holds for each (as Get), by
// position and, where keys share one, by key. The tree must not be written
// meanwhile; range over a Snapshot where it may be.
func (t *Tree) Range(r Range) iter.Seq2[string, Fingerprint] {
	return func(yield func(string, Fingerprint) bool) {
		for e := range t.entries(r) {
			if !yield(e.key, e.sum) {
				return
			}
		}
	}
}

// All is Range over everything.
func (t *Tree) All() iter.Seq2[string, Fingerprint] { return t.Range(Full) }

// Snapshot returns a tree of the same content at O(1). Later changes to either
// do not show in the other.
func (t *Tree) Snapshot() *Tree {
	t.owner.Store(nil)
	return &Tree{hasher: t.hasher, root: t.root, sketch: t.sketch, fork: true}
}

// partSums returns Sum of each of r.parts(), at one descent for all.
func (t *Tree) partSums(r Range) []Fingerprint {
	n, depth := t.root, 0
	for n != nil && n.kids != nil && depth < r.depth() {
		n = n.kids[r.From.digit(depth)]
		depth++
	}
	parts := r.parts()
	out := make([]Fingerprint, len(parts))
	base := block(r.From, depth).From
	for i, part := range parts {
		out[i], _ = n.within(base, depth, part)
	}
	return out
}

// writer returns the mark of nodes that this tree alone can reach, and so may
// change in place.
func (t *Tree) writer() *owner {
	o := t.owner.Load()
	if o == nil {
		o = new(owner)
		t.owner.Store(o)
	}
	return o
}

func (t *Tree) entries(r Range) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		if !r.isEmpty() {
			t.root.walk(0, 0, r, yield)
		}
	}
}
