package crdttest

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// A Suite says how to use a type, for [Laws].
type Suite[P crdt.State[P]] struct {
	// New returns an empty state.
	New func() P
	// Mutate makes one random change to s on behalf of a writer and returns the delta.
	Mutate func(t *rapid.T, s P, by Writer) (delta P)
	// Parts, if not nil, returns the irreducible parts of s: states that no merge of smaller ones makes, and
	// that make s when merged. Novelty is then checked against them, part by part.
	Parts func(s P) []P
	// Replicas is how many replicas there are. If zero, three.
	Replicas int
	// Steps is how many steps an execution has at most. If zero, 12.
	Steps int
}

// A Writer is who makes a change.
type Writer struct {
	Replica vclock.ReplicaID
	Stamp   vclock.Timestamp // for types ordered by time; the clocks of the writers do not agree
}

func writer(replica, event int) Writer {
	id := vclock.Named(fmt.Sprintf("r%d", replica))
	wall := 1 + event*5%3 // goes back now and then, and meets that of others
	return Writer{Replica: id, Stamp: vclock.Timestamp{Wall: int64(wall), Replica: id}}
}

// Laws checks the laws that any replicated data type must obey. See the package documentation.
func Laws[P crdt.State[P]](t *testing.T, s Suite[P]) {
	t.Helper()
	run := func(name string, law func(c *checker[P])) {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { law(&checker[P]{T: t, Suite: s}) })
		})
	}
	run("Merge", (*checker[P]).merge)
	run("Delta", (*checker[P]).deltas)
	if _, ok := any(s.New()).(crdt.Delta[P]); ok {
		run("MergeNovel", (*checker[P]).novelty)
	}
	if _, ok := any(s.New()).(crdt.Causal[P]); ok {
		run("Since", (*checker[P]).since)
	}
	if _, ok := any(s.New()).(crdt.Decomposable[P]); ok {
		run("Decompose", (*checker[P]).decompose)
	}
	run("Clone", (*checker[P]).clone)
	run("Codec", (*checker[P]).codec)
	run("HostileBytes", (*checker[P]).hostile)
}

// checker runs one random execution and looks at the states in it.
type checker[P crdt.State[P]] struct {
	*rapid.T
	Suite[P]
	states    []P // of the replicas
	mutations []mutation[P]
	pool      []P // states and deltas reached
}

// mutation is a change, with the state around it.
type mutation[P any] struct{ before, delta, after P }

// execute lets replicas change, merge, and receive deltas late, twice or never.
func (c *checker[P]) execute() {
	n := c.Replicas
	if n == 0 {
		n = 3
	}
	steps := c.Steps
	if steps == 0 {
		steps = 12
	}
	for range n {
		c.states = append(c.states, c.New())
	}
	c.pool = append(c.pool, c.New())
	for range rapid.IntRange(1, steps).Draw(c.T, "steps") {
		c.step(rapid.IntRange(0, n-1).Draw(c.T, "replica"))
	}
}

func (c *checker[P]) step(i int) {
	switch what := rapid.IntRange(0, 4).Draw(c.T, "step"); {
	case what < 3 || len(c.mutations) == 0:
		before := c.states[i].Clone()
		delta := c.Mutate(c.T, c.states[i], writer(i, len(c.mutations)))
		m := mutation[P]{before, delta.Clone(), c.states[i].Clone()}
		c.mutations = append(c.mutations, m)
		c.pool = append(c.pool, m.delta, m.after)
	case what == 3:
		from := rapid.IntRange(0, len(c.states)-1).Draw(c.T, "from")
		c.states[i].Merge(c.states[from].Clone())
		c.pool = append(c.pool, c.states[i].Clone())
	default:
		late := rapid.IntRange(0, len(c.mutations)-1).Draw(c.T, "delta")
		c.states[i].Merge(c.mutations[late].delta.Clone())
		c.pool = append(c.pool, c.states[i].Clone())
	}
}

// pick draws one of the states reached.
func (c *checker[P]) pick(name string) P {
	return c.pool[rapid.IntRange(0, len(c.pool)-1).Draw(c.T, name)]
}

func (c *checker[P]) bytes(s P) []byte {
	c.Helper()
	b, err := s.AppendBinary(nil)
	if err != nil {
		c.Fatalf("AppendBinary: %v", err)
	}
	return b
}

// join merges into a clone of a.
func (c *checker[P]) join(a P, others ...P) P {
	a = a.Clone()
	for _, b := range others {
		a.Merge(b)
	}
	return a
}

func (c *checker[P]) same(what string, got, want P) {
	c.Helper()
	if g, w := c.bytes(got), c.bytes(want); !bytes.Equal(g, w) {
		c.Fatalf("%s:\n got %x\nwant %x", what, g, w)
	}
}

// changes merges b into a clone of a and checks that it tells truthfully whether that changed anything.
func (c *checker[P]) changes(a, b P) bool {
	c.Helper()
	joined := a.Clone()
	before := c.bytes(b)
	changed := joined.Merge(b)
	if really := !bytes.Equal(c.bytes(joined), c.bytes(a)); really != changed {
		c.Fatalf("Merge says changed %v, but it is %v:\n%x\nwith %x", changed, really, c.bytes(a), before)
	}
	if !bytes.Equal(before, c.bytes(b)) {
		c.Fatalf("Merge changed its argument %x", before)
	}
	return changed
}
