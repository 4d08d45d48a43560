package pbs_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/pbs"
	"github.com/eventual-go/eventual/transport"
)

// A flags is a replica of keys that are there or not. What is merged is there after a while.
type flags struct {
	disk func()
	mu   sync.Mutex
	keys map[string][]byte
}

// Durable has a coordinator go on while its own replica merges.
func (f *flags) Durable() bool { return true }

func (f *flags) Load(_ context.Context, key string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys[key], nil
}

func (f *flags) Merge(_ context.Context, key string, state []byte) ([]byte, error) {
	f.disk()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[key] = []byte{1}
	return state, nil
}

// A cluster is three nodes, with messages that take their time each way, as disks do, and what
// of it was measured. One seed, one history: each way of each link, and each disk, draws for itself.
type cluster struct {
	link, disk pbs.Distribution
	nodes      [3]*quorum.Coordinator
	handlers   map[transport.NodeID]transport.Handler
	away, own  pbs.Live // of the others, and of the node that asks
	mu         sync.Mutex
	rand       *rand.Rand
	rest       time.Duration // after which what is under way has ended
	tick       time.Duration // that makes a difference
	atOnce     int           // trials
}

var ring = quorum.Everywhere{"a", "b", "c"}

func newCluster(link, disk pbs.Distribution, seed uint64) *cluster {
	c := &cluster{
		link: link, disk: disk, handlers: make(map[transport.NodeID]transport.Handler),
		rand: rand.New(rand.NewPCG(seed, 0)), rest: time.Second, tick: 2 * time.Millisecond, atOnce: 1,
	}
	for i, id := range ring {
		wires := wires{handlers: c.handlers, there: make(map[transport.NodeID]*slow), back: make(map[transport.NodeID]*slow)}
		for k, to := range ring {
			wires.there[to] = &slow{of: link, rand: rand.New(rand.NewPCG(seed, uint64(10+3*i+k)))}
			wires.back[to] = &slow{of: link, rand: rand.New(rand.NewPCG(seed, uint64(20+3*i+k)))}
		}
		disk := &slow{of: disk, rand: rand.New(rand.NewPCG(seed, uint64(1+i)))}
		c.nodes[i] = &quorum.Coordinator{
			Self: id, Ring: ring, Caller: wires, Events: c.measures(id), Local: &flags{disk: disk.pass, keys: make(map[string][]byte)},
			Join: func(a, b []byte) ([]byte, error) { return []byte(max(string(a), string(b))), nil },
		}
		c.handlers[id] = c.nodes[i].Handler()
	}
	return c
}

// A slow is something that takes a while.
type slow struct {
	of   pbs.Distribution
	mu   sync.Mutex
	rand *rand.Rand
}

func (s *slow) pass() {
	s.mu.Lock()
	d := s.of.Sample(s.rand)
	s.mu.Unlock()
	time.Sleep(d)
}

// wires reach the others from one node.
type wires struct {
	handlers    map[transport.NodeID]transport.Handler
	there, back map[transport.NodeID]*slow
}

func (w wires) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	w.there[to].pass()
	resp, err := w.handlers[to].ServeCall(ctx, "", method, req)
	w.back[to].pass()
	return resp, err
}

// measures takes what a coordinator tells.
func (c *cluster) measures(self transport.NodeID) quorum.Events {
	return quorum.Events{OnAnswer: func(e quorum.AnswerEvent) {
		live := &c.away
		if e.Node == self {
			live = &c.own
		}
		if e.Write {
			live.Writes.Record(e.Elapsed)
		} else {
			live.Reads.Record(e.Elapsed)
		}
	}}
}

// warm is what coordinators have seen by the time that somebody asks.
func (c *cluster) warm(t *testing.T, trials int) {
	for i := range trials {
		c.trial(t, fmt.Sprint("before ", i), quorum.All, quorum.All, 0)
	}
}

