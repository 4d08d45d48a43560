package crdt_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

type escrow = crdt.BoundedCounter

// market is a world of replicas whose messages come late, twice, out of order or never.
type market struct {
	*rapid.T
	states       []*escrow
	sent         []*escrow
	added, taken uint64 // by all, everywhere
}

func newMarket(t *rapid.T) *market {
	m := &market{T: t}
	for range traders {
		m.states = append(m.states, new(escrow))
	}
	return m
}

func (m *market) draw(name string, n int) int { return rapid.IntRange(0, n-1).Draw(m.T, name) }

func (m *market) step() {
	i := m.draw("replica", len(traders))
	switch m.draw("step", 8) {
	default:
		m.trade(i)
	case 0: // a message arrives, maybe again
		if len(m.sent) > 0 {
			novel, _ := m.states[i].MergeNovel(m.sent[m.draw("message", len(m.sent))])
			m.sent = append(m.sent, novel) // and what was new in it is passed on
		}
	case 1: // reconciliation with one other
		peer := m.states[m.draw("peer", len(traders))]
		m.states[i].Merge(peer.Delta(m.states[i].Context()))
	case 2: // crash, and return with what is on disk
		restarted := new(escrow)
		if err := restarted.UnmarshalBinary(encodedBy(m.T, m.states[i])); err != nil {
			m.Fatal(err)
		}
		m.states[i] = restarted
	}
	m.check(i)
}

func (m *market) trade(i int) {
	c, r := m.states[i], traders[i]
	other := traders[m.draw("other", len(traders))]
	n := uint64(m.draw("n", 6))
	var delta *escrow
	switch m.draw("op", 6) {
	case 0, 1:
		var err error
		have := c.Rights(r)
		if delta, err = c.Decrement(r, n); err == nil {
			m.taken += n
		}
		if (err == nil) != (n <= have) {
			m.Fatalf("having %d, taking %d gives %v", have, n, err)
		}
	case 2:
		delta, _ = c.Transfer(r, other, n)
	case 3:
		delta = c.Request(r, n)
	case 4:
		delta, _ = c.Grant(r, other, n)
	default:
		delta = c.Increment(r, n)
		m.added += n
	}
	m.sent = append(m.sent, delta.Clone())
}

// merged is what all know together.
func (m *market) merged() *escrow {
	all := new(escrow)
	for _, s := range m.states {
		all.Merge(s)
	}
	return all
}

// check demands that the bound holds, that rights are conserved, and that nobody believes in more than it has.
func (m *market) check(i int) {
	if m.taken > m.added {
		m.Fatalf("the bound was passed: %d added, %d taken", m.added, m.taken)
	}
	m.states[i].CheckInvariants()
	all := m.merged()
	all.CheckInvariants()
	if !all.Whole() || all.Value() != m.added-m.taken {
		m.Fatalf("%d in all, not %d", all.Value(), m.added-m.taken)
	}
	for k, r := range traders {
		if mine := m.states[k].Rights(r); mine > all.Rights(r) {
			m.Fatalf("%v believes in rights to %d, but has %d", r, mine, all.Rights(r))
		}
	}
}

// observer merges some of the messages, in any order.
func (m *market) observer() {
	seen := new(escrow)
	for range m.draw("arriving", 6) {
		seen.Merge(m.sent[m.draw("message", len(m.sent))])
		seen.CheckInvariants()
		if seen.Value() > m.added {
			m.Fatalf("%d seen of %d", seen.Value(), m.added)
		}
	}
}

// sellOut spends all rights. Nothing is left then, for anybody.
func (m *market) sellOut() {
	all := m.merged()
	for i, r := range traders {
		m.states[i].Merge(all)
		delta, err := m.states[i].Decrement(r, all.Rights(r))
		if err != nil {
			m.Fatal(err)
		}
		m.sent = append(m.sent, delta)
	}
	all = m.merged()
	for _, r := range traders {
		if _, err := all.Decrement(r, 1); err == nil || all.Value() != 0 {
			m.Fatalf("%v has something left of nothing: %d", r, all.Value())
		}
	}
	some := new(escrow)
	for _, i := range rapid.Permutation(upTo(len(m.sent))).Draw(m.T, "order") {
		some.Merge(m.sent[i])
	}
	if some.Value() != 0 || !some.Whole() {
		m.Fatalf("the deltas alone make %d", some.Value())
	}
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestTrap12_EscrowConservesRights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMarket(t)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m.step()
		}
		if len(m.sent) > 0 {
			m.observer()
		}
		m.sellOut()
	})
}

