package crdt_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

// Rows stay. What passes on are the rights in them.
func TestTrap16_BoundedCounterHandover(t *testing.T) {
	transfer := func(to vclock.ReplicaID, n uint64) change[*escrow] {
		return func(c *escrow, by crdttest.Writer) *escrow {
			delta, _ := c.Transfer(by.Replica, to, n)
			return delta
		}
	}
	last := vclock.Named("d")
	testHandoverOf(t, cluster[*escrow]{
		suite:   boundedcounters(),
		keeps:   true,
		present: func(c *escrow) string { return fmt.Sprint(c.Value(), c.Rights(last), c.Whole()) },
		ops: []change[*escrow]{
			func(c *escrow, by crdttest.Writer) *escrow { return c.Increment(by.Replica, 9) },
			func(c *escrow, by crdttest.Writer) *escrow { return c.Increment(by.Replica, 2) },
			func(c *escrow, by crdttest.Writer) *escrow { return c.Request(by.Replica, 3) },
			func(c *escrow, by crdttest.Writer) *escrow {
				delta, _ := c.Decrement(by.Replica, 2)
				return delta
			},
			func(c *escrow, by crdttest.Writer) *escrow {
				delta, _ := c.Grant(by.Replica, last, 4) // who does not leave, since those who do have no requests any more
				return delta
			},
			transfer(idA, 1), transfer(idB, 2), transfer(idC, 3), transfer(last, 1),
		},
	})
}

// leaving is a market that traders leave one after the other, while those who stay go on: they give to who has left,
// and some have not heard.
type leaving struct {
	*market
	agreed []agreement[*escrow]
	gone   int // traders who have left
}

// leave lets the next trader leave, or leave what it was given since.
func (m *leaving) leave(next int) {
	m.gone += next
	if m.gone == 0 {
		return
	}
	at := new(escrow)
	for range m.draw("states in the cut", 4) {
		at.Merge(m.states[m.draw("state", len(traders))])
	}
	a := agreement[*escrow]{at: at, to: traders[m.gone+m.draw("to", len(traders)-m.gone)]}
	for k := range m.gone {
		at.Merge(m.states[k])
		a.from = append(a.from, traders[k])
	}
	m.settle(at)
	if rapid.Bool().Draw(m.T, "what is left of it") {
		a.at = m.leftIn(a)
	}
	m.agreed = append(m.agreed, a)
}

// leftIn returns what those who leave have left in the cut, which must be as good as all of that.
func (m *leaving) leftIn(a agreement[*escrow]) *escrow {
	kinds := crdt.Standard()
	v, err := crdt.Wrap(kinds, a.at)
	require.NoError(m.T, err)
	left, err := crdt.Ensure[*escrow](kinds, v.Left(a.from...))
	require.NoError(m.T, err)
	whole, part := a.at.Clone(), a.at.Clone()
	_, err = whole.Handover(a.at, a.to, a.from...)
	require.NoError(m.T, err)
	_, err = part.Handover(left, a.to, a.from...)
	require.NoError(m.T, err)
	if w, p := fmt.Sprint(whole.Explain()), fmt.Sprint(part.Explain()); w != p {
		m.Fatalf("by the whole cut %s, by what is left in it %s", w, p)
	}
	return left
}

// settle carries out what was agreed, in order.
func (m *leaving) settle(s *escrow) {
	for _, a := range m.agreed {
		if _, err := s.Handover(a.at, a.to, a.from...); err != nil {
			m.Fatal(err)
		}
	}
}

func (m *leaving) step() {
	i := m.gone + m.draw("trader", len(traders)-m.gone)
	switch m.draw("step", 8) {
	case 0:
		if len(m.sent) > 0 {
			m.states[i].Merge(m.sent[m.draw("message", len(m.sent))])
		}
	case 1, 2:
		m.states[i].Merge(m.states[m.draw("peer", len(traders))])
	case 3:
		m.settle(m.states[i])
	case 4:
		if m.gone < len(traders)-1 && rapid.Bool().Draw(m.T, "leave") {
			m.leave(1)
		} else {
			m.leave(0)
		}
	default:
		m.trade(i)
	}
	m.check()
}

