package merkle

import (
	"cmp"
	"slices"
)

const (
	leafMax = 256 // a leaf with more entries is split
	leafMin = 64  // an inner node with fewer becomes a leaf
)

// entry is one key in a leaf.
type entry struct {
	pos Position
	sum Fingerprint // Hasher.Element of key and state
	key string
}

func (e *entry) compare(o *entry) int {
	if c := cmp.Compare(e.pos, o.pos); c != 0 {
		return c
	}
	return cmp.Compare(e.key, o.key)
}

// node is one block of positions: a leaf with entries in order, or an inner
// node with a child for each next digit. A nil node holds nothing. Nodes of
// another owner are never changed.
type node struct {
	owner *owner
	sum   Fingerprint
	count int
	kids  *[radix]*node // nil in a leaf
	items []entry
}

// owner marks the nodes that one tree may change in place. It has a size, as
// pointers to distinct empty values may be equal.
type owner struct{ _ byte }

// change is what an operation does to every node on its path.
type change struct {
	sum   Fingerprint
	count int
}

func (n *node) len() int {
	if n == nil {
		return 0
	}
	return n.count
}

func (n *node) total() Fingerprint {
	if n == nil {
		return Fingerprint{}
	}
	return n.sum
}

// find returns the element held for a key, descending from the root.
func (n *node) find(pos Position, key string) (Fingerprint, bool) {
	for depth := 0; n != nil; depth++ {
		if n.kids == nil {
			i, found := n.search(&entry{pos: pos, key: key}, depth)
			if !found {
				return Fingerprint{}, false
			}
			return n.items[i].sum, true
		}
		n = n.kids[pos.digit(depth)]
	}
	return Fingerprint{}, false
}

// search returns where in a leaf of a depth e is or belongs. Most positions have one
// key, so order among those of one is looked at last.
func (n *node) search(e *entry, depth int) (int, bool) {
	lo, hi := n.from(e.pos, depth), len(n.items)
	if lo < hi && n.items[lo].pos == e.pos && n.items[lo].key == e.key {
		return lo, true
	}
	if lo == hi || n.items[lo].pos != e.pos {
		return lo, false
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if c := n.items[mid].compare(e); c < 0 {
			lo = mid + 1
		} else if c == 0 {
			return mid, true
		} else {
			hi = mid
		}
	}
	return lo, false
}

// from returns the index of the first entry of a leaf of a depth that is not below p.
// Positions are hashes, so it is near the place that p has in the block.
func (n *node) from(p Position, depth int) int {
	i := int(uint64(p) << (4 * depth) >> 32 * uint64(len(n.items)) >> 32)
	for i > 0 && n.items[i-1].pos >= p {
		i--
	}
	for i < len(n.items) && n.items[i].pos < p {
		i++
	}
	return i
}

// within sums up what lies in r, of the node of the block at base and depth.
func (n *node) within(base Position, depth int, r Range) (sum Fingerprint, count int) {
	if n == nil {
		return
	}
	if r.covers(block(base, depth)) {
		return n.sum, n.count
	}
	if n.kids == nil {
		for _, e := range n.span(r, depth) {
			sum, count = sum.Add(e.sum), count+1
		}
		return
	}
	n.eachKid(base, depth, r, func(kid *node, base Position) bool {
		s, c := kid.within(base, depth+1, r)
		sum, count = sum.Add(s), count+c
		return true
	})
	return
}

// walk yields the entries in r in order, and reports whether to go on.
func (n *node) walk(base Position, depth int, r Range, yield func(*entry) bool) bool {
	if n == nil {
		return true
	}
	if n.kids != nil {
		return n.eachKid(base, depth, r, func(kid *node, base Position) bool {
			return kid.walk(base, depth+1, r, yield)
		})
	}
	items := n.span(r, depth)
	for i := range items {
		if !yield(&items[i]) {
			return false
		}
	}
	return true
}

// span returns the entries of a leaf of a depth that lie in r.
func (n *node) span(r Range, depth int) []entry {
	if len(n.items) == 0 || n.items[0].pos >= r.From && n.items[len(n.items)-1].pos <= r.To {
		return n.items
	}
	from, to := 0, len(n.items)
	if n.items[0].pos < r.From {
		from = n.from(r.From, depth)
	}
	if n.items[to-1].pos > r.To {
		to = from + n.upTo(r.To, from)
	}
	return n.items[from:to]
}

