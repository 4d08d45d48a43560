// Package crdt has data types that many replicas change at the same time, without asking one another, and that
// come out the same on all of them once everybody has heard of everything.
//
// Every type is a join-semilattice: states merge, in any order and any number of times, with one outcome. A
// change returns its delta, which is a small state of the same type; merging the delta elsewhere has the effect of
// the change. So one verb, Merge, replicates, repairs, restores and recovers.
//
//	paris := vclock.Named("paris")  // who writes on a
//	var a, b crdt.ORSet[string]     // ready to use
//	b.Merge(a.Add(paris, "milk"))   // a mutator applies here and returns the delta; a delta is a state
//	delta := b.Remove("milk")       // mints nothing, so takes no replica
//	a.Add(paris, "milk")            // concurrent with the removal: the add wins
//	a.Merge(delta)
//
// # Types
//
//	type           what it holds          when writes race
//	GCounter       a sum                  all additions count; a reset takes away those that it saw
//	PNCounter      a sum, up and down     all additions count; a reset takes away those that it saw
//	GSet           elements, for ever     all additions are kept
//	ORSet          elements               an addition wins over a removal that has not seen it
//	LWWRegister    one value              the latest timestamp wins, the others are lost
//	MVRegister     values                 all that nobody has overwritten are kept, side by side
//	MaxRegister    the greatest value     the greatest stays
//	MinRegister    the least value        the least stays
//	TwoPhaseSet    elements               a removal is final
//	RWSet          elements               a removal wins over an addition that has not seen it
//	LWWSet         elements               for each element the latest timestamp wins
//	EWFlag         on or off, off at first  an enabling wins over a disabling that has not seen it
//	DWFlag         on or off, off at first  a disabling wins over an enabling that has not seen it
//	LWWMap         a value for each key   for each key the latest timestamp wins, removals included
//	Log            entries, in order      all entries are kept, in one order that respects causality
//	BoundedCounter a sum that stays >= 0  all count: each was covered by rights that its replica held
//	ORMap          fields, nested         a removal takes away exactly what it saw under a field, at any depth
//	Expiry         a key's deadline       the latest timestamp wins; a reset takes away the deadline that it saw
//
// Which one? Count with a counter, collect in a set. For one value of which the last may win take LWWRegister: a
// title, a setting. Where a lost write would hurt take MVRegister and let the reader decide. What must never be
// exceeded, such as a stock, takes a BoundedCounter: a replica refuses what it holds no rights for, and asks others
// for some. What must be unique needs agreement, which merging cannot give.
//
// # Elements and values
//
// Sets hold any comparable type and registers any type in memory. An element must equal itself, which a float that is
// no number does not: it is never found again, and merging does not know it. For the wire form and for JSON the type
// must be
//
//   - one of the basic kinds, named or not: a string, an integer of any size, a bool, a float (not as an element of a
//     set), []byte, or an array of bytes such as [16]byte;
//   - or one with methods that write and read it: encoding.BinaryAppender or encoding.BinaryMarshaler, and on its
//     pointer encoding.BinaryUnmarshaler. They must write equal values alike, and an element must come back equal, which
//     time.Time does only without its monotonic reading and location. They come before its kind.
//
// For other types AppendBinary and UnmarshalBinary return a [*TypeError], and so does [NewKinds]. The canonical
// order, in which elements are encoded and printed, is by size for numbers, and by bytes for strings and for
// everything binary.
//
// # Guarantees
//
// For all types and all executions: merging is commutative, associative, idempotent and never forgets; deltas may be
// lost, repeated, reordered and grouped, and a later merge of states makes good for what was lost; a delta claims
// nothing but what it carries and what it takes away. Package crdttest checks this, and compares each type with its
// specification on all small histories.
//
// This rests on one condition: a [vclock.ReplicaID] belongs to one writer that remembers what it wrote. One that
// lost its memory must take a new identity.
//
// # Many kinds under one key
//
// A [Value] holds a state of each kind that was written under one key, and [Kinds] is the table of the kinds that a
// program can decode. [Kinds.Join] merges values for those who have only bytes. Most users meet these through package
// crdt/store.
//
// # What a peer lacks
//
// Types that are [Causal] tell what they have seen, and give just what is missing to one who has seen less: a peer
// sends its Context, or for a whole Value its [Contexts], and gets a Delta. Handover gives what a departed replica
// left to a successor, so that clocks do not grow for ever; see [HandoverError] for what all must agree on.
//
// # Concurrency
//
// A state may be read by several goroutines, but not while one changes it. Kinds and Kind may be used concurrently.
//
// # Errors
//
// Changing and merging cannot fail, and a nil state merges as an empty one. Decoding fails with a [*CorruptError],
// a [*MismatchError] (a state of another type), a [*VersionError] (which is [ErrVersion]: written by a newer version,
// to be kept) or a [*TypeError], and then leaves the receiver alone. It takes time and memory in proportion to the
// input, whatever that claims.
//
// # Wire compatibility
//
// Each state is an array of msgpack with a type tag, a format version and the body. The form is canonical: equal
// states have equal bytes on every platform, and nothing else is accepted. It may still change before the first
// release.
//
// # Testing
//
// See package crdttest, for types of your own too. None of these types starts a goroutine or reads a clock.
package crdt
