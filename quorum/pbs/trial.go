package pbs

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// block is how many trials share a random source, so that any number of workers draws
// the same.
const block = 4096

// run draws all trials.
func (p *Prediction) run(m *Model, s *Simulation) {
	var next atomic.Int64
	work := func() {
		t := newTrial(m)
		for {
			b := int(next.Add(1) - 1)
			if b*block >= s.Trials {
				return
			}
			t.seed(s.Seed, b)
			p.fill(t, b*block, min((b+1)*block, s.Trials))
		}
	}
	var wg sync.WaitGroup
	for range s.Workers - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

func (p *Prediction) fill(t *trial, from, to int) {
	for i := from; i < to; i++ {
		p.writes[i] = t.write()
		p.reads[i], p.since[i] = t.read()
	}
}

// A trial is a write, or several, and a read. It is reused.
type trial struct {
	m        *Model
	asked    int
	versions int
	source   *rand.ChaCha8
	rand     *rand.Rand

	sums    []time.Duration // W+A, ascending as far as they were needed
	arrives []time.Duration // W of one version, by replica
	has     []time.Duration // when a replica has a version that will do, after the last was acknowledged
	answers []answer        // ascending
}

// answer is one of a replica to a read.
type answer struct {
	sum  time.Duration // R+S
	from time.Duration // when the read has to start to find a version that will do
}

func newTrial(m *Model) *trial {
	n := len(m.Replicas)
	t := &trial{
		m: m, asked: n, versions: max(m.Versions, 1), source: rand.NewChaCha8([32]byte{}),
		sums: make([]time.Duration, n), arrives: make([]time.Duration, n),
		has: make([]time.Duration, n), answers: make([]answer, n),
	}
	if m.Lean {
		t.asked = m.R
	}
	t.rand = rand.New(t.source)
	return t
}

func (t *trial) seed(seed uint64, b int) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(b))
	t.source.Seed(key)
}

// write draws the last versions, the latest first, and returns the latency of that.
func (t *trial) write() (latency time.Duration) {
	for v := range t.versions {
		acknowledged := t.version()
		if v == 0 {
			latency = acknowledged
		}
		start := time.Duration(v)*t.m.Every + acknowledged // before the last was acknowledged
		for i, arrives := range t.arrives {
			if at := arrives - start; v == 0 || at < t.has[i] {
				t.has[i] = at
			}
		}
	}
	return latency
}

// version draws when one write arrives where, and returns when W replicas have
// acknowledged it: both since it began.
func (t *trial) version() time.Duration {
	i := t.origin()
	for k := range t.m.Replicas {
		l := &t.m.Replicas[k]
		arrives, sum := there(l.Write, l.Ack, t.rand)
		t.arrives[i] = arrives
		j := k
		for ; j > 0 && t.sums[j-1] > sum; j-- {
			t.sums[j] = t.sums[j-1]
		}
		t.sums[j] = sum
		i = t.after(i)
	}
	return t.sums[t.m.W-1]
}

// read draws a read, and returns its latency and how long after the last version was acknowledged
// it has to start in order to be consistent: the least t at which R replicas that answer first
// include one that has looked after it had one of the versions.
func (t *trial) read() (latency, since time.Duration) {
	i := t.origin()
	for k := range t.asked {
		l := &t.m.Replicas[k]
		looks, sum := there(l.Read, l.Response, t.rand)
		a := answer{sum, t.has[i] - looks}
		j := k
		for ; j > 0 && t.answers[j-1].sum > sum; j-- {
			t.answers[j] = t.answers[j-1]
		}
		t.answers[j] = a
		i = t.after(i)
	}
	since = t.answers[0].from
	for _, a := range t.answers[:t.m.R] {
		since = min(since, a.from)
	}
	return t.answers[t.m.R-1].sum, max(since, 0)
}

// there draws a way there, and with it the round trip.
func there(out, back Distribution, r *rand.Rand) (there, trip time.Duration) {
	there = draw(out, r)
	if back == nil {
		return there, 2 * there
	}
	return there, there + draw(back, r)
}

// origin is the replica that an operation is nearest to.
func (t *trial) origin() int {
	if !t.m.Roam {
		return 0
	}
	return t.rand.IntN(len(t.has))
}

func (t *trial) after(i int) int {
	if i++; i == len(t.has) {
		return 0
	}
	return i
}
