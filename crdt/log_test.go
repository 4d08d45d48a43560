package crdt_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

type wordlog = crdt.Log[string]

func wordsIn(l *wordlog) (all []string) {
	for _, v := range l.All() {
		all = append(all, v)
	}
	return all
}

// An entry comes after what its replica saw, and concurrent entries by their timestamps.
func TestTrap10_LogRespectsCausality(t *testing.T) {
	var a, b wordlog
	b.Merge(a.Append(stampOf(100, idA), "question"))
	answer := b.Append(stampOf(1, idB), "answer", "and more")
	assert.Equal(t, vclock.Timestamp{Wall: 100, Logical: 2, Replica: idB}, b.Latest())
	own := a.Append(stampOf(100, idA), "meanwhile")
	a.Merge(answer)
	b.Merge(own)
	assert.Equal(t, []string{"question", "meanwhile", "answer", "and more"}, wordsIn(&a))
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
	b.Append(stampOf(200, idB), "later")
	assert.Equal(t, stampOf(200, idB), b.Latest())
}

// A large log agrees with a sorted list, whatever order its entries come in: chunks split then.
func TestLogWithManyEntries(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	ids := []vclock.ReplicaID{idC, idA, idB}
	var whole, late, grouped wordlog
	writers := make([]wordlog, len(ids))
	var deltas []*wordlog
	var want []string
	clock := make([]int64, len(ids))
	for i := range 4000 {
		w := rnd.IntN(len(ids))
		clock[w] += 1 + rnd.Int64N(9)
		word := fmt.Sprintf("%08d %v", clock[w], ids[w])
		want = append(want, word)
		deltas = append(deltas, writers[w].Append(stampOf(clock[w], ids[w]), word))
		whole.Merge(deltas[i])
	}
	slices.Sort(want)
	whole.CheckInvariants()
	assert.Equal(t, want, wordsIn(&whole))
	for n, i := range rnd.Perm(len(deltas)) {
		if n%3 == 0 {
			grouped.Merge(deltas[i])
		}
		late.Merge(deltas[i])
	}
	late.CheckInvariants()
	grouped.CheckInvariants()
	assert.Equal(t, encoded(t, &whole), encoded(t, &late))

	missing := whole.Delta(grouped.Context())
	assert.Equal(t, whole.Len()-grouped.Len(), missing.Len())
	missing.CheckInvariants()
	novel, changed := grouped.MergeNovel(&late)
	assert.True(t, changed)
	novel.CheckInvariants()
	assert.Equal(t, encoded(t, missing), encoded(t, novel))
	grouped.CheckInvariants()
	assert.Equal(t, want, wordsIn(&grouped))
	assert.False(t, grouped.Merge(&late))

	var back wordlog
	require.NoError(t, back.UnmarshalBinary(encoded(t, &late)))
	back.CheckInvariants()
	assert.Equal(t, want, wordsIn(&back))
	copied := back.Clone()
	for i := range writers {
		back.Merge(writers[i].Append(stampOf(0, ids[i]), "new"))
	}
	assert.Equal(t, want, wordsIn(copied))
}

func TestLogReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l wordlog
		type entry struct {
			at   vclock.Timestamp
			word string
		}
		var all []entry
		for i := range rapid.IntRange(0, 300).Draw(t, "entries") {
			stamp := stampOf(rapid.Int64Range(1, 400).Draw(t, "wall"), idA)
			if i%2 == 1 {
				stamp.Replica = idB
			}
			var one wordlog
			one.Append(stamp, fmt.Sprint(stamp))
			if l.Merge(&one) {
				all = append(all, entry{stamp, fmt.Sprint(stamp)})
			}
		}
		l.CheckInvariants()
		slices.SortStableFunc(all, func(a, b entry) int { return a.at.Compare(b.at) })
		pick := func(name string) vclock.Timestamp {
			return vclock.Timestamp{Wall: rapid.Int64Range(0, 401).Draw(t, name), Replica: rapid.SampledFrom([]vclock.ReplicaID{{}, idA, idB}).Draw(t, name)}
		}
		from, to := pick("from"), pick("to")
		check := func(what string, got func(func(vclock.Timestamp, string) bool), holds func(e entry, i int) bool) {
			var want, have []entry
			for i, e := range all {
				if holds(e, i) {
					want = append(want, e)
				}
			}
			for at, v := range got {
				have = append(have, entry{at, v})
			}
			if !slices.Equal(want, have) {
				t.Fatalf("%s: got %v, want %v", what, have, want)
			}
		}
		check("all", l.All(), func(entry, int) bool { return true })
		check("range", l.Range(from, to), func(e entry, _ int) bool {
			return e.at.Compare(from) >= 0 && (to.IsZero() || e.at.Compare(to) < 0)
		})
		check("open range", l.Range(from, vclock.Timestamp{}), func(e entry, _ int) bool { return e.at.Compare(from) >= 0 })
		check("since", l.Since(from), func(e entry, _ int) bool { return e.at.Compare(from) > 0 })
		n := rapid.IntRange(-1, 310).Draw(t, "n")
		check("tail", l.Tail(n), func(_ entry, i int) bool { return i >= len(all)-n })
	})
}

