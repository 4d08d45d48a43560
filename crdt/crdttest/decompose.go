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
	if err := any(s).(crdt.Decomposable[P]).Decompose(t.report); err != nil {
		c.Fatalf("Decompose: %v", err)
	}
	return t
}

// follower has been told of the parts of a state by Decompose once, and by a tracker since.
type follower[P crdt.State[P]] struct {
	state   P
	tracker *crdt.Tracker[P]
	tally   tally
	calls   int
}

func (c *checker[P]) follow(s P) *follower[P] {
	f := &follower[P]{state: s, tally: c.partsOf(s)}
	f.tracker = crdt.NewTracker[P](func(part []byte, n int) {
		f.calls++
		f.tally.report(part, n)
		for i := range part {
			part[i] ^= 0xff // who is told may do with the bytes what it likes
		}
	})
	any(s).(crdt.Decomposable[P]).Track(f.tracker)
	return f
}

// told reports whether the follower is told of what becomes of the state.
func (f *follower[P]) told() bool {
	return any(f.state).(crdt.Decomposable[P]).TrackedBy(f.tracker) && f.tracker.Lost() == nil
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
	c.stolen(y.Clone())
}

func (c *checker[P]) tracked(s P) {
	f := c.follow(s)
	for i := range rapid.IntRange(1, 6).Draw(c.T, "tracked steps") {
		what, ends := c.change(s, i)
		want := c.partsOf(s)
		switch {
		case f.told() && !maps.Equal(f.tally, want):
			c.Fatalf("%s: parts are\n%x\nand those told are\n%x", what, want, f.tally)
		case !f.told() && !ends:
			c.Fatalf("%s ends the tracking", what)
		case !f.told():
			f = c.follow(s)
		}
	}
	calls, told := f.calls, maps.Clone(f.tally)
	if s.Merge(c.join(c.New(), s)); f.calls > calls {
		c.Fatal("a merge that changes nothing tells of parts")
	}
	copied := s.Clone()
	c.Mutate(c.T, copied, writer(0, 9))
	if any(copied).(crdt.Decomposable[P]).TrackedBy(f.tracker) {
		c.Fatal("a clone says that it is tracked")
	}
	any(s).(crdt.Decomposable[P]).Track(nil)
	c.Mutate(c.T, s, writer(1, 9))
	if !maps.Equal(told, f.tally) || f.told() {
		c.Fatal("a clone is tracked, or a state after its tracking has ended")
	}
}

// stolen checks that a state has one tracker, and says which.
func (c *checker[P]) stolen(s P) {
	first := c.follow(s)
	second := c.follow(s)
	if first.told() || !second.told() {
		c.Fatal("TrackedBy does not tell the last tracker")
	}
}

// change changes s in one of the ways there are, and says how, and whether that may end the tracking: a merge into
// an empty state may take the place of it.
func (c *checker[P]) change(s P, event int) (what string, ends bool) {
	other := c.pick("other")
	empty := len(c.partsOf(s)) == 0
	switch rapid.IntRange(0, 4).Draw(c.T, "change") {
	case 0:
		s.Merge(other)
		return "Merge", empty
	case 1:
		if d, ok := any(s).(crdt.Delta[P]); ok {
			d.MergeNovel(other)
			return "MergeNovel", empty
		}
		fallthrough
	case 2:
		if err := s.UnmarshalBinary(c.bytes(other)); err != nil {
			c.Fatal(err)
		}
		return "UnmarshalBinary", true
	}
	c.Mutate(c.T, s, writer(event%3, event))
	return "a mutation", false
}
