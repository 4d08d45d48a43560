// Package revision has conditional writes of eventually consistent keys: a write goes ahead only if the key is still
// what its writer has read. So CouchDB does with its revisions, and HTTP with If-Match and If-None-Match.
//
// # What it does not promise
//
// Rivals at one [Writer] that expect one revision take turns, and one alone succeeds. Rivals at Writers of different
// nodes may both succeed: each has read the key before the other had written it. Nothing is lost then: what both
// wrote is merged, as all that is written concurrently, into siblings of an MVRegister for instance; CouchDB does the
// same with its conflicts. Send the writes of a key through one node and that is rare: where that node fails, or two take
// themselves for it. Where it must never be, use package quorum/caspaxos, of which a compare-and-set succeeds at most
// once, wherever it is made.
//
// # Smallest use
//
//	w := &revision.Writer{Quorum: coordinator, Join: store.Join, Content: content}
//	res, rev, err := w.Read(ctx, "page")                 // ETag: "rev"
//	_, rev, err = w.Write(ctx, "page", rev, func(state []byte) ([]byte, error) {
//		return edit(state)                               // a delta, made of what was expected, and of nothing else
//	}, quorum.WriteOptions{})
//	// *ConflictError: somebody else was there before, 412 Precondition Failed; merge, and try again
//
// # What a revision is
//
// A hash of what a key holds: equal contents have equal ones, whichever owners have answered, by whatever node. Nothing is
// stored, so no states grow, and nothing has to agree on a number. It says nothing of which came first.
//
// It has 16 bytes: of 2^64 contents two share one with a probability of 0.4, of 2^40 with one of 2^-49. Who computes 2^64
// hashes on purpose can make two contents that share one, and have the one in the place of the other unnoticed. To make
// one that shares that of a given content takes 2^128.
//
// Join yields canonical bytes, so states could be hashed as they are. But those of crdt/store say besides of which
// generation they are, and that changes for all keys at once when deletions are collected. Writer.Content takes what is
// in them, and says what it is for a key to hold nothing:
//
//	content := func(state []byte) ([]byte, error) {
//		v, err := s.Decode(state)
//		if err != nil || v.Empty() {
//			return nil, err
//		}
//		return v.AppendBinary(nil)
//	}
//
// A content holds, beside what it shows, what is known of events. So a key that was changed and changed back has another
// revision. It may also get another one without having changed: when what a departed replica left passes to its heir, or
// when what is remembered of an earlier deletion is forgotten. Then writes are refused that could have been made, and
// reading again helps.
//
// # Deleted keys
//
// The zero [Revision] is that of a key that holds nothing, never written or deleted: to write over a deletion is to
// create, as in CouchDB, and the residue of the deletion stays in the state that the delta is merged into. A key that
// was created and deleted since it was read as holding nothing holds nothing again, and writing to it loses nothing. A
// deletion is a write like any other, conditional too; the revision that it returns is zero. Without a Content, a
// residue counts as something. A key whose deadline has passed keeps its revision until its stores have swept it,
// since a revision depends on the state alone.
//
// # Guarantees
//
// Of a [Writer.Write] that expects a revision, when all that write to the key wait for a majority, or for more:
//
//   - If a majority had acknowledged, when it began, a write that what was expected does not contain, it ends in a
//     [*ConflictError], or another error, and its delta is not made, and so nowhere, ever.
//   - Likewise for what a read at a majority had returned by then, also of a write that failed.
//   - A delta that takes the place of what it was made of, and of nothing else, overwrites no acknowledged write
//     that its writer had not read; also where rivals at other nodes succeed. That is up to the delta:
//     MVRegister.Put with the context of the state that is passed; ORSet.Remove of a copy of that. A delta that is
//     made of whatever a store has by now can overwrite more.
//   - Of calls of one Writer that expect one revision, and change the key, one alone succeeds; until the key has that
//     revision again, which happens to the one of nothing, by a deletion.
//
// The first two are what majorities promise; rings may change meanwhile. What was acknowledged by fewer than a majority
// is not covered.
//
// # To know that there was no rival
//
// A write returns the revision of what was read with the delta merged into it, and no rival is in that. Who reads the
// key afterwards and finds just that revision was alone; and of rivals that expected the same revision and all read
// after their write, at most one can find that: each has written before it reads, so of two the one that reads later
// sees the other. (That is the principle of flags: Herlihy, Shavit: The Art of Multiprocessor Programming, 2008,
// chapter 2.) It may be that none does. So who finds another revision has not won, though it is written: it withdraws,
// or merges. The price is one read at a majority.
//
// That is so if each writes something of its own, as MVRegister.Put and ORSet.Add do, which number an event. A deletion,
// or a maximum that is raised, may be contained in what a rival has written: it then goes unseen.
//
// # When it is not known
//
// An [*UnknownError] says that the delta was sent, and perhaps not to enough. To repeat the call would meet its own
// delta and end in a conflict, or make a second one. The way out is to write UnknownError.Delta again, by the Quorum and
// without a condition: it is the same write, of which it was checked once that it may be made, and deltas merge once
// however often they come. Somebody else may have succeeded meanwhile; then it is a sibling, like that of a rival
// elsewhere. Or to read: if the revision is UnknownError.Revision, it is there, and nothing else is. Any other error says
// that this package has sent nothing.
//
// # Concurrency
//
// A [Writer] is safe for concurrent use once its fields are set; Content must be too. A write holds the lock of its key
// over its read, the making of the delta and its write, and others that write the key wait for it, as long as their own
// ctx lets them. That is for as long as two calls of the Quorum take: with a *quorum.Coordinator, twice its Timeout at
// most. Keys do not wait for one another, and locks of keys that nobody writes are gone. No goroutine is started.
//
// # Costs
//
// A read is one at a majority, and one hash. A write is that and a write; on the way it is joined once and hashed twice.
// Over loopback, with stores in memory, it takes twice what a write to a majority takes: 70 µs beside 35 for documents of
// 16 bytes, 0.55 ms beside 0.3 for those of 16 kB. A revision takes 1 µs, and 0.15 ms for 64 kB, most of it in Content. It
// has 16 bytes, and 22 characters. Nothing is kept but the locks of keys that are being written.
//
// # Errors
//
// [*ConflictError], [*UnknownError], [*SyntaxError]; [*quorum.LevelError]: of a write at a level that reads at a majority
// may miss, or whose Primary may be less than a majority and more. Those of the Quorum, of Join, of Content and of the
// function that makes the delta pass, and so does that of a caller's own ctx.
//
// # Compatibility
//
// A revision is the first 16 bytes of the SHA-256 of a content, zero if that has no bytes, and written in the base64
// of RFC 4648 for URLs, without padding. So it stays the same over versions of this package, as long as Content does.
// It is held by golden tests.
//
// # Testing
//
// Histories of documents and of sets, written through real nodes with partitions, crashes and messages that are lost,
// late and repeated, are checked for the guarantees above; without the condition, and with a check after the write
// that reads one owner, the same checks fail.
package revision
