// Package placed simulates clusters in which a ring says who holds which keys, and checks what quorums, hints,
// anti-entropy and changes of the ring promise together.
//
// Package simulation has every node hold every key. Here four to nine nodes, in one to three zones, hold a few
// keys in 1 to 16 partitions, of which each has 1 to 5 owners; and who they are changes all the time. A run is one
// goroutine with its own heap of events and randomness from its seed, so that a seed is one run: no clock, no map
// order, no I/O.
//
//	go test ./internal/simulation/placed -run '^TestSeeds$' -from 0 -seeds 10000
//	go test ./internal/simulation/placed -run '^TestSeeds$' -seed 7 -v      # one, with its trace
//	go test -tags planted ./internal/simulation/placed -run TestPlanted -v  # seeds until each planted bug is found
//
// # What is real
//
// quorum.ReadOp and WriteOp, by each node's own view of the ring; quorum.Coordinator's Handler, which refuses
// by versions; ring.Ring and ring.Transition with its tasks; antientropy.Round in ranges, and Responder; handoff.Buffer and
// Intake; session.Session with its tokens; caspaxos.Op, and the Handler of its Registers; stores of crdt/store in memory,
// with sets, maxima and acceptors, their Index and Discard. A node that crashes goes on from its store, its log of hints
// and what its transition has saved.
//
// What drives them is the simulator's own: Coordinator, Keeper, Handoff, Loop and the calls of Registers, as goroutines,
// have tests of their own. A Session waits for what it asks of a quorum; so its calls are coroutines (iter.Pull), which stand
// still from each question to its answer (conversation.go). They run one at a time, and when the simulator says so.
//
// # What happens
//
// Clients read and write by any node, at all levels, with all options; with hedges, wrong guesses of who is away,
// time-outs, and one more attempt where a newer ring is known. The operator has members join, leave and replace one another,
// changes weights and the number of replicas, and aborts. Messages are lost, doubled, late and out of order; nodes and zones
// are cut off, in one direction too; nodes crash, freeze, and take their time between letting a request in and carrying
// it out. In some seeds one node loses its keys and hints with each crash, or one disk is lost: then what is promised of
// writes is less by that node. What it knows of the ring a node never loses, as package ring asks for.
//
// Clients with sessions go from node to node, and take along their tokens as bytes; when their node crashes, or an answer does
// not reach them, the last one that they were given. They join those of others, write and read at One, Two, Majority and
// Any, with all guarantees or one of them, and give up keys of which no holder is an owner any more. Users read, compare, create,
// change and delete registers, by any node; acceptors crash right after they have answered. Others raise maxima as package
// quorum has it for keys that are to be linearizable. All that is only in seeds in which nobody forgets under its name: a node that
// has lost its disk comes back as another one, and the operator puts that in its place (departure.go).
//
// # What is checked
//
//   - A write is acknowledged, and a read answered, only if as many have merged it as was asked for, by levels worked out
//     once more (rule.go), and levels are refused where they cannot be asked.
//   - A read contains what was acknowledged before it began, and what earlier reads returned that waited for their repairs,
//     wherever some node must be among both: however few held it, and whoever answers. That is worked out by
//     trying all sets of nodes, and followed over changes of the ring by what package ring promises (obligation.go).
//     Of a maximum whose writers have read first that is linearizability.
//   - What a session reads contains what it had written and read, and what the sessions had whose tokens it goes on by. Once
//     somebody has read what a session wrote, whoever reads a majority sees what that had written and read before. That is
//     judged by what was written and read; the checker knows nothing of tokens (order.go).
//   - Registers, and maxima that are raised, are linearizable: by a search for an order of all calls on a key
//     (linearizable.go). What became of a call is as its error says: unknown, or not made. A version is one value.
//   - Results say who answered and who stood in. Nothing is "not found" if somebody had answered with something, nor by all
//     where somebody kept silent. Nothing is read that nobody wrote.
//   - A hint that was kept is held until it was delivered or told to be dropped, within the limits, and what a log has
//     is what its buffer holds.
//   - A reconciliation that is complete leaves no difference. What a node drops is with those who hold it from then on.
//   - There is one ring of each epoch.
//   - After the faults have ended all comes to rest: one settled ring, no hints, each key at its owners alone, equal, with
//     all that was acknowledged and of which a copy was left. Then sessions, registers and maxima are read once more.
//
// # What is not simulated
//
// Removals, forgetting and generations (package simulation does), deltas pushed by a Loop, batches of several tasks in a
// message, damaged bytes and rings, two operators, a node that lost what it knew of the ring, Handoff.Forget and Reclaim,
// a node that is lost for good while the ring changes, session.Bound.
package placed
