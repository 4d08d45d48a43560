package pbs_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/eventual-go/eventual/quorum/pbs"
)

// Three replicas with slow disks, where both reads and writes wait for one.
func Example() {
	disk, network := pbs.Exponential(5*time.Millisecond), pbs.Exponential(500*time.Microsecond)
	m := pbs.Model{R: 1, W: 1, Replicas: pbs.Same(3, pbs.Legs{
		Write: pbs.Sum{network, disk}, Ack: network, Read: network, Response: network,
	})}
	p, err := m.Predict(pbs.Simulation{Confidence: 0.99})
	if err != nil {
		fmt.Println(err)
		return
	}
	at0, later := p.Consistent(0), p.Consistent(20*time.Millisecond)
	fmt.Printf("read at once: %.1f consistent; 20 ms later: %.2f\n", at0.Value, later.Value)
	fmt.Println("99.9 % are, after", p.Until(0.999).Value.Round(10*time.Millisecond))
	fmt.Println("half of all writes take up to", p.Write(0.5).Value.Round(time.Millisecond))
	// Output:
	// read at once: 0.4 consistent; 20 ms later: 0.99
	// 99.9 % are, after 30ms
	// half of all writes take up to 2ms
}

// Three data centres, 75 ms apart. Whoever reads and writes asks the replica next to it, and
// that is another one for reads than for writes in two of three cases.
func ExampleModel_wide() {
	local := pbs.Exponential(time.Millisecond)
	near := pbs.Legs{Write: local, Ack: local, Read: local, Response: local}
	away := pbs.Sum{local, pbs.Constant(75 * time.Millisecond)}
	remote := pbs.Legs{Write: away, Ack: away, Read: away, Response: away}

	for _, w := range []int{1, 2} {
		m := pbs.Model{R: 1, W: w, Roam: true, Replicas: []pbs.Legs{near, remote, remote}}
		p, _ := m.Predict(pbs.Simulation{})
		fmt.Printf("W=%d: %.1f consistent at once, 99.9 %% after %v; writes take %v\n", w, p.Consistent(0).Value,
			p.Until(0.999).Value.Round(10*time.Millisecond), p.Write(0.5).Value.Round(10*time.Millisecond))
	}
	// Output:
	// W=1: 0.3 consistent at once, 99.9 % after 80ms; writes take 0s
	// W=2: 1.0 consistent at once, 99.9 % after 0s; writes take 150ms
}

// A read by a majority of three that asks two: does it return one of the last k versions, if
// writes wait for one replica?
func ExampleWithin() {
	for k := 1.0; k <= 3; k++ {
		p, _ := pbs.Within(3, 2, 1, k)
		fmt.Printf("%.0f: %.3f\n", k, p)
	}
	p, _ := pbs.Within(3, 2, 1, 1+2) // where two writes come between two reads of a client
	fmt.Printf("its reads are monotonic: %.3f\n", p)
	// Output:
	// 1: 0.667
	// 2: 0.889
	// 3: 0.963
	// its reads are monotonic: 0.963
}

// The smallest number of replicas for which reads are consistent 10 ms after a write, are quick, and go on
// with one replica away.
func ExampleRecommend() {
	disk, network := pbs.Exponential(3*time.Millisecond), pbs.Exponential(500*time.Microsecond)
	m := pbs.Model{Replicas: pbs.Same(3, pbs.Legs{Write: disk, Ack: network, Read: network, Response: network})}
	choices, err := pbs.Recommend(m, 2, pbs.Target{
		Consistent: 0.999, After: 10 * time.Millisecond,
		Quantile: 0.99, Read: 5 * time.Millisecond, Write: 12 * time.Millisecond,
		Survive: 1, Copies: 2,
	}, pbs.Simulation{Trials: 20_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range choices[:3] {
		fmt.Printf("N=%d R=%d W=%d: reads %v, writes %v\n", c.N, c.R, c.W,
			c.Read.Value.Round(time.Millisecond), c.Write.Value.Round(time.Millisecond))
	}
	fmt.Println("against the second:", choices[1].Reasons[0])
	// Output:
	// N=3 R=2 W=2: reads 2ms, writes 9ms
	// N=3 R=2 W=1: reads 2ms, writes 5ms
	// N=3 R=1 W=2: reads 1ms, writes 9ms
	// against the second: acknowledged writes are held by 1, not 2
}

// What a coordinator measures of its replicas leads to a model of them. The replica on its own node
// takes hardly any time.
func ExampleLive() {
	replicas := map[string]*pbs.Live{"b": {}, "c": {}}

	// When a node has answered: the time since it was asked, by what it was asked.
	answered := func(node string, write bool, took time.Duration) {
		if write {
			replicas[node].Writes.Record(took)
		} else {
			replicas[node].Reads.Record(took)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		for node := range replicas {
			oneWay := func() time.Duration { return time.Duration(r.ExpFloat64() * float64(time.Millisecond)) }
			answered(node, true, oneWay()+oneWay())
			answered(node, false, oneWay()+oneWay())
		}
	}

	// Now and then: what does it mean, and how sure is that? And once a minute, Rotate, so that old times are forgotten.
	m := pbs.Model{R: 1, W: 1, Roam: true, Lean: true, Replicas: []pbs.Legs{
		{}, replicas["b"].Redrawn(pbs.Alike, 10, 1), replicas["c"].Redrawn(pbs.Alike, 10, 2),
	}}
	p, err := m.Predict(pbs.Simulation{})
	if err != nil {
		fmt.Println(err)
		return
	}
	soon := p.Consistent(time.Millisecond)
	fmt.Printf("at once: %.2f; after 1 ms: %.1f, known to %.0f point\n", p.Consistent(0).Value, soon.Value, 50*(soon.High-soon.Low))
	fmt.Println("99 % after", p.Until(0.99).Value.Round(time.Millisecond))
	for _, l := range replicas {
		l.Writes.Rotate()
		l.Reads.Rotate()
	}
	// Output:
	// at once: 0.33; after 1 ms: 0.8, known to 1 point
	// 99 % after 4ms
}
