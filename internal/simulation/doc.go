// Package simulation runs whole clusters of replicas as step machines on one heap
// of events, and checks everything that the library promises while it does.
//
// One seed is one run is one trace hash. A run has no goroutine, no wall clock, no
// I/O and no order of a map in it, so it can be replayed, in another process and
// years later, until the code that it runs has changed:
//
//	go test ./internal/simulation                                   # 500 seeds
//	go test ./internal/simulation -run '^TestSeeds$' -seeds 10000       # more, and -from N
//	go test ./internal/simulation -run '^TestSeeds$' -seed 42 -v        # one, with its trace
//
// # What is real, and what is simulated
//
// Real is everything that decides: a crdt/store.Store for each replica; the
// protocol cores antientropy.Outbox, Broadcast, Round, Collection and Responder; quorum.ReadOp, WriteOp
// and the Coordinator's handler; transport.Mux; the wire forms. Their drivers,
// which own goroutines and timers in production, are replaced by the simulator: it
// carries requests and answers as messages, and fires the timers.
//
// A seed decides on three to seven nodes, one to forty keys, timeouts and bounds on
// messages, what clients do (updates of every type of package crdt, deletions and
// resets, each followed by a quorum write at some level or by none; reads at some
// level; multi-value writes with contexts that are stale or from elsewhere; spending
// that must be refused; removals in nested maps that race), and what breaks: messages
// are lost, doubled (the handler then runs twice, and a quorum is told twice), delayed
// and reordered; networks split, also one way; nodes pause, crash and come back; clocks
// are off by more than what replicas accept, and jump. After every handler its request is
// overwritten, so nobody can keep it.
//
// Deltas wait for peers for ever, or until they are too old, or go along trees, as the
// seed has it. Some runs begin with some hundred keys, so that indexes have sketches and
// a store that is emptied is filled by a stream.
//
// # Epochs
//
// In every other run what was deleted is collected. Epochs of members follow one another,
// each node hears of one at a moment of its own, and the least member has all agree on
// records while messages are lost and nodes crash. The owners are members of all epochs,
// and quorums are of them alone: who has forgotten a deletion cannot answer a read
// together with one that has not heard of it, and members have before anyone forgets.
// The others are guests, and members now and then. They are cut off for long and write
// meanwhile; some have a store that keeps the last record alone, so that they are
// readmitted and what they held is set aside; some leave for good. Requests arrive once
// more, seconds later. Stores that have met nobody send nothing that they hold.
//
// Where identities are retired too, clients use keys of their own, see heirs.go: those
// runs are checked by what is there at rest.
//
// A node that loses its disk comes back empty, under a new identity, at a moment when every
// other node holds all that it had: so nothing is lost by it, and what is promised
// without such a loss is promised still.
//
// # Disks
//
// In three runs of five stores are in memory, and whole after a crash. In the others most of
// them are on a disk of package internal/disk, by store.Open: synced at each call, or never;
// with room for all values, for some, or for none; some of the disks cannot tell where
// they are. A crash keeps the first so many of the writes that were not synced. A write
// fails, or the wait for one, or the disk is gone: in the middle of a call, of which nobody
// learns then what has become of it, or while a store is opened; records that are prepared and
// settled, and stores that are emptied, are where that strikes most. The node is down then,
// and comes back with what there is. Stores are closed, too, and are who they were
// when they are opened.
//
// Copies of disks are made, while stores are open or closed. They are put back later, they
// replace the disk of another node, and values are damaged so that they cannot be
// read. A copy that was closed, and is put back where it was, looks as if nothing had happened:
// that is promised to be found out when the store meets one of its own events, so
// clients do not write there before that, unless it knows all that it had written; and only
// where nothing is collected.
//
// What such a disk holds the model knows by the numbers of writes, see durable.go. So what is
// there after a crash is compared with what must be, key by key, and the index with one made anew.
// A store that is synced at each call loses nothing that a call had returned for. What any
// other loses may come back from elsewhere; if no node that is there, up or down, has it, then
// it may be gone, and nothing else may. A read must meet a write if enough owners have it when it
// begins, and keep it.
//
// # The model
//
// The simulator knows by itself what every state must be. Each effect of an
// operation on a key (an increment, an element, a value, and a removal where that is
// an event) is a mark, by a number. The shadow of a state is two plain sets: the marks
// that it has seen, and those of them that were removed or overwritten. An operation's
// effect is computed from the shadow of the replica at which it happens; a merge is the
// union of both sets. What a state must show follows from the marks that are left, and
// is written down for each type in view.go, bounded.go and change_flags.go. So the model
// is the specification over event histories, with no dot, context or encoding in it.
//
// Three things are more than plain union, each because a type promises less memory, or
// tells more at once, than a history does:
//
//   - A type that goes by time forgets what is earlier, also that it has seen it: a late
//     write of the past changes nothing and is not new. So of the marks of one place (a
//     register, an element, a key) a shadow holds only the latest. Extremes and two-phase
//     sets are alike, by the order of values, and of addition and removal.
//   - Where it makes no difference who said something, or how often, it is one mark: the
//     value of an extreme, an element of a set that only grows, the addition or the end
//     of one in a two-phase set.
//   - A counter's delta says how much its writer has counted in all, and the row of a
//     bounded counter all that its writer did; so such a mark brings the earlier ones of
//     its writer. What others had transferred to that writer is in their rows, which may
//     be missing, yet its row proves it: a deed on a bounded counter names the transfers
//     that it knew of, and rights are reckoned with those too.
//
// A removal that wins needs none of this: it is a mark that speaks against its element,
// and what is left says whether the element is in.
//
// Shadows travel with the states, although messages are opaque: every state was
// once the delta of an update, the load of a key, the novelty of a merge or a join,
// which the simulator sees all; it keeps the shadow beside the bytes and finds it
// by them where they are merged. Since the encoding is canonical, bytes have one
// meaning, and a meaning has one encoding: both are checked, of all types. They hold of
// bounded counters too, since their rows are numbered: rights that go to and fro do not
// come back to the state that they left.
//
// # Parts
//
// Keys are large here from four parts on, so that rounds repair them by what a replica
// lacks, and by whole states where they are smaller. What a replica is told that it lacks is
// compared with the whole state: by both, the state that it had when it said what it has seen
// must come to the same. What the bytes mean by themselves the model does not know. Where they
// arrive at one who has what was seen they mean the state that they are of; anybody else, who
// lost that meanwhile, does not take them.
//
// # The model of collection
//
// A generation is the record that led to it. To settle one is to merge its residue into
// the shadow of the key, and to make that empty if it is all there is; a state of an
// earlier generation is settled likewise where it arrives. So shadows are what stores
// hold, byte by byte. What a replica knows is that and all that its generation has
// forgotten, and it is by this that acknowledgements, reads and rounds are judged.
//
// # Invariants
//
// At all times:
//   - every state, delta and novelty shows what the model says, and what a merge
//     calls new is what was new;
//   - no dot and no timestamp is issued twice;
//   - a store goes on under its name if it was closed and its disk is the one that it was, and
//     otherwise takes another one, once; and never for any other reason than that;
//   - what a call has written is durable when it returns, where it says so; a store that was
//     opened holds of each key what was written first, all up to some write, and is of the
//     generation that belongs to it;
//   - the bound of a bounded counter is never passed, whoever spends what: all that was
//     taken away anywhere was added before; a replica is refused what the model says it
//     lacks the rights for, and nothing else; in every state, all rights together are
//     the value;
//   - a write is acknowledged, and a read answered, only when as many replicas as
//     the level asks for hold it; a peer holds what it acknowledged; a round that
//     says that it is complete has brought both sides what the other had when it
//     began;
//   - a read meets each acknowledged write if the two levels together are more than
//     the nodes, and each earlier read likewise;
//   - a record forgets only what shows nothing, all owners settle the same records, and
//     what was removed and forgotten does not show again (in a counter: at rest);
//   - a delta is not sent to the node that it came from;
//   - no error occurs that no fault explains.
//
// After the faults have stopped, within a bounded time:
//   - nothing waits, no operation is undecided, all replicas are equal byte by byte,
//     of one generation, rounds find no difference, and no deleted key is left that
//     could be forgotten, nor a name that was retired;
//   - what they hold is what all operations come to in the model, every acknowledged
//     write and nothing else, except what was set aside or lost with all disks that had it; of a bounded counter, all rights together are what was
//     added less what was taken away.
//
// An update that was not acknowledged has happened nevertheless, at the replica that
// took it, and so is in the final state as well; if the disk failed in it, that shows when it
// is opened. Not promised, and not checked: that
// no effect is seen before its cause, across keys.
//
// # When a seed fails
//
// The [Violation] names the seed, the invariant and the keys, and ends with the
// command that replays it. The trace shows every delivery, fault, operation and
// round with its virtual time. A change to the simulator or to the code under it
// changes what a seed does, so keep what a seed taught as a test beside that code.
//
// # Planted bugs
//
// Package internal/planted names bugs that can be built in on purpose, by the build
// tag "planted". TestPlanted demands that each is found within a bounded number of
// seeds: it tests the simulator.
//
//	go test -tags planted ./internal/simulation -run TestPlanted -v
//
// What clients do is counted by name, and so is what comes of it: a write that arrives
// after a later one, a removal that arrives before what it removes, a state that tells of
// a transfer which it lacks. TestSeedsReachEveryTypeAndOperation demands so many of each.
//
// # How to extend it
//
// A type: a component and its line in kinds.go, which names a changer (what clients do,
// and the effect of that on the model), what a reset takes away, what a state must show
// by its marks, and how that is read from a state; its names in coverage_test.go, and
// its model in model_test.go. A fault: a function in faults.go and its name in the
// repertoire, or for a disk one in mishaps.go. A protocol: its driver beside replication.go, with timers by run.after and
// messages by run.call. An invariant: a name in violation.go, and run.fail where it
// shows. Randomness comes from one of the streams of the run, and nothing may depend on
// the order of a map.
//
// Not in the workload is ORMap.Fold: nothing in the protocols calls it.
//
// # Concurrency
//
// A run is one goroutine and shares nothing with other runs; any number may go on at
// once.
package simulation
