package pbs

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"time"
)

// A Distribution is how long something takes. Those of this package draw in constant
// time, a [Mixture] and a [Sum] in that of their parts, an [Observed] in the logarithm of its
// buckets, and none allocates. One of your own needs no more than this method.
type Distribution interface {
	// Sample draws one duration. It is called by several goroutines at once if
	// Simulation.Workers says so, each with an r of its own. What is negative counts as
	// zero, and what is longer than 36 years as that.
	Sample(r *rand.Rand) time.Duration
}

// far is longer than anything takes; a few of them can be added up.
const far = time.Duration(1) << 60

// draw is a sample within the bounds of what can be reckoned with.
func draw(d Distribution, r *rand.Rand) time.Duration {
	if d == nil {
		return 0
	}
	return min(max(d.Sample(r), 0), far)
}

// span turns nanoseconds into a duration, whatever they are.
func span(ns float64) time.Duration {
	switch {
	case ns >= float64(far):
		return far
	case ns > 0:
		return time.Duration(ns)
	}
	return 0 // also of NaN
}

// A Constant always takes as long as it says.
type Constant time.Duration

// Sample returns the constant.
func (c Constant) Sample(*rand.Rand) time.Duration { return time.Duration(c) }

// An Exponential is the exponential distribution with this mean, the reciprocal of its
// rate.
type Exponential time.Duration

// Sample draws from it.
func (e Exponential) Sample(r *rand.Rand) time.Duration { return span(r.ExpFloat64() * float64(e)) }

// A Pareto takes at least Scale, and longer than x with probability (Scale/x)^Shape: the
// smaller Shape, the heavier the tail. At 1 or less it has no mean, and quantiles nevertheless.
type Pareto struct {
	Scale time.Duration // the least
	Shape float64
}

// Sample draws from it.
func (p Pareto) Sample(r *rand.Rand) time.Duration {
	return span(float64(p.Scale) * math.Exp(r.ExpFloat64()/p.Shape))
}

// A Mixture is one of its parts, with a probability in proportion to the part's weight:
// the body of a latency and its tail, a cache that hits and one that misses.
type Mixture []Part

// A Part is a component of a [Mixture].
type Part struct {
	Weight float64
	Of     Distribution
}

// Sample draws from one of the parts.
func (m Mixture) Sample(r *rand.Rand) time.Duration {
	total := 0.0
	for i := range m {
		total += m[i].Weight
	}
	u := r.Float64() * total
	for i := range m {
		if u -= m[i].Weight; u < 0 || i == len(m)-1 {
			return draw(m[i].Of, r)
		}
	}
	return 0
}

// A Sum takes as long as all of its parts one after another, which are independent: a
// link and a disk, or a distribution and the [Constant] by which a replica is farther away.
type Sum []Distribution

// Sample draws from each part.
func (s Sum) Sample(r *rand.Rand) (d time.Duration) {
	for _, of := range s {
		d = min(d+draw(of, r), far)
	}
	return d
}

// A Scaled takes By times as long as Of.
type Scaled struct {
	Of Distribution
	By float64
}

// Sample draws from Of.
func (s Scaled) Sample(r *rand.Rand) time.Duration { return span(float64(draw(s.Of, r)) * s.By) }

// An Empirical is one of these durations, all equally likely, in any order. It must not be
// changed while it is in use.
type Empirical []time.Duration

// Sample picks one.
func (e Empirical) Sample(r *rand.Rand) time.Duration {
	if len(e) == 0 {
		return 0
	}
	return e[r.IntN(len(e))]
}

// nesting bounds how deep distributions are within one another: a Mixture can contain itself. And a Sum may have a
// part several times, so parts are counted as often as a draw meets them.
const (
	nesting  = 16
	maxParts = 1 << 14
)

// distribution notes what is wrong with d. A nil one takes no time.
func (f *faults) distribution(name string, d Distribution) {
	left := maxParts
	f.part(name, d, 0, &left)
	f.unless(left >= 0, name, "has more than %d parts", maxParts)
}

func (f *faults) part(name string, d Distribution, depth int, left *int) {
	if *left--; *left < 0 || len(*f) > nesting {
		return // more than anybody reads, and a Mixture of many may contain itself
	}
	if depth > nesting {
		f.unless(false, name, "is nested deeper than %d", nesting)
		return
	}
	switch d := d.(type) {
	case nil:
	case Constant:
		f.unless(d >= 0, name, "is negative")
	case Exponential:
		f.unless(d > 0, name, "has no positive mean")
	case Pareto:
		f.unless(d.Scale > 0, name+".Scale", "is not positive")
		f.unless(positive(d.Shape), name+".Shape", "is not a positive number")
	case Mixture:
		f.mixture(name, d, depth, left)
	case Sum:
		for i := range d {
			f.part(fmt.Sprintf("%s[%d]", name, i), d[i], depth+1, left)
		}
	case Scaled:
		f.unless(positive(d.By), name+".By", "is not a positive number")
		f.part(name+".Of", d.Of, depth+1, left)
	case Empirical:
		f.unless(len(d) > 0, name, "has no samples")
	case *Observed:
		f.unless(d.Count() > 0, name, "has no samples")
	default:
		v := reflect.ValueOf(d)
		f.unless(v.Kind() != reflect.Pointer || !v.IsNil(), name, "is a nil pointer")
	}
}

func (f *faults) mixture(name string, m Mixture, depth int, left *int) {
	total := 0.0
	for i := range m {
		part := fmt.Sprintf("%s[%d]", name, i)
		total += m[i].Weight
		f.unless(m[i].Weight >= 0, part+".Weight", "is not a number of zero or more")
		f.part(part+".Of", m[i].Of, depth+1, left)
	}
	f.unless(positive(total), name, "has weights that do not add up to a positive number")
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }
