package quorum

import (
	"cmp"
	"strings"
)

// ReadOptions say what a read asks for. What is left zero is taken from the bucket
// of the key, and then from what is said here.
type ReadOptions struct {
	// Level is how many owners must answer. If zero, Majority.
	Level Level
	// Primary is how many of them must be owners, and not stand in for one. If zero,
	// none has to be.
	Primary Level
	// Least, if not zero, is a lower level. Where Level cannot be reached, or not in
	// time, and Least can, the read returns what it has, with ReadResult.Stale set.
	Least Level
	// Fallbacks says whether others may stand in for owners that are away. If zero, no.
	Fallbacks Fallbacks
	// Repair is what becomes of owners that lack something. If zero, RepairBlocking.
	Repair Repair
	// NotFound says what it counts that an owner has nothing. If zero, NotFoundCounts.
	NotFound NotFound
	// Holders has the result say who holds what was read. No bucket says that.
	Holders bool
	// After is who has what the read must contain: of each, one must be among those who
	// answer, or so many that one of them has it. Least does not do without, either. There are at
	// most 30. No bucket says that.
	After []Holders
}

// WriteOptions say what a write asks for. What is left zero is taken from the
// bucket of the key, and then from what is said here.
type WriteOptions struct {
	// Level is how many owners must answer. If zero, Majority.
	Level Level
	// Primary is how many of them must be owners, and not stand in for one. If zero,
	// none has to be.
	Primary Level
	// Durable is how many of them must have it on disk. If zero, none has to: each
	// keeps it as safely as it keeps anything. A [Replica] says what it is by a method
	// Durable() bool; one without it is not.
	Durable Level
	// Fallbacks says whether others may stand in for owners that are away. If zero, no.
	Fallbacks Fallbacks
	// Applied says that the replica of the node that asks holds the delta already, and
	// as safely as it ever holds one: so it does after store.Update has returned. It
	// then counts, if it is an owner, without being asked. No bucket says that.
	Applied bool
	// Holders has the result say who holds what was written. No bucket says that.
	Holders bool
}

// Fallbacks says whether a call is sloppy: whether nodes that do not own a key may
// stand in for owners that are away (DeCandia et al.: Dynamo, SOSP 2007, §4.6). Then
// it goes on while they are, and promises nothing about what others read.
type Fallbacks uint8

const (
	// FallbacksDefault is what the bucket says, and FallbacksNone where it says nothing.
	FallbacksDefault Fallbacks = iota
	// FallbacksNone has owners alone count.
	FallbacksNone
	// FallbacksCount has a node of Placement.Fallbacks count in place of an owner: it
	// keeps the write as a hint for it, and answers reads by what it keeps.
	FallbacksCount
)

// Repair is what a read does for owners that lack some of what it found.
type Repair uint8

const (
	// RepairDefault is what the bucket says, and RepairBlocking where it says nothing.
	RepairDefault Repair = iota
	// RepairBlocking has the read answered when as many owners as its level asks for
	// hold what it returns. Then reads at levels that share an owner are monotonic, also
	// after a write that failed.
	RepairBlocking
	// RepairAsync answers at once and repairs afterwards. Reads are not monotonic: what
	// one saw of a write that failed, the next may not see.
	RepairAsync
	// RepairOff leaves it to anti-entropy. Reads are not monotonic.
	RepairOff
	// RepairWriteBack has the read answered when as many owners hold what it returns as
	// a write asks for, whatever the level of the read. So a register per key is
	// linearizable (Attiya, Bar-Noy, Dolev: Sharing Memory Robustly in Message-Passing
	// Systems, 1995), where states are totally ordered, R+W > N, and who writes reads
	// first: see the package documentation.
	RepairWriteBack
)

// NotFound says what it counts for a read that an owner has nothing.
type NotFound uint8

const (
	// NotFoundDefault is what the bucket says, and NotFoundCounts where it says nothing.
	NotFoundDefault NotFound = iota
	// NotFoundCounts has it count like any answer.
	NotFoundCounts
	// NotFoundByAll has it count only once all owners have answered or failed: so a key
	// that one of them has is found, at the price of waiting for all where it is not.
	NotFoundByAll
)

// A Bucket is what is asked of keys that begin alike, where a call does not say.
type Bucket struct {
	Prefix string // of the keys; empty: all that have no longer one
	Read   ReadOptions
	Write  WriteOptions
}

// bucket returns what the bucket with the longest prefix of key says.
func (c *Coordinator) bucket(key string) *Bucket {
	best := &noBucket
	for i := range c.Buckets {
		if b := &c.Buckets[i]; strings.HasPrefix(key, b.Prefix) && len(b.Prefix) >= len(best.Prefix) {
			best = b
		}
	}
	return best
}

var noBucket Bucket

func (o ReadOptions) or(b ReadOptions) ReadOptions {
	return ReadOptions{
		Level:     cmp.Or(o.Level, b.Level, Majority),
		Primary:   cmp.Or(o.Primary, b.Primary),
		Least:     cmp.Or(o.Least, b.Least),
		Fallbacks: cmp.Or(o.Fallbacks, b.Fallbacks, FallbacksNone),
		Repair:    cmp.Or(o.Repair, b.Repair, RepairBlocking),
		NotFound:  cmp.Or(o.NotFound, b.NotFound, NotFoundCounts),
		After:     o.After,
		Holders:   o.Holders,
	}
}

func (o WriteOptions) or(b WriteOptions) WriteOptions {
	return WriteOptions{
		Level:     cmp.Or(o.Level, b.Level, Majority),
		Primary:   cmp.Or(o.Primary, b.Primary),
		Durable:   cmp.Or(o.Durable, b.Durable),
		Fallbacks: cmp.Or(o.Fallbacks, b.Fallbacks, FallbacksNone),
		Applied:   o.Applied,
		Holders:   o.Holders,
	}
}

func (o *ReadOptions) demand() Demand { return Demand{Level: o.Level, Primary: o.Primary} }

func (o *WriteOptions) demand() Demand {
	return Demand{Level: o.Level, Primary: o.Primary, Durable: o.Durable}
}
