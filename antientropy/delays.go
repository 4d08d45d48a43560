package antientropy

import (
	"math"
	"time"
)

// Delays count how long updates took from the node where they were written to this
// one, over all hops. No clocks are compared: each delta carries how long it waited
// at each node, measured there, and half of what the last batch took there and back
// for each hop. So a hop adds half of how much longer the one way is than the other,
// half of what the peer took to merge the batch, and the fraction of a millisecond.
// Counted are those that brought something new as a delta; what a reconciliation had
// to bring has no age.
//
// It takes 1 KiB, whatever is counted: four buckets to each doubling of the time.
type Delays struct {
	counts [128]uint64
}

const bucketsPerDoubling = 4

func (d *Delays) add(age time.Duration) {
	i := 0
	if age > time.Millisecond {
		i = int(math.Ceil(bucketsPerDoubling * math.Log2(age.Seconds()*1000)))
	}
	d.counts[min(max(i, 0), len(d.counts)-1)]++
}

// Count is how many updates were counted.
func (d Delays) Count() (n uint64) {
	for _, c := range d.counts {
		n += c
	}
	return n
}

// Quantile returns a time within which this share of the updates came, from 0 to 1:
// at most a fifth more than the least there is, and at least a millisecond. It is
// zero if none came.
func (d Delays) Quantile(q float64) time.Duration {
	n := d.Count()
	if n == 0 {
		return 0
	}
	rank := max(1, uint64(math.Ceil(min(q, 1)*float64(n))))
	for i, c := range d.counts {
		if c >= rank {
			return time.Duration(math.Exp2(float64(i)/bucketsPerDoubling) * float64(time.Millisecond))
		}
		rank -= c
	}
	return 0
}
