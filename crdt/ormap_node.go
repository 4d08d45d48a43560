package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// FieldKind is the kind of a field of an [ORMap].
type FieldKind uint8

// The kinds of fields.
const (
	FieldCounter FieldKind = 1 + iota
	FieldSet
	FieldLWWRegister
	FieldMVRegister
	FieldFlag
	FieldMap
)

var fieldKinds = [...]string{"none", "counter", "set", "lwwregister", "mvregister", "flag", "map"}

// String returns the name of the kind, such as "counter".
func (k FieldKind) String() string {
	if int(k) < len(fieldKinds) {
		return fieldKinds[k]
	}
	return "unknown"
}

// orNode is a field that has something in it, or the top of a map.
type orNode[K comparable] struct {
	parent  *orNode[K] // nil at the top
	key     K
	kind    FieldKind
	sibling *orNode[K]                // the next kind under the same key
	fields  rows[K, *orNode[K]]       // of a map: the first kind under each key
	elems   rows[string, *orEntry[K]] // of a set: one entry of each element
	head    *orEntry[K]               // of the others: one entry
}

// orEntry is an event that lives: where it is, and what it says. It does not change.
type orEntry[K comparable] struct {
	at         *orNode[K]
	dot        vclock.Dot
	n          int64       // of a counter: how many more or less
	text       string      // of a set: the element; of a register: the value
	more       *orMore     // what few have
	prev, next *orEntry[K] // in the same place, and of the same element
	ended      bool        // marked by a merge
}

type orMore struct {
	time   vclock.Timestamp // of a last-write-wins register
	folded []uint64         // of a fold: the numbers of the events that it stands for besides its own, in order
}

// folded returns the numbers of the other events of e's replica that e stands for.
func (e *orEntry[K]) folded() []uint64 {
	if e.more == nil {
		return nil
	}
	return e.more.folded
}

// dots calls do for each dot of e.
func (e *orEntry[K]) dots(do func(d vclock.Dot)) {
	for _, seq := range e.folded() {
		do(vclock.Dot{Replica: e.dot.Replica, Seq: seq})
	}
	do(e.dot)
}

// same reports whether e and o, of two maps, are the same entry. Entries with one dot that are not the same come
// from an identity that was used twice.
func (e *orEntry[K]) same(o *orEntry[K]) bool {
	return e.dot == o.dot && e.n == o.n && e.text == o.text && slices.Equal(e.folded(), o.folded()) &&
		e.time() == o.time() && e.at.same(o.at)
}

func (e *orEntry[K]) time() vclock.Timestamp {
	if e.more == nil {
		return vclock.Timestamp{}
	}
	return e.more.time
}

// same reports whether n and o, of two maps, are the same place.
func (n *orNode[K]) same(o *orNode[K]) bool {
	for n.parent != nil && o.parent != nil {
		if n.key != o.key || n.kind != o.kind {
			return false
		}
		n, o = n.parent, o.parent
	}
	return n.parent == o.parent
}

// under returns the field of the first kind under key, or nil. The others are its siblings.
func (n *orNode[K]) under(key K) *orNode[K] {
	if n == nil {
		return nil
	}
	c, _ := n.fields.get(key)
	return c
}

// child returns the field of that kind under key, or nil.
func (n *orNode[K]) child(key K, kind FieldKind) *orNode[K] {
	c := n.under(key)
	for c != nil && c.kind != kind {
		c = c.sibling
	}
	return c
}

// ensure is child, and makes the field if need be.
func (n *orNode[K]) ensure(key K, kind FieldKind) *orNode[K] {
	if c := n.child(key, kind); c != nil {
		return c
	}
	c := &orNode[K]{parent: n, key: key, kind: kind}
	first := n.under(key)
	if first == nil || first.kind > kind {
		c.sibling = first
		n.fields.put(key, c)
		return c
	}
	for first.sibling != nil && first.sibling.kind < kind {
		first = first.sibling
	}
	first.sibling, c.sibling = c, first.sibling
	return c
}

// prune takes n out of the tree if nothing is in it, and so on upwards.
func (n *orNode[K]) prune() {
	for n.parent != nil && n.isEmpty() {
		n.parent.forget(n)
		n = n.parent
	}
}

func (n *orNode[K]) isEmpty() bool { return n.head == nil && n.elems.len() == 0 && n.fields.len() == 0 }

