//go:build unix

package merkle_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/eventual-go/eventual/merkle"
)

// BenchmarkReconcile prints what it costs to find d elements that differ among n, and
// what an index of n costs to keep, beside the alternatives:
//
//	go test ./merkle -run '^$' -bench Reconcile
//
// Bytes and round trips are medians of 15 seeds; p99 of 400. Times in the table are
// the fastest of the seeds, as a machine may be shared; those beside targets are
// processor time, for sessions without that of the garbage collector. Messages take up
// to 1 MiB. A key that only one side has is one element; a changed key is two. In rows of
// a part, a sixteenth of the positions is compared, in which all differences are.
func BenchmarkReconcile(b *testing.B) {
	for b.Loop() {
	}
	var r figures
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "\nn\td\tkind\tbytes\trounds\tinitiator\tresponder\tall ids\t2^16 buckets\trateless\tbound\t×bound\t×rateless\t")
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		f := newField(n)
		for _, d := range []int{0, 1, 10, 100, 1000, 10_000} {
			for _, kind := range []string{"spread", "clustered", "changed", "part"} {
				if kind == "changed" && d > n/2 || kind == "part" && d > n/32 || d < 2 && kind == "clustered" {
					continue
				}
				c := f.measure(d, kind, 15)
				c.print(out)
				if n == 1_000_000 && kind == "spread" {
					r.sessions[d] = c
				}
			}
		}
		out.Flush()
		if n == 1_000_000 {
			r.index(f)
		}
	}
	r.print(out)
	out.Flush()
}

// field is a tree of n keys, out of which pairs of trees are made that differ.
type field struct {
	keys []string
	base *merkle.Tree
	heap uint64
}

func newField(n int) *field {
	f := &field{keys: keysOf(n)}
	before := heap()
	f.base = filled(merkle.NewHasher(secret), f.keys)
	f.heap = heap() - before
	return f
}

var part = merkle.Range{From: 5 << 60, To: 5<<60 | (1<<60 - 1)}

// pair makes two trees that differ in d elements, or in d changed keys.
func (f *field) pair(rng *rand.Rand, d int, kind string) (a, b *merkle.Tree, at []merkle.Position) {
	a, b = f.base.Snapshot(), f.base.Snapshot()
	first := rng.IntN(len(f.keys) - d + 1)
	seen := map[int]bool{}
	for i := range d {
		k := first + i
		for kind != "clustered" {
			k = rng.IntN(len(f.keys))
			if !seen[k] && (kind != "part" || part.Contains(f.base.Hasher().Position(f.keys[k]))) {
				break
			}
		}
		seen[k] = true
		at = append(at, f.base.Hasher().Position(f.keys[k]))
		switch {
		case kind == "changed":
			b.Set(f.keys[k], state(uint64(i)+2))
		case i%2 == 0:
			a.Delete(f.keys[k])
		default:
			b.Delete(f.keys[k])
		}
	}
	return a, b, at
}

// cost is what sessions of one kind cost.
type cost struct {
	n, d, elements            int
	kind                      string
	bytes, rounds             int
	rounds99                  int
	initiator, responder      time.Duration
	list, buckets, iblt, info int
}

func (f *field) measure(d int, kind string, seeds int) cost {
	c := cost{n: len(f.keys), d: d, elements: d, kind: kind, initiator: time.Hour, responder: time.Hour}
	if kind == "changed" {
		c.elements = 2 * d
	}
	var bytes, rounds, iblt, fixed []int
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, uint64(d)))
		a, b, at := f.pair(rng, d, kind)
		tr, here, there := timed(a, b, d, kind)
		bytes, rounds = append(bytes, tr.sent+tr.received), append(rounds, tr.rounds)
		c.initiator, c.responder = min(c.initiator, here), min(c.responder, there)
		if seeds > 15 || d == 0 {
			continue
		}
		sum, _ := buckets(f.base, at)
		fixed = append(fixed, sum)
		difference := make([]symbol, c.elements)
		for i := range difference {
			difference[i] = randomSymbol(rng)
		}
		iblt = append(iblt, codedSize*rateless(difference))
	}
	c.bytes, c.rounds, c.rounds99 = median(bytes), median(rounds), quantile(rounds, 0.99)
	if len(iblt) > 0 {
		c.list, c.buckets, c.iblt, c.info = 16*c.n, median(fixed), median(iblt), bound(c.elements)
	}
	return c
}

// timed runs a session and says how long each side was at work.
func timed(a, b *merkle.Tree, d int, kind string) (tr traffic, here, there time.Duration) {
	cfg := merkle.SessionConfig{MaxMessage: 1 << 20}
	if kind == "part" {
		cfg.Ranges = []merkle.Range{part}
	}
	start := time.Now()
	s := merkle.NewSession(a, cfg)
	r := merkle.NewResponder(b, cfg)
	tr, err := run(s, func(msg []byte) ([]byte, error) {
		before := time.Now()
		reply, err := r.Step(msg)
		there += time.Since(before)
		return reply, err
	})
	here = time.Since(start) - there
	if err != nil || !s.Verified() || len(s.Diff()) > d || len(s.Diff()) < d*99/100 {
		panic(fmt.Sprint(err, len(s.Diff()), d))
	}
	return tr, here, there
}

