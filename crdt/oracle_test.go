package crdt_test

import (
	"flag"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

// op is an operation of any of the types: what it is called, and its argument.
type op struct {
	do   string
	elem string
	n    int64
}

type (
	history = crdttest.History[op]
	events  = crdttest.Events
)

// bound is how many events the histories have of which all are checked. With 4 it takes up to two minutes a type, and
// most of an hour for ORMap.
var bound = flag.Int("oracle.events", 3, "check all histories of so many events")

// exhaust checks all histories up to the bound on 3 replicas, and random longer ones.
func exhaust[P crdt.State[P]](t *testing.T, o crdttest.Oracle[P, op]) {
	t.Run("exhaustive", func(t *testing.T) {
		t.Logf("%d histories of %d events on 3 replicas", o.Exhaustive(t, *bound, 3), *bound)
	})
	t.Run("random", func(t *testing.T) { o.Random(t, 12, 4) })
}

// which returns the events of s that a condition holds for.
func which(s events, holds func(e int) bool) (those events) {
	for e := range s.All() {
		if holds(e) {
			those = those.With(e)
		}
	}
	return those
}

// elements returns what the operations of s name, sorted, each once.
func elements(h history, s events) string {
	var elems []string
	for e := range s.All() {
		elems = append(elems, h[e].Op.elem)
	}
	slices.Sort(elems)
	return strings.Join(slices.Compact(elems), " ")
}

// A counter is the sum of the additions that no reset has taken away. A reset takes away, of each sum of which
// something counts where it happens, all that it sees.

func countingAdds(h history, seen events) events {
	counting := which(seen, func(e int) bool { return h[e].Op.n != 0 })
	for e := range seen.All() {
		counting &^= resetAdds(h, e)
	}
	return counting
}

func resetAdds(h history, e int) (adds events) {
	if h[e].Op.do != "reset" {
		return 0
	}
	for k := range countingAdds(h, h[e].Saw).All() {
		adds |= sumWith(h, k, h[e].Saw)
	}
	return adds
}

// sumWith returns those additions that are in one sum with addition k.
func sumWith(h history, k int, among events) events {
	return which(among, func(e int) bool {
		return h[e].Op.n != 0 && h[e].Replica == h[k].Replica && h[e].Op.n > 0 == (h[k].Op.n > 0)
	})
}

// A delta has the sums that it changed.
func carriedAdds(h history, e int) events {
	if h[e].Op.n != 0 {
		return sumWith(h, e, h[e].Saw)
	}
	return resetAdds(h, e)
}

func sum(h history, seen events) string {
	var sum int64
	for e := range countingAdds(h, seen).All() {
		sum += h[e].Op.n
	}
	return fmt.Sprint(sum)
}

func TestPNCounterSpecification(t *testing.T) { exhaust(t, pncounterOracle()) }

func pncounterOracle() crdttest.Oracle[*crdt.PNCounter, op] {
	return crdttest.Oracle[*crdt.PNCounter, op]{
		New: func() *crdt.PNCounter { return new(crdt.PNCounter) },
		Ops: []op{{do: "add", n: 3}, {do: "add", n: -5}, {do: "reset"}},
		Apply: func(c *crdt.PNCounter, o op, by crdttest.Writer) *crdt.PNCounter {
			if o.do == "reset" {
				return c.Reset()
			}
			return c.Add(by.Replica, o.n)
		},
		Carries: carriedAdds,
		Got:     func(c *crdt.PNCounter) string { return fmt.Sprint(c.Value()) },
		Want:    sum,
	}
}

func TestGCounterSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*crdt.GCounter, op]{
		New: func() *crdt.GCounter { return new(crdt.GCounter) },
		Ops: []op{{do: "add", n: 3}, {do: "add", n: 0}, {do: "reset"}},
		Apply: func(c *crdt.GCounter, o op, by crdttest.Writer) *crdt.GCounter {
			if o.do == "reset" {
				return c.Reset()
			}
			return c.Add(by.Replica, uint64(o.n))
		},
		Carries: carriedAdds,
		Got:     func(c *crdt.GCounter) string { return fmt.Sprint(c.Value()) },
		Want:    sum,
	})
}

func TestGSetSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*crdt.GSet[string], op]{
		New: func() *crdt.GSet[string] { return new(crdt.GSet[string]) },
		Ops: []op{{elem: "x"}, {elem: "y"}},
		Apply: func(s *crdt.GSet[string], o op, _ crdttest.Writer) *crdt.GSet[string] {
			s.Add(o.elem)
			return new(crdt.GSet[string]).Add(o.elem)
		},
		Got:  func(s *crdt.GSet[string]) string { return strings.Join(slices.Sorted(s.All()), " ") },
		Want: elements,
	})
}

// An element is in if there is an addition of it that nothing has ended. Removals and resets, and additions of the
// same element, end those that live where they happen.

func livingAdds(h history, seen events) events {
	living := which(seen, func(e int) bool { return h[e].Op.do == "add" })
	for e := range seen.All() {
		living &^= endedAdds(h, e)
	}
	return living
}

func endedAdds(h history, e int) events {
	return which(livingAdds(h, h[e].Saw), func(k int) bool {
		return h[e].Op.do == "reset" || h[e].Op.elem == h[k].Op.elem
	})
}

