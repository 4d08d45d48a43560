package crdt

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// BoundedCounter counts up and down and never goes below 0, without asking anybody: each replica has rights to a
// part of the value, and may take away only what it has rights to. A replica that is out of rights gets an error,
// and may ask the others for some of theirs.
//
//	stock.Increment(paris, 100)        // paris may now sell 100
//	stock.Transfer(paris, tokyo, 40)   // of which tokyo may sell 40
//	delta, err := stock.Decrement(tokyo, 1)
//
// When writes race, all of them count: what is added and taken away was covered when it happened. The rights of all
// replicas together are the value, and no loss, repetition or reordering of deltas makes or unmakes any.
//
// Other bounds are a matter of what is counted. What must not go below m: count what is above m. What must not
// exceed m, such as the seats taken: begin with an increment by m, and count those that are free.
//
// The zero BoundedCounter is 0 and ready to use. It may be read by several goroutines, but not while one changes
// it; copy it by Clone. It holds for each replica a row that only that replica writes: some 100 bytes, and 24 for
// each other that it has ever given rights to, or taken some from. A delta is one row, and merging costs
// O(size of the argument * log n) for n replicas. What one replica adds in all stops at [math.MaxUint64] instead
// of wrapping round; what it takes away in all, and what it ever transfers to another, is refused beyond that.
//
// There is no reset, which would take away rights that others may be using. Rights of a replica that is gone for
// ever pass to another by [BoundedCounter.Handover].
//
// It is the bounded counter of Balegas, Serra, Duarte, Ferreira, Rodrigues, Shapiro, Preguiça, "Extending
// Eventually Consistent Cloud Databases for Enforcing Numeric Invariants", SRDS 2015, after the escrow method of
// O'Neil, 1986. In place of their matrix that merges number by number, a row is one unit which also says what it
// took from others. So it shows by itself that nothing was spent twice, also where it arrives alone.
type BoundedCounter struct {
	rows []share // sorted by replica
}

// share is the row of one replica. Its flows are never changed in place, so that rows may be copied.
type share struct {
	replica vclock.ReplicaID
	version uint64 // the number of times that the row was written, at least 1
	granted uint64 // rights that came of increments
	used    uint64
	wanted  uint64 // how much to have received in all, by a request
	sent    []flow // transfers away
	taken   []flow // transfers that had arrived here when the row was written; what was spent may be of these
}

// flow is how much was ever transferred to or from a replica. Lists of them are sorted, and have none of 0.
type flow struct {
	replica vclock.ReplicaID
	n       uint64
}

// An InsufficientError says that a replica has fewer rights than it would need. Others may have more.
type InsufficientError struct {
	Replica vclock.ReplicaID
	Have    uint64
	Want    uint64
}

func (e *InsufficientError) Error() string {
	return fmt.Sprintf("crdt: %v has rights to %d, not %d", e.Replica, e.Have, e.Want)
}

// Increment adds n, and the rights to it for replica r. It returns the delta, which is empty if n is 0 or r is
// zero. Only one writer may use r at a time, and r must never be used again by one who has forgotten what it wrote:
// it would spend its rights again.
func (c *BoundedCounter) Increment(r vclock.ReplicaID, n uint64) (delta *BoundedCounter) {
	mine := c.row(r)
	if n == 0 || mine.granted == math.MaxUint64 {
		return new(BoundedCounter)
	}
	mine.granted = addSaturating(mine.granted, n)
	return c.write(mine)
}

// Decrement takes n away by the rights of replica r, and returns the delta. If r has not enough of them, nothing
// changes, the delta is empty, and the error is an [*InsufficientError]. For r see [BoundedCounter.Increment].
func (c *BoundedCounter) Decrement(r vclock.ReplicaID, n uint64) (delta *BoundedCounter, err error) {
	mine := c.row(r)
	if n == 0 {
		return new(BoundedCounter), nil
	}
	if err := c.insufficient(mine, n, math.MaxUint64-mine.used); err != nil {
		return new(BoundedCounter), err
	}
	mine.used += n
	return c.write(mine), nil
}

