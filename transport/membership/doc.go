// Package membership finds the nodes of a cluster by gossip, notices which of them are gone, and has a ring follow
// that by decision. It is a module of its own, as it needs hashicorp/memberlist.
//
// # Smallest use
//
//	members := &membership.Members{
//		Self: "a", Cluster: "example", Zone: "north", Addr: ":7001",  // of the transport
//		Listen: "10.0.0.1:7946", Keys: [][]byte{key},                 // of the gossip
//	}
//	tr := &tcp.Transport{Self: "a", Cluster: "example", TLS: certificates, Resolve: members.Resolve}
//	loop := &antientropy.Loop{Store: s, Peers: members.Peers, Caller: tr}
//	go members.Run(ctx)
//	err := members.Join(ctx, "10.0.0.2:7946", "seeds.example:7946")
//
//	planner := &membership.Planner{Self: "a", Members: members.All, Keeper: keeper}   // who has a ring
//	go planner.Run(ctx)
//
// # What members know
//
// Members probe one another, ask others to probe for them, and tell each other what they know (SWIM: Das, Gupta,
// Motivala, 2002; with the refinements of Lifeguard: Dadgar, Phillips, Currey, 2018). Who does not answer is
// suspected first, which it may refute, and is dead to all after that. All of them agree in the end, and not at each
// moment: two nodes may see a third one differently for some seconds, and on two sides of a partition for as long as
// that lasts. So what a node knows of members is a hint, and nothing that must not be wrong may rest on it.
//
// Run goes on looking for seeds that are no members, and for members that are dead: so two sides of a partition meet
// again, however long it was, and nodes that all began at once find each other.
//
// A node that comes back at another address is found there by all once its old self is dead to them; at once, if it
// had left. Until then it is in conflict with itself, as is another process that has taken its name: nobody to whom
// the first one is alive adopts that, and Events.OnConflict tells of it, at other members and mostly at the second
// process too. What a transport does is not based on this: by mutual TLS a peer is who its certificate says.
//
// Members of clusters with other names never mix: the name is a label on each packet and connection, which is
// authenticated where there are keys, and a part of what each member says of itself, which is checked again.
//
// # How a ring follows
//
// A [Policy] says when: members join that have been alive for a while, leave some time after they have said so, and
// are replaced, if at all, when they have been dead for long. So flapping changes nothing: each change of what a
// member is begins its time anew, and so does a new process under its name, which is noticed also if it began before
// the old one was missed. There is one change at a time, never with fewer members or zones left than there have to
// be, and none that could not be carried out: one that would give something to a member that is away, or that has no
// majority of the owners of a partition here.
//
// One node decides: of the ring's members that are alive and not leaving the first by ID, if it sees a majority of
// all of them here. So of two sides of a partition at most one has somebody who decides. It has been alive for
// Policy.TakeOverAfter, and all that come before it have not been for as long; it asks all members for their rings,
// adopts the newest, needs the answers of a majority, and looks at everything once more before it adopts the change.
//
// Without Planner.Agree that leaves a rest: who decides tells the others only by having adopted. If it stops right
// then (it crashes, or is frozen, or cut off from all) before any of them has asked, which they do about once an
// Interval of the [ring.Keeper], and is away for longer than TakeOverAfter, the next one decides by itself; the same
// if it is frozen for so long just before it adopts. When the first is back there are two rings of one epoch, which
// meet and say so, by [*ring.ConflictError], and what is acknowledged by the one may not be read by who has the
// other. Only the one that was away has its ring: stop it as soon as that is told, and let it come back under another
// name, without what it had.
//
// With Agree, made of a caspaxos.Registers, there is no rest: what was proposed first for an epoch is the ring of
// that epoch, whoever comes next. Use it where a ring changes without an operator.
//
// Changes by hand go through [Planner.Change], at the node that decides, so that they are not in conflict with
// those of the policy. A change that is under way and waits for a member that died meanwhile is aborted as package ring
// says; no policy does that.
//
// # To leave, and to be started again
//
// A process that is to come back just ends. A node that goes for good calls [Members.Leave], and waits until the ring
// names it no more and its Keeper has nothing left to give; then it ends. The others take it for gone at once.
//
// # Limits
//
//   - What a member says of itself has 512 bytes at most: the names of cluster and zone, its address, and 29 more.
//     Run returns a [*transport.TooLargeError] otherwise.
//   - A node knows [MaxMembers], itself included; those that are gone are forgotten when there is no place left, the
//     longest gone first.
//   - Of what comes in without a key nothing is believed, or shown to memberlist. Packets have up to 4 KiB, and 2,048 of
//     them wait. Connections that come in are 128 at most: if there are more, the oldest one has to go of the address,
//     or network of IPv6, that has most of them; so many from few addresses do not keep others out. They end within
//     Pace.Timeout, and bring one message of up to 5 MiB; if they have brought more than 64 MiB together, the one with
//     the most has to go, likewise. Memory is taken as bytes come in, two or three for each. Garbage costs its
//     decryption, at each key. Stats counts all of it.
//   - A node makes 64 probes for others within ProbeTimeout at most, and for those at one address, or in one network of
//     IPv6, no more than there is room left for the rest: 32 where nobody else asks. A member asks for one at a time.
//     Further packets that ask are dropped: Stats.ProbesDenied.
//   - What is decrypted is looked at before memberlist sees it: that everything is there which it claims to have, so
//     that it costs a few times of what it weighs; and messages that no member sends are dropped, among them all that
//     are compressed, or nested, and packets that ask for more than one probe.
//   - Packets and connections may be recorded and replayed by who has no key: see below.
//   - Who has a key is trusted: it may join, under any name that is not alive, say that others are gone, and by numbers
//     without sense keep them from being believed again until they are started anew under another name; fill the places
//     of [MaxMembers]; and have members send packets to addresses that are none of a member. It should not be able to
//     end a process, or to have it take up memory without bound. So is everybody who can reach the ports, if Plain is
//     set.
//   - Each member sends a probe every Probe, news to three others every Gossip while there is some, and all it knows
//     to one other every Sync, some 150 bytes a member.
//
// # Replays
//
// What a member says of itself has a version, which rises with each process and each change: a time, or one more than
// was ever heard of that name. Nobody takes back what he knows for something with a lower version, nor for the same one
// from elsewhere or when the member has been gone for longer than a Sync; Stats.Stale counts that. A member that was
// taken for gone wrongly is told by the next exchange with one that does so, says something newer, and is back; a
// process with a clock behind that of its predecessor likewise. A process that is started again or moved is newer, and
// is taken at once. So replays bring nobody back, and move nobody; each version of another process under a name is
// told as a conflict once.
//
// That a member is suspected or dead has an incarnation, which begins with the time in seconds: what was said of an
// earlier process has no effect on the one of now, and what was said of that, and refuted, none either.
//
// An answer to a probe has its number. Each process calls its probes by numbers that it has drawn, and by none twice
// before 2^32 of them: so what answered a probe answers no later one, and none of another process, be it of another node
// or of this one started again, but by a chance of one in 2^32 for each answer replayed while a probe waits.
//
// What replays still can do: a node that never knew the member, was started again since, or has forgotten it for want
// of places (of [MaxMembers], the longest gone first) takes it in, finds it dead after some probes, and remembers that.
// Each message by which the member refuted a suspicion puts that off once more: who has recorded many may do so for
// longer than Policy.JoinAfter. Where a clock is set back by more than a process has lived, an old suspicion or death of
// its predecessor counts until it is refuted, which takes it beyond. A request to probe another member has a member
// send some packets, and so many of them keep others from being heard: then those whose own packets are lost are
// suspected sooner. [Members.Join] takes for a seed what replays or reflects an exchange at its address. Who also keeps
// packets from arriving can do what that does.
//
// # Concurrency
//
// [Members] and [Planner] are safe for concurrent use. All goroutines belong to Run; those of memberlist itself end
// up to a few Probes after it. A [Policy] is a value, and its Plan a pure function.
//
// # Errors
//
// [*transport.TooLargeError], [*SeedError], [ErrRunning], [ErrNotDeciding] and [ErrOvertaken] are returned;
// [*ConflictError] and [*RefusedError] are told by [Events]. Resolve and seeds fail with [transport.ErrUnreachable].
// Errors of contexts pass untouched.
//
// # Wire compatibility
//
// Messages and packets are those of memberlist, protocol 2, with a label, not compressed, encrypted by AES-GCM in
// version 1 of what memberlist has for that, and not in version 0. The one message that a connection brings each way has
// its length before it, also in Plain. Metadata is version 1, pinned by a test: 1 byte version, 1 byte flags, 8 bytes
// that differ from process to process, 8 bytes how new it is, 8 bytes weight, and three names after their lengths. What
// follows is for later versions, and skipped; a member with another version is refused, and told of. Exchanges of all
// that is known end with claims, version 1: for each member that is gone or in doubt 8 bytes how new it has to be what
// it says, and its name after its length.
//
// memberlist counts by go-metrics, into the sink that a program sets there, which is none by default.
//
// # Testing
//
// Members gossip over loopback, are killed, cut off, moved and doubled. All that went to one is recorded and replayed,
// and answers of one process to another.
// What comes in is fuzzed, under a key and without, and the look at it compared with the decoder that memberlist has.
// Policies are tested by tables, and by worlds of nodes that crash, freeze, leave and are cut off, from seeds. Whole
// nodes over TCP have a ring follow them.
package membership
