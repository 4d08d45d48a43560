// Package merkle finds what differs between two sets of keyed states, at a cost
// that follows the differences and not the sets.
//
// A [Tree] indexes keys by a keyed hash, with the sum of the fingerprints of any
// range at hand. A [Session] on one side and a [Responder] on the other compare
// two trees by messages: ranges whose sums are equal are done with, others are
// split sixteenfold, and small ones are listed. The package needs no other of
// this module: a tree, any way to carry bytes, and it is told what to do about
// the differences by nobody but the caller.
//
// # Smallest use
//
//	h := merkle.NewHasher(secret)                 // the same secret on both sides
//	tree := merkle.New(h)
//	tree.Set("apples", h.Sum([]byte("3")))        // the fingerprint of a state, not the state
//
//	s := merkle.NewSession(tree, merkle.SessionConfig{})
//	for msg := s.Start(); msg != nil; {
//		reply := call(msg)                    // there: merkle.NewResponder(tree, merkle.SessionConfig{}).Step(msg)
//		if msg, err = s.Step(reply); err != nil {
//			return err
//		}
//	}
//	for _, d := range s.Diff() { ... }            // positions, own keys there, and who has what
//
// # Guarantees
//
// Roots and sums depend on the content alone: not on the order of insertion, and
// not on what was there before.
//
// A session is exact: it reports the positions at which the two snapshots differ,
// and no others. Sums of ranges and listed elements are compared by the last 8
// bytes of their fingerprints, so each comparison of different things has a
// chance of 2^-64 to miss. Therefore it ends with a check by all 16 bytes that
// outside of the reported positions both sides hold the same,
//
//	root_B − Σ(B at the positions) = root_A − Σ(A at the positions)
//
// in every range that was not equal at first, and looks again with whole
// fingerprints where that fails. [Session.Verified] tells whether the check held.
//
// Both sides may be written to meanwhile. The initiator compares the snapshot
// that it was made with. Each message is answered from the snapshot of the
// Responder that it reaches, which may be another one each time; a difference is
// then one to what the responder held at that moment. What changed in between is
// found by this session or by a later one. Before acting on a difference, compare
// it with the tree as it is by then. Both sides may start sessions at once.
//
// Two keys may share a position. Both are then compared; if so many do that they
// do not fit into a message (which no one can bring about without the secret),
// the position is reported with all of its keys as soon as one of them differs.
//
// Costs: a Set takes two short SipHashes and O(log n), Sum O(log n), a
// Snapshot O(1). Equal copies cost one round trip of about 40 bytes. Differences
// among n keys are found in about log16(n)/2 round trips and one for the check, more
// where MaxMessage bounds them: among a million keys, 1, 100 and 1,000 changed ones
// take 0.9, 51 and 402 kB both ways. All messages, both ways, stay within MaxMessage.
//
// # Concurrency
//
// A [Tree] may be read, and snapshots of it be taken, by any number of goroutines
// at once; Set and Delete exclude all others. A snapshot is a tree of its own:
// neither it nor the original disturbs the other, and they need no common lock. A
// [Session] belongs to one goroutine. A [Responder] and a [Hasher] may be shared.
//
// # Errors
//
// [*MessageError]: bytes that are no message, or not the one awaited. The session
// is as it was, so the last message can be sent again. [*IncomparableError]: the
// replicas differ in version, element format, secret, epoch or ranges; it says in
// which. [ErrTooManyRounds] and [ErrFinished]. No message makes anything panic. A
// responder spends on a message what its length and that of the bounded answer
// justify; an initiator gives up after MaxRounds messages, holds no more than what
// it was sent, and never stays in one place: every answer must say something.
//
// # What the secret protects, and what not
//
// A fingerprint is SipHash-2-4 with 128 bits of output under a secret 128-bit key, a
// position the same with 64 bits. SipHash was made to be a pseudorandom function of
// short inputs, and nothing better than a search for its key is known against 2-4
// rounds (Aumasson, Bernstein: SipHash: a fast short-input PRF, INDOCRYPT 2012). To
// who does not have the key, the elements are therefore independent uniform values of
// 128 bits. For any two different sets that are chosen without seeing sums, the
// difference of their sums is uniform too, so they are equal with a chance of 2^-128
// (as in MSet-Add-Hash: Clarke, Devadas, van Dijk, Gassend, Suh: Incremental Multiset
// Hash Functions, ASIACRYPT 2003). Addition rather than XOR makes two of a kind count
// as two. The keys of the three hashes are cut from SHA-256 of the secret and their
// purpose, so none tells of another. That SipHash is no hash without a key does not
// matter here, as nobody may have it: who has it finds states of equal fingerprints,
// and without a secret, or with a known one, there is no protection at all. Sets of
// equal sums are then computed in seconds (Wagner: A Generalized Birthday Problem,
// CRYPTO 2002, and lattice reduction), whatever the hash.
//
// Not covered: a peer who has the secret can make two different sets look equal, or
// lie in its answers in any way. It can hide differences from this side and make it
// report false ones; it cannot damage the tree. And whoever can write keys and also
// read the sums that result learns single fingerprints by subtraction, and is then as
// good as one with the secret: do not show Root to the outside, but
// [Hasher.Sum] of its bytes. The messages of a session contain sums: carry them over
// channels that outsiders cannot read.
//
// # Wire compatibility
//
// Messages are canonical msgpack. The first message, and each later one, states the
// version, the element format, a name of the secret and the epoch, and what it asks
// about in full: so two replicas know that they can be compared, any message can be
// answered by a responder that knows none of the others, and an interrupted session
// costs nothing on the other side. Version 1 and the hashes are pinned by vectors in
// testdata and tests. Refusals are understood by all versions.
//
// # Testing
//
// The tree is tested against a map, sessions against the plain difference of two maps,
// both with keys that collide and with tiny messages, and with writes between any two
// messages; hostile messages come from a fuzzer. Sessions are deterministic, so traces
// can be compared: run the tests with -rewrite to write testdata anew.
//
// # Sources
//
// Meyer: Range-Based Set Reconciliation, SRDS 2023. Auvolat, Taïani: Merkle Search
// Trees, SRDS 2019. DeCandia et al.: Dynamo, SOSP 2007, for the anti-entropy that this
// is for.
package merkle