// Transfer gives n of the rights of replica from to replica to, and returns the delta. If from has not enough of
// them, nothing changes, the delta is empty, and the error is an [*InsufficientError]. Merging the delta again
// gives nothing again, but each call is a transfer of its own. Nothing happens if to is zero or is from. It is a
// write of from, see [BoundedCounter.Increment].
func (c *BoundedCounter) Transfer(from, to vclock.ReplicaID, n uint64) (delta *BoundedCounter, err error) {
	mine := c.row(from)
	before := amount(mine.sent, to)
	if n == 0 || to.IsZero() || to == from {
		return new(BoundedCounter), nil
	}
	if err := c.insufficient(mine, n, math.MaxUint64-before); err != nil {
		return new(BoundedCounter), err
	}
	mine.sent = withFlows(mine.sent, []flow{{to, before + n}})
	return c.write(mine), nil
}

// insufficient returns an error unless a replica can spend n, given that its row has room for so much.
func (c *BoundedCounter) insufficient(mine share, n, room uint64) error {
	if mine.version == math.MaxUint64 {
		room = 0
	}
	if have := min(c.Rights(mine.replica), room); have < n {
		return &InsufficientError{Replica: mine.replica, Have: have, Want: n}
	}
	return nil
}

// Request asks the others for n rights on behalf of replica r, and returns the delta. It takes the place of the
// last request of r, so asking again for the same before anything has arrived changes nothing; 0 takes the request
// back. Whatever r receives from now on counts towards it, see [BoundedCounter.Grant]. It is a write of r, see
// [BoundedCounter.Increment].
func (c *BoundedCounter) Request(r vclock.ReplicaID, n uint64) (delta *BoundedCounter) {
	mine := c.row(r)
	received := c.received(r)
	wanted := addSaturating(received, n)
	if mine.wanted == wanted || n == 0 && mine.wanted <= received {
		return new(BoundedCounter)
	}
	mine.wanted = wanted
	return c.write(mine)
}

// Requests yields the replicas whose requests are open as far as is known here, in their order, and how much of
// each is. It goes by what is known when it begins, so that they may be granted meanwhile.
func (c *BoundedCounter) Requests() iter.Seq2[vclock.ReplicaID, uint64] {
	return func(yield func(vclock.ReplicaID, uint64) bool) {
		ids, accounts := c.accounts()
		rows := slices.Clone(c.shares())
		for i := range rows {
			received := accounts[ids.index(rows[i].replica)].received.minus(wide{})
			if n := rows[i].wanted - min(rows[i].wanted, received); n > 0 && !yield(rows[i].replica, n) {
				return
			}
		}
	}
}

// Requested returns how much of the request of replica r is open as far as is known here.
func (c *BoundedCounter) Requested(r vclock.ReplicaID) uint64 {
	wanted := c.rowOf(r).wanted
	return wanted - min(wanted, c.received(r))
}

// Grant answers the request of replica to: it transfers what is open of it, but no more than limit and than
// replica from has rights to. It returns the delta and how much that is. Granting again what was granted transfers
// nothing; but replicas that answer a request without knowing of one another may together give more than was
// asked for.
func (c *BoundedCounter) Grant(from, to vclock.ReplicaID, limit uint64) (delta *BoundedCounter, granted uint64) {
	n := min(limit, c.Requested(to), c.Rights(from))
	delta, err := c.Transfer(from, to, n)
	if err != nil || delta.Empty() {
		return delta, 0
	}
	return delta, n
}

// row returns the row of r, to be written next. What has arrived for r is in it.
func (c *BoundedCounter) row(r vclock.ReplicaID) share {
	mine := c.rowOf(r)
	var arrived []flow
	for i := range c.shares() {
		from := &c.rows[i]
		if n := amount(from.sent, r); n > amount(mine.taken, from.replica) {
			arrived = append(arrived, flow{from.replica, n})
		}
	}
	mine.taken = withFlows(mine.taken, arrived)
	return mine
}

