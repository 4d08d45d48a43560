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
// they ever wrote to, pass to an heir, one for all that depart together and fit into one record: the replica that proposes
// ([Store.Propose]) goes through all keys, and the others do the same by its records. Say it where that is, and again
// where another proposes or it was restarted before all was done. A member that writes under such
// an identity refuses, and nothing comes of it; but what a replica that is no member goes on writing is lost, since
// nobody takes it. And a replica that is no member and holds writes of the departed that no member has cannot settle
// the record ([Store.Settle]): package antientropy keeps it apart, with that error each time, until the record is not
// kept any more ([Config.Retain]) or its program has it [Store.Adopt]. So exchange with all of them first.
//
// Whoever was away may bring their names again in keys that are not known to have them, and a key larger than a record
// keeps them. Once Propose finds nothing more, to say it again has all keys looked at again.
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

// bequeath adds estates to a record as far as they fit. It goes through all keys, for all who departed or as many of them as a
// record has room to name, and then for the others. Who was found is looked for again when the others had their turn, until a
// pass finds nothing of them.
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
			l.those = min(len(l.from), max(1, p.room/4/nameSize))
			l.to = s.heir(a)
		}
		if !s.bequeathThose(p, a) {
			return
		}
		if s.era.Load().at != a.at { // so nothing was found, and nothing comes of this proposal
			l.todo = nil
			return
		}
		those := l.from[:l.those]
		if l.from = slices.Clone(l.from[l.those:]); l.found {
			l.from = append(l.from, those...)
		}
		if p.items() > 0 {
			return
		}
	}
}

// bequeathThose goes on with a pass, and reports whether it is over. s.leaving is locked.
func (s *Store) bequeathThose(p *pack, a *era) bool {
	l := &s.leaving
	p.will = will{to: l.to, from: slices.Clone(l.from[:l.those])}
	names := nameSize * l.those
	p.left -= names
	for len(l.todo) > 0 {
		if it, ok := s.estateOf(l.todo[0], &p.will, a); ok {
			if p.put(&p.estates, it) {
				l.found = true
			} else if p.items() > 0 {
				return false // the next record has room, or none has
			}
		}
		l.todo = l.todo[1:]
	}
	p.left += names
	return true
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

// heirs returns the last ones who have inherited, its own among them. Those in the will may still be named in keys that come
// later, and be all that whoever proposes next has to go by.
func (w *will) heirs(before []vclock.ReplicaID) []vclock.ReplicaID {
	if w.to.IsZero() || slices.Contains(before, w.to) {
		return before
	}
	after := append(slices.Clone(before), w.to)
	return after[max(0, len(after)-keptHeirs):]
}

const keptHeirs = 32
