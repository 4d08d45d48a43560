package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// Fold puts increments of r, at most one run for each counter, together into one where no removal can come any
// more that saw a part of them. It is an event of r like any other: only r's writer may call it, others get the
// delta. Counters show the same before and after. Afterwards a counter has, for each replica that folds, one entry
// and the increments since the fold before; so its Value and its removal take O(what is not yet stable).
//
// The events in stable must be settled: each member of the system has seen them, and what each member knew at some
// moment after it had seen them has been merged into m. That is so for the intersection of the contexts of m and of
// one state of each other member (or Delta(m.Context()) with its context) which was merged here whole:
//
//	m.Merge(fromTokyo)                      // with its Context: what tokyo had seen by then
//	settled := ...                          // what is in the contexts of m, tokyo and all other members
//	delta := m.Fold(paris, settled)
//
// A new member counts from the moment when it has merged the whole state of another, and changes nothing before.
//
// If stable has events that m has not seen, it is no such context, and nothing is folded. Beyond that nobody here can
// tell what is settled. If it is not, sums may come out wrong: a removal that comes later takes the whole fold away
// with the part that it saw, or, where that was folded once more, takes nothing. Which of the two may depend on the
// order of merging three states, so replicas can differ for a while; but they agree when they have merged one another,
// and nothing but the folded counters is touched. By one who is not r's writer a fold is an event that was numbered
// twice, and is lost with the other, see [CounterField.Add].
//
// It takes O(n) for n events of r that live, and for the increments of all replicas in the counters that are folded.
//
// Why that is exact: an entry for the events F of one counter must end whole or not at all. A removal takes away
// all of a counter that its author sees. If the author had all of F by then, the removal names what lived of F for
// him; if not, it happened before the moment at which his knowledge was merged here, so what it names of F was
// dead here already and is not folded. The fold says which events it stands for, so that it ends where others,
// who do not know it yet, remove those; and who removes the fold names them too. When the fold is settled itself
// everybody has it in their place, and the next fold stands for it alone.
func (m *ORMap[K]) Fold(r vclock.ReplicaID, stable *vclock.Context) (delta *ORMap[K]) {
	delta = new(ORMap[K])
	if !m.seen.Contains(stable) {
		return delta
	}
	for _, at := range m.foldable(r, stable) {
		m.fold(r, at, stable, delta)
	}
	return delta
}

// foldable returns the counters with settled increments of r, in order of the first of them.
func (m *ORMap[K]) foldable(r vclock.ReplicaID, stable *vclock.Context) (counters []*orNode[K]) {
	known := make(map[*orNode[K]]bool)
	for span := range stable.SpansOf(r) {
		for _, e := range m.live.in(span) {
			if e.at.kind == FieldCounter && !known[e.at] {
				known[e.at] = true
				counters = append(counters, e.at)
			}
		}
	}
	return counters
}

// fold folds what is settled of r's increments in one counter.
func (m *ORMap[K]) fold(r vclock.ReplicaID, at *orNode[K], stable *vclock.Context, delta *ORMap[K]) {
	sum, parts, worth := int64(0), []*orEntry[K](nil), false
	for e := at.head; e != nil; e = e.next {
		if e.dot.Replica != r || !stable.Has(e.dot) {
			continue
		}
		total := sum + e.n
		if e.n > 0 != (total > sum) {
			return // more than an int64 can hold
		}
		sum, parts = total, append(parts, e)
		worth = worth || len(e.folded()) > 1
	}
	d := m.seen.Next(r)
	if d.IsZero() || len(parts) < 2 && !worth {
		return
	}
	whole := orEntry[K]{dot: d, n: sum, more: &orMore{folded: settled(parts, delta)}}
	place := delta.like(at)
	for _, e := range parts {
		m.drop(e)
	}
	for _, target := range []*ORMap[K]{m, delta} {
		target.put(target.like(place), &whole)
	}
}

// settled returns the numbers of the events that a fold of parts stands for: those that everybody has in the place
// of what was folded before, which is named in delta as gone for the sake of readers that are no members.
func settled[K comparable](parts []*orEntry[K], delta *ORMap[K]) (seqs []uint64) {
	var gone grave
	for _, e := range parts {
		seqs = append(seqs, e.dot.Seq)
		e.dots(func(d vclock.Dot) { gone = append(gone, d) })
	}
	gone.into(&delta.seen)
	slices.Sort(seqs)
	return seqs
}