// replicas are what was measured of a cluster. At the node itself nothing is under way: it has what it wrote when it
// says so.
func (c *cluster) replicas(split pbs.Split) []pbs.Legs {
	away := c.away.Redrawn(split, 20, 1)
	return []pbs.Legs{c.own.Redrawn(pbs.Stalest, 20, 2), away, away}
}

// trial writes a key at one node and reads it at another, or the same, a while later; and says how long it was.
func (c *cluster) trial(t *testing.T, key string, r, w quorum.Level, after time.Duration) (found bool, was time.Duration) {
	c.mu.Lock()
	writer, reader := c.nodes[c.rand.IntN(3)], c.nodes[c.rand.IntN(3)]
	c.mu.Unlock()
	_, err := writer.Write(t.Context(), key, []byte{1}, quorum.WriteOptions{Level: w})
	require.NoError(t, err)
	acknowledged := time.Now()
	time.Sleep(after + 1) // so that the two ask one after the other, which makes one seed one history
	was = time.Since(acknowledged)
	res, err := reader.Read(t.Context(), key, quorum.ReadOptions{Level: r, Repair: quorum.RepairOff})
	require.NoError(t, err)
	time.Sleep(c.rest)
	return res.Found, was
}

// A network is how long links and disks take.
type network struct {
	name       string
	link, disk pbs.Distribution
}

var networks = []network{
	{"links", pbs.Exponential(2 * time.Millisecond), pbs.Constant(0)},
	{"far links", pbs.Sum{pbs.Constant(time.Millisecond), pbs.Exponential(3 * time.Millisecond)}, pbs.Constant(0)},
	{"and disks", pbs.Exponential(2 * time.Millisecond), pbs.Exponential(4 * time.Millisecond)},
}

// A finding is a probability as it was predicted, and as it was measured.
type finding struct {
	name            string
	predicted       *pbs.Prediction
	after           map[time.Duration]int // how often a read began so long after the write
	found, measured int
}

// meets reports whether the interval that was predicted and that of what was measured have something in common. If
// each holds the truth with a confidence, it is false with twice the rest of that, at most.
func (f *finding) meets(confidence float64) bool {
	low, high := exactly(f.found, f.measured, confidence)
	c := f.chance(confidence)
	return c.Low <= high && low <= c.High
}

// chance is what was predicted, for reads that began when they did.
func (f *finding) chance(confidence float64) (mean pbs.Chance) {
	p := f.predicted.At(confidence)
	for after, times := range f.after {
		c, share := p.Consistent(after), float64(times)/float64(f.measured)
		mean.Value += share * c.Value
		mean.Low += share * c.Low
		mean.High += share * c.High
	}
	return mean
}

// judge returns what is wrong with predictions: those which the intervals rule out with one false alarm in a million,
// and too many misses: at 95 % it is one in ten at most.
func judge(all []finding) (wrong []string) {
	missed := 0
	for _, f := range all {
		if !f.meets(1 - 0.5e-6/float64(len(all))) {
			wrong = append(wrong, f.name)
		}
		if !f.meets(0.95) {
			missed++
		}
	}
	if 10*missed > len(all) {
		wrong = append(wrong, fmt.Sprintf("%d of %d missed", missed, len(all)))
	}
	return wrong
}

