package crdt

import (
	"math"
	"math/bits"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// entry is what one replica counted: total over all time, of which base has been reset. base <= total.
// Both only rise, so entries merge by maximum.
type entry struct {
	replica     vclock.ReplicaID
	total, base uint64
}

// lacking returns the least entry whose merge into m has the effect of merging e; total is 0 if none is
// needed.
func (e entry) lacking(m entry) entry {
	d := entry{replica: e.replica}
	if e.base > m.base {
		d.total, d.base = e.base, e.base
	}
	if e.total > m.total {
		d.total = e.total
	}
	return d
}

func (e *entry) merge(o *entry) (changed bool) {
	if o.total <= e.total && o.base <= e.base {
		return false
	}
	e.total, e.base = max(e.total, o.total), max(e.base, o.base)
	return true
}

// tally is a resettable grow-only count: entries sorted by replica, none with a total of 0.
type tally []entry

// find returns where r is, or would be, from index i on.
func (t tally) find(i int, r vclock.ReplicaID) (int, bool) {
	low, high := i, len(t)
	for low < high {
		mid := int(uint(low+high) / 2)
		if t[mid].replica.Compare(r) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(t) && t[low].replica == r
}

// seek is find for a walk along a tally of n entries: step by step where both are about as long, by halves
// where the walk takes long strides.
func (t tally) seek(i int, r vclock.ReplicaID, n int) (int, bool) {
	if i < len(t) && t[i].replica == r {
		return i, true
	}
	if n < len(t)/8 {
		return t.find(i, r)
	}
	for i < len(t) {
		if c := t[i].replica.Compare(r); c >= 0 {
			return i, c == 0
		}
		i++
	}
	return i, false
}

// add counts n more at r and returns what changed, in a row that has room for it.
func (t *tally) add(r vclock.ReplicaID, n uint64, row *[1]entry) (delta tally) {
	if n == 0 || r.IsZero() {
		return nil
	}
	i, ok := t.find(0, r)
	if !ok {
		*t = slices.Insert(*t, i, entry{replica: r})
	}
	e := &(*t)[i]
	if e.total == math.MaxUint64 {
		return nil
	}
	e.total = addSaturating(e.total, n)
	row[0] = entry{replica: r, total: e.total}
	return row[:]
}

// reset takes everything counted here back to zero and returns what changed.
func (t tally) reset() (delta tally) {
	for i := range t {
		if e := &t[i]; e.base < e.total {
			e.base = e.total
			delta = append(delta, *e)
		}
	}
	return delta
}

func (t *tally) merge(o tally) (changed bool) {
	changed, missing := t.raise(o)
	if missing > 0 {
		t.insert(o, missing)
	}
	return changed || missing > 0
}

// raise merges the entries that t has, and counts those that it lacks.
func (t tally) raise(o tally) (changed bool, missing int) {
	i, ok := 0, false
	for j := range o {
		if i, ok = t.seek(i, o[j].replica, len(o)); !ok {
			missing++
			continue
		}
		changed = t[i].merge(&o[j]) || changed
		i++
	}
	return changed, missing
}

// insert puts in those entries of o that t lacks, of which there are missing, from the back.
func (t *tally) insert(o tally, missing int) {
	i, j := len(*t)-1, len(o)-1
	whole := slices.Grow(*t, missing)[:len(*t)+missing]
	for k := len(whole) - 1; k > i && j >= 0; {
		order := -1
		if i >= 0 {
			order = whole[i].replica.Compare(o[j].replica)
		}
		switch {
		case order == 0:
			j--
		case order > 0:
			whole[k] = whole[i]
			i, k = i-1, k-1
		default:
			whole[k] = o[j]
			j, k = j-1, k-1
		}
	}
	*t = whole
}

// mergeNovel merges and returns the part of o that was new.
func (t *tally) mergeNovel(o tally) (novel tally) {
	i, ok := 0, false
	for _, e := range o {
		var mine entry
		if i, ok = t.seek(i, e.replica, len(o)); ok {
			mine = (*t)[i]
		}
		if d := e.lacking(mine); d.total > 0 {
			novel = append(novel, d)
		}
	}
	t.merge(novel)
	return novel
}

// sum returns what counts, as 128 bits.
func (t tally) sum() (hi, lo uint64) {
	for i := range t {
		var carry uint64
		lo, carry = bits.Add64(lo, t[i].total-t[i].base, 0)
		hi += carry
	}
	return hi, lo
}

// isReset reports whether nothing counts.
func (t tally) isReset() bool {
	return !slices.ContainsFunc(t, func(e entry) bool { return e.base < e.total })
}

func addSaturating(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry > 0 {
		return math.MaxUint64
	}
	return sum
}

// readEntry reads total and base of a replica.
func readEntry(r *wire.Reader, id vclock.ReplicaID) entry {
	e := entry{replica: id, total: r.Uint(), base: r.Uint()}
	if e.base > e.total {
		r.Fail("more reset than counted")
	}
	return e
}