func (m *leaving) check() {
	all := m.merged()
	for _, s := range append(m.states, all) {
		s.CheckInvariants()
	}
	if m.taken > m.added || !all.Whole() || all.Value() != m.added-m.taken {
		m.Fatalf("%d added, %d taken, %d left", m.added, m.taken, all.Value())
	}
	for k := m.gone; k < len(traders); k++ {
		if mine := m.states[k].Rights(traders[k]); mine > all.Rights(traders[k]) {
			m.Fatalf("%v believes in rights to %d, but has %d", traders[k], mine, all.Rights(traders[k]))
		}
	}
}

// sellOut lets those who stay take all there is.
func (m *leaving) sellOut() {
	all := m.merged()
	m.settle(all)
	at := all.Clone()
	if len(m.agreed) > 0 {
		a := m.agreed[len(m.agreed)-1]
		if _, err := all.Handover(at, a.to, a.from...); err != nil {
			m.Fatal(err)
		}
	}
	for _, r := range traders[m.gone:] {
		n := all.Rights(r)
		if _, err := all.Decrement(r, n); err != nil {
			m.Fatal(err)
		}
		m.taken += n
	}
	if all.CheckInvariants(); all.Value() != 0 || m.taken != m.added {
		m.Fatalf("%d added, %d taken, %d stuck", m.added, m.taken, all.Value())
	}
	for r, n := range all.Requests() {
		if slices.Contains(traders[:m.gone], r) {
			m.Fatalf("%v has left and asks for %d", r, n)
		}
	}
}

func TestTrap12_HandoverConservesRights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &leaving{market: newMarket(t)}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m.step()
		}
		m.sellOut()
	})
}

func TestBoundedCounterHandover(t *testing.T) {
	var c escrow
	c.Increment(idA, 10)
	c.Increment(idB, 4)
	c.Transfer(idA, idC, 3)
	c.Transfer(idB, idA, 1)
	c.Decrement(idA, 2)
	c.Request(idA, 5)
	at, before := c.Clone(), c.Value()
	changed, err := c.Handover(at, idEstate, idA, idB)
	require.NoError(t, err)
	assert.True(t, changed)
	c.CheckInvariants()
	assert.Equal(t, before, c.Value())
	assert.Zero(t, c.Rights(idA)+c.Rights(idB))
	assert.EqualValues(t, 9, c.Rights(idEstate))
	assert.EqualValues(t, 3, c.Rights(idC), "what was under way arrives")
	assert.Empty(t, asked(&c), "nobody is there to use it")
	require.NoError(t, new(escrow).UnmarshalBinary(encoded(t, &c)))
	_, err = c.Transfer(idEstate, idC, 9)
	require.NoError(t, err, "by the one who speaks for the estate")

	// c did not know.
	c.Transfer(idC, idA, 2)
	changed, err = c.Handover(at, idEstate, idA, idB)
	require.NoError(t, err)
	assert.False(t, changed, "the cut does not have it")
	changed, err = c.Handover(c.Clone(), idC, idA, idB)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.EqualValues(t, 12, c.Rights(idC))
	assert.Zero(t, c.Rights(idA))
	for range 2 {
		changed, err = c.Handover(at, idEstate, idA, idB)
		require.NoError(t, err, "the first again, for an old state")
		assert.False(t, changed)
	}
	old := at.Clone()
	old.Merge(&c)
	assert.Equal(t, encoded(t, &c), encoded(t, old))
}

// Who was only given something has no row, and leaves it all the same.
func TestBoundedCounterHandoverWithoutARow(t *testing.T) {
	var c, stranger escrow
	c.Increment(idA, 5)
	c.Transfer(idA, idB, 5)
	at := c.Clone()
	stranger.Increment(idC, 1)
	changed, err := stranger.Handover(at, idEstate, idB)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.EqualValues(t, 5, stranger.Rights(idEstate), "it has not heard of b before")
	changed, err = c.Handover(at, idEstate, idB)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.EqualValues(t, 5, c.Rights(idEstate))
	require.NoError(t, new(escrow).UnmarshalBinary(encoded(t, &c)))
	var request escrow
	request.Request(idB, 5)
	_, err = request.Handover(request.Clone(), idEstate, idB)
	require.NoError(t, err)
	assert.Empty(t, asked(&request))
	require.NoError(t, new(escrow).UnmarshalBinary(encoded(t, &request)))
}

