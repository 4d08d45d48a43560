// Package merkle finds what differs between two sets of keyed states, at a cost
// that follows the differences and not the sets.
//
// A [Tree] indexes keys by a keyed hash, with the sum of the fingerprints of any
// range at hand, and keeps a sketch of all of them up to date. A [Session] on one side
// and a [Responder] on the other compare two trees by messages. The package needs no
// other of this module: a tree, any way to carry bytes, and it is told what to do about
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
//	for _, d := range s.Diff() { ... }            // where, own keys there, and who has what
//
// # Guarantees
//
// Roots and sums depend on the content alone: not on the order of insertion, and
// not on what was there before.
//
// A session reports the ranges of positions in which the two snapshots differ, nearly
// all of them of one key, and no others. How sure that is depends on the rung of the
// ladder below on which it ended. By ranges, listed elements and sums are compared by
// the last 6 bytes of their fingerprints. Therefore it ends with a check by all 16
// bytes that outside of the differences both sides hold the same,
//
//	root_B − Σ(B in the differences) = root_A − Σ(A in the differences)
//
// in every range that was not equal at first, and looks again with whole fingerprints
// where that fails. By a sketch, all cells must be empty once what was read is taken
// out, each id that this side is said to have must be that of exactly one key, and the
// ids, which have the last 4 bytes of their fingerprints, must add up to what the sums
// of the trees differ by. This finds all ids of 64 bits that differ, whatever a sketch
// says. The two versions of a changed key have one id with a chance of 2^-32, and then
// no sketch shows it. The roots of 16 bytes still differ: a session that reads nothing
// out of different trees goes on with ranges, so what one session missed the next one
// finds, once the rest is repaired. [Session.Verified] tells whether the check that
// applies held.
//
// Both sides may be written to meanwhile. The initiator compares the snapshot
// that it was made with. Each message is answered from the snapshot of the
// Responder that it reaches, which may be another one each time; a difference is
// then one to what the responder held at that moment. What changed in between is
// found by this session or by a later one. Before acting on a difference, compare
// it with the tree as it is by then. Both sides may start sessions at once.
//
// Two keys may share a position, or 32 bits of one. Both are then compared; if so many
// share a position that they do not fit into a message (which no one can bring about
// without the secret), it is reported with all of its keys as soon as one of them
// differs.
//
// # The ladder
//
// Which way is the cheapest depends on how much differs, which nobody knows before. So
// a session climbs, and does not say where it stands:
//
//   - Roots. Equal copies are done with after one round trip of 34 bytes in all.
//   - Sketch. An invertible Bloom lookup table of 64-bit ids, of which the responder
//     tells an estimate and 8 cells at once: one difference costs 257 bytes and one
//     round trip. Otherwise the initiator asks for as many cells as the estimate
//     needs, about 1.3 of 10 bytes each for a difference, and for some more should
//     that fail. A table of any number of cells is the maintained one folded, so more
//     cells continue those that came. The cells of an answer belong to one state of
//     the responder's tree; if it has changed since the last ones, all come anew.
//   - Tables of parts. Beyond 13,000 differing ids the positions are split, and each
//     side reads its keys in the parts that differ to make their tables, at 33 ns a
//     key. Sessions over ranges do so from the start. In a large range a sample of
//     16,000 keys tells whether it is worth it: for one difference no more than 1,000
//     keys are read.
//   - Ranges: for few differences in a large range, for what sketches cannot tell, and
//     for fewer than 256 keys. Those whose sums are equal are done with, others are
//     split sixteenfold, small ones are listed. One difference costs 800 bytes, a
//     thousand 250 kB.
//   - Lists of all, where more ids differ than there are keys: 8 to 9 bytes a key.
//
// Who compares parts of more than 100,000 keys all the time better has a Tree for each,
// so that each has a sketch that is kept.
//
// Ten differences take 495 bytes, of which 128 are the estimate and 100 the heads of
// four messages. A rateless table of them takes 375, as it goes on until it is told to
// stop; that saves the estimate and wastes what is under way by then.
//
// An id has 32 bits of the position and 32 of the fingerprint, so both versions of a
// changed key are told as one [Difference]. With 48 bits of each, cells would take 14
// bytes instead of 10: 19 kB for 1,000 differences. A change would be hidden until the
// next session with a chance of 2^-48 instead of 2^-32; and of 4,000 differences among a
// million keys, one would not bring its neighbour along. That is not worth the 40 %.
//
// # Costs
//
// A Set takes two short SipHashes, two updates of the sketch at 25 ns and O(log n) for
// the tree, and allocates nothing once the tree has grown; Sum takes O(log n), a
// Snapshot O(1). The first Set after one copies its path and some 10 pages of the
// sketch: 10 to 20 kB. A tree takes 42 to 46 bytes a key, of which 40 are what it is
// for: 8 the position, 16 the fingerprint, 16 the header of the key's string, whose
// bytes it shares with whoever called Set. A sketch of full size takes 199 kB beside
// that, from 32,768 keys on. When the number of keys has doubled the sketch is built
// anew, up to that size.
//
// Bytes both ways of finding d keys that one side only has among a million, in two
// round trips (one for d = 1; three now and then), with messages up to 1 MiB:
//
//	                    d=1    d=100   d=1,000   d=10,000   10,000 changed
//	session             257    1.8 k    13.9 k      126 k            261 k
//	rateless IBLT        25    3.6 k    34.4 k      339 k            679 k   16-byte symbols
//	2^16 buckets      1.3 k     77 k     556 k      3.4 M            3.4 M   Merkle tree of 16 children
//	all ids            16 M     16 M      16 M       16 M             16 M   of 16 bytes
//	bound                 9    0.7 k     6.9 k       65 k            128 k   for 64-bit ids
//
// A changed key counts as two. go test ./merkle -run '^$' -bench Reconcile prints all
// of it, with times, for the machine at hand.
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
// which. [ErrTooManyRounds] and [ErrFinished]. No message makes anything panic.
//
// A responder spends on a message what its length and that of the bounded answer
// justify, and one pass over its sketch or over the keys of the ranges asked about: of
// 4,096 for each cell that it answers, and of 65,536 for an estimate. An initiator
// gives up after MaxRounds messages, holds a small constant times what it was sent, and
// never stays in one place: every answer must say something, tables that cannot be read
// are extended three times and begun anew twice, and an estimate that is above the
// number of own keys asks for no cells.
//
// # Sketches that are wrong
//
// A sketch in which a bit has flipped or which has lost an update would hide or invent
// differences. What it is of is therefore held against the tree: the sums of both when
// it is used, and what a session read against the roots. Where those do not agree, or
// cells cannot be read, or far more was estimated than found, the session goes on with
// ranges, has the own sketch doubted and tells the responder to doubt its own. A
// doubted sketch is compared with one built anew when it is used next, on a snapshot:
// no write waits for that. It takes 33 ns a key, and happens at most once for as many
// writes and cells read as there are keys, so that nobody gets more out of a lie. The
// next write to the tree takes over what was mended.
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
// The XORs of a sketch are linear over bits, so ids that cancel are found in
// microseconds by who knows them. Ids are parts of the same hashes: without the key
// nobody knows one, and with it nothing is hidden for ever, as roots do not cancel.
//
// Not covered: a peer who has the secret can make two different sets look equal, or
// lie in its answers in any way. It can hide differences from this side and make it
// report false ones, at the price of a look at each; it cannot damage the tree or the
// sketch. And whoever can write keys and also
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
// costs nothing on the other side. Version 3 and the hashes are pinned by vectors in
// testdata and tests. Refusals are understood by all versions.
//
// # Testing
//
// The tree is tested against a map and its sketch against one built anew, sessions
// against the plain difference of two maps, both with keys and ids that collide and
// with tiny messages, and with writes between any two messages; hostile messages come
// from a fuzzer, and answers from several trees in turn. 20,000 small sessions run each
// time, some with damaged sketches; a million with -sessions 1000000. Sessions are
// deterministic, so traces can be compared: run the tests with -rewrite to write
// testdata anew.
//
// # Sources
//
// Meyer: Range-Based Set Reconciliation, SRDS 2023. Auvolat, Taïani: Merkle Search
// Trees, SRDS 2019. DeCandia et al.: Dynamo, SOSP 2007, for the anti-entropy that this
// is for. Goodrich, Mitzenmacher: Invertible Bloom Lookup Tables, Allerton 2011, and
// Eppstein, Goodrich, Uyeda, Varghese: What's the Difference?, SIGCOMM 2011, for the
// table; Lázaro, Matuz: Irregular Invertible Bloom Look-Up Tables, ISTC 2021, for degrees
// that differ; Yang, Gilad, Alizadeh: Practical Rateless Set Reconciliation, SIGCOMM
// 2024, for tables of any length. Folding a table to any number of cells is from an
// unmerged change of GitHub's rust-gems (hriblt).
package merkle
