package crdt_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

// moment returns when a write counts: at its own time, or right after what it saw if that is later.
func moment(stamp, saw vclock.Timestamp, any bool) vclock.Timestamp {
	if !any || stamp.Compare(saw) > 0 {
		return stamp
	}
	return vclock.Timestamp{Wall: saw.Wall, Logical: saw.Logical + 1, Replica: stamp.Replica}
}

// A key has the value of the last write to it, unless that was a removal, or a reset took the value away. A reset
// tells of the moments of the values that it takes away.

func keyWrites(h history, seen events, key string) (known events) {
	for e := range seen.All() {
		if h[e].Op.do == "reset" {
			if last := keyShown(h, h[e].Saw, key); last >= 0 {
				known = known.With(last)
			}
		} else if h[e].Op.elem == key {
			known = known.With(e)
		}
	}
	return known
}

func keyMoment(h history, e int) vclock.Timestamp {
	last := keyLast(h, h[e].Saw, h[e].Op.elem)
	if last < 0 {
		return h[e].By.Stamp
	}
	return moment(h[e].By.Stamp, keyMoment(h, last), true)
}

// keyLast returns the last write to key known of, -1 if none.
func keyLast(h history, seen events, key string) (last int) {
	last = -1
	for e := range keyWrites(h, seen, key).All() {
		if last < 0 || keyMoment(h, e).Compare(keyMoment(h, last)) > 0 {
			last = e
		}
	}
	return last
}

// keyShown returns the write whose value key has, -1 if none.
func keyShown(h history, seen events, key string) int {
	last := keyLast(h, seen, key)
	if last >= 0 && h[last].Op.do == "remove" {
		return -1
	}
	for e := range seen.All() {
		if h[e].Op.do == "reset" && keyShown(h, h[e].Saw, key) == last {
			return -1
		}
	}
	return last
}

func lwwmapOracle(ops ...op) crdttest.Oracle[*crdt.LWWMap[string, int64], op] {
	type S = *crdt.LWWMap[string, int64]
	return crdttest.Oracle[S, op]{
		New: func() S { return new(crdt.LWWMap[string, int64]) },
		Ops: ops,
		Apply: func(m S, o op, by crdttest.Writer) S {
			switch o.do {
			case "reset":
				return m.Reset()
			case "remove":
				return m.Remove(by.Stamp, o.elem)
			}
			return m.Set(by.Stamp, o.elem, o.n)
		},
		Got: func(m S) string {
			var pairs []string
			for k, v := range m.All() {
				pairs = append(pairs, fmt.Sprintf("%s=%d", k, v))
			}
			slices.Sort(pairs)
			return fmt.Sprint(m.Len(), pairs)
		},
		Want: func(h history, seen events) string {
			var pairs []string
			for _, key := range []string{"x", "y"} {
				if e := keyShown(h, seen, key); e >= 0 {
					pairs = append(pairs, fmt.Sprintf("%s=%d", key, h[e].Op.n))
				}
			}
			return fmt.Sprint(len(pairs), pairs)
		},
	}
}

func TestLWWMapSpecification(t *testing.T) {
	few := lwwmapOracle(op{do: "set", elem: "x", n: 1}, op{do: "set", elem: "y", n: 2}, op{do: "remove", elem: "x"}, op{do: "reset"})
	t.Run("exhaustive", func(t *testing.T) { t.Logf("%d histories", few.Exhaustive(t, *bound, 3)) })
	many := few
	many.Ops = append(many.Ops, op{do: "set", elem: "x", n: 3}, op{do: "remove", elem: "y"})
	t.Run("random", func(t *testing.T) { many.Random(t, 9, 4) })
}

// A log shows all entries by their moments. The first entry of an append counts at its own time, or right after
// all that it saw, and each further one right after the one before.

type logged struct {
	at   vclock.Timestamp
	word string
}

