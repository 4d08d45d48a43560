package crdt_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// BenchmarkRatios prints what the types cost beside the plain Go that comes nearest, both measured here and now, and
// the limit that is set to the ratio:
//
//	go test ./crdt -run '^$' -bench Ratios
//
// Both sides of a row run by turns, and of each the best round counts: that is the one which the rest of the
// machine disturbed least. Times are those of the processor where the platform tells, see cpuTimed.
func BenchmarkRatios(b *testing.B) {
	for b.Loop() {
		t := &ratios{b, tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)}
		fmt.Fprintln(t.w, "\nwhat\tours\tplain\tunit\tratio\tlimit\t\t")
		t.memory()
		t.operations()
		t.deltas()
		t.union()
		t.codec()
		for _, n := range []int{3, 16, 128} {
			t.vectors(n)
		}
		t.register()
		t.w.Flush()
	}
}

type ratios struct {
	b *testing.B
	w *tabwriter.Writer
}

func (t *ratios) row(what string, ours, plain float64, unit string, limit float64) {
	verdict := "ok"
	if ours > limit*plain {
		verdict = "missed"
	}
	fmt.Fprintf(t.w, "%s\t%.1f\t%.1f\t%s\t%.2f\t%.2f\t%s\t\n", what, ours, plain, unit, ours/plain, limit, verdict)
}

// allocations has no ratio: none are allowed.
func (t *ratios) allocations(what string, n float64) {
	verdict := "ok"
	if n > 0 {
		verdict = "missed"
	}
	fmt.Fprintf(t.w, "%s\t%.1f\t0\tallocs\t\t\t%s\t\n", what, n, verdict)
}

const million = 1_000_000

// memory compares what a million elements add to the heap, their text aside: both sides share it.
func (t *ratios) memory() {
	all := elems("element", million)
	ours := retained(func() any {
		s := new(set)
		for _, e := range all {
			s.Add(idA, e)
		}
		return s
	})
	plain := retained(func() any {
		m := make(map[string]struct{})
		for _, e := range all {
			m[e] = struct{}{}
		}
		return m
	})
	t.row("bytes per element, 1 M", ours/million, plain/million, "B", 1.6)
	data := encoded(t.b, new(set).Add(idA, all...))
	decoded := retained(func() any {
		s := new(set)
		_ = s.UnmarshalBinary(data)
		return s
	})
	text := retained(func() any {
		copies := make([]string, len(all))
		for i := range all {
			copies[i] = strings.Clone(all[i])
		}
		return copies
	}) - 16*million
	t.row("the same, decoded", (decoded-text)/million, plain/million, "B", 1.6)
	runtime.KeepAlive(all)
	runtime.KeepAlive(data)
}

// retained returns how many bytes of heap the value takes.
func retained(build func() any) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := build()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(v)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

// best runs functions by turns and returns the shortest time of each in nanoseconds.
func best(rounds int, sides ...func() time.Duration) []float64 {
	least := make([]float64, len(sides))
	for range rounds {
		for i, side := range sides {
			runtime.GC()
			if d := float64(side()); least[i] == 0 || d < least[i] {
				least[i] = d
			}
		}
	}
	return least
}

// operations compares adding one by one to a set that grows to a million elements, and looking them up by other
// copies of the text, in random order.
func (t *ratios) operations() {
	all := elems("element", million)
	add := best(5, func() time.Duration {
		var s set
		return cpuTimed(func() {
			for _, e := range all {
				s.Add(idA, e)
			}
		})
	}, func() time.Duration {
		m := make(map[string]struct{})
		return cpuTimed(func() {
			for _, e := range all {
				m[e] = struct{}{}
			}
		})
	})
	t.row("Add, up to 1 M", add[0]/million, add[1]/million, "ns", 2)

	var s set
	m := make(map[string]struct{})
	for _, e := range all {
		s.Add(idA, e)
		m[e] = struct{}{}
	}
	t.has("Has, 1 M", &s, m, shuffled(elems("element", million)))
	t.has("Has not, 1 M", &s, m, shuffled(elems("absentee", million)))
}

func (t *ratios) has(what string, s *set, m map[string]struct{}, asked []string) {
	found := 0
	has := best(5, func() time.Duration {
		return cpuTimed(func() {
			for _, e := range asked {
				if s.Has(e) {
					found++
				}
			}
		})
	}, func() time.Duration {
		return cpuTimed(func() {
			for _, e := range asked {
				if _, ok := m[e]; ok {
					found--
				}
			}
		})
	})
	t.row(what, has[0]/million, has[1]/million, "ns", 1.3)
}

func shuffled(s []string) []string {
	rnd := rand.New(rand.NewPCG(1, 2))
	rnd.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
	return s
}

