// Package vclock tells which events came before which: version vectors, causal contexts with gaps, and
// hybrid logical time.
//
// Four types answer four questions.
//
//   - [Clock], a version vector: of each replica's events, how many do I know? It presumes that events of one
//     replica arrive in order.
//   - [Context]: exactly which events have I seen, when they may arrive in any order and some never do?
//   - [HLC] and [Timestamp]: in which one order does everyone put events, close to the time on the wall?
//   - [ReplicaID] and [Dot]: who wrote, and which of its events is it?
//
// # Smallest use
//
//	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
//	var a, b vclock.Clock // ready to use
//	a.Tick(paris)
//	b.Tick(tokyo)
//	a.Compare(&b) // vclock.Concurrent
//	b.Merge(&a)
//	a.Compare(&b) // vclock.Before
//
// # Guarantees
//
// Clock and Context are join-semilattices: Merge is commutative, associative and idempotent, and never
// forgets an event, so lost, repeated and reordered messages do no harm. Nothing here prunes. A Context
// never claims an event that was not added to it. Sequence numbers run from 1 to 2^64-1 and do not wrap:
// where they are used up, Tick and Next return the zero Dot.
//
// The stamps of one HLC strictly increase, and are later than all that it has observed, whatever its
// physical clock does; a timestamp too far ahead is refused, so that one wrong clock cannot drag the others
// along. A restart keeps this only by [HLC.Floor].
//
// A dot names an event only as long as no one mints it twice. This package cannot know that a writer has
// lost its state; a writer that may have takes a [NewReplicaID].
//
// # Concurrency
//
// ReplicaID, Dot, Span, Timestamp and Ordering are plain values. Clock and Context may be read by many
// goroutines, but not while one changes them. HLC is safe for concurrent use.
//
// # Errors
//
// No input panics. Merging and comparing cannot fail. Decoding fails with a [*CorruptError], or with an
// error that wraps [ErrVersion] for a format newer than this package, and then leaves the receiver as it
// was. [HLC.Observe] fails with a [*DriftError].
//
// # Wire compatibility
//
// AppendBinary writes canonical msgpack in a versioned envelope: equal values have equal bytes on every
// platform, and only those bytes decode. What one version wrote, every later version reads. An encoding
// that is damaged or hostile costs at most a constant times its length.
//
// # Testing
//
// [Named] gives readable, stable ids. An HLC with Now set runs on any clock, and with Now unset follows the
// virtual time of testing/synctest.
package vclock