func TestORSetSpecification(t *testing.T) { exhaust(t, orsetOracle()) }

func orsetOracle() crdttest.Oracle[*crdt.ORSet[string], op] {
	return crdttest.Oracle[*crdt.ORSet[string], op]{
		New: func() *crdt.ORSet[string] { return new(crdt.ORSet[string]) },
		Ops: []op{{do: "add", elem: "x"}, {do: "add", elem: "y"}, {do: "remove", elem: "x"}, {do: "reset"}},
		Apply: func(s *crdt.ORSet[string], o op, by crdttest.Writer) *crdt.ORSet[string] {
			switch o.do {
			case "add":
				return s.Add(by.Replica, o.elem)
			case "remove":
				return s.Remove(o.elem)
			}
			return s.Reset()
		},
		Got:  func(s *crdt.ORSet[string]) string { return strings.Join(slices.Sorted(s.All()), " ") },
		Want: func(h history, seen events) string { return elements(h, livingAdds(h, seen)) },
	}
}

// The value is that of the latest write, unless a reset took that one away. A write counts at its own time, or right
// after what it saw if that is later; a reset at the time of the write that it takes away, of which it tells.

func writesKnown(h history, seen events) (known events) {
	for e := range seen.All() {
		if h[e].Op.do == "set" {
			known = known.With(e)
		} else if last := shown(h, h[e].Saw); last >= 0 {
			known = known.With(last)
		}
	}
	return known
}

func countsAt(h history, e int) vclock.Timestamp {
	at := h[e].By.Stamp
	last := latest(h, h[e].Saw)
	if last < 0 || at.Compare(countsAt(h, last)) > 0 {
		return at
	}
	before := countsAt(h, last)
	return vclock.Timestamp{Wall: before.Wall, Logical: before.Logical + 1, Replica: at.Replica}
}

// latest returns the last write known of, -1 if none.
func latest(h history, seen events) (last int) {
	last = -1
	for e := range writesKnown(h, seen).All() {
		if last < 0 || countsAt(h, e).Compare(countsAt(h, last)) > 0 {
			last = e
		}
	}
	return last
}

// shown returns the write whose value is shown, -1 if none.
func shown(h history, seen events) int {
	last := latest(h, seen)
	for e := range seen.All() {
		if h[e].Op.do == "reset" && shown(h, h[e].Saw) == last {
			return -1
		}
	}
	return last
}

func TestLWWRegisterSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*crdt.LWWRegister[string], op]{
		New: func() *crdt.LWWRegister[string] { return new(crdt.LWWRegister[string]) },
		Ops: []op{{do: "set", elem: "x"}, {do: "set", elem: "y"}, {do: "reset"}},
		Apply: func(r *crdt.LWWRegister[string], o op, by crdttest.Writer) *crdt.LWWRegister[string] {
			if o.do == "reset" {
				return r.Reset()
			}
			return r.Set(by.Stamp, o.elem)
		},
		Got: func(r *crdt.LWWRegister[string]) string {
			v, _ := r.Value()
			return v
		},
		Want: func(h history, seen events) string {
			if e := shown(h, seen); e >= 0 {
				return h[e].Op.elem
			}
			return ""
		},
	})
}

// A value is there if nothing has overwritten it. A set and a reset overwrite the values that are there where they
// happen; a put overwrites what its context names, which is all that was heard of there.

func livingWrites(h history, seen events) events {
	living := which(seen, func(e int) bool { return h[e].Op.do != "reset" })
	for e := range seen.All() {
		living &^= overwritten(h, e)
	}
	return living
}

func overwritten(h history, e int) events {
	switch h[e].Op.do {
	case "blind put":
		return 0
	case "put":
		return writesHeardOf(h, h[e].Saw)
	}
	return livingWrites(h, h[e].Saw)
}

func writesHeardOf(h history, seen events) events {
	heard := which(seen, func(e int) bool { return h[e].Op.do != "reset" })
	for e := range seen.All() {
		heard |= overwritten(h, e)
	}
	return heard
}

func TestMVRegisterSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*crdt.MVRegister[int64], op]{
		New: func() *crdt.MVRegister[int64] { return new(crdt.MVRegister[int64]) },
		Ops: []op{{do: "set"}, {do: "put"}, {do: "blind put"}, {do: "reset"}},
		Apply: func(r *crdt.MVRegister[int64], o op, by crdttest.Writer) *crdt.MVRegister[int64] {
			switch o.do {
			case "set":
				return r.Set(by.Replica, by.Stamp.Wall)
			case "put":
				return r.Put(by.Replica, r.Context(), by.Stamp.Wall)
			case "blind put":
				return r.Put(by.Replica, nil, by.Stamp.Wall)
			}
			return r.Reset()
		},
		Got: func(r *crdt.MVRegister[int64]) string { return fmt.Sprint(r.Values()) },
		Want: func(h history, seen events) string {
			living := livingWrites(h, seen)
			values := make([]int64, 0, bits.OnesCount64(uint64(living)))
			for e := range living.All() {
				values = append(values, h[e].By.Stamp.Wall)
			}
			slices.Sort(values)
			return fmt.Sprint(values)
		},
	})
}
