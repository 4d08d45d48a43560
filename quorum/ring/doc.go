// Package ring decides which nodes hold which keys, and carries a cluster from one such
// decision to the next without losing a write.
//
// A [Ring] is a decision: the positions of keys are divided into partitions, each of which is held
// by some members. A [Keeper] is the ring of one node, which follows the changes. It is the Ring of a
// quorum.Coordinator.
//
// # Smallest use
//
//	r, err := ring.New(ring.Config{Members: []ring.Member{{ID: "a"}, {ID: "b"}, {ID: "c"}}})
//	k := &ring.Keeper{
//		Self: "a", Hasher: hasher, Caller: network,       // the hasher is that of the store
//		Save:     func(b []byte) error { ... },           // for Restore, after a crash
//		Transfer: func(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
//			_, err := loop.ExchangeRanges(ctx, peer, ranges)  // of an *antientropy.Loop
//			return err
//		},
//		HandOver: ...,                                    // the same with loop.HandOver
//		Store: store,                                     // a *store.Store
//	}
//	err = k.Adopt(r)                                          // each node that r names, once
//	mux.Handle("ring/", k.Handler())
//	go k.Run(ctx)
//
//	next, err := k.Ring().Change(members, 0)                  // later, in one place
//	err = k.Adopt(next)                                       // the others hear of it, those that join as well
//
// # What a ring guarantees
//
// Each partition has as many owners as there are replicas, or all members if there are fewer. They
// are spread over the zones as evenly as the sizes of these allow: no zone has two more than another that has a
// member left. Within that, a member's share is in proportion to its weight, rounded
// up or down: with 100 members in 3 zones and 1,024 partitions the most that a
// member has is 1.04 times the mean, because zones of 33 have as much as those of 34; with 16 members in one zone, exactly
// the mean. For a member that comes, what it is to have moves and nothing else, unless the shares of
// zones change by it: of 256 partitions with one owner, a 17th member
// gets 5.86 %, which is the least. (Consistent hashing with bounded loads, as of
// buraksezer/consistent, has a maximum of 1.32 times the mean there, and moves 9.4 %.)
//
// Owners are in an order that differs from partition to partition, so that each member is the
// first with a chance in proportion to its weight. Those who stand in are preferably in zones
// that have fewer owners. There is no more randomness than the names of members, so
// all nodes compute the same, on all platforms.
//
// # How a ring changes
//
// The operator decides on a change, in one place: two changes of one ring are in conflict.
// That is reported, by [*ConflictError], when nodes with the one and with the other meet, and not resolved, as who is a
// member is not for nodes to decide. By then it may have cost something: each of the two changes is carried
// out by those who have it, both with the same versions of partitions, so that what is acknowledged by one
// of the two rings may not be read by who has the other. Nothing that is said below holds between them.
//
// A change makes a joint ring, in which the partitions that change have both their
// owners and their next ones, and calls need their level among both (joint consensus:
// Ongaro, Ousterhout: In Search of an Understandable Consensus Algorithm, 2014, §6). When the
// next ones have what they need the ring is settled; until then it can be aborted. Both follow
// from the joint ring, so it does not matter who notices first, nor how often.
//
// Nothing that a majority has acknowledged is lost, because:
//
//   - A node that has adopted a ring refuses requests that were made by an older
//     version of their partition, and it saves the ring before it adopts it. So no majority of
//     owners acknowledges by the old ring once a majority of them has adopted the joint one.
//   - Each next owner, whether it was one or not, reconciles the partition with a majority of the
//     owners (itself included, if it is one) of which each had adopted the joint ring before the
//     reconciliation began. It shares a member with every majority that has acknowledged something by the old
//     ring; there that happened before the joint ring was adopted, and so before the reconciliation. Then, and having
//     saved that, it says that it is done.
//   - What is acknowledged by the joint ring is with a majority of the next owners, by itself.
//   - The ring is settled by who has heard from each next owner of each changing partition
//     itself that it is done. So by then everything acknowledged before is with all next
//     owners or with a majority of them. Who reads by the settled ring asks a majority of
//     them; by the joint ring, majorities of both; by the old ring, a majority of those that have not
//     adopted the joint one, of which there is none any more.
//   - Who has something of a partition and does not hold it, or not any more, reconciles it with a
//     majority of the owners, who have adopted the same ring, and only then discards what it had when that
//     began. That is for what was written at a level below a majority, or comes late: by a hint, or by
//     a request that was refused only after it was merged.
//   - A change is aborted by a next owner that is not done, and saves that it is aborted: so not
//     all are done, and nobody settles it.
//
// The first point needs care by who serves requests: a request that was let in before
// the ring was adopted, and merged after the reconciliation had begun, must not be acknowledged. So the
// version is compared after the merge, or once more.
//
// A node that joins adopts nothing by hand: without a ring, it could not tell whether a change that
// it is given the end of is over. It runs, and serves its Handler, before the change by which it comes is
// decided. The members then ask it, which tells it that there is a ring, and it asks them; or it calls
// Refresh with the name of any of them, at any time. What a peer has adopted it can adopt, too.
//
// Two things keep a change from its end:
//
//   - A next owner is away. At all others Stats.Waits names it. Have it back; or abort the change at a
//     next owner that is not done. When all but the one that is away are done, only that one can, as nobody else knows
//     whether it has said that it is done. If it is gone for good, and each other node says that the
//     change goes on and waits for it, start a Keeper under its name that serves nothing but
//     its Handler, and does not Run: it calls Refresh, and adopts the abort, and stays until the others have that. Then change the
//     ring to one without it.
//   - A partition has a key that cannot be transferred, usually because it is larger than a message
//     of the antientropy.Loop may be. All others are reconciled: what was transferred with it in vain is
//     tried again in halves, of 32 partitions, 16, and so on, until that one is by itself. Then TransferEvent
//     names it, at each attempt, and Stats.Gets is how many are left; at other nodes Stats.Waits names the
//     one that has not got it. Let the Loop's MaxMessage be larger, at all nodes, and the change goes
//     on by itself; or abort it at the node that cannot get the partition, which is not done. The
//     same holds back what is to be handed over, counted by Stats.Gives, but only that: nothing of it is
//     discarded before.
//
// Owners of before may be away as long as a majority of each changing partition's is there. Nodes that were away
// adopt the newest ring when they come back, and hand over what they do not hold any more.
// A node that has lost what it saved must not come back under its name, except to abort as above.
//
// # Concurrency
//
// A [Ring] is immutable. A [Keeper] is safe for concurrent use; it starts goroutines in Run alone, which end with
// it. A [Transition] is a plain value for one goroutine.
//
// # Errors
//
// [*ConfigError]: members or numbers that make no ring. [ErrChanging] and [ErrSettled]: there is a
// change under way, or none. [*ConflictError]: two rings of one epoch. [ErrOld], [ErrSkips],
// [ErrEarly] and [ErrTooLate]: rings that a Keeper does not adopt. [*CorruptError] and
// [ErrVersion]: bytes.
//
// # Costs
//
// To place a key takes a hash of it and some 10 ns, and allocates nothing. A ring of 100 members and
// 1,024 partitions takes 7 ms to make or to change and 9 kB to send; of 1,000 and 16,384, 0.6 s and 0.2 MB,
// which must fit into a message of the transport. It is sent to each node once a ring; otherwise a node asks a few others at each
// interval, at 50 bytes a call.
//
// # Wire compatibility
//
// Rings, saved states and messages are canonical msgpack with a version each, all 1, pinned by vectors in
// tests. How partitions are assigned may improve: a ring says who has what, and is not computed
// again by who receives it. The order of owners and who stands in is computed, and pinned too.
//
// # Testing
//
// Random changes of random members are checked against quotas, zones and versions. A model with the
// steps of [Transition] visits small changes state by state, and walks at random through several, with
// crashes, aborts, and writers and readers that know any ring there ever was. Keepers run in
// testing/synctest, on a transport/mem network; so do clusters of real parts, with stores, hints and anti-entropy,
// which grow and lose members under writes. Package internal/simulation/placed has whole clusters on one event heap.
package ring
