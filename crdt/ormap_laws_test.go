package crdt_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

type ormap = crdt.ORMap[string]

var ormapKeys = rapid.SampledFrom([]string{"x", "y", "\xff"})

func mutateORMap(t *rapid.T, m *ormap, by crdttest.Writer) (delta *ormap) {
	defer m.CheckInvariants()
	at := m.Map(ormapKeys.Draw(t, "map"))
	if rapid.Bool().Draw(t, "deeper") {
		at = at.Map(ormapKeys.Draw(t, "map"))
	}
	key := ormapKeys.Draw(t, "key")
	switch rapid.IntRange(0, 15).Draw(t, "op") {
	case 0:
		return m.Reset()
	case 1:
		return m.Remove(key)
	case 2:
		return at.Remove(key, ormapKeys.Draw(t, "key"))
	case 3:
		return at.Reset()
	case 4:
		return at.Counter(key).Reset()
	case 5, 6:
		return at.Counter(key).Add(by.Replica, rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64()).Draw(t, "n"))
	case 7:
		return at.Set(key).Add(by.Replica, rapid.SliceOfN(words, 0, 3).Draw(t, "words")...)
	case 8:
		return at.Set(key).Remove(rapid.SliceOfN(words, 0, 3).Draw(t, "words")...)
	case 9:
		return at.LWWRegister(key).Set(by.Replica, by.Stamp, words.Draw(t, "word"))
	case 10:
		return at.MVRegister(key).Set(by.Replica, words.Draw(t, "word"))
	case 11:
		return at.Flag(key).Enable(by.Replica)
	case 13:
		return at.MVRegister(key).Put(by.Replica, rapid.SampledFrom([]*vclock.Context{nil, at.MVRegister(key).Context(),
			m.Context()}).Draw(t, "since"), words.Draw(t, "word"))
	case 14:
		far := new(vclock.Context) // what the writer read is yet to come
		far.Add(vclock.Dot{Replica: idC, Seq: rapid.Uint64Range(1, 9).Draw(t, "read")})
		return at.MVRegister(key).Put(by.Replica, far, words.Draw(t, "word"))
	case 12:
		return at.Flag(key).Disable()
	}
	return m.Counter(key).Add(by.Replica, 1)
}

func ormaps() crdttest.Suite[*ormap] {
	return crdttest.Suite[*ormap]{
		New:    func() *ormap { return new(ormap) },
		Parts:  (*ormap).Parts,
		Mutate: mutateORMap,
		Steps:  16,
	}
}

func TestORMapLaws(t *testing.T) { crdttest.Laws(t, ormaps()) }

// reached returns states and deltas that a random execution comes by.
func reachedORMaps(t *rapid.T) (pool []*ormap) {
	states := []*ormap{new(ormap), new(ormap), new(ormap)}
	deltas := []*ormap{new(ormap)}
	for range rapid.IntRange(1, 20).Draw(t, "steps") {
		i := rapid.IntRange(0, 2).Draw(t, "replica")
		by := crdttest.Writer{Replica: []vclock.ReplicaID{idA, idB, idC}[i]}
		by.Stamp = vclock.Timestamp{Wall: int64(len(pool) % 3), Replica: by.Replica}
		switch rapid.IntRange(0, 3).Draw(t, "step") {
		case 0:
			states[i].Merge(rapid.SampledFrom(states).Draw(t, "from"))
		case 1:
			states[i].Merge(rapid.SampledFrom(deltas).Draw(t, "delta"))
		default:
			deltas = append(deltas, mutateORMap(t, states[i], by))
		}
		pool = append(pool, states[i].Clone(), deltas[len(deltas)-1])
	}
	return pool
}

// What a peer lacks brings it as far as the whole state would, and claims nothing that it does not carry.
func TestORMapDeltaSince(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := reachedORMaps(t)
		x, peer := rapid.SampledFrom(pool).Draw(t, "x"), rapid.SampledFrom(pool).Draw(t, "peer").Clone()
		checkDeltaSince(t, x, peer, peer.Context())
		less := peer.Context().Diff(rapid.SampledFrom(pool).Draw(t, "less").Context())
		checkDeltaSince(t, x, peer, less)
	})
}

func checkDeltaSince(t fataler, x, peer *ormap, since *vclock.Context) {
	delta := x.Delta(since)
	delta.CheckInvariants()
	whole, part := peer.Clone(), peer.Clone()
	whole.Merge(x)
	part.Merge(delta)
	if a, b := mustEncode(t, whole), mustEncode(t, part); !bytes.Equal(a, b) {
		t.Fatalf("\nwhole %x\n part %x", a, b)
	}
	if claimed := delta.Context(); claimed.Diff(delta.Living()).Intersects(x.Living()) {
		t.Fatalf("claims %v and carries %v of living %v", claimed, delta.Living(), x.Living())
	}
	if known := x.Living().Diff(x.Living().Diff(since)); delta.Living().Intersects(known) && !hasFolds(x) {
		t.Fatalf("carries %v, known are %v", delta.Living(), known)
	}
}

// hasFolds reports whether an entry has several dots, which go together.
func hasFolds(m *ormap) bool { return m.Living().Count() != uint64(m.Entries()) }

// fataler is what a test and a rapid test have in common.
type fataler interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func mustEncode(t fataler, m *ormap) []byte {
	b, err := m.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Many entries keep the index and the tree in order through deltas that come late.
func TestORMapWithManyEntries(t *testing.T) {
	var writer, reader ormap
	var deltas []*ormap
	for i := range 4000 {
		at := writer.Map(elems("m", 40)[i*7%40])
		switch i % 5 {
		case 3:
			deltas = append(deltas, at.Remove("n"))
		case 4:
			deltas = append(deltas, at.Set("s").Remove(elems("e", 30)[i%30]))
		case 2:
			deltas = append(deltas, at.Set("s").Add(idB, elems("e", 30)[i*11%30]))
		default:
			deltas = append(deltas, at.Counter("n").Add(idA, 1))
		}
	}
	writer.CheckInvariants()
	for i := range deltas {
		reader.Merge(deltas[(i*1237)%len(deltas)])
	}
	reader.CheckInvariants()
	assert.Equal(t, encoded(t, &writer), encoded(t, &reader))
	assert.Equal(t, encoded(t, &writer), encoded(t, writer.Clone()))
	var back ormap
	require.NoError(t, back.UnmarshalBinary(encoded(t, &reader)))
	back.CheckInvariants()
	back.Merge(writer.Reset())
	assert.True(t, back.Empty())
	back.CheckInvariants()
	assert.EqualValues(t, 2, back.Context().Len(), "a removed field leaves nothing but the context")
}

func TestORMapMergingNothingNewAllocatesNothing(t *testing.T) {
	var m ormap
	delta := m.Counter("n").Add(idA, 1)
	for _, e := range elems("e", 100) {
		m.Map("m").Set(e).Add(idB, e)
	}
	removal := m.Map("m").Remove("e1", "e2")
	same := m.Clone()
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		m.Merge(delta)
		m.Merge(removal)
		m.Merge(same)
	}))
}
