package crdttest

import (
	"bytes"
	"slices"

	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
)

func (c *checker[P]) merge() {
	c.execute()
	x, y, z := c.pick("x"), c.pick("y"), c.pick("z")
	c.changes(x, y)
	xy := c.join(x, y)
	c.same("merging is not commutative", c.join(y, x), xy)
	c.same("merging is not associative", c.join(x, c.join(y, z)), c.join(xy, z))
	if c.changes(x, x.Clone()) {
		c.Fatal("merging is not idempotent")
	}
	if c.changes(xy, x) || c.changes(xy, y) {
		c.Fatal("merging forgets")
	}
	if self := x.Clone(); self.Merge(self) {
		c.Fatal("merging a state with itself changes it")
	}
	c.sharing(x, y)
}

// sharing checks that a state has nothing in common with what it merged, nor with the deltas it gave.
func (c *checker[P]) sharing(x, y P) {
	for _, joined := range []P{x.Clone(), c.New()} {
		before := c.bytes(y)
		joined.Merge(y)
		delta := c.Mutate(c.T, joined, writer(0, 0))
		given := c.bytes(delta)
		c.Mutate(c.T, joined, writer(0, 1))
		if !bytes.Equal(before, c.bytes(y)) {
			c.Fatal("the argument of a merge changes with the receiver")
		}
		if !bytes.Equal(given, c.bytes(delta)) {
			c.Fatal("a delta changes with the state that gave it")
		}
	}
}

func (c *checker[P]) deltas() {
	c.execute()
	all := c.New()
	var deltas []P
	for _, m := range c.mutations {
		c.same("a delta is not what the mutation did", c.join(m.before, m.delta), m.after)
		deltas = append(deltas, m.delta)
		all.Merge(m.after)
	}
	order := rapid.Permutation(append(deltas, deltas...)).Draw(c.T, "order")
	c.same("deltas in another order, each twice, do not give the state", c.join(c.New(), order...), all)
	cut := rapid.IntRange(0, len(order)).Draw(c.T, "cut")
	groups := c.join(c.join(c.New(), order[cut:]...), c.join(c.New(), order[:cut]...))
	c.same("deltas in groups do not give the state", groups, all)
	kept := order[:rapid.IntRange(0, len(order)).Draw(c.T, "kept")]
	c.same("after lost deltas a full merge does not give the state", c.join(c.join(c.New(), kept...), all), all)
}

func (c *checker[P]) novelty() {
	c.execute()
	x, y := c.pick("x"), c.pick("y")
	novel, changed := c.novel(x, y)
	empty := bytes.Equal(c.bytes(novel), c.bytes(c.New()))
	if changed != c.changes(x, y) || changed == empty {
		c.Fatalf("MergeNovel says changed %v, novelty empty %v, Merge says %v", changed, empty, c.changes(x, y))
	}
	c.same("the novelty is not what was new", c.join(x, novel), c.join(x, y))
	if c.changes(y, novel) {
		c.Fatal("the novelty has what was not in the argument")
	}
	again, _ := c.novel(x, novel)
	c.same("the novelty has what was known", again, novel)
	if c.Parts != nil {
		c.parts(x, y, novel)
	}
}

// novel merges y into a clone of x by MergeNovel.
func (c *checker[P]) novel(x, y P) (novel P, changed bool) {
	joined := x.Clone()
	before := c.bytes(y)
	novel, changed = any(joined).(crdt.Delta[P]).MergeNovel(y)
	if !bytes.Equal(before, c.bytes(y)) {
		c.Fatalf("MergeNovel changed its argument %x", before)
	}
	c.speaks("a novelty", novel)
	c.speaks("a state after MergeNovel", joined)
	kept := novel.Clone()
	c.same("MergeNovel does not merge", joined, c.join(x, y))
	c.Mutate(c.T, joined, writer(0, 0))
	c.same("the novelty changes with the receiver", novel, kept)
	c.same("the argument changes with the receiver", y, c.decode(before))
	return kept, changed
}

// parts checks the novelty of y against the irreducible parts that x lacks.
func (c *checker[P]) parts(x, y, novel P) {
	whole, lacking := c.New(), c.New()
	for _, part := range c.Parts(y) {
		whole.Merge(part)
		if c.changes(x, part) {
			lacking.Merge(part)
		}
	}
	c.same("the parts do not make the state", whole, y)
	c.same("the novelty is not made of the parts that were new", novel, lacking)
}

