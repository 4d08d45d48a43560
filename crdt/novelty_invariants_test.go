package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
)

// An element may come to a novelty on one side, and on the other too: it is out.
func TestRWSetNoveltyKnowsWhatIsOut(t *testing.T) {
	var x, y, z, reader rwset
	y.Add(idA, "e")
	z.Remove(idB, "e")
	y.Merge(&z)
	novel, changed := x.MergeNovel(&y)
	assert.True(t, changed)
	for name, s := range map[string]*rwset{"novelty": novel, "receiver": &x} {
		s.CheckInvariants()
		assert.Zero(t, s.Len(), name)
		assert.True(t, s.Empty(), name)
		assert.False(t, s.Has("e"), name)
	}
	reader.Merge(novel)
	assert.Zero(t, reader.Len())
}

// checked is a type with an index or counts beside its elements.
type checked[P any] interface {
	crdt.State[P]
	crdt.Causal[P]
	MergeNovel(o P) (novel P, changed bool)
	CheckInvariants()
}

// What is handed out, deltas, novelties and what a peer lacks, is as sound as the states that it comes from.
func checkHandedOut[P checked[P]](t *testing.T, s crdttest.Suite[P]) {
	mutate := s.Mutate
	s.Mutate = func(t *rapid.T, state P, by crdttest.Writer) P {
		delta := mutate(t, state, by)
		delta.CheckInvariants()
		state.CheckInvariants()
		return delta
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y := reached(t, s)
		lacking := y.Delta(x.Context())
		lacking.CheckInvariants()
		novel, _ := x.MergeNovel(y)
		novel.CheckInvariants()
		x.CheckInvariants()
		empty := s.New()
		novel, _ = empty.MergeNovel(y)
		novel.CheckInvariants()
		empty.CheckInvariants()
		novel.Merge(lacking)
		novel.CheckInvariants()
	})
}

func TestHandedOutIsSound(t *testing.T) {
	t.Run("ORSet", func(t *testing.T) { checkHandedOut(t, orsets()) })
	t.Run("RWSet", func(t *testing.T) { checkHandedOut(t, rwsets()) })
	t.Run("LWWSet", func(t *testing.T) { checkHandedOut(t, lwwsets()) })
	t.Run("LWWMap", func(t *testing.T) { checkHandedOut(t, lwwmaps()) })
	t.Run("Log", func(t *testing.T) { checkHandedOut(t, logs()) })
	t.Run("BoundedCounter", func(t *testing.T) { checkHandedOut(t, boundedcounters()) })
	t.Run("ORMap", func(t *testing.T) { checkHandedOut(t, ormaps()) })
}