// deltas compares merging ten elements that are new, and taking them out again, into a large set and a small one.
// The elements differ each time, so that nothing of the large set is in the processor's cache by then.
func (t *ratios) deltas() {
	const batch, rounds = 20, 200
	small, large := new(set), new(set)
	small.Add(idA, elems("element", 1000)...)
	large.Add(idA, elems("element", million)...)
	var writer set
	var added, removed [batch]*set
	fresh := 0
	prepare := func() {
		for i := range batch {
			ten := elems(fmt.Sprint("new", fresh), 10)
			fresh++
			added[i] = writer.Add(idB, ten...)
			removed[i] = writer.Remove(ten...)
		}
	}
	merge := func(s *set, deltas []*set) float64 {
		return float64(cpuTimed(func() {
			for _, d := range deltas {
				s.Merge(d)
			}
		})) / batch
	}
	var times [4][]float64
	for range rounds {
		for side, s := range []*set{large, small} {
			prepare()
			times[side] = append(times[side], merge(s, added[:]))
			times[2+side] = append(times[2+side], merge(s, removed[:]))
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	const low = rounds / 4 // single rounds are short, so not the best of all
	t.row("merge 10 new into 1 M / 1 k", times[0][low], times[1][low], "ns", 2)
	t.row("merge 10 removals into 1 M / 1 k", times[2][low], times[3][low], "ns", 2)
}

// union compares merging two disjoint sets with the union of two maps.
func (t *ratios) union() {
	const n = 100_000
	x, y := elems("x", n), elems("y", n)
	a, b := new(set), new(set)
	a.Add(idA, x...)
	b.Add(idB, y...)
	m, o := make(map[string]struct{}), make(map[string]struct{})
	for i := range n {
		m[x[i]], o[y[i]] = struct{}{}, struct{}{}
	}
	union := best(20, func() time.Duration {
		s := a.Clone()
		return cpuTimed(func() { s.Merge(b) })
	}, func() time.Duration {
		u := maps.Clone(m)
		return cpuTimed(func() {
			for e := range o {
				u[e] = struct{}{}
			}
		})
	})
	t.row("merge two disjoint 100 k", union[0]/n, union[1]/n, "ns", 1.6)
	clone := best(20,
		func() time.Duration { return cpuTimed(func() { _ = a.Clone() }) },
		func() time.Duration { return cpuTimed(func() { _ = maps.Clone(m) }) })
	t.row("clone 100 k", clone[0]/n, clone[1]/n, "ns", 1.6)
}

// codec compares writing and reading with copying the bytes and building a map of the elements, with room for them
// from the start.
func (t *ratios) codec() {
	all := elems("element", million)
	s := new(set)
	s.Add(idA, shuffled(all)...)
	data := encoded(t.b, s)
	slices.Sort(all)
	buf := make([]byte, 0, len(data))
	codec := best(5, func() time.Duration {
		return cpuTimed(func() { buf, _ = s.AppendBinary(buf[:0]) })
	}, func() time.Duration {
		var back set
		return cpuTimed(func() { _ = back.UnmarshalBinary(data) })
	}, func() time.Duration {
		return cpuTimed(func() {
			_ = slices.Clone(data)
			m := make(map[string]struct{}, len(all))
			for _, e := range all {
				m[e] = struct{}{}
			}
		})
	})
	t.row("encode 1 M", codec[0]/million, codec[2]/million, "ns", 3)
	t.row("decode 1 M", codec[1]/million, codec[2]/million, "ns", 3)
}

// vectors compares clocks and counters of n replicas with a loop over two sorted slices.
func (t *ratios) vectors(n int) {
	var clock vclock.Clock
	var counter crdt.GCounter
	var list []plainEntry
	for i := range n {
		r := vclock.Named(fmt.Sprintf("replica %03d", i))
		d := clock.Tick(r)
		counter.Add(r, 1)
		list = append(list, plainEntry{hi: 1, lo: uint64(i), seq: d.Seq})
	}
	otherClock, otherCounter, other := clock.Clone(), counter.Clone(), slices.Clone(list)
	loops := 400_000 / n
	many := func(f func()) func() time.Duration {
		return func() time.Duration {
			return cpuTimed(func() {
				for range loops {
					f()
				}
			})
		}
	}
	ns := best(20,
		many(func() { plainMerge(list, other) }),
		many(func() { plainCompare(list, other) }),
		many(func() { clock.Merge(otherClock) }),
		many(func() { clock.Compare(otherClock) }),
		many(func() { counter.Merge(otherCounter) }),
	)
	for i := range ns {
		ns[i] /= float64(loops)
	}
	t.row(fmt.Sprint("Clock.Merge, ", n, " replicas"), ns[2], ns[0], "ns", 2)
	t.row(fmt.Sprint("Clock.Compare, ", n, " replicas"), ns[3], ns[1], "ns", 2)
	t.row(fmt.Sprint("GCounter.Merge, ", n, " replicas"), ns[4], ns[0], "ns", 2)
	allocs := testing.AllocsPerRun(100, func() {
		clock.Merge(otherClock)
		clock.Compare(otherClock)
		counter.Merge(otherCounter)
	})
	t.allocations(fmt.Sprint("all of these, ", n, " replicas"), allocs)
}

type plainEntry struct{ hi, lo, seq uint64 }

func (e *plainEntry) compare(o *plainEntry) int {
	if c := cmp.Compare(e.hi, o.hi); c != 0 {
		return c
	}
	return cmp.Compare(e.lo, o.lo)
}

//go:noinline
func plainMerge(a, b []plainEntry) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch c := a[i].compare(&b[j]); {
		case c == 0:
			a[i].seq = max(a[i].seq, b[j].seq)
			i, j = i+1, j+1
		case c < 0:
			i++
		default:
			j++
		}
	}
}

//go:noinline
func plainCompare(a, b []plainEntry) (less, more bool) {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch c := a[i].compare(&b[j]); {
		case c == 0:
			less = less || a[i].seq < b[j].seq
			more = more || a[i].seq > b[j].seq
			i, j = i+1, j+1
		case c < 0:
			more = true
			i++
		default:
			less = true
			j++
		}
	}
	return less || j < len(b), more || i < len(a)
}

// register counts what writing to one register and merging into another allocates: the delta.
func (t *ratios) register() {
	var x, y crdt.LWWRegister[string]
	ts := vclock.Timestamp{Replica: idA}
	allocs := testing.AllocsPerRun(1000, func() {
		ts.Wall++
		y.Merge(x.Set(ts, "value"))
	})
	t.allocations("LWWRegister Set and Merge", allocs)
}
