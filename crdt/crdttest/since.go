package crdttest

import (
	"bytes"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// since checks what a state sends to a peer whose context it knows.
func (c *checker[P]) since() {
	c.execute()
	x, y, z := c.pick("x"), c.pick("y"), c.pick("z")
	seen := c.context(y)
	delta := c.delta(x, seen)
	c.same("what the peer lacks does not give what the whole state does", c.join(y, delta), c.join(x, y))
	moved := c.join(y, z)
	c.same("a peer that has moved on is harmed", c.join(moved, delta), c.join(moved, x))
	if c.changes(x, delta) {
		c.Fatalf("what is said to be lacking claims what the state does not have: %x since %v, of %x",
			c.bytes(delta), seen, c.bytes(x))
	}
	if extra := c.context(delta).Diff(c.context(x)); extra.Len() > 0 {
		c.Fatalf("what is said to be lacking claims events that were not seen: %v", extra)
	}
	c.same("what a new peer lacks is not the state", c.delta(x, nil), x)
	both := c.context(x)
	both.Merge(seen)
	if got := c.context(c.join(x, y)); got.Compare(both) != vclock.Equal {
		c.Fatalf("the context after a merge is %v, and not that of both, %v", got, both)
	}
}

// delta returns what x.Delta does, and checks that it is a state of its own.
func (c *checker[P]) delta(x P, since *vclock.Context) P {
	c.Helper()
	before := c.bytes(x)
	given := since.Clone()
	sender := x.Clone()
	delta := any(sender).(crdt.Causal[P]).Delta(since)
	c.speaks("what is lacking", delta)
	kept := delta.Clone()
	if since != nil && since.Compare(given) != vclock.Equal {
		c.Fatalf("Delta changed its argument %v", given)
	}
	c.Mutate(c.T, sender, writer(0, 0))
	sender.Merge(c.pool[len(c.pool)-1])
	c.same("what is lacking changes with the sender", delta, kept)
	delta.Merge(c.pool[len(c.pool)-1])
	if !bytes.Equal(before, c.bytes(x)) {
		c.Fatalf("Delta changed the state %x", before)
	}
	return kept
}

// context returns what x.Context does, and checks that it is a copy.
func (c *checker[P]) context(x P) *vclock.Context {
	c.Helper()
	seen := any(x).(crdt.Causal[P]).Context()
	kept := seen.Clone()
	seen.Add(vclock.Dot{Replica: writer(0, 0).Replica, Seq: 1 << 40})
	if any(x).(crdt.Causal[P]).Context().Compare(kept) != vclock.Equal {
		c.Fatal("changing what Context returned changes the state")
	}
	return kept
}
