package crdt

import (
	"slices"
	"strconv"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

var formBoundedCounter = form{"boundedcounter", 16}

// Merge takes in what o knows. See [Lattice].
func (c *BoundedCounter) Merge(o *BoundedCounter) (changed bool) {
	at, ok, missing := 0, false, 0
	for i := range o.shares() {
		theirs := &o.rows[i]
		if at, ok = c.seek(at, theirs.replica); !ok {
			missing++
			continue
		}
		if c.rows[at].compare(theirs) < 0 {
			c.rows[at], changed = *theirs, true
		}
		at++
	}
	if missing > 0 {
		c.insert(o.rows, missing)
	}
	return changed || missing > 0
}

// MergeNovel merges o and returns the rows in it that were new. See [Delta].
func (c *BoundedCounter) MergeNovel(o *BoundedCounter) (novel *BoundedCounter, changed bool) {
	novel = new(BoundedCounter)
	at, ok := 0, false
	for i := range o.shares() {
		theirs := &o.rows[i]
		if at, ok = c.seek(at, theirs.replica); !ok || c.rows[at].compare(theirs) < 0 {
			novel.rows = append(novel.rows, *theirs)
		}
	}
	return novel, c.Merge(novel)
}

// seek is find for a walk along the rows that has come to row i.
func (c *BoundedCounter) seek(i int, r vclock.ReplicaID) (int, bool) {
	for n := min(i+2, len(c.rows)); i < n; i++ {
		if c.rows[i].replica == r {
			return i, true
		}
	}
	return c.find(r)
}

// insert puts in those of the rows whose replica c lacks, of which there are missing, from the back.
func (c *BoundedCounter) insert(rows []share, missing int) {
	i, j := len(c.rows)-1, len(rows)-1
	whole := slices.Grow(c.rows, missing)[:len(c.rows)+missing]
	for k := len(whole) - 1; k > i; {
		order := -1
		if i >= 0 {
			order = whole[i].replica.Compare(rows[j].replica)
		}
		switch {
		case order == 0:
			j--
		case order > 0:
			whole[k] = whole[i]
			i, k = i-1, k-1
		default:
			whole[k] = rows[j]
			j, k = j-1, k-1
		}
	}
	c.rows = whole
}

// Context returns the causal context: each time that a replica wrote its row is an event. A row tells of all that
// were before it.
func (c *BoundedCounter) Context() *vclock.Context {
	seen := new(vclock.Context)
	for i := range c.shares() {
		seen.AddSpan(vclock.Span{Replica: c.rows[i].replica, Lo: 1, Hi: c.rows[i].version})
	}
	return seen
}

// Delta returns the rows that are not in since: what a counter with that [BoundedCounter.Context] lacks.
func (c *BoundedCounter) Delta(since *vclock.Context) (delta *BoundedCounter) {
	delta = new(BoundedCounter)
	for _, row := range c.shares() {
		if !since.Has(vclock.Dot{Replica: row.replica, Seq: row.version}) {
			delta.rows = append(delta.rows, row)
		}
	}
	return delta
}

// Clone returns a counter of its own with the same state.
func (c *BoundedCounter) Clone() *BoundedCounter { return &BoundedCounter{slices.Clone(c.shares())} }

// AppendBinary appends the wire form. It does not fail.
func (c *BoundedCounter) AppendBinary(b []byte) ([]byte, error) {
	w := formBoundedCounter.begin(b, 2)
	ids := c.replicas()
	writeNames(w, ids)
	w.Array(7 * len(c.shares()))
	for i := range c.shares() {
		row := &c.rows[i]
		w.Uint(ids.index(row.replica))
		w.Uint(row.version)
		w.Uint(row.granted)
		w.Uint(row.used)
		w.Uint(row.wanted)
		writeFlows(w, ids, row.sent)
		writeFlows(w, ids, row.taken)
	}
	return w.Done(), nil
}

func writeFlows(w *wire.Writer, ids replicaTable, flows []flow) {
	w.Array(2 * len(flows))
	for _, f := range flows {
		w.Uint(ids.index(f.replica))
		w.Uint(f.n)
	}
}

// UnmarshalBinary replaces the counter by the one in b, of which it keeps nothing. It returns a
// [*CorruptError], [*MismatchError] or [*VersionError] and changes nothing if b is not a BoundedCounter.
func (c *BoundedCounter) UnmarshalBinary(b []byte) error {
	r, err := formBoundedCounter.openOf(b, 2)
	if err != nil {
		return err
	}
	read := readBoundedCounter(r)
	if err := formBoundedCounter.close(r); err != nil {
		return err
	}
	*c = read
	return nil
}

func readBoundedCounter(r *wire.Reader) (c BoundedCounter) {
	ids := readNames(r)
	n := fields(r, 7)
	c.rows = make([]share, 0, min(n, 1<<12))
	for i := range n {
		row := readShare(r, &ids)
		if i > 0 && c.rows[i-1].replica.Compare(row.replica) >= 0 {
			r.Fail("rows out of order")
		}
		c.rows = append(c.rows, row)
	}
	ids.close(r)
	return c
}

func readShare(r *wire.Reader, ids *nameReader) (s share) {
	s.replica = ids.readWriter(r)
	if s.version = r.Uint(); s.version == 0 {
		r.Fail("row that was never written")
	}
	s.granted, s.used, s.wanted = r.Uint(), r.Uint(), r.Uint()
	s.sent, s.taken = readFlows(r, ids, s.replica), readFlows(r, ids, s.replica)
	switch {
	case s.overspent():
		r.Fail("more spent than there was")
	case s.version < s.writes():
		r.Fail("row that was written too few times")
	}
	return s
}

// writes is how many writes it takes at least to make such a row. Each changes one thing, and nothing is undone but a
// request.
func (s *share) writes() uint64 {
	n := uint64(len(s.sent))
	for _, written := range [...]uint64{s.granted, s.used, s.wanted} {
		n += min(written, 1)
	}
	if n == 0 {
		return 2 // a request that was taken back
	}
	return n
}

// readFlows reads transfers between owner and others.
func readFlows(r *wire.Reader, ids *nameReader, owner vclock.ReplicaID) []flow {
	n := fields(r, 2)
	if n == 0 {
		return nil
	}
	flows := make([]flow, 0, min(n, 1<<12))
	for i := range n {
		f := flow{ids.readWriter(r), r.Uint()}
		switch {
		case i > 0 && flows[i-1].replica.Compare(f.replica) >= 0:
			r.Fail("transfers out of order")
		case f.n == 0:
			r.Fail("transfer of nothing")
		case f.replica == owner:
			r.Fail("transfer to oneself")
		}
		flows = append(flows, f)
	}
	return flows
}

// overspent reports whether the row contradicts itself.
func (s *share) overspent() bool {
	var have, spent wide
	have.add(s.granted)
	spent.add(s.used)
	for _, f := range s.taken {
		have.add(f.n)
	}
	for _, f := range s.sent {
		spent.add(f.n)
	}
	return have.hi < spent.hi || have.hi == spent.hi && have.lo < spent.lo
}

// MarshalJSON writes the value, a number.
func (c *BoundedCounter) MarshalJSON() ([]byte, error) {
	return strconv.AppendUint(nil, c.Value(), 10), nil
}
