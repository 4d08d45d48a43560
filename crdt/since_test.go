package crdt_test

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

// sincer is a type that tells what a peer lacks.
type sincer[P any] interface {
	crdt.State[P]
	Context() *vclock.Context
	Delta(since *vclock.Context) P
}

// since checks Delta on the states of random executions. Living returns the dots in force of a type that has dots.
type since[P sincer[P]] struct {
	*rapid.T
	suite  crdttest.Suite[P]
	living func(P) *vclock.Context
	pool   []P // states and deltas reached
}

func checkSince[P sincer[P]](t *testing.T, s crdttest.Suite[P], living func(P) *vclock.Context) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		c := &since[P]{T: t, suite: s, living: living}
		c.execute()
		x, y := c.pick("x"), c.pick("y")
		delta := x.Delta(y.Context())
		c.same("a peer has not what it lacked", c.join(y, delta), c.join(y, x))
		c.same("more than there is", c.join(x, delta), x)
		c.same("a peer with nothing lacks everything", x.Delta(nil), x)
		if living == nil {
			return
		}
		c.claims(x, y.Context())
		for _, z := range c.pool {
			if z.Context().Contains(y.Context()) {
				c.same("a peer that went on has not what it lacked", c.join(z, delta), c.join(z, x))
			}
		}
		c.claims(x, c.some(x.Context()))
	})
}

// execute is an execution of three replicas in which deltas come late, twice or never.
func (c *since[P]) execute() {
	states := []P{c.suite.New(), c.suite.New(), c.suite.New()}
	c.pool = append(c.pool, c.suite.New())
	for i := range rapid.IntRange(1, 14).Draw(c.T, "steps") {
		at := rapid.IntRange(0, 2).Draw(c.T, "replica")
		if i > 0 && rapid.IntRange(0, 2).Draw(c.T, "merge") == 0 {
			states[at].Merge(c.pick("late"))
		} else {
			id := vclock.Named(fmt.Sprint("r", at))
			stamp := vclock.Timestamp{Wall: int64(i * 5 % 3), Replica: id}
			c.pool = append(c.pool, c.suite.Mutate(c.T, states[at], crdttest.Writer{Replica: id, Stamp: stamp}))
		}
		c.pool = append(c.pool, states[at].Clone())
	}
}

func (c *since[P]) pick(name string) P {
	return c.pool[rapid.IntRange(0, len(c.pool)-1).Draw(c.T, name)].Clone()
}

// some returns a context with some of the events of seen.
func (c *since[P]) some(seen *vclock.Context) *vclock.Context {
	part := new(vclock.Context)
	for span := range seen.All() {
		for seq := span.Lo; seq <= span.Hi; seq++ {
			if rapid.Bool().Draw(c.T, "has") {
				part.Add(vclock.Dot{Replica: span.Replica, Seq: seq})
			}
		}
	}
	return part
}

// claims checks that a delta carries the living that since lacks, and claims besides them just the dead.
func (c *since[P]) claims(x P, since *vclock.Context) {
	delta, living := x.Delta(since), c.living(x)
	if got, want := c.living(delta), living.Diff(since); got.Compare(want) != vclock.Equal {
		c.Fatalf("carries %v, want %v", got, want)
	}
	want := x.Context().Diff(living)
	want.Merge(living.Diff(since))
	if got := delta.Context(); got.Compare(want) != vclock.Equal {
		c.Fatalf("claims %v, want %v", got, want)
	}
}

func (c *since[P]) join(a, b P) P {
	a = a.Clone()
	a.Merge(b)
	return a
}

func (c *since[P]) same(what string, got, want P) {
	c.Helper()
	g, _ := got.AppendBinary(nil)
	if w, _ := want.AppendBinary(nil); !bytes.Equal(g, w) {
		c.Fatalf("%s:\n got %x\nwant %x", what, g, w)
	}
}

// refused checks that a decoder refuses input for a reason.
func refused(t *testing.T, decode func(b []byte) error, reason string, input []byte) {
	t.Helper()
	err := decode(input)
	if corrupt, ok := err.(*crdt.CorruptError); !ok || corrupt.Reason != reason {
		t.Errorf("%x: got %v, want %s", input, err, reason)
	}
}

// claimsCostNothing checks that a claim of a gigabyte in a few bytes costs nothing.
func claimsCostNothing(t *testing.T, tag byte, decode func(b []byte) error) {
	t.Helper()
	huge := []byte{0x40, 0, 0, 0}
	for _, claim := range []byte{0xdd, 0xc6, 0xdb} { // array, binary, text
		for _, head := range [][]byte{{}, {0x93, tag, 1}, {0x94, tag, 1}, {0x94, tag, 1, 0x90}} {
			input := append(append(bytes.Clone(head), claim), huge...)
			if n := allocated(func() { expected(t, decode(input)) }); n > 1<<20 {
				t.Errorf("%x costs %d bytes", input, n)
			}
		}
	}
}
