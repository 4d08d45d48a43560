package vclock

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// contextModel is what a Context means.
type contextModel map[Dot]bool

func (m contextModel) within(other contextModel) bool {
	for d := range m {
		if !other[d] {
			return false
		}
	}
	return true
}

func (m contextModel) meets(other contextModel) bool {
	for d := range m {
		if other[d] {
			return true
		}
	}
	return false
}

func (m contextModel) minus(other contextModel) contextModel {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(d Dot, _ bool) bool { return other[d] })
	return out
}

// context adds the dots in an order that maps choose.
func (m contextModel) context() *Context {
	c := new(Context)
	for d := range m {
		c.Add(d)
	}
	return c
}

func dotsOf(c *Context) contextModel {
	m := contextModel{}
	for s := range c.All() {
		for seq := s.Lo; ; seq++ {
			m[Dot{s.Replica, seq}] = true
			if seq == s.Hi {
				break
			}
		}
	}
	return m
}

// universe is a few replicas and a stretch of sequence numbers: at the start, or up to the very last one.
type universe struct {
	replicas []ReplicaID
	low      uint64
	size     uint64
}

func anyUniverse() *rapid.Generator[universe] {
	return rapid.Custom(func(t *rapid.T) universe {
		u := universe{replicas: testReplicas(rapid.IntRange(1, 4).Draw(t, "replicas")), low: 1}
		u.size = rapid.Uint64Range(1, 40).Draw(t, "size")
		if rapid.Bool().Draw(t, "at the end") {
			u.low = math.MaxUint64 - u.size + 1
		}
		return u
	})
}

func (u universe) dot() *rapid.Generator[Dot] {
	return rapid.Custom(func(t *rapid.T) Dot {
		return Dot{
			Replica: rapid.SampledFrom(u.replicas).Draw(t, "replica"),
			Seq:     u.low + rapid.Uint64Range(0, u.size-1).Draw(t, "seq"),
		}
	})
}

// set draws runs rather than dots, so that whole spans are common, and then a few dots.
func (u universe) set() *rapid.Generator[contextModel] {
	return rapid.Custom(func(t *rapid.T) contextModel {
		m := contextModel{}
		for range rapid.IntRange(0, 12).Draw(t, "runs") {
			d := u.dot().Draw(t, "from")
			for range rapid.Uint64Range(1, 6).Draw(t, "length") {
				m[d] = true
				if d.Seq-u.low == u.size-1 {
					break
				}
				d.Seq++
			}
		}
		for _, d := range rapid.SliceOfN(u.dot(), 0, 20).Draw(t, "dots") {
			m[d] = true
		}
		return m
	})
}

func requireContext(t require.TestingT, want contextModel, c *Context) {
	require.Equal(t, want, dotsOf(c))
	require.Equal(t, uint64(len(want)), c.Count())
	require.Equal(t, len(c.spans), c.Len())
	for i, s := range c.spans {
		require.True(t, s.isValid())
		if i > 0 && c.spans[i-1].Replica == s.Replica {
			require.Greater(t, s.Lo-1, c.spans[i-1].Hi, "spans meet or overlap")
		} else if i > 0 {
			require.True(t, c.spans[i-1].Replica.less(s.Replica))
		}
	}
}

func TestContextIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := anyUniverse().Draw(t, "universe")
		a, b := u.set().Draw(t, "a"), u.set().Draw(t, "b")
		x, y := a.context(), b.context()
		requireContext(t, a, x)
		require.Equal(t, b.within(a), x.Contains(y))
		require.Equal(t, a.meets(b), x.Intersects(y))
		require.Equal(t, a.meets(b), y.Intersects(x))
		require.Equal(t, ordering(a.within(b), b.within(a)), x.Compare(y))
		requireContext(t, a.minus(b), x.Diff(y))
		requireContext(t, b.minus(a), y.Diff(x))

		require.Equal(t, !b.within(a), x.Merge(y))
		maps.Copy(a, b)
		requireContext(t, a, x)
		requireContext(t, b, y)
		require.False(t, x.Merge(y))
		require.False(t, x.Merge(x))
	})
}

func TestContextPointQueries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := anyUniverse().Draw(t, "universe")
		m := u.set().Draw(t, "set")
		c := m.context()
		for _, r := range append(u.replicas, Named("q"), Named("s")) {
			var highest uint64
			var spans []Span
			for _, d := range slices.SortedFunc(maps.Keys(m), Dot.Compare) {
				if d.Replica == r {
					highest = d.Seq
				}
			}
			for s := range c.All() {
				if s.Replica == r {
					spans = append(spans, s)
				}
			}
			require.Equal(t, highest, c.Max(r))
			require.Equal(t, spans, slices.Collect(c.SpansOf(r)))
			next := c.Next(r)
			require.Equal(t, highest == math.MaxUint64, next.IsZero())
			require.False(t, m[next])
			for seq := u.low - 1; ; seq++ {
				require.Equal(t, m[Dot{r, seq}], c.Has(Dot{r, seq}))
				if seq-u.low+1 == u.size {
					break
				}
			}
		}
	})
}

func TestContextAddAndAddSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := anyUniverse().Draw(t, "universe")
		c, m := new(Context), contextModel{}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			d := u.dot().Draw(t, "dot")
			hi := d.Seq + min(rapid.Uint64Range(0, 8).Draw(t, "more"), u.low+(u.size-1)-d.Seq)
			s := Span{d.Replica, d.Seq, hi}
			added := dotsOf(&Context{spans: spanList{s}})
			want := !added.within(m)
			maps.Copy(m, added)
			if s.Lo == s.Hi {
				require.Equal(t, want, c.Add(d))
			} else {
				require.Equal(t, want, c.AddSpan(s))
			}
			requireContext(t, m, c)
		}
	})
}

func TestContextLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := anyUniverse().Draw(t, "universe")
		a, b, c := u.set().Draw(t, "a").context(), u.set().Draw(t, "b").context(), u.set().Draw(t, "c").context()
		join := func(x, y *Context) *Context { z := x.Clone(); z.Merge(y); return z }
		require.Equal(t, join(a, b), join(b, a))
		require.Equal(t, join(join(a, b), c), join(a, join(b, c)))
		require.Equal(t, join(a, a), a)
		require.True(t, join(a, b).Contains(a))
		require.Equal(t, join(a, b), join(a, b.Diff(a)), "the difference is what was missing")
		require.False(t, b.Diff(a).Intersects(a))
	})
}

// Sizes at which the linear pass, long searches and joins of many spans are taken.
func TestContextMergeOfAllSizes(t *testing.T) {
	sizes := []int{0, 1, 7, 8, 9, 60, 700}
	gen := func(t *rapid.T, label string) contextModel {
		n := rapid.SampledFrom(sizes).Draw(t, label)
		seed := rapid.Uint64().Draw(t, label+" seed")
		m := contextModel{}
		for range n {
			seed = seed*6364136223846793005 + 1442695040888963407
			m[Dot{testReplicas(3)[seed>>60%3], 1 + seed>>40%1500}] = true
		}
		return m
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := gen(t, "a"), gen(t, "b")
		x, y := a.context(), b.context()
		require.Equal(t, b.within(a), x.Contains(y))
		require.Equal(t, a.meets(b), x.Intersects(y))
		requireContext(t, b.minus(a), y.Diff(x))
		x.Merge(y)
		maps.Copy(a, b)
		requireContext(t, a, x)
		requireContext(t, b, y)
	})
}

func TestContextIgnoresWhatIsNoEvent(t *testing.T) {
	paris := Named("paris")
	var c Context
	for _, s := range []Span{{}, {paris, 0, 0}, {paris, 0, 3}, {paris, 4, 3}, {ReplicaID{}, 1, 2}} {
		require.False(t, c.AddSpan(s), "%v", s)
	}
	require.False(t, c.Add(Dot{}))
	require.False(t, c.Add(Dot{Replica: paris}))
	require.Zero(t, c.Len())
	c.Add(Dot{paris, 1})
	require.False(t, c.Has(Dot{}))
	require.False(t, c.Has(Dot{Replica: paris}))
	require.True(t, c.Next(ReplicaID{}).IsZero())
}

func TestContextExtremes(t *testing.T) {
	const top = math.MaxUint64
	paris, tokyo := Named("paris"), Named("tokyo")
	var c Context
	require.True(t, c.AddSpan(Span{paris, 1, top}))
	require.Equal(t, uint64(top), c.Count())
	require.True(t, c.Next(paris).IsZero(), "used up")
	require.True(t, c.Add(Dot{tokyo, 1}))
	require.Equal(t, uint64(top), c.Count(), "saturated")
	require.Equal(t, Dot{tokyo, 2}, c.Next(tokyo))

	var gap Context
	gap.Add(Dot{paris, 1})
	gap.Add(Dot{paris, top})
	require.Equal(t, 2, gap.Len(), "the last and the first do not meet")
	require.Equal(t, "{paris:2-18446744073709551614 tokyo:1}", c.Diff(&gap).String())
	require.True(t, gap.AddSpan(Span{paris, 2, top - 1}))
	require.Equal(t, "{paris:1-18446744073709551615}", gap.String())
}

func TestContextNilReadsAsEmpty(t *testing.T) {
	var c Context
	c.Add(Dot{Named("paris"), 1})
	var none *Context
	require.False(t, c.Merge(none))
	require.True(t, c.Contains(none))
	require.False(t, c.Intersects(none))
	require.Equal(t, After, c.Compare(none))
	require.Equal(t, Equal, none.Compare(new(Context)))
	require.Equal(t, &c, c.Diff(none))
	require.Equal(t, new(Context), none.Clone())
	require.Equal(t, "{}", none.String())
	require.Zero(t, none.Count())
	require.False(t, none.Has(Dot{Named("paris"), 1}))
}

func TestContextString(t *testing.T) {
	paris, tokyo := Named("paris"), Named("tokyo")
	var c Context
	c.AddSpan(Span{paris, 1, 3})
	c.Add(Dot{paris, 5})
	c.Add(Dot{tokyo, 1})
	require.Equal(t, "{paris:1-3,5 tokyo:1}", c.String())
	for range c.All() {
		break // an iteration may stop early
	}
	for range c.SpansOf(paris) {
		break
	}
}

func TestContextAllocatesNothingWithoutNews(t *testing.T) {
	replicas := testReplicas(16)
	var large, small, next Context
	for seq := uint64(1); seq < 400; seq += 3 {
		for _, r := range replicas {
			large.Add(Dot{r, seq})
		}
	}
	for i := range uint64(5) {
		small.Add(Dot{replicas[i*3], 1 + 3*i})
	}
	clone := large.Clone()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		large.Merge(&small)
		large.Merge(clone)
		small.Contains(&large)
		large.Compare(clone)
		large.Intersects(&small)
		large.Has(Dot{replicas[4], 55})
		large.Max(replicas[4])
	}))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _ = small.Diff(&large) }), 1.0, "no spans")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		next.spans = append(next.spans[:0], Span{replicas[3], large.Max(replicas[3]) + 1, large.Max(replicas[3]) + 1})
		if !large.Merge(&next) {
			t.Error("nothing new")
		}
	}), "widening fits in place")
}