func TestLogReadsMayStopEarly(t *testing.T) {
	var l wordlog
	l.Append(stampOf(1, idA), "a", "b", "c")
	for range l.All() {
		break
	}
	for range l.Range(stampOf(1, idA), stampOf(9, idA)) {
		break
	}
	tail := l.Tail(2)
	for range 2 { // an iterator may be used again
		var got []string
		for _, v := range tail {
			got = append(got, v)
		}
		assert.Equal(t, []string{"b", "c"}, got)
	}
}

func TestLogWritesNothingWithoutAReplica(t *testing.T) {
	var l wordlog
	assert.True(t, l.Append(stampOf(1, vclock.ReplicaID{}), "x").Empty())
	l.Append(stampOf(1, idA))
	assert.True(t, l.Empty())
	assert.Zero(t, l.Context().Len())
	assert.True(t, l.Latest().IsZero())
}

func TestLogAtTheEnd(t *testing.T) {
	var l, other wordlog
	end := vclock.Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32 - 1, Replica: idB}
	l.Append(end, "a", "b", "c", "d")
	l.CheckInvariants()
	assert.Equal(t, []string{"a", "b", "c", "d"}, wordsIn(&l), "after the end of time the dots decide")
	other.Merge(&l)
	other.Merge(l.Append(stampOf(1, idA), "comes before"))
	l.CheckInvariants()
	assert.Equal(t, encoded(t, &l), encoded(t, &other))

	last := raw(0x94, 15, 1, 0x91, id(idA), 0x95, 1, 0, 0, []byte{0xcf, 255, 255, 255, 255, 255, 255, 255, 254}, 0xa1, 'x')
	require.NoError(t, l.UnmarshalBinary(last))
	assert.Equal(t, 1, l.Append(stampOf(2, idA), "the last", "one too many").Len())
	assert.True(t, l.Append(stampOf(3, idA), "sequence numbers are used up").Empty())
}

// One identity used by two writers loses nothing, and replicas agree on the order.
func TestLogWithAnIdentityUsedTwice(t *testing.T) {
	var a, b wordlog
	a.Append(stampOf(5, idA), "x", "same", "a")
	b.Append(stampOf(5, idA), "y", "same")
	b.Append(stampOf(9, idA), "b")
	ab, ba := a.Clone(), b.Clone()
	ab.Merge(&b)
	ba.Merge(&a)
	ab.CheckInvariants()
	assert.Equal(t, encoded(t, ab), encoded(t, ba))
	assert.Equal(t, []string{"x", "y", "same", "a", "b"}, wordsIn(ab))
	assert.False(t, ab.Merge(&a) || ab.Merge(&b))
	var back wordlog
	require.NoError(t, back.UnmarshalBinary(encoded(t, ab)))
	assert.Equal(t, encoded(t, ab), encoded(t, &back))
	assert.Equal(t, encoded(t, ab), encoded(t, ab.Delta(nil)), "also those that share a dot")
	novel, _ := a.Clone().MergeNovel(&b)
	assert.Equal(t, []string{"y", "b"}, wordsIn(novel))
}

func TestLogOfOtherTypes(t *testing.T) {
	var inMemory crdt.Log[point]
	inMemory.Append(stampOf(1, idA), point{1, 2})
	assert.False(t, inMemory.Merge(inMemory.Clone()))
	var refused *crdt.TypeError
	_, err := inMemory.AppendBinary(nil)
	assert.ErrorAs(t, err, &refused)
	assert.ErrorAs(t, inMemory.UnmarshalBinary(nil), &refused)
	var l, back crdt.Log[[]byte]
	l.Append(stampOf(-7, idA), []byte{1}, nil)
	require.NoError(t, back.UnmarshalBinary(encoded(t, &l)))
	assert.Equal(t, encoded(t, &l), encoded(t, &back))
	var words, none *wordlog
	showsJSON(t, `[]`, none)
	words = new(wordlog)
	words.Append(stampOf(1, idA), "z", "a")
	showsJSON(t, `["z","a"]`, words)
}
