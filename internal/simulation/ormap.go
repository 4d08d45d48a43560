package simulation

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// fields is a map of fields: the whole, or one in it.
type fields interface {
	Counter(key string) crdt.CounterField[string]
	Set(key string) crdt.SetField[string]
	LWWRegister(key string) crdt.LWWField[string]
	MVRegister(key string) crdt.MVField[string]
	Flag(key string) crdt.FlagField[string]
	Map(key string) crdt.MapField[string]
	Remove(keys ...string) *crdt.ORMap[string]
	Reset() *crdt.ORMap[string]
	All() iter.Seq2[string, crdt.FieldKind]
}

// A path is the keys that lead to a field.
type path []string

func (p path) String() string { return strings.Join(p, "/") }

// in returns the map that holds the field, and its key there.
func (p path) in(m *crdt.ORMap[string]) (fields, string) {
	var f fields = m
	last := len(p) - 1
	for _, key := range p[:last] {
		f = f.Map(key)
	}
	return f, p[last]
}

// spot is where a field of a map is.
type spot struct {
	path path
	kind crdt.FieldKind
}

// spot draws one of few, so that clients meet, also where one is within another: often
// the path that was used last.
func (r *run) spot(l *ledger) spot {
	at := spot{l.spot.path, leafKinds[r.clients.IntN(len(leafKinds))]}
	if at.path != nil && r.clients.chance(0.6) {
		return at
	}
	at.path = make(path, 1+max(r.clients.IntN(3), r.clients.IntN(3)))
	for i := range at.path {
		at.path[i] = "a"
		if r.clients.chance(0.3) {
			at.path[i] = "b"
		}
	}
	return at
}

// target draws something to take away: mostly a field that is there.
func (r *run) target(n *node, l *ledger) spot {
	there := slices.Collect(n.replica.live(l, ormap).all())
	if len(there) == 0 || r.clients.chance(0.3) {
		return r.spot(l)
	}
	m := &l.marks[there[r.clients.IntN(len(there))]]
	return spot{strings.Split(m.place, "/"), m.field}
}

// leafKinds are the kinds of fields that are no maps.
var leafKinds = [...]crdt.FieldKind{
	crdt.FieldCounter, crdt.FieldSet, crdt.FieldLWWRegister, crdt.FieldMVRegister, crdt.FieldFlag,
}

// within reports whether a mark is in the field at a place, or below it.
func (m *mark) within(place string) bool { return m.place == place || m.below(place) }

func (m *mark) below(place string) bool { return strings.HasPrefix(m.place, place+"/") }

func changeMap(r *run, n *node, l *ledger) change {
	takes := r.clients.chance(0.45)
	if takes {
		l.spot = r.target(n, l)
	} else {
		l.spot = r.spot(l)
	}
	if p := l.spot.path; takes && r.clients.chance(0.6) {
		return removeFields(r, n, l, p[:len(p)-r.clients.IntN(len(p))])
	}
	w := fieldWrite{r, n, l, l.spot}
	switch w.kind {
	case crdt.FieldCounter:
		return w.counter(takes)
	case crdt.FieldSet:
		return w.set(takes)
	case crdt.FieldLWWRegister:
		return w.lww(takes)
	case crdt.FieldMVRegister:
		return w.mv(takes)
	}
	return w.flag(takes)
}

// A fieldWrite is a change to one field.
type fieldWrite struct {
	run    *run
	node   *node
	ledger *ledger
	spot
}

// live is the marks in the field; of a set, those of an element.
func (w *fieldWrite) live(elems ...string) bitset {
	place := w.path.String()
	return w.node.replica.liveWhere(w.ledger, ormap, func(m *mark) bool {
		return m.place == place && m.field == w.kind && (elems == nil || slices.Contains(elems, m.text))
	})
}

// do changes the field: some marks go, and others come.
func (w *fieldWrite) do(name string, gone bitset, marks []mark, write func(f fields, key string, by store.Writer) *crdt.ORMap[string]) change {
	l := w.ledger
	c := change{name: "ormap " + w.kind.String() + " " + name, detail: fmt.Sprintf("%v over %v", w.path, gone), effect: removal(gone)}
	c.delta, c.err = mint(w.node, l, ormap, func(v *crdt.ORMap[string], by store.Writer) *crdt.ORMap[string] {
		f, key := w.path.in(v)
		return write(f, key, by)
	})
	for _, m := range marks {
		m.component, m.place, m.field = ormap, w.path.String(), w.kind
		c.effect.seen = c.effect.seen.with(l.add(m))
	}
	return c
}

