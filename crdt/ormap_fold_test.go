package crdt_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// folding is a system whose members fold, and beside each map one that gets the same changes and never folds.
type folding struct {
	*testing.T
	*rand.Rand
	ids           []vclock.ReplicaID
	maps, plain   []*ormap
	known         [][]*vclock.Context // known[i][j]: what j had seen when its state came to i
	deltas        [][2]*ormap
	pool          []*ormap
	folds, refold int
}

func newFolding(t *testing.T, seed int) *folding {
	f := &folding{T: t, Rand: rand.New(rand.NewPCG(uint64(seed), 0)), ids: []vclock.ReplicaID{idA, idB, idC}}
	for range f.ids {
		f.maps, f.plain = append(f.maps, new(ormap)), append(f.plain, new(ormap))
		f.known = append(f.known, []*vclock.Context{new(vclock.Context), new(vclock.Context), new(vclock.Context)})
	}
	return f
}

func (f *folding) step(i int) {
	m, p := f.maps[i], f.plain[i]
	path := []string{"s", "b"}[:1+f.IntN(2)]
	change := func(do func(at fieldsOf, key string) *ormap) {
		both := [2]*ormap{}
		for k, to := range []*ormap{m, p} {
			if len(path) == 1 {
				both[k] = do(to, path[0])
			} else {
				both[k] = do(to.Map(path[0]), path[1])
			}
		}
		f.deltas = append(f.deltas, both)
	}
	switch f.IntN(16) {
	case 0:
		change(func(at fieldsOf, key string) *ormap { return at.Remove(key) })
	case 1:
		change(func(at fieldsOf, key string) *ormap { return at.Counter(key).Reset() })
	case 2, 3, 4, 5, 6, 7:
		n := f.Int64N(19) - 9
		change(func(at fieldsOf, key string) *ormap { return at.Counter(key).Add(f.ids[i], n) })
	case 8, 9:
		if len(f.deltas) > 0 {
			d := f.deltas[f.IntN(len(f.deltas))]
			m.Merge(d[0])
			p.Merge(d[1])
		}
	case 10, 11:
		f.meet(i, f.IntN(len(f.ids)))
	case 12:
		for k := range f.ids {
			f.meet(i, k)
		}
	case 13:
		f.meetAll()
	default:
		f.fold(i)
	}
	f.pool = append(f.pool, m.Clone())
	f.check(i)
}

func (f *folding) meetAll() {
	for i := range f.ids {
		for j := range f.ids {
			f.meet(i, j)
		}
	}
}

// meet brings all that j knows to i, whole or as a delta.
func (f *folding) meet(i, j int) {
	theirs := f.maps[j]
	if f.IntN(2) == 0 {
		theirs = theirs.Delta(f.maps[i].Context())
		f.pool = append(f.pool, theirs)
	}
	novel, _ := f.maps[i].MergeNovel(theirs)
	f.pool = append(f.pool, novel)
	f.plain[i].Merge(f.plain[j])
	f.known[i][j] = f.maps[j].Context()
}

func (f *folding) fold(i int) {
	settled := f.maps[i].Context()
	for j, known := range f.known[i] {
		if j != i {
			settled = settled.Diff(settled.Diff(known))
		}
	}
	had := hasFolds(f.maps[i])
	delta := f.maps[i].Fold(f.ids[i], settled)
	if !delta.Empty() {
		f.folds++
		if had {
			f.refold++
		}
	}
	f.deltas = append(f.deltas, [2]*ormap{delta, new(ormap)})
	f.pool = append(f.pool, delta)
}

func (f *folding) check(i int) {
	f.maps[i].CheckInvariants()
	if got, want := ormapGot(f.maps[i]), ormapGot(f.plain[i]); got != want {
		f.Fatalf("replica %d shows %s, without folds %s", i, got, want)
	}
}

// Whoever folds what and when, everybody shows what they would without, at every moment, and agrees in the end.
func TestORMapFoldsAreExact(t *testing.T) {
	folds, refolds := 0, 0
	for seed := range 300 {
		f := newFolding(t, seed)
		for range 60 {
			f.step(f.IntN(3))
		}
		for range 2 {
			f.meetAll()
		}
		for i, m := range f.maps {
			f.check(i)
			if !bytes.Equal(mustEncode(t, m), mustEncode(t, f.maps[0])) {
				t.Fatal("replicas differ")
			}
		}
		folds, refolds = folds+f.folds, refolds+f.refold
	}
	assert.Positive(t, refolds)
	t.Logf("%d folds, %d of them of folds", folds, refolds)
}