// On all small histories nobody ever takes what is not there, whatever has arrived.
func TestTrap12_TheBoundHoldsInEveryHistory(t *testing.T) {
	o := boundedOracle(op{do: "add", n: 1}, op{do: "take", n: 1}, op{do: "give", elem: "r0", n: 1})
	want := o.Want
	o.Want = func(h history, seen events) string {
		l := reckon(h)
		every := events(1<<len(h) - 1)
		added := l.sum(which(every, func(e int) bool { return l.wrote[e] && h[e].Op.do == "add" }))
		taken := l.sum(which(every, func(e int) bool { return l.wrote[e] && h[e].Op.do == "take" }))
		if taken > added {
			return fmt.Sprintf("a history that takes %d of %d", taken, added)
		}
		return want(h, seen)
	}
	t.Logf("%d histories", o.Exhaustive(t, 4, 2))
}

// A transfer counts once however often it arrives, and not less if its causes come later.
func TestTrap12_ATransferIsIdempotent(t *testing.T) {
	var a, b, c escrow
	add := a.Increment(idA, 5)
	give, err := a.Transfer(idA, idB, 3)
	require.NoError(t, err)
	for range 3 {
		b.Merge(give)
		assert.EqualValues(t, 3, b.Rights(idB))
		assert.EqualValues(t, 2, b.Rights(idA))
	}
	take, err := b.Decrement(idB, 2)
	require.NoError(t, err)
	assert.EqualValues(t, 3, b.Value())

	c.Merge(take)
	assert.False(t, c.Whole())
	assert.EqualValues(t, 1, c.Value(), "of the 5 only what b must have received is known")
	assert.Zero(t, c.Rights(idA))
	c.Merge(add)
	assert.EqualValues(t, 3, c.Value())
	assert.EqualValues(t, 2, c.Rights(idA), "what b took was sent, though the transfer has not arrived")
	c.Merge(give)
	assert.True(t, c.Whole())
	assert.EqualValues(t, 3, c.Value())
}

func TestBoundedCounterRefuses(t *testing.T) {
	var c escrow
	delta, err := c.Decrement(idA, 1)
	var insufficient *crdt.InsufficientError
	require.ErrorAs(t, err, &insufficient)
	assert.Equal(t, crdt.InsufficientError{Replica: idA, Have: 0, Want: 1}, *insufficient)
	assert.Equal(t, "crdt: a has rights to 0, not 1", err.Error())
	assert.True(t, delta.Empty() && c.Empty())

	c.Increment(idA, 3)
	c.Increment(idB, 4)
	before := encoded(t, &c)
	_, err = c.Decrement(idA, 4)
	require.ErrorAs(t, err, &insufficient)
	assert.EqualValues(t, 3, insufficient.Have)
	_, err = c.Transfer(idB, idA, 5)
	require.ErrorAs(t, err, &insufficient)
	assert.Equal(t, crdt.InsufficientError{Replica: idB, Have: 4, Want: 5}, *insufficient)
	assert.Equal(t, before, encoded(t, &c), "what is refused changes nothing")

	var nobody vclock.ReplicaID
	for _, nothing := range []func() (*escrow, error){
		func() (*escrow, error) { return c.Transfer(idA, idA, 9) },
		func() (*escrow, error) { return c.Transfer(idA, nobody, 9) },
		func() (*escrow, error) { return c.Transfer(idA, idB, 0) },
		func() (*escrow, error) { return c.Decrement(idA, 0) },
		func() (*escrow, error) { return c.Increment(nobody, 1), nil },
		func() (*escrow, error) { return c.Increment(idA, 0), nil },
		func() (*escrow, error) { return c.Request(nobody, 1), nil },
		func() (*escrow, error) { return c.Request(idA, 0), nil },
	} {
		delta, err := nothing()
		assert.NoError(t, err)
		assert.True(t, delta.Empty())
	}
	_, err = c.Decrement(nobody, 1)
	assert.Error(t, err)
	assert.Equal(t, before, encoded(t, &c))
}

func TestBoundedCounterNeverWraps(t *testing.T) {
	const most = uint64(math.MaxUint64)
	var c escrow
	c.Increment(idA, most)
	assert.True(t, c.Increment(idA, 1).Empty(), "there is no more to add")
	c.Increment(idB, most)
	assert.Equal(t, most, c.Value())
	_, err := c.Transfer(idA, idB, most)
	require.NoError(t, err)
	assert.Equal(t, most, c.Rights(idB), "of more than can be told")
	assert.Zero(t, c.Rights(idA))

	_, err = c.Decrement(idB, most)
	require.NoError(t, err)
	assert.Equal(t, most, c.Rights(idB), "b had it twice")
	assert.Equal(t, most, c.Value())
	_, err = c.Decrement(idB, 1)
	var full *crdt.InsufficientError
	require.ErrorAs(t, err, &full, "what b took in all would wrap")
	assert.Zero(t, full.Have)
	c.Transfer(idB, idA, most-1)
	_, err = c.Transfer(idB, idA, 2)
	require.ErrorAs(t, err, &full)
	assert.EqualValues(t, 1, full.Have)
	_, err = c.Transfer(idB, idC, 1)
	assert.NoError(t, err)
	assert.Equal(t, most, c.Value(), "nothing was lost")
	c.Request(idB, 5)
	assert.Zero(t, c.Requested(idB), "what b received in all would wrap")
	c.CheckInvariants()
}

