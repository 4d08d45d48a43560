package crdt_test

import (
	"hash/maphash"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// followed counts the parts of a state as it tells of them.
type followed struct {
	parts map[string]int
	calls int
}

func follow[S crdt.Decomposable[S]](s S) *followed {
	f := &followed{parts: partsOf(s)}
	s.Track(crdt.NewTracker[S](func(part []byte, n int) {
		f.calls++
		f.count(part, n)
	}))
	return f
}

func (f *followed) count(part []byte, n int) {
	if f.parts[string(part)] += n; f.parts[string(part)] == 0 {
		delete(f.parts, string(part))
	}
}

// told returns how many parts were told of since it was called last.
func (f *followed) told() (n int) {
	n, f.calls = f.calls, 0
	return n
}

func partsOf[S crdt.Decomposable[S]](s S) map[string]int {
	f := &followed{parts: make(map[string]int)}
	if err := s.Decompose(f.count); err != nil {
		panic(err)
	}
	return f.parts
}

// What a large set tells of is what changes, whichever way it changes.
func TestTrap41_ALargeORSetTellsWhatChanges(t *testing.T) {
	var s, writer set
	s.Add(idA, elems("element", 100_000)...)
	writer.Merge(&s)
	f := follow(&s)
	steps := []struct {
		what   string
		most   int
		change func()
	}{
		{"one added", 4, func() { s.Add(idA, "new") }},
		{"one added again", 4, func() { s.Add(idB, "new") }},
		{"one removed", 4, func() { s.Remove("element7") }},
		{"one removed that is not in", 0, func() { s.Remove("element7") }},
		{"ten merged", 30, func() { s.Merge(writer.Add(idC, elems("ten", 10)...)) }},
		{"ten merged for novelty", 30, func() { s.MergeNovel(writer.Add(idC, elems("more", 10)...)) }},
		{"ten removals merged", 10, func() { s.Merge(writer.Remove(elems("ten", 10)...)) }},
		{"a context with gaps merged", 12, func() { s.Merge(onlyEvents(vclock.Named("gaps"), 2, 4, 6)) }},
		{"the gaps filled", 12, func() { s.Merge(onlyEvents(vclock.Named("gaps"), 1, 3, 5)) }},
		{"nothing new", 0, func() { s.Merge(&writer) }},
	}
	for _, step := range steps {
		step.change()
		assert.LessOrEqual(t, f.told(), step.most, step.what)
	}
	require.True(t, maps.Equal(partsOf(&s), f.parts))
	s.Remove(elems("element", 60_000)...) // moves slots together
	s.Add(idC, "again")
	require.True(t, maps.Equal(partsOf(&s), f.parts))
	s.Reset()
	require.True(t, maps.Equal(partsOf(&s), f.parts))
}

// onlyEvents returns a set that has seen these events of r and has no elements.
func onlyEvents(r vclock.ReplicaID, seqs ...uint64) *set {
	dead := new(set)
	for _, seq := range seqs {
		var writer set
		writer.Add(r, elems("before", int(seq)-1)...)
		event := writer.Add(r, "then")
		event.Reset()
		dead.Merge(event)
	}
	return dead
}

func TestTrap41_ALargeRWSetTellsWhatChanges(t *testing.T) {
	var s, writer rwset
	s.Add(idA, elems("element", 100_000)...)
	writer.Merge(&s)
	f := follow(&s)
	steps := []struct {
		what   string
		most   int
		change func()
	}{
		{"one added", 4, func() { s.Add(idA, "new") }},
		{"one removed", 4, func() { s.Remove(idA, "new") }},
		{"ten merged", 30, func() { s.Merge(writer.Add(idC, elems("ten", 10)...)) }},
		{"ten removals merged for novelty", 30, func() { s.MergeNovel(writer.Remove(idC, elems("ten", 10)...)) }},
		{"nothing new", 0, func() { s.Merge(&writer) }},
	}
	for _, step := range steps {
		step.change()
		assert.LessOrEqual(t, f.told(), step.most, step.what)
	}
	require.True(t, maps.Equal(partsOf(&s), f.parts))
	s.Reset()
	require.True(t, maps.Equal(partsOf(&s), f.parts))
}

// Handing over changes the books of what was added, and may end the tracking: the fingerprint is right all the same.
func TestORSetHandoverChangesTheFingerprint(t *testing.T) {
	var v crdt.Value
	s, err := crdt.Ensure[*set](crdt.Standard(), &v)
	require.NoError(t, err)
	s.Add(idA, elems("x", 100)...)
	s.Add(idB, elems("y", 100)...)
	at := s.Clone()
	fingerprint(t, &v)
	changed, err := s.Handover(at, idC, idA, idB)
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, fingerprint(t, v.Clone()), fingerprint(t, &v))
	s.Add(idC, "w") // goes on
	require.Equal(t, fingerprint(t, v.Clone()), fingerprint(t, &v))
}

// Once the fingerprint of a set is kept, an element more costs the hashes of its parts.
func TestTrap41_AddingHashesWhatIsAdded(t *testing.T) {
	for _, size := range []int{1000, 100_000} {
		var v crdt.Value
		s, err := crdt.Ensure[*set](crdt.Standard(), &v)
		require.NoError(t, err)
		s.Add(idA, elems("element", size)...)
		hashed, seed := 0, maphash.MakeSeed()
		fingerprint := func() (hi, lo uint64) {
			hi, lo, err := v.Fingerprint(func(part []byte) (hi, lo uint64) {
				hashed += len(part)
				return maphash.Bytes(seed, part), uint64(len(part))
			})
			require.NoError(t, err)
			return hi, lo
		}
		before, _ := fingerprint()
		require.Greater(t, hashed, 10*size, "all of it, once")
		hashed = 0
		const more = 100
		for _, e := range elems("new", more) {
			s.Add(idA, e)
			fingerprint()
		}
		assert.Less(t, hashed, more*1024, "%d elements", size)
		s.Remove(elems("new", more)...)
		after, _ := fingerprint()
		assert.NotEqual(t, before, after, "the events are remembered")
	}
}