func (c *checker[P]) clone() {
	c.execute()
	original := c.pick("x")
	before := c.bytes(original)
	copied := original.Clone()
	c.same("a clone differs", copied, original)
	for i := range 2 {
		c.Mutate(c.T, copied, writer(i, i))
		copied.Merge(c.pick("y"))
	}
	if !bytes.Equal(before, c.bytes(original)) {
		c.Fatal("changing a clone changes the original")
	}
	copied = original.Clone()
	c.Mutate(c.T, original, writer(0, 0))
	original.Merge(c.pick("z"))
	if !bytes.Equal(before, c.bytes(copied)) {
		c.Fatal("changing the original changes a clone")
	}
}

func (c *checker[P]) codec() {
	c.execute()
	x, y := c.pick("x"), c.pick("y")
	b := c.bytes(x)
	prefixed, err := x.AppendBinary([]byte("prefix"))
	if err != nil || string(prefixed) != "prefix"+string(b) {
		c.Fatalf("AppendBinary does not append: %x, %v", prefixed, err)
	}
	input := bytes.Clone(b)
	over := y.Clone()
	if err := over.UnmarshalBinary(input); err != nil {
		c.Fatalf("UnmarshalBinary: %v: %x", err, b)
	}
	for i := range input {
		input[i] ^= 0xff // nothing of the input may have been kept
	}
	c.same("decoding does not replace the receiver by what was encoded", over, x)
	c.same("a decoded state merges differently", c.join(over, y), c.join(x, y))
	c.same("a decoded state is merged differently", c.join(y, over), c.join(y, x))
	delta := c.Mutate(c.T, over, writer(1, 1))
	c.same("a decoded state changes differently", c.join(x, delta), over)
	for _, reached := range append(c.pool, c.states...) {
		c.speaks("a state or delta", reached)
	}
}

func (c *checker[P]) decode(b []byte) P {
	c.Helper()
	s := c.New()
	if err := s.UnmarshalBinary(b); err != nil {
		c.Fatalf("UnmarshalBinary: %v: %x", err, b)
	}
	return s
}

func (c *checker[P]) hostile() {
	c.execute()
	b := c.bytes(c.pick("x"))
	c.disorder(b)
	for range 3 {
		c.fed(c.mangle(b))
	}
}

// fed checks that bytes are refused and change nothing, or that merging what they are obeys the laws.
func (c *checker[P]) fed(b []byte) {
	receiver := c.pick("y").Clone()
	before := c.bytes(receiver)
	if err := receiver.UnmarshalBinary(b); err != nil {
		if !bytes.Equal(before, c.bytes(receiver)) {
			c.Fatalf("refused bytes changed the receiver: %x: %v", b, err)
		}
		return
	}
	c.canonical(b)
	z := c.pick("z")
	c.same("merging hostile bytes is not commutative", c.join(receiver, z), c.join(z, receiver))
	if d, ok := any(z.Clone()).(crdt.Delta[P]); ok {
		novel, _ := d.MergeNovel(receiver)
		c.same("the novelty of hostile bytes is not what was new", c.join(z, novel), c.join(z, receiver))
	}
}

// disorder reads b with neighbouring pieces of it in each other's place, and with one of them twice. Single bytes that
// are changed seldom put a list of records out of order.
func (c *checker[P]) disorder(b []byte) {
	for _, n := range rapid.SliceOfN(rapid.IntRange(1, 48), 3, 3).Draw(c.T, "lengths") {
		for at := range max(0, len(b)-2*n+1) {
			one, two, rest := b[at:at+n], b[at+n:at+2*n], b[at+2*n:]
			c.canonical(slices.Concat(b[:at], two, one, rest))
			c.canonical(slices.Concat(b[:at], one, one, rest))
		}
	}
}

// canonical checks that b is what the state that it decodes to would write, if it decodes.
func (c *checker[P]) canonical(b []byte) {
	c.Helper()
	s := c.New()
	if s.UnmarshalBinary(b) != nil {
		return
	}
	if again := c.bytes(s); !bytes.Equal(again, b) {
		c.Fatalf("accepted bytes are not canonical:\n got %x\nback %x", b, again)
	}
}

// mangle changes, inserts, removes and cuts bytes.
func (c *checker[P]) mangle(b []byte) []byte {
	for range rapid.IntRange(1, 3).Draw(c.T, "faults") {
		at := rapid.IntRange(0, len(b)).Draw(c.T, "at")
		with := rapid.Byte().Draw(c.T, "byte")
		switch fault := rapid.IntRange(0, 4).Draw(c.T, "fault"); {
		case fault == 0 || at == len(b):
			b = append(b[:at:at], append([]byte{with}, b[at:]...)...)
		case fault == 1:
			b = append(b[:at:at], b[at+1:]...)
		case fault == 2:
			b = b[:at]
		case fault == 3:
			b[at]++
		default:
			b[at] = with
		}
	}
	return b
}
