// Package store keeps many replicated values by key, in memory or on disk.
//
// A [Store] maps keys to values of the types of package crdt. Its own program
// changes and reads them typed, by [Update] and [View]; the packages that
// replicate see keys and encoded states alone, by [Store.Load] and [Store.Merge].
// Each change moves an index of fingerprints ([Store.Index]), by which two stores
// find out what they hold differently, and reaches whoever follows the store
// ([Store.Watch], [Store.Updates]).
//
//	s := store.New(store.Config{})
//	delta, err := store.Update(s, "visits", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
//		return c.Add(by.Replica, 1)
//	})
//	state, err := delta.Bytes()
//	// ... elsewhere: other.Merge(ctx, "visits", state)
//
// # Guarantees
//
// Stores that have merged the same updates hold equal states, equal bytes and,
// under one [Config.Secret], equal indexes: whatever the order, also when updates
// arrived twice or late. Nothing that a store holds is lost by a merge, and a
// merge that is refused changes nothing.
//
// Values of different types under one key live side by side, one of each type, and
// never conflict. [Store.Delete] takes away what it saw, of all of them; a write
// that it did not see survives it. What is deleted leaves its causal history
// behind, so that no older state can bring it back, and the key may be made again
// at once.
//
// Several keys are changed in one step by a [Batch]. A key may have a deadline ([Store.Expire]).
//
// # Durability
//
// A store in memory forgets everything with its process, the events that it
// numbered included, so its replica identity must end with it too: see
// [Config.Replica]. One on disk ([Open]) keeps all of it, and its identity as long as it can be sure of it; package
// crdt/store/pebblestore is a disk. A write to the disk is what it adds, whatever the
// key holds; of a key that is not in memory the value is read before. [Config.Sync] says
// what a crash may take away.
//
// What another store lacks of a large value can be loaded in place of the whole, by what
// that one has seen of it: [Store.Seen], [Store.LoadSince].
//
// # Collection
//
// What a deletion leaves behind goes once all replicas have it, and have agreed: see
// [Store.Propose], which package antientropy calls where it is told who the replicas are.
// They agree on records, one on top of the other, each a list of keys with what is to be
// forgotten of them. How far a store has come is its [Store.Generation], and every state
// that leaves it says so. So no state that is late, by a delayed message or by a replica
// that comes back, brings back what was forgotten: Merge knows what was agreed on since,
// as far as records are kept, and refuses what is older (*[StaleError]). A replica that
// was away for so long is emptied before it takes part again ([Store.Adopt]).
//
// A key that is made again after it was forgotten has its events numbered under a new
// identity, and never again under one by which events were forgotten.
//
// # Parts of the keys
//
// A store that is to hold some keys no more, since others hold them, forgets them by
// [Store.Discard]: without a residue, and without a word to anybody. It takes the index as it
// was before they were handed over, and what has changed since stays: so no write is lost that
// came in between.
//
// # Limits
//
// What is left of elements removed from a [crdt.LWWSet] or [crdt.LWWMap], or of fields
// removed from a map, goes with the whole key only. [Store.Index]
// hashes each small state that has changed, whole, and of a large collection what has
// changed in it.
//
// What [Store.LoadSince] returns has the runs of all events that were ever taken back, and
// the whole of types without events, unless the other store has the very same of them all.
//
// # Concurrency
//
// All methods and functions may be called concurrently. A key has a lock; whoever
// updates, views, loads, merges or deletes it waits for the others at the same
// key, and for nobody else. The functions given to Update and View run under that
// lock: they must be short, must not call the store, and must not keep the value.
// The bodies of ranges run under no lock. A [Batch] holds the locks of all its keys. The package starts no goroutine,
// but for [Open] where the index has to be made again.
//
// # Errors
//
// A refused input is told apart by type: *crdt.CorruptError and crdt.ErrVersion for
// bytes, *crdt.UnknownKindError for a type that is not among [Config.Kinds],
// crdt.ErrGrowOnly for what cannot be deleted, *vclock.DriftError for a timestamp
// too far ahead, *[StaleError] for what must not come back. A value of a type that refuses to encode it is an
// *[EncodeError]. A store that was closed says [ErrClosed], and one whose disk has failed *[FailedError]. A context that has ended is returned as its own error.
//
// # Wire compatibility
//
// States and deltas are encoded values of package crdt, with nothing added, and
// keep its promises, until the first record. From then on they are arrays
//
//	[number, id, value]
//
// of the two numbers of their generation and the encoded value as bytes ([Store.Decode]
// reads both). A record is
//
//	[1, number, after, id, [key, value, ...], heir, [departed, ...], [key, value, ...]]
//
// with the number and id of the generation that it leads to, the id of the one before,
// and keys in ascending order with the encoded value to be forgotten of each; then the
// replica that inherits and those that departed, each in 16 bytes, and what they left by
// key. The index is hashed as package merkle says, over the fingerprints of
// [crdt.Value.Fingerprint], whose bytes crdt/WIRE.md has.
//
// The delta of a [Batch] is
//
//	[1, number, id, [key, ...], [value, ...]]
//
// with the generation, the keys in ascending order, and the encoded value of each as bytes.
//
// What [Store.Seen] returns is
//
//	[1, number, id, hash, contexts]
//
// with the generation, the hash of what no events tell of, and the wire form of
// [crdt.Contexts] as bytes.
//
// # Testing
//
// With Replica and Now set a store is deterministic: equal calls give equal states,
// bytes and orders.
package store