func TestBoundedCounterHandoverRefuses(t *testing.T) {
	var at escrow
	at.Increment(idA, 5)
	at.Increment(idB, 5)
	for what, write := range map[string]func(c *escrow){
		"granted": func(c *escrow) { c.Increment(idA, 1) },
		"used":    func(c *escrow) { c.Decrement(idA, 1) },
		"wanted":  func(c *escrow) { c.Request(idA, 1) },
		"sent":    func(c *escrow) { c.Transfer(idA, idC, 1) },
	} {
		t.Run(what, func(t *testing.T) {
			x := at.Clone()
			write(x)
			refuses(t, "not in the cut", idA, x, &at, idEstate, idA)
			refuses(t, "not in the cut", idA, x, &at, idEstate, idB, idA)
		})
	}
	refuses(t, "not in the cut", idB, &at, nil, idEstate, idB)
	refuses(t, "cannot take part", idA, &at, &at, idA, idB, idA)
	refuses(t, "cannot take part", vclock.ReplicaID{}, &at, &at, vclock.ReplicaID{}, idA)

	// Nothing was left, and yet it goes on.
	var spent escrow
	spent.Increment(idA, 5)
	spent.Decrement(idA, 5)
	spent.Increment(idB, 5)
	wants, uses := spent.Clone(), spent.Clone()
	wants.Request(idA, 1)
	refuses(t, "not in the cut", idA, wants, &spent, idEstate, idA)
	uses.Transfer(idB, idA, 1)
	uses.Decrement(idA, 1)
	refuses(t, "not in the cut", idA, uses, &spent, idEstate, idA)

	// It gave to the successor itself, and had it from another than the cut says.
	given, gave := at.Clone(), at.Clone()
	given.Transfer(idB, idA, 1)
	gave.Increment(idC, 1)
	gave.Transfer(idC, idA, 1)
	gave.Transfer(idA, idEstate, 6)
	refuses(t, "not in the cut", idA, gave, given, idEstate, idA)

	// It left more to the successor than the cut has, as by a later cut.
	x := at.Clone()
	x.Transfer(idB, idA, 1)
	x.Transfer(idA, idEstate, 6)
	changed, err := x.Handover(&at, idEstate, idA)
	require.NoError(t, err)
	assert.False(t, changed)
}

func TestTrap12_HandoverNeverWraps(t *testing.T) {
	const most = uint64(math.MaxUint64)
	var c escrow
	c.Increment(idA, most)
	c.Increment(idB, most)
	c.Transfer(idA, idEstate, 7)
	c.Transfer(idB, idA, most)
	require.Equal(t, most, c.Rights(idA), "of more than can be told")
	_, err := c.Handover(c.Clone(), idEstate, idA)
	require.NoError(t, err)
	c.CheckInvariants()
	assert.Equal(t, most, c.Rights(idEstate))
	assert.Equal(t, most, c.Rights(idA), "no flow holds more")
	_, err = c.Handover(c.Clone(), idOther, idA)
	require.NoError(t, err)
	assert.Zero(t, c.Rights(idA))
	assert.Equal(t, most, c.Value())

	row := []byte{0xcf, 255, 255, 255, 255, 255, 255, 255, 255}
	var full escrow
	require.NoError(t, full.UnmarshalBinary(raw(0x94, 16, 1, 0x91, id(idA), 0x97, 0, row, 5, 0, 0, 0x90, 0x90)))
	changed, err := full.Handover(full.Clone(), idEstate, idA)
	require.NoError(t, err)
	assert.False(t, changed, "a row that was written as often as can be told stays")
	var late escrow
	_, err = late.Handover(&full, idEstate, idA)
	require.NoError(t, err)
	assert.Equal(t, encoded(t, &full), encoded(t, &late))
}
