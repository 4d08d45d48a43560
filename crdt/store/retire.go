package store

import (
	"fmt"
	"slices"
	"sync"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// Retire says that replicas have departed and will never write again: nodes that are gone for good, and what a node
// called itself before it was restarted. Their entries in clocks and counters, of which there is one in each state that
// they ever wrote to, pass to an heir, one for all that depart together: the replica that proposes ([Store.Propose])
// goes through all keys, and the others do the same by its records. Say it where that is. A member that writes under such
// an identity refuses, and nothing comes of it; but what a replica that is no member goes on writing is lost, since
// nobody takes it. And a replica that is no member and holds writes of the departed that no member has cannot settle
// the record ([Store.Settle]): package antientropy keeps it apart, with that error each time, until the record is not
// kept any more ([Config.Retain]) or its program has it [Store.Adopt]. So exchange with all of them first.
//
// Whoever was away may bring their names again in keys that are not known to have them. To say it again has all keys
// looked at again.
//
// It is explicit, since nothing that can be seen from here tells a replica that departed from one that is offline.
func (s *Store) Retire(departed ...vclock.ReplicaID) {
	l := &s.leaving
	l.mu.Lock()
	defer l.mu.Unlock()
	a, before := s.era.Load(), len(l.from)
	for _, id := range departed {
		if !id.IsZero() && id != a.base {
			l.add(id)
		}
	}
	if len(l.from) == before {
		return
	}
	for _, id := range a.heirs {
		l.add(id)
	}
	l.todo = nil
}

// leaving are those of which Retire said that they have departed, with the heirs of those who did before, until nothing is
// left of them.
type leaving struct {
	mu    sync.Mutex
	from  []vclock.ReplicaID
	those int              // how many of them this pass is about, the first
	to    vclock.ReplicaID // who inherits in this pass, and in no other
	todo  []string         // keys that were not looked at in this pass
	found bool             // something, in this pass
	heirs int              // how many there were
}

func (l *leaving) add(id vclock.ReplicaID) {
	if !slices.Contains(l.from, id) {
		l.from = append(l.from, id)
	}
}

// bequeath adds estates to a record as far as they fit. It goes through all keys until a pass finds nothing any more of those
// that it is about: of all who departed, unless that is more names than a record has room for.
//
// An heir inherits once in a key: what is found there in another pass, since somebody had been away, is another cut. So
// each pass has an heir of its own.
func (s *Store) bequeath(p *pack, a *era) {
	l := &s.leaving
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.from) > 0 {
		if len(l.todo) == 0 {
			l.todo, l.found = slices.Sorted(s.table.all()), false
			l.those = min(len(l.from), max(1, p.left/4/nameSize))
			l.to = s.heir(a)
		}
		p.will = will{to: l.to, from: slices.Clone(l.from[:l.those])}
		names := nameSize * l.those
		p.left -= names
		for len(l.todo) > 0 {
			it, ok := s.estateOf(l.todo[0], &p.will, a)
			if ok && !p.put(&p.estates, it) && p.items() > 0 {
				return // the next one has room, or nothing has
			}
			l.found = l.found || ok
			l.todo = l.todo[1:]
		}
		if l.found {
			return
		}
		p.left += names
		l.from = l.from[l.those:] // until somebody says it again
	}
}

// heir returns an identity that nobody writes with, and that no record names unless this store settled it in this
// process, so that it knows. s.leaving is locked.
func (s *Store) heir(a *era) vclock.ReplicaID {
	s.leaving.heirs++
	return vclock.Named(fmt.Sprintf("%v heir %d of %d", a.base, s.leaving.heirs, a.at.number))
}

// estateOf returns what those in a will have left in a key.
func (s *Store) estateOf(key string, w *will, of *era) (item, bool) {
	e, a, err := s.lookup(key)
	if e == nil || err != nil {
		return item{}, false
	}
	defer e.mu.Unlock()
	if a.at != of.at || e.value.Spent() { // a residue goes as a whole
		return item{}, false
	}
	value, err := e.value.Left(w.from...).AppendBinary(nil)
	if err != nil || len(value) == 0 {
		return item{}, false
	}
	after := e.value.Clone()
	cut, err := s.kinds.Decode(value)
	if err != nil {
		return item{}, false
	}
	changed, err := after.Handover(cut, w.to, w.from...)
	return item{key, value}, err == nil && changed
}

// keepsPromise refuses what would contradict an estate that was promised for the next record, or that is about to be
// settled. Where the entry does so already it was refused, see Prepare: no record has it then.
func (s *Store) keepsPromise(a *era, e *entry, in *crdt.Value) error {
	for _, r := range []*record{a.promised, a.settling} {
		if r == nil {
			continue
		}
		if err := s.contradicts(r, e, in); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) contradicts(r *record, e *entry, in *crdt.Value) error {
	b, ok := find(r.estates, e.key)
	if !ok {
		return nil
	}
	cut, err := s.kinds.Decode(b)
	if err != nil {
		return err
	}
	contradicts := func(v *crdt.Value) error {
		_, err := v.Handover(cut, r.will.to, r.will.from...)
		return err
	}
	after := e.value.Clone()
	after.Merge(in)
	if err := contradicts(after); err != nil && contradicts(e.value.Clone()) == nil {
		return err
	}
	return nil
}

// heirs returns those who have inherited, those in the will gone and its own added.
func (w *will) heirs(before []vclock.ReplicaID) []vclock.ReplicaID {
	if w.to.IsZero() {
		return before
	}
	after := slices.DeleteFunc(slices.Clone(before), func(id vclock.ReplicaID) bool {
		return id == w.to || slices.Contains(w.from, id)
	})
	return append(after, w.to)
}