// write makes mine the row of its replica, and returns the delta.
func (c *BoundedCounter) write(mine share) (delta *BoundedCounter) {
	if mine.replica.IsZero() || mine.version == math.MaxUint64 {
		return new(BoundedCounter)
	}
	mine.version++
	delta = &BoundedCounter{rows: []share{mine}}
	c.Merge(delta)
	return delta
}

// Value is what all replicas have rights to together: what was added and not taken away. It stops at
// [math.MaxUint64]. While rows are missing that others rely on, it is what those that are here prove, and never
// below 0.
func (c *BoundedCounter) Value() uint64 {
	if !c.whole() {
		return c.sumOfRights()
	}
	var granted, used wide
	for i := range c.shares() {
		granted.add(c.rows[i].granted)
		used.add(c.rows[i].used)
	}
	return granted.minus(used)
}

// whole reports whether all transfers that have been taken are known from who sent them. Then nobody can have
// spent more than is known.
func (c *BoundedCounter) whole() bool {
	for i := range c.shares() {
		for _, f := range c.rows[i].taken {
			if k, ok := c.find(f.replica); !ok || amount(c.rows[k].sent, c.rows[i].replica) < f.n {
				return false
			}
		}
	}
	return true
}

func (c *BoundedCounter) sumOfRights() uint64 {
	var sum wide
	_, accounts := c.accounts()
	for i := range accounts {
		sum.add(accounts[i].have.minus(accounts[i].spent))
	}
	return sum.minus(wide{})
}

// account is what one replica ever had, what of that it received from others, and what it spent.
type account struct{ have, received, spent wide }

// accounts reckons up all rows at once. See incoming for what counts as transferred.
func (c *BoundedCounter) accounts() (ids replicaTable, accounts []account) {
	ids = c.replicas()
	accounts = make([]account, len(ids))
	move := func(from, to vclock.ReplicaID, n uint64) {
		accounts[ids.index(from)].spent.add(n)
		receiver := &accounts[ids.index(to)]
		receiver.have.add(n)
		receiver.received.add(n)
	}
	for i := range c.shares() {
		row := &c.rows[i]
		mine := &accounts[ids.index(row.replica)]
		mine.have.add(row.granted)
		mine.spent.add(row.used)
		for _, f := range row.sent {
			move(row.replica, f.replica, max(f.n, amount(c.rowOf(f.replica).taken, row.replica)))
		}
		for _, f := range row.taken {
			if amount(c.rowOf(f.replica).sent, row.replica) == 0 {
				move(f.replica, row.replica, f.n)
			}
		}
	}
	return ids, accounts
}

// rowOf returns the row of r, an empty one if there is none.
func (c *BoundedCounter) rowOf(r vclock.ReplicaID) share {
	if i, ok := c.find(r); ok {
		return c.rows[i]
	}
	return share{replica: r}
}

// replicas returns all replicas that the counter speaks of.
func (c *BoundedCounter) replicas() replicaTable {
	var ids []vclock.ReplicaID
	for i := range c.shares() {
		row := &c.rows[i]
		ids = append(ids, row.replica)
		for _, f := range row.sent {
			ids = append(ids, f.replica)
		}
		for _, f := range row.taken {
			ids = append(ids, f.replica)
		}
	}
	return namesOf(ids)
}

// Rights is how much replica r may take away or transfer, as far as is known here; r itself has at least that
// unless it has spent some of it since. It stops at [math.MaxUint64].
func (c *BoundedCounter) Rights(r vclock.ReplicaID) uint64 {
	var have, spent wide
	mine := c.rowOf(r)
	have.add(mine.granted)
	spent.add(mine.used)
	c.incoming(mine, r, have.add)
	c.outgoing(mine, r, spent.add)
	return have.minus(spent)
}