// The laws hold with folds too.
func TestORMapFoldsObeyTheLaws(t *testing.T) {
	join := func(states ...*ormap) *ormap {
		joined := new(ormap)
		for _, s := range states {
			joined.Merge(s)
			joined.CheckInvariants()
		}
		return joined
	}
	for seed := range 300 {
		f := newFolding(t, seed)
		for range 40 {
			f.step(f.IntN(3))
		}
		same := func(what string, a, b *ormap) {
			if !bytes.Equal(mustEncode(t, a), mustEncode(t, b)) {
				t.Fatalf("%s:\n%x\n%x", what, mustEncode(t, a), mustEncode(t, b))
			}
		}
		for range 10 {
			x, y := f.pool[f.IntN(len(f.pool))], f.pool[f.IntN(len(f.pool))]
			z := f.pool[f.IntN(len(f.pool))]
			xy := join(x, y)
			same("not commutative", xy, join(y, x))
			same("not associative", join(xy, z), join(x, join(y, z)))
			if join(xy).Merge(x) || join(x).Merge(x.Clone()) {
				t.Fatal("not idempotent")
			}
			merged := x.Clone()
			novel, changed := merged.MergeNovel(y)
			novel.CheckInvariants()
			same("MergeNovel does not merge", merged, xy)
			same("novelty is not what was new", join(x, novel), xy)
			if changed != x.Clone().Merge(y) || y.Clone().Merge(novel) {
				t.Fatal("changed, or novelty that was not there")
			}
			lacking := new(ormap)
			for _, part := range y.Parts() {
				if x.Clone().Merge(part) {
					lacking.Merge(part)
				}
			}
			same("novelty is not minimal", novel, lacking)
			checkDeltaSince(t, x, y, y.Context())
			var back ormap
			if err := back.UnmarshalBinary(mustEncode(t, x)); err != nil {
				t.Fatal(err)
			}
			same("not decoded", &back, x)
		}
	}
}

// A counter that everybody follows has one entry, however often it counted, and is removed by naming two events.
func TestORMapFoldKeepsACounterSmall(t *testing.T) {
	var a, b ormap
	for range 50 {
		for range 100 {
			b.Merge(a.Counter("n").Add(idA, 1))
		}
		b.Merge(a.Fold(idA, b.Context()))
		b.Merge(a.Fold(idA, b.Context()))
	}
	assert.EqualValues(t, 5000, a.Counter("n").Value())
	assert.Equal(t, 1, a.Entries())
	assert.EqualValues(t, 2, a.Living().Count())
	assert.Zero(t, a.Fold(idA, b.Context()).Context().Count(), "nothing is left to fold")
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
	assert.Less(t, len(encoded(t, &a)), 64)
	removal := a.Counter("n").Reset()
	assert.EqualValues(t, 2, removal.Context().Count())
	b.Merge(removal)
	assert.True(t, b.Empty())
}

// A fold, and the removal of what it stands for, meet in either order.
func TestORMapFoldMeetsARemoval(t *testing.T) {
	var a, b, c ormap
	b.Merge(a.Counter("n").Add(idA, 5))
	b.Merge(a.Counter("n").Add(idA, 3))
	c.Merge(&b)
	fold := a.Fold(idA, b.Context())
	removal := b.Remove("n")
	later := c.Counter("n").Add(idC, 1)
	for _, order := range [][]*ormap{{fold, removal, later}, {removal, fold, later}, {later, removal, fold}} {
		m := c.Clone()
		for _, d := range order {
			m.Merge(d)
		}
		assert.EqualValues(t, 1, m.Counter("n").Value())
	}
	a.Merge(removal)
	assert.True(t, a.Empty())
}

// A reader that is no member, and misses a fold, counts nothing twice.
func TestORMapFoldOfAFoldReachesAReader(t *testing.T) {
	var a, reader ormap
	reader.Merge(a.Counter("n").Add(idA, 5))
	reader.Merge(a.Counter("n").Add(idA, 3))
	a.Fold(idA, a.Context())
	reader.Merge(a.Fold(idA, a.Context()))
	assert.EqualValues(t, 8, reader.Counter("n").Value())
	assert.Equal(t, encoded(t, &a), encoded(t, &reader))
}

// Sums that no int64 holds are left as they are.
func TestORMapFoldDoesNotOverflow(t *testing.T) {
	var m ormap
	m.Counter("n").Add(idA, math.MaxInt64)
	m.Counter("n").Add(idA, math.MaxInt64)
	m.Counter("n").Add(idA, -math.MaxInt64)
	assert.EqualValues(t, math.MaxInt64, m.Counter("n").Value())
	m.Counter("n").Add(idB, math.MinInt64)
	m.Counter("n").Add(idB, math.MinInt64)
	m.Fold(idA, m.Context())
	m.Fold(idB, m.Context())
	assert.EqualValues(t, math.MinInt64, m.Counter("n").Value())
	m.Counter("n").Reset()
	m.Counter("n").Add(idB, math.MaxInt64)
	m.Counter("n").Add(idB, math.MaxInt64)
	m.Counter("n").Add(idC, 7)
	assert.EqualValues(t, math.MaxInt64, m.Counter("n").Value())
}

var _ crdt.Delta[*ormap] = new(ormap)
