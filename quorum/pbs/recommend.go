package pbs

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A Target is what a cluster is to do. What is zero is not asked for.
type Target struct {
	// Consistent is the probability that a read is consistent which starts After a write
	// was acknowledged, at least.
	Consistent float64
	After      time.Duration
	// Read and Write are how long these take, at most, in the Quantile of them. If
	// Quantile is zero, 0.999.
	Read, Write time.Duration
	Quantile    float64
	// Survive is how many replicas may be away, whichever, for reads and writes to go on.
	Survive int
	// Copies is how many replicas have a write that was acknowledged, at least: W.
	Copies int
}

// A Choice is a number of replicas, and how many of them reads and writes wait for.
type Choice struct {
	N, R, W int
	// Consistent is that after Target.After; Read and Write are the quantiles asked for.
	Consistent  Chance
	Read, Write Span
	// Reasons say, for people, what of the Target is not met; if empty, all is.
	Reasons []string
}

// Recommend compares all choices of R and W for the first least to all of m.Replicas. The R and
// W of m are not looked at; all else is. What is compared with a Target is the end of the interval
// that is worse: so a choice that is only perhaps good enough is not.
//
// The choices that meet the Target come first: those with fewer replicas, then those for which Read
// and Write add up to less. Of the others, those come first with fewer Reasons. The error is of [*ParameterError],
// joined. It costs a [Model.Predict] for each choice: 49 for 7 replicas, 140 for 1 to 7, and
// 89,440 for 1 to 64: ask for as many as you might have.
func Recommend(m Model, least int, t Target, s Simulation) ([]Choice, error) {
	var f faults
	f.target(&t)
	f.unless(least > 0 && least <= len(m.Replicas), "least", "is %d of %d replicas", least, len(m.Replicas))
	if len(f) > 0 {
		return nil, f.err()
	}
	t.Quantile = cmp.Or(t.Quantile, 0.999)
	var all []Choice
	for n := least; n <= len(m.Replicas); n++ {
		for r := 1; r <= n; r++ {
			for w := 1; w <= n; w++ {
				c, err := m.choice(n, r, w, &t, s)
				if err != nil {
					return nil, err
				}
				all = append(all, c)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Choice) int {
		return cmp.Or(cmp.Compare(len(a.Reasons), len(b.Reasons)), cmp.Compare(a.N, b.N),
			cmp.Compare(a.Read.Value+a.Write.Value, b.Read.Value+b.Write.Value))
	})
	return all, nil
}

func (m Model) choice(n, r, w int, t *Target, s Simulation) (Choice, error) {
	m.R, m.W, m.Replicas = r, w, m.Replicas[:n]
	p, err := m.Predict(s)
	if err != nil {
		return Choice{}, err
	}
	c := Choice{N: n, R: r, W: w, Consistent: p.Consistent(t.After), Read: p.Read(t.Quantile), Write: p.Write(t.Quantile)}
	c.judge(t)
	return c, nil
}

// judge notes what of a target is not met.
func (c *Choice) judge(t *Target) {
	unless := func(ok bool, format string, args ...any) {
		if !ok {
			c.Reasons = append(c.Reasons, fmt.Sprintf(format, args...))
		}
	}
	unless(c.Consistent.Low >= t.Consistent, "consistent after %v with probability %.5f [%.5f, %.5f], not %g",
		t.After, c.Consistent.Value, c.Consistent.Low, c.Consistent.High, t.Consistent)
	unless(t.Read == 0 || c.Read.High <= t.Read, "reads take %v at the quantile %g, not %v", c.Read, t.Quantile, t.Read)
	unless(t.Write == 0 || c.Write.High <= t.Write, "writes take %v at the quantile %g, not %v", c.Write, t.Quantile, t.Write)
	unless(c.N-c.R >= t.Survive, "reads go on with %d away, not %d", c.N-c.R, t.Survive)
	unless(c.N-c.W >= t.Survive, "writes go on with %d away, not %d", c.N-c.W, t.Survive)
	unless(c.W >= t.Copies, "acknowledged writes are held by %d, not %d", c.W, t.Copies)
}

func (f *faults) target(t *Target) {
	f.unless(t.Consistent >= 0 && t.Consistent <= 1, "Consistent", "is not from 0 to 1")
	f.unless(t.Quantile >= 0 && t.Quantile < 1, "Quantile", "is not from 0 to below 1")
	f.unless(t.After >= 0, "After", "is negative")
	f.unless(t.Read >= 0, "Read", "is negative")
	f.unless(t.Write >= 0, "Write", "is negative")
	f.unless(t.Survive >= 0, "Survive", "is negative")
	f.unless(t.Copies >= 0, "Copies", "is negative")
}