func (w *fieldWrite) counter(reset bool) change {
	if reset {
		return w.do("reset", w.live(), nil, func(f fields, key string, _ store.Writer) *crdt.ORMap[string] {
			return f.Counter(key).Reset()
		})
	}
	amount := 1 + w.run.clients.Int64N(5)
	if w.run.clients.chance(0.4) {
		amount = -amount
	}
	return w.do("add", nil, []mark{{amount: amount}}, func(f fields, key string, by store.Writer) *crdt.ORMap[string] {
		return f.Counter(key).Add(by.Replica, amount)
	})
}

func (w *fieldWrite) set(takes bool) change {
	elems := w.run.elements()
	switch {
	case takes && w.run.clients.chance(0.5):
		return w.do("reset", w.live(), nil, func(f fields, key string, _ store.Writer) *crdt.ORMap[string] {
			return f.Set(key).Reset()
		})
	case takes:
		return w.do("remove", w.live(elems...), nil, func(f fields, key string, _ store.Writer) *crdt.ORMap[string] {
			return f.Set(key).Remove(elems...)
		})
	}
	var marks []mark
	for _, e := range elems {
		marks = append(marks, mark{text: e})
	}
	return w.do("add", w.live(elems...), marks, func(f fields, key string, by store.Writer) *crdt.ORMap[string] {
		return f.Set(key).Add(by.Replica, elems...)
	})
}

func (w *fieldWrite) lww(reset bool) change {
	if reset {
		return w.do("reset", w.live(), nil, func(f fields, key string, _ store.Writer) *crdt.ORMap[string] {
			return f.LWWRegister(key).Reset()
		})
	}
	marks := []mark{{text: w.ledger.value()}}
	return w.do("set", w.live(), marks, func(f fields, key string, by store.Writer) *crdt.ORMap[string] {
		stamp := by.Stamp()
		delta := f.LWWRegister(key).Set(by.Replica, stamp, marks[0].text)
		there, key := w.path.in(delta)
		marks[0].stamp = there.LWWRegister(key).Timestamp()
		w.run.stamped(w.ledger, stamp, marks[0].stamp)
		return delta
	})
}

func (w *fieldWrite) mv(reset bool) change {
	if reset {
		return w.do("reset", w.live(), nil, func(f fields, key string, _ store.Writer) *crdt.ORMap[string] {
			return f.MVRegister(key).Reset()
		})
	}
	text := w.ledger.value()
	return w.do("set", w.live(), []mark{{text: text}}, func(f fields, key string, by store.Writer) *crdt.ORMap[string] {
		return f.MVRegister(key).Set(by.Replica, text)
	})
}

func (w *fieldWrite) flag(disable bool) change {
	if disable {
		return w.do("disable", w.live(), nil, func(f fields, key string, _ store.Writer) *crdt.ORMap[string] {
			return f.Flag(key).Disable()
		})
	}
	return w.do("enable", w.live(), []mark{{}}, func(f fields, key string, by store.Writer) *crdt.ORMap[string] {
		return f.Flag(key).Enable(by.Replica)
	})
}

// removeFields takes away all fields under a key, with what is below, or resets the
// map there and leaves fields of other kinds.
func removeFields(r *run, n *node, l *ledger, p path) change {
	place := p.String()
	under, name := func(m *mark) bool { return m.within(place) }, "remove"
	whole := r.clients.chance(0.75)
	if !whole {
		under, name = func(m *mark) bool { return m.below(place) }, "reset map"
	}
	c := change{name: fmt.Sprintf("ormap %s at depth %d", name, len(p)), detail: place}
	c.effect = removal(n.replica.liveWhere(l, ormap, under))
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.ORMap[string], _ store.Writer) *crdt.ORMap[string] {
		f, key := p.in(v)
		if whole {
			return f.Remove(key)
		}
		return f.Map(key).Reset()
	}))
	if !c.effect.empty() && n.replica.misses(l, under) {
		r.did(races(p))
	}
	return c
}

// races names a removal of something that others write to at the same time.
func races(p path) string {
	if len(p) > 1 {
		return "ormap nested removal races"
	}
	return "ormap removal races"
}

// misses reports whether something was written of which a replica has not heard.
func (p *replica) misses(l *ledger, where func(m *mark) bool) bool {
	for id := range l.of[ormap].without(p.shadows[l.index].seen).all() {
		if where(&l.marks[id]) {
			return true
		}
	}
	return false
}

// remarkMap: under one key there may be fields of several kinds.
func remarkMap(l *ledger, s shadow) string {
	var last *mark
	live := slices.Collect(s.live().intersect(l.of[ormap]).all())
	l.sortByField(live)
	for _, id := range live {
		m := &l.marks[id]
		if last != nil && (m.place == last.place && m.field != last.field || m.below(last.place)) {
			return "has two kinds under one key"
		}
		last = m
	}
	return ""
}
