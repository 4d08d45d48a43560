package pbs

import (
	"fmt"
	"math"
	"time"
)

// A Chance is an estimated probability, and the interval of Clopper and Pearson (1934) around it: it holds the truth
// at least as often as it says, however near that is to 0 or to 1, and the estimate always. Its Low is 1 never, and its High never 0.
type Chance struct{ Value, Low, High float64 }

// A Span is an estimated duration, and an interval between two of the durations that were drawn
// (order statistics), whose ranks are quantiles of the binomial distribution: it holds the
// truth at least as often as it says, whatever the distribution, and the estimate always.
type Span struct{ Value, Low, High time.Duration }

// String returns the estimate and the interval, rounded to a microsecond.
func (s Span) String() string {
	r := func(d time.Duration) time.Duration { return d.Round(time.Microsecond) }
	if s.High == Unbounded {
		return fmt.Sprintf("%v [%v, ?]", r(s.Value), r(s.Low))
	}
	return fmt.Sprintf("%v [%v, %v]", r(s.Value), r(s.Low), r(s.High))
}

// Unbounded is the High of a [Span] for which there were too few trials.
const Unbounded = time.Duration(math.MaxInt64)

// exact is the interval of hits among n, if these are worth so many.
func exact(hits, n, worth int, confidence float64) Chance {
	c := Chance{Value: float64(hits) / float64(n), High: 1}
	alpha := (1 - confidence) / 2
	yes := c.Value * float64(worth)
	no := float64(worth) - yes
	if hits > 0 {
		c.Low = solve(func(p float64) bool { return incomplete(p, yes, no+1) > alpha })
	}
	if hits < n {
		c.High = solve(func(p float64) bool { return incomplete(p, yes+1, no) > 1-alpha })
	}
	return c
}

// solve returns where, between 0 and 1, a condition that holds from there on begins to.
func solve(holds func(p float64) bool) float64 {
	from, to := 0.0, 1.0
	for range 60 {
		if p := (from + to) / 2; holds(p) {
			to = p
		} else {
			from = p
		}
	}
	return (from + to) / 2
}

// incomplete is the regularised incomplete beta function: how likely a or more of a+b-1 trials succeed where each
// does with p. It is the continued fraction of DLMF 8.17.22, by the method of Lentz.
func incomplete(p, a, b float64) float64 {
	if p > (a+1)/(a+b+2) { // where it converges slowly
		return 1 - incomplete(1-p, b, a)
	}
	const tiny = 1e-300
	nonzero := func(x float64) float64 {
		if math.Abs(x) < tiny {
			return tiny
		}
		return x
	}
	c, d := 1.0, 1/nonzero(1-(a+b)*p/(a+1))
	sum := d
	for m := 1.0; m < 1e5; m++ {
		even := m * (b - m) * p / ((a + 2*m - 1) * (a + 2*m))
		d, c = 1/nonzero(1+even*d), nonzero(1+even/c)
		sum *= d * c
		odd := -(a + m) * (a + b + m) * p / ((a + 2*m) * (a + 2*m + 1))
		d, c = 1/nonzero(1+odd*d), nonzero(1+odd/c)
		sum *= d * c
		if math.Abs(d*c-1) < 1e-13 {
			break
		}
	}
	all, _ := math.Lgamma(a + b)
	first, _ := math.Lgamma(a)
	second, _ := math.Lgamma(b)
	return math.Exp(all-first-second+a*math.Log(p)+b*math.Log1p(-p)) * sum / a
}

// quantile estimates one of what sorted was drawn from, if what is sorted up to a duration is worth so many draws.
func quantile(sorted []time.Duration, q, confidence float64, worth func(time.Duration) int) Span {
	if q = max(q, 0); !(q < 1) { // NaN too
		q = 1
	}
	n := float64(len(sorted))
	at := func(rank float64) time.Duration { return sorted[int(min(max(rank, 1), n))-1] }
	s := Span{Value: at(math.Ceil(q*n - 1e-9)), High: Unbounded}
	low, high := shares(q, float64(worth(s.Value)), (1-confidence)/2)
	if low > 0 {
		s.Low = at(math.Floor(low*n) + 1)
	}
	if high < 1 {
		s.High = at(math.Ceil(high * n))
	}
	return s
}

// shares are the least and the greatest share of so many draws that may well be up to a quantile q of what they are from:
// those with which q is in the interval that [exact] has around them. They are 0 and 1 if all draws may be beyond it, or
// up to it. That q itself is between them is what makes an interval of durations hold its estimate, however little
// the draws are worth.
func shares(q, draws, alpha float64) (low, high float64) {
	high = 1
	if math.Pow(1-q, draws) <= alpha {
		low = solve(func(s float64) bool { return incomplete(1-q, (1-s)*draws, s*draws+1) > alpha })
	}
	if math.Pow(q, draws) <= alpha {
		high = solve(func(s float64) bool { return incomplete(q, s*draws, (1-s)*draws+1) <= alpha })
	}
	return low, high
}

func logBinomial(n, k int) float64 {
	f := func(i int) float64 { l, _ := math.Lgamma(float64(i) + 1); return l }
	return f(n) - f(k) - f(n-k)
}

// deviate is the normal one of an interval that is to hold the truth so often.
func deviate(confidence float64) float64 { return math.Sqrt2 * math.Erfinv(confidence) }
