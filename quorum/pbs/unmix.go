package pbs

import "time"

const (
	unmixRounds = 25
	unmixScale  = 1 << 40 // of probabilities, as counts
	unmixLeast  = 1e-9    // a probability that does not matter
	unmixTrust  = 3       // how much more the first guess counts than that all is possible
)

// less returns the distribution which, with an independent draw of back, adds up to what was
// observed, or comes near to it; if back is nil, with another draw of itself. It is found by expectation
// maximization, as Richardson (1972) and Lucy (1974) do for images: given a guess, each sum is divided in all
// ways, as likely as they are by that, and what they come to is the next guess. It is false if less than half
// of what was observed can be such a sum. It costs O(buckets of o × buckets of back).
func (o *Observed) less(back *Observed) (*Observed, bool) {
	u := unmixing{first: bucket(o.buckets[0].least / 4)}
	u.cells(o)
	u.guess = make([]float64, len(u.middle))
	for i := range u.guess {
		u.guess[i] = 1 / float64(len(u.guess)) // nothing is impossible
	}
	u.expect(o, back == nil)
	known, middle := u.guess, u.middle
	if back != nil {
		known, middle = back.cells()
	}
	u.pair(middle)
	for range unmixRounds {
		if back == nil {
			known = u.guess
		}
		u.round(known)
	}
	return u.result()
}

// cells are the buckets of o, by how likely they are and by their middle.
func (o *Observed) cells() (p, middle []float64) {
	before := uint64(0)
	for _, b := range o.buckets {
		p = append(p, float64(b.upTo-before)/float64(o.Count()))
		middle = append(middle, float64(b.least)+float64(b.width)/2)
		before = b.upTo
	}
	return p, middle
}

type unmixing struct {
	first  int       // bucket of cell 0
	middle []float64 // of the buckets from there to that of the longest sum
	guess  []float64 // how likely they are
	want   [buckets]float64
	sums   []uint16 // the bucket of each cell and each of the known ones
	likely []int    // of the known ones
}

// cells prepares one cell for each bucket that can matter.
func (u *unmixing) cells(o *Observed) {
	last := bucket(o.buckets[len(o.buckets)-1].least)
	for i := u.first; i <= last; i++ {
		least, width := bounds(i)
		u.middle = append(u.middle, float64(least)+float64(width)/2)
	}
}

// expect notes the sums that were observed, and guesses by them: half of each, or all.
func (u *unmixing) expect(o *Observed, halves bool) {
	p, middle := o.cells()
	for i, m := range middle {
		u.want[bucket(time.Duration(m))] = p[i]
		if halves {
			m /= 2
		}
		u.guess[bucket(time.Duration(m))-u.first] += unmixTrust * p[i]
	}
}

func (u *unmixing) pair(known []float64) {
	u.sums = make([]uint16, 0, len(u.middle)*len(known))
	for _, m := range u.middle {
		for _, k := range known {
			u.sums = append(u.sums, uint16(bucket(time.Duration(m+k))))
		}
	}
}

// round makes the next guess. What is next to impossible by the last one is left out.
func (u *unmixing) round(known []float64) {
	var sum, ratio [buckets]float64
	n, likely := len(known), u.likely[:0]
	for j, p := range known {
		if p > unmixLeast {
			likely = append(likely, j)
		}
	}
	for i, p := range u.guess {
		if p > unmixLeast {
			row := u.sums[i*n : (i+1)*n]
			for _, j := range likely {
				sum[row[j]] += p * known[j]
			}
		}
	}
	for s, p := range sum {
		if p > 0 {
			ratio[s] = u.want[s] / p
		}
	}
	next := make([]float64, len(u.guess))
	for i, p := range u.guess {
		if p > unmixLeast {
			row, r := u.sums[i*n:(i+1)*n], 0.0
			for _, j := range likely {
				r += known[j] * ratio[row[j]]
			}
			next[i] = p * r
		}
	}
	u.guess, u.likely = next, likely
}

// result is the guess as a distribution. What cannot be explained is not in it.
func (u *unmixing) result() (*Observed, bool) {
	o, upTo := new(Observed), uint64(0)
	for i, p := range u.guess {
		if n := uint64(min(p, 1) * unmixScale); n > 0 {
			least, width := bounds(u.first + i)
			upTo += n
			o.buckets = append(o.buckets, filled{least, width, upTo})
		}
	}
	return o, upTo > unmixScale/2
}