// upTo counts the entries of a leaf from an index on that are not above p.
func (n *node) upTo(p Position, from int) (count int) {
	for _, e := range n.items[from:] {
		if e.pos > p {
			break
		}
		count++
	}
	return count
}

// near returns the entries of a block, of the root: without the detours of walk.
func (n *node) near(r Range) []entry {
	for depth := 0; n != nil; depth++ {
		switch {
		case n.kids == nil:
			return n.span(r, depth)
		case depth == idDepth: // more than a leaf holds share 32 bits
			return n.gather(nil)
		}
		n = n.kids[r.From.digit(depth)]
	}
	return nil
}

// eachKid calls fn for the children that have positions in r.
func (n *node) eachKid(base Position, depth int, r Range, fn func(kid *node, base Position) bool) bool {
	r = r.clip(block(base, depth))
	if r.isEmpty() {
		return true
	}
	for i := r.From.digit(depth); i <= r.To.digit(depth); i++ {
		if !fn(n.kids[i], base|Position(i)<<(60-4*depth)) {
			return false
		}
	}
	return true
}

// own returns n if o may change it, and a copy of it otherwise.
func (o *owner) own(n *node) *node {
	if n.owner == o {
		return n
	}
	c := *n
	c.owner = o
	if n.kids != nil {
		kids := *n.kids
		c.kids = &kids
	} else {
		c.items = grown(n.items)
	}
	return &c
}

// grown copies items with room for at least one more, and for no more than the
// allocator gives for the same memory.
func grown(items []entry) []entry {
	return append(slices.Grow([]entry(nil), len(items)+1), items...)
}

// put stores e under n and returns what n became.
func (o *owner) put(n *node, depth int, e entry, by change) *node {
	if n == nil {
		return &node{owner: o, sum: by.sum, count: by.count, items: grown([]entry{e})}
	}
	n = o.own(n)
	n.sum, n.count = n.sum.Add(by.sum), n.count+by.count
	if n.kids != nil {
		i := e.pos.digit(depth)
		n.kids[i] = o.put(n.kids[i], depth+1, e, by)
		return n
	}
	n.insert(e, depth)
	if len(n.items) > leafMax && depth < maxDepth {
		o.split(n, depth)
	}
	return n
}

func (n *node) insert(e entry, depth int) {
	i, found := n.search(&e, depth)
	if found {
		n.items[i].sum = e.sum
		return
	}
	if len(n.items) == cap(n.items) {
		n.items = grown(n.items)
	}
	n.items = slices.Insert(n.items, i, e)
}

// split makes a leaf an inner node. A child may get all entries and be over
// its limit until something is next put into it.
func (o *owner) split(n *node, depth int) {
	items := n.items
	n.items, n.kids = nil, new([radix]*node)
	for len(items) > 0 {
		d := items[0].pos.digit(depth)
		end := 1
		for end < len(items) && items[end].pos.digit(depth) == d {
			end++
		}
		n.kids[d] = o.leaf(items[:end])
		items = items[end:]
	}
}

func (o *owner) leaf(items []entry) *node {
	n := &node{owner: o, count: len(items), items: grown(items)}
	for i := range items {
		n.sum = n.sum.Add(items[i].sum)
	}
	return n
}

// remove takes out the entry at e's position and key, which is there.
func (o *owner) remove(n *node, depth int, e entry, by change) *node {
	if n.count == 1 {
		return nil
	}
	n = o.own(n)
	n.sum, n.count = n.sum.Add(by.sum), n.count+by.count
	if n.kids == nil {
		i, _ := n.search(&e, depth)
		n.items = slices.Delete(n.items, i, i+1)
		if len(n.items) < cap(n.items)/2 {
			n.items = grown(n.items)
		}
		return n
	}
	i := e.pos.digit(depth)
	n.kids[i] = o.remove(n.kids[i], depth+1, e, by)
	if n.count < leafMin {
		return o.leaf(n.gather(nil))
	}
	return n
}

// gather appends all entries below n in order.
func (n *node) gather(dst []entry) []entry {
	if n == nil {
		return dst
	}
	dst = append(dst, n.items...)
	if n.kids != nil {
		for _, kid := range n.kids {
			dst = kid.gather(dst)
		}
	}
	return dst
}