func (c *cost) print(out *tabwriter.Writer) {
	fmt.Fprintf(out, "%d\t%d\t%s\t%d\t%d\t%v\t%v\t", c.n, c.d, c.kind, c.bytes, c.rounds, c.initiator, c.responder)
	if c.info > 0 {
		fmt.Fprintf(out, "%d\t%d\t%d\t%d\t%.2f\t%.2f\t", c.list, c.buckets, c.iblt, c.info,
			float64(c.bytes)/float64(c.info), float64(c.bytes)/float64(c.iblt))
	}
	fmt.Fprintln(out)
}

// figures is what the targets are about.
type figures struct {
	sessions             [10_001]cost
	tail                 cost // of 400 sessions
	initiator, responder float64
	sketch, hash, tree   float64
	snapshot, first      float64
	allocs               float64
	bytesPerKey          float64
}

// spent returns what a call costs in nanoseconds of processor time, on average.
func spent(calls int, fn func(i int)) float64 {
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for i := range calls {
		fn(i)
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	return float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) / float64(calls)
}

// replayed runs a session again and again, each side by itself, and returns what it
// costs them in nanoseconds of processor time.
func replayed(a, b *merkle.Tree) (here, there float64) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // marking a million keys is no work of theirs
	cfg := merkle.SessionConfig{MaxMessage: 1 << 20}
	var messages, replies [][]byte
	run(merkle.NewSession(a, cfg), func(msg []byte) ([]byte, error) {
		reply, err := merkle.NewResponder(b, cfg).Step(msg)
		messages, replies = append(messages, msg), append(replies, reply)
		return reply, err
	})
	here = spent(1000, func(int) {
		left := replies
		run(merkle.NewSession(a, cfg), func([]byte) (reply []byte, err error) {
			reply, left = left[0], left[1:]
			return reply, nil
		})
	})
	there = spent(1000, func(int) {
		for _, msg := range messages {
			merkle.NewResponder(b, cfg).Step(msg)
		}
	})
	return here, there
}

// index measures the tree of f, which is changed by that.
func (r *figures) index(f *field) {
	r.tail = f.measure(1000, "spread", 400)
	n, rng := len(f.keys), rand.New(rand.NewPCG(1, 1))
	here, there, _ := f.pair(rng, 1000, "spread")
	r.initiator, r.responder = replayed(here, there)
	r.bytesPerKey = (float64(f.heap) - float64(merkle.SketchBytes)) / float64(n)

	ids := make([]uint64, 1<<12)
	for i := range ids {
		ids[i] = rng.Uint64()
	}
	update := merkle.SketchUpdate()
	r.sketch = spent(4_000_000, func(i int) { update(ids[i%len(ids)], ids[(i+1)%len(ids)]) })
	h := f.base.Hasher()
	r.hash = r.sketch + spent(4_000_000, func(i int) {
		h.Position(f.keys[i%1000])
		h.Element(f.keys[i%1000], state(uint64(i)))
	})
	st := uint64(1 << 32)
	small := filled(h, f.keys[:50_000])
	r.tree = spent(2_000_000, func(i int) { st++; small.Set(f.keys[rng.IntN(50_000)], state(st)) })
	r.allocs = testing.AllocsPerRun(1000, func() { st++; small.Set(f.keys[7], state(st)) })
	var snap *merkle.Tree
	r.snapshot = spent(1_000_000, func(int) { snap = f.base.Snapshot() })
	r.first = spent(50_000, func(i int) {
		st++
		small.Snapshot()
		small.Set(f.keys[i], state(st))
	})
	runtime.KeepAlive(snap)
}

func (r *figures) print(out *tabwriter.Writer) {
	fmt.Fprintln(out, "\ntarget (n = 1,000,000 spread)\tat most\treached\t\t")
	line := func(name string, most, got float64) {
		verdict := "reached"
		if got > most {
			verdict = "MISSED"
		}
		fmt.Fprintf(out, "%s\t%.4g\t%.4g\t%s\t\n", name, most, got, verdict)
	}
	s := &r.sessions
	over := func(d int) float64 { return float64(s[d].bytes) / float64(s[d].info) }
	line("d = 1000: × rateless IBLT of 16-byte symbols", 0.5, float64(s[1000].bytes)/float64(s[1000].iblt))
	line("d = 1000: bytes, an 80th of negentropy's 1.4 MB", 17_500, float64(s[1000].bytes))
	line("d = 100: × bound", 2.75, over(100))
	line("d = 1000: × bound", 2.45, over(1000))
	line("d = 10,000: × bound", 2.4, over(10_000))
	line("in sync: bytes", 36, float64(s[0].bytes))
	line("d = 1: bytes", 260, float64(s[1].bytes))
	line("d = 1000: round trips, median", 2, float64(r.tail.rounds))
	line("d = 1000: round trips, p99 of 400", 3, float64(r.tail.rounds99))
	line("d = 1000: responder, µs", 100, r.responder/1e3)
	line("d = 1000: initiator, µs", 250, r.initiator/1e3)
	line("update of the sketch, one id, ns", 30, r.sketch/2)
	line("update of the sketch with hashing, ns", 100, r.hash)
	line("update of the tree with all (50,000 keys), ns", 500, r.tree)
	line("update of the tree: allocations", 0, r.allocs)
	line("sketch of a tree: bytes", 200_000, float64(merkle.SketchBytes))
	line("index beside it: bytes a key", 26, r.bytesPerKey)
	fmt.Fprintf(out, "snapshot, ns\t\t%.4g\t\t\n", r.snapshot)
	fmt.Fprintf(out, "snapshot and one write, ns\t\t%.4g\t\t\n", r.first)
}
