package crdt_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// ormapParts are the parts of a map by how often they count, and how many reports there were.
type ormapParts struct {
	counts map[string]int
	calls  int
	by     *crdt.Tracker[*ormap]
}

func ormapPartsOf(m *ormap) *ormapParts {
	p := &ormapParts{counts: make(map[string]int)}
	_ = m.Decompose(p.report)
	return p
}

func ormapTracked(m *ormap) *ormapParts {
	p := ormapPartsOf(m)
	p.calls = 0
	p.by = crdt.NewTracker[*ormap](p.report)
	m.Track(p.by)
	return p
}

func (p *ormapParts) report(part []byte, n int) {
	p.calls++
	if p.counts[string(part)] += n; p.counts[string(part)] == 0 {
		delete(p.counts, string(part))
	}
}

// Folds end many entries and make one, here and where they arrive, whole or in part.
func TestORMapTellsOfFolds(t *testing.T) {
	for seed := range 200 {
		f := newFolding(t, seed)
		told := make([]*ormapParts, len(f.maps))
		for i, m := range f.maps {
			told[i] = ormapTracked(m)
		}
		for range 50 {
			i := f.IntN(3)
			wasEmpty := len(told[i].counts) == 0
			f.step(i)
			if wasEmpty && !f.maps[i].TrackedBy(told[i].by) { // another took its place
				told[i] = ormapTracked(f.maps[i])
			}
			if !maps.Equal(told[i].counts, ormapPartsOf(f.maps[i]).counts) {
				t.Fatalf("seed %d: told of %x, there are %x", seed, told[i].counts, ormapPartsOf(f.maps[i]).counts)
			}
		}
		x, y := f.pool[f.IntN(len(f.pool))].Clone(), f.pool[f.IntN(len(f.pool))]
		x.Counter("never empty").Add(idC, 1)
		z, w := f.pool[f.IntN(len(f.pool))], f.pool[f.IntN(len(f.pool))]
		changed := ormapTracked(x)
		x.Merge(z)
		require.Equal(t, ormapPartsOf(x).counts, changed.counts)
		x.MergeNovel(w)
		require.Equal(t, ormapPartsOf(x).counts, changed.counts)
		require.NoError(t, x.UnmarshalBinary(mustEncode(t, z)))
		same := string(mustEncode(t, x)) == string(mustEncode(t, y))
		assert.Equal(t, same, maps.Equal(ormapPartsOf(x).counts, ormapPartsOf(y).counts))
	}
}

// What changes tells how much is reported, and not how large the map is.
func TestORMapTellsOfWhatChanges(t *testing.T) {
	few, many := ormapReports(t, 20), ormapReports(t, 20_000)
	assert.Equal(t, few, many)
	for what, n := range many {
		assert.LessOrEqual(t, n, 8, what)
	}
}

// ormapReports returns how many parts each of several changes reports in a map of so many fields.
func ormapReports(t *testing.T, fields int) map[string]int {
	m := ormapOf(fields)
	m.LWWRegister("r").Set(idA, vclock.Timestamp{Wall: 1}, "x")
	m.Counter("n").Add(idB, 1)
	m.Counter("n").Add(idB, 1)
	peer := m.Clone()
	told := ormapTracked(m)
	reported := make(map[string]int)
	for _, c := range []struct {
		what string
		do   func()
	}{
		{"count", func() { m.Counter("new").Add(idA, 1) }},
		{"overwrite", func() { m.LWWRegister("r").Set(idA, vclock.Timestamp{Wall: 2}, "y") }},
		{"add", func() { m.Map("m1").Set("s").Add(idC, "x") }},
		{"remove", func() { m.Map("m3").Remove(elems("e", 20)[3]) }},
		{"fold", func() { m.Fold(idB, m.Context()) }},
		{"merge", func() { m.Merge(peer.MVRegister("v").Set(idC, "x")) }},
		{"merge a removal", func() { m.Merge(peer.Map("m5").Counter(elems("e", 20)[5]).Reset()) }},
		{"merge what is known", func() { m.Merge(peer) }},
	} {
		before := told.calls
		c.do()
		reported[c.what] = told.calls - before
	}
	require.Equal(t, ormapPartsOf(m).counts, told.counts)
	return reported
}

// Every field of an entry is in its part.
func TestORMapPartsTellEntriesApart(t *testing.T) {
	at := vclock.Timestamp{Wall: 1, Replica: idA}
	later := vclock.Timestamp{Wall: 1, Logical: 1, Replica: idA}
	byB := vclock.Timestamp{Wall: 1, Replica: idB}
	known := make(map[string]int)
	for i, write := range []func(m *ormap){
		func(m *ormap) { m.Counter("x").Add(idA, 1) },
		func(m *ormap) { m.Counter("x").Add(idA, -1) },
		func(m *ormap) { m.Counter("x").Add(idB, 1) },
		func(m *ormap) { m.Counter("y").Add(idA, 1) },
		func(m *ormap) { m.Map("x").Counter("y").Add(idA, 1) },
		func(m *ormap) { m.Map("y").Counter("x").Add(idA, 1) },
		func(m *ormap) { m.Flag("x").Enable(idA) },
		func(m *ormap) { m.Set("x").Add(idA, "") },
		func(m *ormap) { m.Set("x").Add(idA, "x") },
		func(m *ormap) { m.Map("x").Set("x").Add(idA, "") },
		func(m *ormap) { m.MVRegister("x").Set(idA, "x") },
		func(m *ormap) { m.MVRegister("x").Set(idA, "y") },
		func(m *ormap) { m.LWWRegister("x").Set(idA, at, "x") },
		func(m *ormap) { m.LWWRegister("x").Set(idA, at, "y") },
		func(m *ormap) { m.LWWRegister("x").Set(idA, later, "x") },
		func(m *ormap) { m.LWWRegister("x").Set(idA, byB, "x") },
	} {
		m := new(ormap)
		write(m)
		p := fmt.Sprint(ormapPartsOf(m).counts)
		assert.NotContains(t, known, p, "%d is as %d", i, known[p])
		known[p] = i
	}
	assert.Empty(t, ormapPartsOf(nil).counts)
	assert.Empty(t, ormapPartsOf(new(ormap)).counts)
}

// A fingerprint is kept from change to change, and is that of an equal map.
func TestORMapFingerprint(t *testing.T) {
	kinds := crdt.Standard()
	var v crdt.Value
	m, err := crdt.Ensure[*ormap](kinds, &v)
	require.NoError(t, err)
	for i, e := range elems("e", 200) {
		m.Map(e).Counter("n").Add(idA, int64(i+1))
	}
	before := ormapFingerprint(t, &v)
	removal := m.Remove("e7")
	m.Map("e9").Counter("n").Add(idA, 1)
	assert.NotEqual(t, before, ormapFingerprint(t, &v))
	m.Fold(idA, m.Context())
	b, err := v.AppendBinary(nil)
	require.NoError(t, err)
	back, err := kinds.Decode(b)
	require.NoError(t, err)
	assert.Equal(t, ormapFingerprint(t, back), ormapFingerprint(t, &v))
	assert.False(t, m.Merge(removal))
}

func ormapFingerprint(t *testing.T, v *crdt.Value) [2]uint64 {
	hi, lo, err := v.Fingerprint(func(part []byte) (hi, lo uint64) {
		h := sha256.Sum256(part)
		return binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])
	})
	require.NoError(t, err)
	return [2]uint64{hi, lo}
}