// received is how much was ever transferred to r.
func (c *BoundedCounter) received(r vclock.ReplicaID) uint64 {
	var sum wide
	mine := c.rowOf(r)
	c.incoming(mine, r, sum.add)
	return sum.minus(wide{})
}

// incoming visits what others transferred to r, whose row is mine. What r has taken was sent, also if the row that
// says so has not arrived.
func (c *BoundedCounter) incoming(mine share, r vclock.ReplicaID, visit func(n uint64)) {
	for i := range c.shares() {
		visit(max(amount(c.rows[i].sent, r), amount(mine.taken, c.rows[i].replica)))
	}
	for _, f := range mine.taken {
		if _, known := c.find(f.replica); !known {
			visit(f.n)
		}
	}
}

// outgoing visits what r transferred to others, likewise.
func (c *BoundedCounter) outgoing(mine share, r vclock.ReplicaID, visit func(n uint64)) {
	for i := range c.shares() {
		visit(max(amount(c.rows[i].taken, r), amount(mine.sent, c.rows[i].replica)))
	}
	for _, f := range mine.sent {
		if _, known := c.find(f.replica); !known {
			visit(f.n)
		}
	}
}

// Empty reports whether nothing was ever added or asked for. A counter that went up and down again is 0 and not
// empty.
func (c *BoundedCounter) Empty() bool { return len(c.shares()) == 0 }

func (c *BoundedCounter) shares() []share {
	if c == nil {
		return nil
	}
	return c.rows
}

// find returns where the row of r is, or would be.
func (c *BoundedCounter) find(r vclock.ReplicaID) (int, bool) {
	i := firstNot(len(c.shares()), func(i int) bool { return c.rows[i].replica.Compare(r) < 0 })
	return i, i < len(c.shares()) && c.rows[i].replica == r
}

// amount returns what flows has for r.
func amount(flows []flow, r vclock.ReplicaID) uint64 {
	if i, ok := findFlow(flows, r); ok {
		return flows[i].n
	}
	return 0
}

func findFlow(flows []flow, r vclock.ReplicaID) (int, bool) {
	return slices.BinarySearchFunc(flows, r, func(f flow, r vclock.ReplicaID) int { return f.replica.Compare(r) })
}

// withFlows returns flows with news, which are sorted, in place of what they have for the same replicas.
func withFlows(flows, news []flow) []flow {
	if len(news) == 0 {
		return flows
	}
	all := make([]flow, 0, len(flows)+len(news))
	for _, f := range news {
		i, known := findFlow(flows, f.replica)
		all = append(append(all, flows[:i]...), f)
		if known {
			i++
		}
		flows = flows[i:]
	}
	return append(all, flows...)
}

// wide is a sum in 128 bits, which are enough for as many numbers as fit in memory.
type wide struct{ hi, lo uint64 }

func (w *wide) add(n uint64) {
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, n, 0)
	w.hi += carry
}

// minus returns the difference, not below 0 and not above math.MaxUint64.
func (w *wide) minus(o wide) uint64 {
	lo, borrow := bits.Sub64(w.lo, o.lo, 0)
	hi, below := bits.Sub64(w.hi, o.hi, borrow)
	switch {
	case below > 0:
		return 0
	case hi > 0:
		return math.MaxUint64
	}
	return lo
}

// compare orders the rows of one replica: by version. Two rows have one only if an identity was used twice; then
// any order will do, if all replicas have it.
func (s *share) compare(o *share) int {
	if s.version != o.version {
		return cmp.Compare(s.version, o.version)
	}
	return cmp.Or(cmp.Compare(s.granted, o.granted), cmp.Compare(s.used, o.used), cmp.Compare(s.wanted, o.wanted),
		slices.CompareFunc(s.sent, o.sent, flow.compare), slices.CompareFunc(s.taken, o.taken, flow.compare))
}

func (f flow) compare(o flow) int {
	return cmp.Or(f.replica.Compare(o.replica), cmp.Compare(f.n, o.n))
}