func (n *orNode[K]) forget(c *orNode[K]) {
	first := n.under(c.key)
	switch {
	case first != c:
		for first.sibling != c {
			first = first.sibling
		}
		first.sibling = c.sibling
	case c.sibling != nil:
		n.fields.put(c.key, c.sibling)
	default:
		n.fields.delete(c.key)
	}
}

// link puts e into the chain of its place.
func (n *orNode[K]) link(e *orEntry[K]) {
	first := n.first(e.text)
	if e.next = first; first != nil {
		first.prev = e
	}
	n.begin(e.text, e)
}

// unlink takes e out of the chain of its place.
func (n *orNode[K]) unlink(e *orEntry[K]) {
	if e.next != nil {
		e.next.prev = e.prev
	}
	if e.prev != nil {
		e.prev.next = e.next
		return
	}
	n.begin(e.text, e.next)
}

// first returns the first entry in n, in a set that of an element.
func (n *orNode[K]) first(elem string) *orEntry[K] {
	switch {
	case n == nil:
		return nil
	case n.kind == FieldSet:
		e, _ := n.elems.get(elem)
		return e
	}
	return n.head
}

// begin makes e the first entry in n, in a set that of an element.
func (n *orNode[K]) begin(elem string, e *orEntry[K]) {
	switch {
	case n.kind != FieldSet:
		n.head = e
	case e == nil:
		n.elems.delete(elem)
	default:
		n.elems.put(elem, e)
	}
}

// walk calls do for each entry in n and below. An entry may be dropped by do.
func (n *orNode[K]) walk(do func(e *orEntry[K])) {
	if n == nil {
		return
	}
	walkChain(n.head, do)
	for _, first := range n.elems.all() {
		walkChain(first, do)
	}
	for _, c := range n.fields.all() {
		walkKinds(c, do)
	}
}

func walkChain[K comparable](e *orEntry[K], do func(e *orEntry[K])) {
	for e != nil {
		next := e.next
		do(e)
		e = next
	}
}

// walkKinds walks over the fields of all kinds under one key.
func walkKinds[K comparable](n *orNode[K], do func(e *orEntry[K])) {
	for n != nil {
		next := n.sibling
		n.walk(do)
		n = next
	}
}

// under calls do for each entry of whatever kind in the field that the keys lead to, and below.
func (m *ORMap[K]) under(keys []K, do func(e *orEntry[K])) {
	if m == nil {
		return
	}
	n := m.root
	for i, key := range keys {
		if i == len(keys)-1 {
			walkKinds(n.under(key), do)
			return
		}
		n = n.child(key, FieldMap)
	}
	n.walk(do)
}

// like returns the place here that is n, of another map, there.
func (m *ORMap[K]) like(n *orNode[K]) *orNode[K] {
	if n.parent == nil {
		if m.root == nil {
			m.root = &orNode[K]{kind: FieldMap}
		}
		return m.root
	}
	return m.like(n.parent).ensure(n.key, n.kind)
}

// insert makes an entry that is like e live in at, and reports whether none of its dots did.
func (m *ORMap[K]) insert(at *orNode[K], e *orEntry[K]) bool {
	c := &orEntry[K]{at: at, dot: e.dot, n: e.n, text: e.text, more: e.more}
	fresh := true
	c.dots(func(d vclock.Dot) { fresh = m.live.insert(d, c) && fresh })
	at.link(c)
	m.track.entry(c, 1)
	return fresh
}

// drop ends the life of e.
func (m *ORMap[K]) drop(e *orEntry[K]) {
	m.track.entry(e, -1)
	e.dots(m.live.remove)
	e.at.unlink(e)
	e.at.prune()
}

// put makes an entry that is like e live in at, with its dots.
func (m *ORMap[K]) put(at *orNode[K], e *orEntry[K]) {
	m.insert(at, e)
	e.dots(func(d vclock.Dot) { m.see(vclock.Span{Replica: d.Replica, Lo: d.Seq, Hi: d.Seq}) })
}

// kill ends the life of e and adds its dots to killed.
func (m *ORMap[K]) kill(e *orEntry[K], killed *grave) {
	e.dots(func(d vclock.Dot) { *killed = append(*killed, d) })
	m.drop(e)
}

// named returns the delta of the removal of dots.
func named[K comparable](killed grave) (delta *ORMap[K]) {
	delta = new(ORMap[K])
	killed.into(&delta.seen)
	return delta
}

func sortDots(dots []vclock.Dot) { slices.SortFunc(dots, vclock.Dot.Compare) }
