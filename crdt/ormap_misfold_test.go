package crdt_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/vclock"
)

// misfolding is an execution in which replicas fold what is not settled, and sometimes by an identity that is not
// theirs.
type misfolding struct {
	*rand.Rand
	ids    []vclock.ReplicaID
	states []*ormap
	pool   []*ormap
	folds  int
}

func (f *misfolding) step() {
	i := f.IntN(3)
	m, by := f.states[i], f.ids[i]
	switch f.IntN(8) {
	case 0:
		f.pool = append(f.pool, m.Remove("x"))
	case 1:
		f.pool = append(f.pool, m.Reset())
	case 2, 3:
		if f.IntN(4) == 0 {
			by = f.ids[f.IntN(3)]
		}
		delta := m.Fold(by, f.some(m.Context()))
		if !delta.Empty() {
			f.folds++
		}
		f.pool = append(f.pool, delta)
	case 4:
		m.Merge(f.pool[f.IntN(len(f.pool))])
	case 5:
		m.Merge(f.states[f.IntN(3)])
	default:
		f.pool = append(f.pool, m.Counter("x").Add(by, f.Int64N(9)+1), m.Map("m").Counter("x").Add(by, f.Int64N(9)+1))
	}
	m.CheckInvariants()
	f.pool = append(f.pool, m.Clone())
}

// some returns a context of some of the events in c.
func (f *misfolding) some(c *vclock.Context) *vclock.Context {
	some := new(vclock.Context)
	for s := range c.All() {
		for seq := s.Lo; seq <= s.Hi; seq++ {
			if f.IntN(3) > 0 {
				some.Add(vclock.Dot{Replica: s.Replica, Seq: seq})
			}
		}
	}
	return some
}

// Folding too early makes sums wrong, and nothing else: merging does not depend on the order of two, brings what it
// brings once, and what comes of it can be written and read; and all replicas agree in the end.
func TestORMapFoldOfWhatIsNotSettled(t *testing.T) {
	folds := 0
	for seed := range 300 {
		f := &misfolding{Rand: rand.New(rand.NewPCG(uint64(seed), 1)), ids: []vclock.ReplicaID{idA, idB, idC},
			states: []*ormap{{}, {}, {}}, pool: []*ormap{{}}}
		for range 40 {
			f.step()
		}
		for range 20 {
			checkMerge(t, f.pool[f.IntN(len(f.pool))], f.pool[f.IntN(len(f.pool))])
		}
		for range 2 {
			for _, a := range f.states {
				for _, b := range f.states {
					a.Merge(b)
				}
			}
		}
		assert.Equal(t, encoded(t, f.states[0]), encoded(t, f.states[1]), "seed %d", seed)
		assert.Equal(t, encoded(t, f.states[0]), encoded(t, f.states[2]), "seed %d", seed)
		folds += f.folds
	}
	assert.Positive(t, folds)
	t.Logf("%d folds", folds)
}

func checkMerge(t *testing.T, x, y *ormap) {
	t.Helper()
	xy, yx, new := x.Clone(), y.Clone(), x.Clone()
	novel, changed := xy.MergeNovel(y)
	yx.Merge(x)
	new.Merge(novel)
	xy.CheckInvariants()
	yx.CheckInvariants()
	both := encoded(t, xy)
	require.Equal(t, both, encoded(t, yx), "commutative")
	require.Equal(t, both, encoded(t, new), "novelty")
	require.Equal(t, changed, !bytes.Equal(both, encoded(t, x)))
	require.False(t, xy.Merge(x) || xy.Merge(y), "idempotent")
	var back ormap
	require.NoError(t, back.UnmarshalBinary(both))
	back.CheckInvariants()
}

// What a context claims beyond what was seen here cannot be settled, so nothing is folded by it.
func TestORMapFoldRefusesWhatWasNotSeen(t *testing.T) {
	var m ormap
	m.Counter("n").Add(idA, 1)
	m.Counter("n").Add(idA, 1)
	before := encoded(t, &m)
	for _, beyond := range []vclock.Dot{{Replica: idA, Seq: 3}, {Replica: idB, Seq: 1}} {
		claimed := m.Context()
		claimed.Add(beyond)
		assert.Zero(t, m.Fold(idA, claimed).Context().Count())
	}
	for _, r := range []vclock.ReplicaID{idB, {}} {
		assert.Zero(t, m.Fold(r, m.Context()).Context().Count(), "nothing of r is here")
	}
	assert.Zero(t, m.Fold(idA, nil).Context().Count())
	assert.Equal(t, before, encoded(t, &m))
	assert.EqualValues(t, 3, m.Fold(idA, m.Context()).Context().Max(idA))
}

// A removal that saw a part of what was folded too early takes the whole; of what was then folded once more it takes
// the whole or nothing.
func TestORMapFoldTooEarly(t *testing.T) {
	var a, b ormap
	first := a.Counter("n").Add(idA, 5)
	b.Merge(first)
	removal := b.Remove("n")
	second := a.Counter("n").Add(idA, 3)
	fold := a.Fold(idA, a.Context()) // b is a member, and its removal is not here
	for _, order := range [][]*ormap{{first, second, fold, removal}, {removal, fold, second, first}, {second, removal, first, fold}} {
		var m ormap
		for _, d := range order {
			m.Merge(d)
		}
		assert.Zero(t, m.Counter("n").Value(), "3 if it had waited")
		assert.True(t, m.Empty())
	}
	refold := a.Fold(idA, a.Context())
	for _, late := range []struct {
		order []*ormap
		shows int64
	}{{[]*ormap{removal, refold}, 8}, {[]*ormap{removal, fold, refold}, 0}, {[]*ormap{fold, refold, removal}, 8}} {
		m := first.Clone()
		for _, d := range late.order {
			m.Merge(d)
		}
		assert.Equal(t, late.shows, m.Counter("n").Value())
	}
}