// allLogged returns what each event appended.
func allLogged(h history) (by [][]logged) {
	for _, e := range h {
		last, any := lastLogged(by, e.Saw)
		at := moment(e.By.Stamp, last, any)
		var own []logged
		for _, word := range strings.Fields(e.Op.elem) {
			own = append(own, logged{at, word})
			at = moment(e.By.Stamp, at, true)
		}
		by = append(by, own)
	}
	return by
}

func lastLogged(by [][]logged, seen events) (last vclock.Timestamp, any bool) {
	for e := range seen.All() {
		for _, l := range by[e] {
			if !any || l.at.Compare(last) > 0 {
				last, any = l.at, true
			}
		}
	}
	return last, any
}

func TestLogSpecification(t *testing.T) {
	type S = *crdt.Log[string]
	exhaust(t, crdttest.Oracle[S, op]{
		New: func() S { return new(crdt.Log[string]) },
		Ops: []op{{elem: "x"}, {elem: "y"}, {elem: "p q"}, {}},
		Apply: func(l S, o op, by crdttest.Writer) S {
			return l.Append(by.Stamp, strings.Fields(o.elem)...)
		},
		Got: func(l S) string {
			shown := []logged{}
			for at, word := range l.All() {
				shown = append(shown, logged{at, word})
			}
			return fmt.Sprint(l.Len(), shown)
		},
		Want: func(h history, seen events) string {
			by, want := allLogged(h), []logged{}
			for e := range seen.All() {
				want = append(want, by[e]...)
			}
			slices.SortFunc(want, func(a, b logged) int { return a.at.Compare(b.at) })
			return fmt.Sprint(len(want), want)
		},
	})
}

// ledger is what came of the operations on a bounded counter, one after the other.
type ledger struct {
	history
	amount []int64 // that was added, taken away, transferred or, in all, asked for
	wrote  []bool  // whether anything came of it
}

// reckon goes through a history. An operation is covered if its replica has the rights where it happens.
func reckon(h history) *ledger {
	l := &ledger{history: h}
	for e := range h {
		saw, r, n := h[e].Saw, h[e].By.Replica, h[e].Op.n
		wrote := n > 0
		switch h[e].Op.do {
		case "give":
			wrote = n <= l.rights(saw, r) && h[e].Op.elem != r.String()
		case "take":
			wrote = n <= l.rights(saw, r)
		case "grant":
			n = min(n, l.rights(saw, r), l.open(saw, vclock.Named(h[e].Op.elem)))
			wrote = n > 0 && h[e].Op.elem != r.String()
		case "ask":
			received := l.received(saw, r)
			n += received
			wanted := l.wanted(saw, r)
			wrote = n != wanted && (n > received || wanted > received)
		}
		l.amount, l.wrote = append(l.amount, n), append(l.wrote, wrote)
	}
	return l
}

// by returns the events in which replica r did something, and something came of it.
func (l *ledger) by(seen events, r vclock.ReplicaID, do ...string) events {
	return which(seen, func(e int) bool {
		return l.wrote[e] && l.history[e].By.Replica == r && (do == nil || slices.Contains(do, l.history[e].Op.do))
	})
}

// transfers returns those that are known of: what arrived, and what their receiver saw when it wrote last.
func (l *ledger) transfers(seen events) events {
	isTransfer := func(e int) bool {
		do := l.history[e].Op.do
		return l.wrote[e] && (do == "give" || do == "grant")
	}
	known := which(seen, isTransfer)
	for e := range seen.All() {
		if l.wrote[e] {
			known |= which(l.history[e].Saw, func(k int) bool {
				return isTransfer(k) && vclock.Named(l.history[k].Op.elem) == l.history[e].By.Replica
			})
		}
	}
	return known
}

func (l *ledger) sum(these events) (sum int64) {
	for e := range these.All() {
		sum += l.amount[e]
	}
	return sum
}

func (l *ledger) received(seen events, r vclock.ReplicaID) int64 {
	return l.sum(which(l.transfers(seen), func(e int) bool { return vclock.Named(l.history[e].Op.elem) == r }))
}

