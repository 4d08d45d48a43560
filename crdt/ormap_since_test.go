package crdt_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eventual-go/eventual/vclock"
)

// Where more live than a chunk of the index holds, a delta still claims just what is dead, and what it carries.
func TestORMapDeltaSinceOfManyEntries(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 0))
	maps, fields := elems("m", 100), elems("e", 3000)
	for _, removed := range []int{0, 1, 40, 1500, 2999} {
		m := ormapOf(3000)
		m.Merge(m.Set("s").Add(idB, elems("x", 600)...))
		for _, i := range random.Perm(3000)[:removed] {
			m.Map(maps[i%100]).Remove(fields[i])
		}
		m.Set("s").Remove(elems("x", 600)[250:270]...)
		since := new(vclock.Context)
		for range 20 {
			lo := random.Uint64N(3000) + 1
			since.AddSpan(vclock.Span{Replica: idA, Lo: lo, Hi: lo + random.Uint64N(300)})
		}
		for _, since := range []*vclock.Context{nil, since, m.Context()} {
			delta := m.Delta(since)
			delta.CheckInvariants()
			want := m.Context().Diff(m.Living())
			want.Merge(m.Living().Diff(since))
			assert.Equal(t, vclock.Equal, delta.Context().Compare(want))
			assert.Equal(t, vclock.Equal, delta.Living().Compare(m.Living().Diff(since)))
			peer := m.Delta(new(vclock.Context))
			assert.False(t, peer.Merge(delta))
		}
	}
}

// A removal names what it removes, in whatever order that is found.
func TestORMapRemovalOfManyFields(t *testing.T) {
	for _, remove := range []func(m *ormap) *ormap{
		func(m *ormap) *ormap { return m.Remove(elems("m", 100)...) },
		func(m *ormap) *ormap { return m.Reset() },
	} {
		m := ormapOf(40_000)
		m.Counter("kept").Add(idB, 1)
		seen := m.Context()
		removal := remove(m)
		assert.EqualValues(t, 40_000, removal.Context().Max(idA))
		assert.LessOrEqual(t, removal.Context().Len(), 2)
		assert.Equal(t, vclock.Equal, m.Context().Compare(seen))
		assert.Zero(t, m.Living().Max(idA))
	}
}