// exactly is the interval of Clopper and Pearson (1934): the probabilities by which neither so many nor more, nor so
// few nor fewer, are less likely than half of what is left.
func exactly(hits, n int, confidence float64) (low, high float64) {
	choose := make([]float64, n+1)
	for k := range choose {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		choose[k] = a - b - c
	}
	upTo := func(p float64, k int) (sum float64) {
		for i := range k + 1 {
			sum += math.Exp(choose[i] + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
		}
		return sum
	}
	edge := func(above func(p float64) bool) float64 {
		from, to := 0.0, 1.0
		for range 40 {
			if middle := (from + to) / 2; above(middle) {
				to = middle
			} else {
				from = middle
			}
		}
		return (from + to) / 2
	}
	low, high = 0, 1
	if hits > 0 {
		low = edge(func(p float64) bool { return 1-upTo(p, hits-1) > (1-confidence)/2 })
	}
	if hits < n {
		high = edge(func(p float64) bool { return upTo(p, hits) < (1-confidence)/2 })
	}
	return low, high
}

// compare predicts what a cluster does by what it has measured, and then measures it.
func compare(t *testing.T, with, as network, split pbs.Split, trials int) (all []finding) {
	synctest.Test(t, func(t *testing.T) {
		seen := newCluster(as.link, as.disk, 5)
		seen.warm(t, 3000)
		legs := seen.replicas(split)
		replicas := func() []pbs.Legs { return legs }
		all = newCluster(with.link, with.disk, 6).measure(t, with.name, replicas, trials)
	})
	return all
}

// measure has a cluster do what is then predicted, by what was measured of replicas.
func (c *cluster) measure(t *testing.T, name string, replicas func() []pbs.Legs, trials int) (all []finding) {
	for _, rw := range [][2]int{{1, 1}, {1, 2}, {2, 1}} {
		from := len(all)
		for _, after := range []time.Duration{0, c.tick, 3 * c.tick} {
			f := finding{name: fmt.Sprintf("%-9s R=%d W=%d after %-3v", name, rw[0], rw[1], after), measured: trials, after: make(map[time.Duration]int)}
			c.each(trials, func(i int) {
				found, was := c.trial(t, fmt.Sprint(rw, after, i), quorum.Level(rw[0]), quorum.Level(rw[1]), after)
				c.mu.Lock()
				defer c.mu.Unlock()
				if f.after[was]++; found {
					f.found++
				}
			})
			all = append(all, f)
		}
		p, err := pbs.Model{R: rw[0], W: rw[1], Roam: true, Lean: true, Replicas: replicas()}.Predict(pbs.Simulation{Seed: 1})
		require.NoError(t, err)
		for i := range all[from:] {
			all[from+i].predicted = p
		}
	}
	return all
}

// each does so many trials, one after the other, or some at a time.
func (c *cluster) each(trials int, do func(i int)) {
	var wg sync.WaitGroup
	for w := range c.atOnce {
		wg.Go(func() {
			for i := w; i < trials; i += c.atOnce {
				do(i)
			}
		})
	}
	wg.Wait()
}

// Three nodes of package quorum read and write over links that take their time. What their round
// trips lead to is what happens, within the intervals that are stated.
func TestPredictedIsMeasured(t *testing.T) {
	var all []finding
	for _, with := range networks {
		all = append(all, compare(t, with, with, pbs.Alike, 2000)...)
	}
	show(t, all)
	require.Empty(t, judge(all))
}

func show(t *testing.T, all []finding) {
	for _, f := range all {
		p := f.chance(0.95)
		low, high := exactly(f.found, f.measured, 0.95)
		t.Logf("%s predicted %.3f [%.3f, %.3f], measured %.3f [%.3f, %.3f], meet %v", f.name, p.Value, p.Low, p.High,
			float64(f.found)/float64(f.measured), low, high, f.meets(0.95))
	}
}

// What was measured elsewhere, or divided as it is not, predicts what does not happen; and the intervals do not hide it.
func TestWrongPredictionsAreFound(t *testing.T) {
	for _, c := range []struct {
		name     string
		with, as network
		split    pbs.Split
	}{
		{"farther links", networks[1], networks[0], pbs.Alike},
		{"disks", networks[2], networks[0], pbs.Alike},
		{"links half as long again", networks[0], network{"", pbs.Exponential(3 * time.Millisecond), pbs.Constant(0)}, pbs.Alike},
		{"halves", networks[2], networks[2], pbs.Halves},
		{"the worst case", networks[2], networks[2], pbs.Stalest},
	} {
		t.Run(c.name, func(t *testing.T) {
			wrong := judge(compare(t, c.with, c.as, c.split, 700))
			require.NotEmpty(t, wrong)
			t.Log(wrong)
		})
	}
}
