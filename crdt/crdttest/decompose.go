package crdttest

import (
	"bytes"
	"maps"

	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
)

// tally counts parts. One that is reported as often gone as come is not in it.
type tally map[string]int

func (t tally) report(part []byte, n int) {
	if t[string(part)] += n; t[string(part)] == 0 {
		delete(t, string(part))
	}
}

func (c *checker[P]) partsOf(s P) tally {
	t := make(tally)
	any(s).(crdt.Decomposable).Decompose(t.report)
	return t
}

// follower has been told of the parts of a state by Decompose once, and by Track since.
type follower[P crdt.State[P]] struct {
	state P
	tally tally
	calls int
}

func (c *checker[P]) follow(s P) *follower[P] {
	f := &follower[P]{state: s, tally: c.partsOf(s)}
	any(s).(crdt.Decomposable).Track(func(part []byte, n int) {
		f.calls++
		f.tally.report(part, n)
		for i := range part {
			part[i] ^= 0xff // who is told may do with the bytes what it likes
		}
	})
	return f
}

// decompose checks that parts tell states apart, and that a state tells of each part that comes and goes.
func (c *checker[P]) decompose() {
	c.execute()
	x, y := c.pick("x"), c.pick("y")
	if equal := bytes.Equal(c.bytes(x), c.bytes(y)); equal != maps.Equal(c.partsOf(x), c.partsOf(y)) {
		c.Fatalf("states equal %v, their parts %v:\n%x\n%x", equal, !equal, c.bytes(x), c.bytes(y))
	}
	if n := len(c.partsOf(c.New())); n > 0 {
		c.Fatalf("the empty state has %d parts", n)
	}
	if !maps.Equal(c.partsOf(c.decode(c.bytes(x))), c.partsOf(x)) {
		c.Fatal("a decoded state has other parts")
	}
	c.tracked(x.Clone())
}

func (c *checker[P]) tracked(s P) {
	f := c.follow(s)
	for i := range rapid.IntRange(1, 6).Draw(c.T, "tracked steps") {
		what := c.change(s, i)
		if want := c.partsOf(s); !maps.Equal(f.tally, want) {
			c.Fatalf("%s: parts are\n%x\nand those told are\n%x", what, want, f.tally)
		}
	}
	calls, told := f.calls, maps.Clone(f.tally)
	if s.Merge(c.join(c.New(), s)); f.calls > calls {
		c.Fatal("a merge that changes nothing tells of parts")
	}
	c.Mutate(c.T, s.Clone(), writer(0, 9))
	any(s).(crdt.Decomposable).Track(nil)
	c.Mutate(c.T, s, writer(1, 9))
	if !maps.Equal(told, f.tally) {
		c.Fatal("a clone is tracked, or a state after its tracking has ended")
	}
}

// change changes s in one of the ways there are, and says how.
func (c *checker[P]) change(s P, event int) (what string) {
	other := c.pick("other")
	switch rapid.IntRange(0, 4).Draw(c.T, "change") {
	case 0:
		s.Merge(other)
		return "Merge"
	case 1:
		if d, ok := any(s).(crdt.Delta[P]); ok {
			d.MergeNovel(other)
			return "MergeNovel"
		}
		fallthrough
	case 2:
		if err := s.UnmarshalBinary(c.bytes(other)); err != nil {
			c.Fatal(err)
		}
		return "UnmarshalBinary"
	}
	c.Mutate(c.T, s, writer(event%3, event))
	return "a mutation"
}