func (l *ledger) rights(seen events, r vclock.ReplicaID) int64 {
	sent := l.sum(which(l.transfers(seen), func(e int) bool { return l.history[e].By.Replica == r }))
	return max(0, l.sum(l.by(seen, r, "add"))+l.received(seen, r)-sent-l.sum(l.by(seen, r, "take")))
}

// wanted returns how much the last request of r asked for, in all.
func (l *ledger) wanted(seen events, r vclock.ReplicaID) (wanted int64) {
	for e := range l.by(seen, r, "ask").All() {
		wanted = l.amount[e]
	}
	return wanted
}

func (l *ledger) open(seen events, r vclock.ReplicaID) int64 {
	return max(0, l.wanted(seen, r)-l.received(seen, r))
}

var traders = []vclock.ReplicaID{vclock.Named("r0"), vclock.Named("r1"), vclock.Named("r2"), vclock.Named("r3")}

func boundedOracle(ops ...op) crdttest.Oracle[*crdt.BoundedCounter, op] {
	type S = *crdt.BoundedCounter
	return crdttest.Oracle[S, op]{
		New:   func() S { return new(crdt.BoundedCounter) },
		Ops:   ops,
		Apply: trade,
		// A row tells of all that its replica did before.
		Carries: func(h history, e int) events {
			l := reckon(h)
			if !l.wrote[e] {
				return 0
			}
			return l.by(h[e].Saw, h[e].By.Replica)
		},
		Got: func(c S) string {
			c.CheckInvariants()
			var b []byte
			for _, r := range traders {
				b = holding(b, c.Rights(r), c.Requested(r))
			}
			return inAll(b, c.Value())
		},
		Want: func(h history, seen events) string {
			l, sum := reckon(h), uint64(0)
			var b []byte
			for _, r := range traders {
				rights := uint64(l.rights(seen, r))
				b = holding(b, rights, uint64(l.open(seen, r)))
				sum += rights
			}
			return inAll(b, sum)
		},
	}
}

// holding adds what a replica has rights to, and how much it asks for. There are millions of these.
func holding(b []byte, rights, asks uint64) []byte {
	b = strconv.AppendUint(b, rights, 10)
	b = strconv.AppendUint(append(b, " asks for "...), asks, 10)
	return append(b, ", "...)
}

func inAll(b []byte, sum uint64) string {
	return string(strconv.AppendUint(append(b, "in all "...), sum, 10))
}

func trade(c *crdt.BoundedCounter, o op, by crdttest.Writer) (delta *crdt.BoundedCounter) {
	switch n := uint64(o.n); o.do {
	case "add":
		delta = c.Increment(by.Replica, n)
	case "take":
		delta, _ = c.Decrement(by.Replica, n)
	case "give":
		delta, _ = c.Transfer(by.Replica, vclock.Named(o.elem), n)
	case "ask":
		delta = c.Request(by.Replica, n)
	case "grant":
		delta, _ = c.Grant(by.Replica, vclock.Named(o.elem), n)
	}
	return delta
}

func TestBoundedCounterSpecification(t *testing.T) {
	few := boundedOracle(op{do: "add", n: 2}, op{do: "take", n: 1}, op{do: "give", elem: "r0", n: 1}, op{do: "give", elem: "r1", n: 2})
	t.Run("exhaustive", func(t *testing.T) { t.Logf("%d histories", few.Exhaustive(t, *bound, 3)) })
	asking := boundedOracle(op{do: "add", n: 2}, op{do: "ask", n: 2}, op{do: "grant", elem: "r1", n: 9})
	t.Run("exhaustive with requests", func(t *testing.T) { t.Logf("%d histories", asking.Exhaustive(t, *bound, 3)) })
	many := boundedOracle(slices.Concat(few.Ops, asking.Ops, []op{{do: "take", n: 2}, {do: "give", elem: "r2", n: 1},
		{do: "grant", elem: "r0", n: 1}, {do: "ask", n: 0}, {do: "add", n: 3}})...)
	t.Run("random", func(t *testing.T) { many.Random(t, 16, 4) })
}