// What one replica ever gave another is refused beyond what can be told, though the rights be there.
func TestTrap12_TransfersNeverWrap(t *testing.T) {
	const most = uint64(math.MaxUint64)
	var c escrow
	for _, r := range []vclock.ReplicaID{idA, idC} {
		c.Increment(r, most)
		_, err := c.Transfer(r, idB, most)
		require.NoError(t, err)
	}
	_, err := c.Transfer(idB, idA, most)
	require.NoError(t, err)
	assert.Equal(t, most, c.Rights(idB), "b had it twice")
	before := encoded(t, &c)
	_, err = c.Transfer(idB, idA, 1)
	var full *crdt.InsufficientError
	require.ErrorAs(t, err, &full)
	assert.Zero(t, full.Have)
	assert.Equal(t, before, encoded(t, &c))
	c.CheckInvariants()
}

func TestBoundedCounterRequests(t *testing.T) {
	var a, b, c escrow
	a.Increment(idA, 10)
	c.Increment(idC, 10)
	ask := b.Request(idB, 6)
	assert.True(t, b.Request(idB, 6).Empty(), "asking again changes nothing")
	for range 2 {
		a.Merge(ask)
		c.Merge(ask)
	}
	assert.Equal(t, []string{"b:6"}, asked(&a))

	first, n := a.Grant(idA, idB, 4)
	assert.EqualValues(t, 4, n)
	assert.Equal(t, []string{"b:2"}, asked(&a))
	_, n = a.Grant(idA, idB, 4)
	assert.EqualValues(t, 2, n)
	delta, n := a.Grant(idA, idB, 4)
	assert.True(t, delta.Empty() && n == 0, "it was granted already")
	assert.Empty(t, asked(&a))

	b.Merge(first)
	assert.Equal(t, []string{"b:2"}, asked(&b))
	assert.EqualValues(t, 4, b.Rights(idB))
	other, n := c.Grant(idC, idB, math.MaxUint64) // not knowing of a's answer
	assert.EqualValues(t, 6, n)
	b.Merge(other)
	b.Merge(&a)
	assert.EqualValues(t, 12, b.Rights(idB), "more than was asked for, but nothing that was not there")
	assert.True(t, b.Request(idB, 0).Empty(), "there is no request to take back")
	most := b.Clone()
	most.Request(idB, math.MaxUint64)
	assert.EqualValues(t, uint64(math.MaxUint64)-12, most.Requested(idB), "what is received in all does not wrap")
	b.Merge(&c)
	assert.EqualValues(t, 20, b.Value())
	assert.Empty(t, asked(&b))

	b.Request(idB, 3)
	b.Request(idB, 1)
	assert.Equal(t, []string{"b:1"}, asked(&b), "a request takes the place of the last")
	b.Request(idB, 0)
	assert.Empty(t, asked(&b))
	_, n = b.Grant(idA, idB, 1)
	assert.Zero(t, n)
	for range c.Requests() {
		t.Fatal("b's request was answered")
	}
}

// Who has less than is asked for gives what it has.
func TestBoundedCounterGrantsInPart(t *testing.T) {
	var c escrow
	c.Increment(idA, 2)
	c.Request(idB, 5)
	delta, n := c.Grant(idA, idB, 9)
	assert.EqualValues(t, 2, n)
	assert.False(t, delta.Empty())
	assert.Equal(t, []string{"b:3"}, asked(&c))
	assert.Zero(t, c.Rights(idA))
}

func asked(c *escrow) (asked []string) {
	for r, n := range c.Requests() {
		asked = append(asked, fmt.Sprintf("%v:%d", r, n))
	}
	return asked
}

