package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eventual-go/eventual/crdt"
)

// told counts the parts that a state tells of while it changes.
func told[S crdt.Decomposable[S]](s S, change func()) (come, gone int) {
	s.Track(crdt.NewTracker[S](func(_ []byte, n int) {
		come, gone = come+max(n, 0), gone+max(-n, 0)
	}))
	defer s.Track(nil)
	change()
	return come, gone
}

// tells checks what a change of a large state costs whoever follows it.
func tells[S crdt.Decomposable[S]](t *testing.T, s S, come, gone int, what string, change func()) {
	t.Helper()
	in, out := told(s, change)
	assert.Equal(t, [2]int{come, gone}, [2]int{in, out}, "parts that come and go by %s", what)
}

const manyRows = 20_000

// One change tells of what changed, and not of all the rest (trap 41).
func TestTrap41_LWWMapTellsOfWhatChanged(t *testing.T) {
	var m crdt.LWWMap[string, string]
	for i, k := range elems("k", manyRows) {
		m.Set(stampOf(int64(i), idA), k, k)
	}
	other := m.Clone()
	late := other.Set(stampOf(1<<40, idB), "k77", "other")
	lost := new(crdt.LWWMap[string, string]).Set(stampOf(-1, idB), "k78", "earlier")
	tells(t, &m, 1, 0, "a new key", func() { m.Set(stampOf(1, idA), "new", "v") })
	tells(t, &m, 1, 1, "a key set again", func() { m.Set(stampOf(1, idA), "k5", "v") })
	tells(t, &m, 1, 1, "a key removed", func() { m.Remove(stampOf(1, idA), "k6") })
	tells(t, &m, 1, 1, "a delta merged", func() { m.Merge(late) })
	tells(t, &m, 0, 0, "a write that comes too late", func() { m.MergeNovel(lost) })
	tells(t, &m, 0, 0, "a merge of what is known", func() { m.Merge(other) })
	tells(t, &m, m.Len(), m.Len(), "a reset", func() { m.Reset() })
	assert.True(t, m.Empty())
}

func TestTrap41_LWWSetTellsOfWhatChanged(t *testing.T) {
	var s timed
	s.Add(stampOf(5, idA), elems("e", manyRows)...)
	other := s.Clone()
	late := other.Remove(stampOf(6, idB), "e77")
	tells(t, &s, 1, 0, "a new element", func() { s.Add(stampOf(7, idA), "new") })
	tells(t, &s, 1, 1, "an element added again", func() { s.Add(stampOf(7, idA), "e5") })
	tells(t, &s, 1, 1, "an element removed", func() { s.Remove(stampOf(7, idA), "e6") })
	tells(t, &s, 1, 1, "a delta merged", func() { s.Merge(late) })
	tells(t, &s, 0, 0, "a merge of what is known", func() { s.MergeNovel(other) })
}

func TestTrap41_TwoPhaseSetTellsOfWhatChanged(t *testing.T) {
	var s twoPhase
	s.Add(elems("e", manyRows)...)
	other := s.Clone()
	late := other.Remove("e77")
	tells(t, &s, 1, 0, "a new element", func() { s.Add("new", "e5") })
	tells(t, &s, 1, 1, "an element removed", func() { s.Remove("e6", "e6") })
	tells(t, &s, 1, 0, "an element removed ahead of its addition", func() { s.Remove("never") })
	tells(t, &s, 1, 1, "a delta merged", func() { s.Merge(late) })
	tells(t, &s, 0, 0, "a merge of what is known", func() { s.MergeNovel(other) })
}

func TestTrap41_LogTellsOfWhatChanged(t *testing.T) {
	l := longLog(manyRows)
	other := l.Clone()
	var early wordlog
	amid := early.Append(stampOf(manyRows/2*1000+1, idB), "amid")
	tells(t, l, 1, 0, "an entry", func() { l.Append(stampOf(1, idA), "last") })
	tells(t, l, 3, 0, "three entries", func() { l.Append(stampOf(1, idA), "a", "b", "c") })
	tells(t, l, 1, 0, "an entry amid the others", func() { l.Merge(amid) })
	tells(t, l, 0, 0, "a merge of what is known", func() { l.MergeNovel(other) })
}

// Types that cannot be encoded have no parts, and say so.
func TestSeqTypesThatCannotBeEncodedTellNothing(t *testing.T) {
	var m crdt.LWWMap[point, string]
	var n crdt.LWWMap[string, point]
	var s crdt.LWWSet[point]
	var p crdt.TwoPhaseSet[point]
	var l crdt.Log[point]
	tellsNothing(t, &m, func() { m.Set(stampOf(1, idA), point{}, "") })
	tellsNothing(t, &n, func() { n.Set(stampOf(1, idA), "", point{}) })
	tellsNothing(t, &s, func() { s.Add(stampOf(1, idA), point{}) })
	tellsNothing(t, &p, func() { p.Add(point{}) })
	tellsNothing(t, &l, func() { l.Append(stampOf(1, idA), point{}) })
	assert.Empty(t, partsOf((*lwwmap)(nil)))
	assert.Empty(t, partsOf((*timed)(nil)))
	assert.Empty(t, partsOf((*twoPhase)(nil)))
	assert.Empty(t, partsOf((*wordlog)(nil)))
}

func tellsNothing[S crdt.Decomposable[S]](t *testing.T, s S, change func()) {
	t.Helper()
	part := func([]byte, int) { t.Error("a part") }
	var unfit *crdt.TypeError
	assert.ErrorAs(t, s.Decompose(part), &unfit)
	by := crdt.NewTracker[S](part)
	s.Track(by)
	change()
	assert.ErrorAs(t, by.Lost(), &unfit)
}