// One identity used by two writers may oversell, but replicas agree, and each row is one that was written.
func TestBoundedCounterWithAnIdentityUsedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var twins []*escrow
		for range 3 {
			twins = append(twins, new(escrow))
		}
		s := boundedcounters()
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "twin")
			r := vclock.Named(rapid.SampledFrom([]string{"r0", "r1"}).Draw(t, "replica"))
			s.Mutate(t, twins[i], crdttest.Writer{Replica: r})
			if rapid.Bool().Draw(t, "merge") {
				twins[i].Merge(twins[(i+1)%3])
			}
		}
		x, y := twins[0].Clone(), twins[2].Clone()
		for i := range twins {
			x.Merge(twins[i])
			y.Merge(twins[2-i])
		}
		x.CheckInvariants()
		if string(encodedBy(t, x)) != string(encodedBy(t, y)) {
			t.Fatalf("%x\n%x", encodedBy(t, x), encodedBy(t, y))
		}
		back := new(escrow)
		if err := back.UnmarshalBinary(encodedBy(t, x)); err != nil {
			t.Fatal("a state that was reached cannot be read:", err)
		}
	})
}

// Two rows of one version that differ in anything at all are in some order, the same everywhere.
func TestTrap14_BoundedCounterTwinsAgree(t *testing.T) {
	for what, differ := range map[string][2]func(c *escrow){
		"granted":     {func(c *escrow) { c.Increment(idA, 1) }, func(c *escrow) { c.Increment(idA, 2) }},
		"used":        {func(c *escrow) { c.Decrement(idA, 1) }, func(c *escrow) { c.Decrement(idA, 2) }},
		"wanted":      {func(c *escrow) { c.Request(idA, 1) }, func(c *escrow) { c.Request(idA, 2) }},
		"amount sent": {func(c *escrow) { c.Transfer(idA, idB, 1) }, func(c *escrow) { c.Transfer(idA, idB, 2) }},
		"receiver":    {func(c *escrow) { c.Transfer(idA, idB, 1) }, func(c *escrow) { c.Transfer(idA, idC, 1) }},
		"taken": {func(c *escrow) { c.Increment(idA, 1) }, func(c *escrow) {
			var b escrow
			b.Increment(idB, 1)
			b.Transfer(idB, idA, 1)
			c.Merge(&b)
			c.Increment(idA, 1)
		}},
	} {
		var twins [2]*escrow
		for i := range twins {
			twins[i] = new(escrow)
			twins[i].Increment(idA, 5)
			differ[i](twins[i])
		}
		x, y := twins[0].Clone(), twins[1].Clone()
		x.Merge(twins[1])
		y.Merge(twins[0])
		assert.Equal(t, encoded(t, x), encoded(t, y), what)
		assert.False(t, x.Merge(twins[0]) || x.Merge(twins[1]), what)
	}
}

// Requests may be granted while they are listed, also by one whose first row comes of that.
func TestBoundedCounterGrantsWhileListing(t *testing.T) {
	var c escrow
	c.Increment(idC, 9)
	c.Transfer(idC, idA, 9)
	c.Request(idB, 2)
	c.Request(idC, 3)
	for who, n := range c.Requests() {
		_, granted := c.Grant(idA, who, 10)
		assert.Equal(t, n, granted)
	}
	assert.Empty(t, asked(&c))
	assert.EqualValues(t, 4, c.Rights(idA))
	assert.EqualValues(t, 3, c.Rights(idC))
}

// A row that was written as often as can be told stays as it is.
func TestBoundedCounterRowsAreUsedUp(t *testing.T) {
	var c escrow
	most := []byte{0xcf, 255, 255, 255, 255, 255, 255, 255, 255}
	require.NoError(t, c.UnmarshalBinary(raw(0x94, 16, 1, 0x91, id(idA), 0x97, 0, most, 5, 0, 0, 0x90, 0x90)))
	before := encoded(t, &c)
	assert.True(t, c.Increment(idA, 1).Empty())
	assert.True(t, c.Request(idA, 1).Empty())
	var full *crdt.InsufficientError
	_, err := c.Decrement(idA, 1)
	require.ErrorAs(t, err, &full)
	assert.Zero(t, full.Have)
	_, err = c.Transfer(idA, idB, 1)
	assert.ErrorAs(t, err, &full)
	_, granted := c.Grant(idA, idB, 1)
	assert.Zero(t, granted)
	assert.Equal(t, before, encoded(t, &c))
}

// What a replica has taken and spent stays its own, also if its giver, having lost its memory, says otherwise.
func TestTrap13_BoundedCounterOutlivesAForgetfulGiver(t *testing.T) {
	var b, twin escrow
	var a escrow
	a.Increment(idA, 5)
	a.Transfer(idA, idB, 5)
	b.Merge(&a)
	b.Decrement(idB, 5)
	twin.Increment(idA, 2)
	twin.Increment(idA, 1)
	twin.Transfer(idA, idB, 1)
	b.Merge(&twin)
	b.Increment(idB, 3)
	b.CheckInvariants()
	assert.EqualValues(t, 3, b.Rights(idB))
	assert.Zero(t, b.Rights(idA), "it has given away more than it remembers to have had")
	require.NoError(t, new(escrow).UnmarshalBinary(encoded(t, &b)))
}
