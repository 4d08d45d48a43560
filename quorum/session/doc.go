// Package session promises clients that their reads and writes come after one another, whoever
// coordinates them and at whatever level ([Session]); that reads are no older than some time ([Bound]); and that
// no owner is further behind than so many versions ([VersionBound]).
//
// The guarantees are those of Terry et al.: Session Guarantees for Weakly Consistent Replicated
// Data, 1994. There, versions say what a session has seen. Here states are opaque, so a [Token] says who
// holds it: of each key it names owners of which each holds all that the session has read or written. A
// later read is good if one of these has answered, or a majority has, where majorities hold
// it. So it is a condition among those of package quorum (quorum.ReadOptions.After), and replicas
// need not know of sessions.
//
// # Smallest use
//
//	s := &session.Session{Quorum: coordinator}
//	s.Resume(token)                                 // of the request, if there is one
//	_, err := s.Write(ctx, "cart", delta, quorum.WriteOptions{})
//	res, err := s.Read(ctx, "cart", quorum.ReadOptions{Level: quorum.One})
//	bytes, err := s.Token().AppendBinary(nil)       // for the response: the next request begins with it
//
// # What is promised, and to whom
//
//	ReadYourWrites    to the session: its reads of a key contain what it had written to the key.
//	MonotonicReads    to the session: its reads of a key contain what it had read of the key.
//	MonotonicWrites   to who reads at a majority: when anybody has read a write of the session,
//	                  majorities contain all that the session had written before it, to any key.
//	WritesFollowReads to who reads at a majority: when anybody has read a write of the session,
//	                  majorities contain all that the session had read before it, of any key.
//
// Before, and after, are about calls that had ended when another began. A session has written what
// was acknowledged, and has read what was returned; what comes of a write that failed is not promised, but
// it too follows what came before it. A session that resumes tokens comes after what
// their sessions had seen when they were taken. Readers below a majority are promised nothing of the
// order in which others wrote: a replica may have got a later delta and lost an earlier one.
//
// The first two are kept by reads: an owner that has what was seen is asked. The others are kept by
// writes: what they follow is brought to a majority of its owners before they are sent. With reads and
// writes at a majority nothing has to be brought, and all of it is kept at no cost: one holder of
// a majority is in every majority.
//
// # What it costs
//
//	reads at One      one owner, one that has what was seen; available while one of those is, or
//	                  a majority is where majorities hold it
//	reads at Majority as without a session
//	writes            as without a session; after reads or writes below a majority, one read at a
//	                  majority for each key that these left with fewer, 16 at the same time. None for a key whose
//	                  owner answered with no more than the session has written or read at a majority itself: the
//	                  same bytes as were written, read or brought there last, in this process
//	a token           11 bytes for each key, and one for each holder that is known, and the names of
//	                  the holders; of keys that no majority holds, their names. 256 keys, and 4,096 bytes, at most by
//	                  default. Reads at One of more than that pay for it: by reads at a majority, 16 at the same time
//	Wait              nothing where the token says so, else one read; to be sure of n owners, one for each
//	                  that is not known yet; available while so many owners are
//	a Bound           nothing where anti-entropy is quick enough: one owner, itself; else a majority. Where the own replica
//	                  does not answer, a quarter of the time that there is before that
//	a VersionBound    a read at All for every Most writes of a key, and for the first after a start; writes
//	                  are refused after so many while any owner is away. Reads cost nothing
//
// ReadYourWrites and MonotonicReads bring nothing to majorities, but to make room in a token: with these two alone writes cost
// what they cost without a session.
//
// It fails closed, as long as nodes keep what they have; see Durability. If nobody can be asked who has what was seen, calls fail
// as quorums do, by a *quorum.UnavailableError or a *quorum.TimeoutError, and never with less. What one owner alone had acknowledged
// waits for this one: write at a majority, or to two, if a session is to go on without it. Who would rather
// go on than wait calls Session.Forget.
//
// A token that lists as many keys as Session.Max, or has as many bytes as Session.MaxBytes, leaves out the ones not used for
// longest that majorities hold; from then on keys that are not listed are read at a majority, used or not.
//
// # Durability
//
// A token believes that a node holds what it held. One that comes back under its name with less is asked all the same, and answers
// with less: the session reads less than it had seen, and nothing says so. That is also where majorities hold what was seen,
// since at One any of the holders that the token knows will do. So a node whose store is in memory must not come back under its name,
// and one that has lost its disk must not either: remove it from the ring, and let it come under another; who comes so
// has got what majorities hold before it is an owner. Where Config.Sync of a store lets calls return before
// what they wrote is on disk, the same holds for a node whose power was cut. Where writes are at All, reads at a majority make
// up for one of three that forgets; where writes are at a majority they do not, since the other one that answers may have missed
// the write. A [VersionBound] and a [Bound] count on nodes in the same way.
//
// # When the ring changes
//
// Placements have versions, and a token says by which its holders were owners. By another one, those who are
// owners still, or again, have what they had: who leaves hands over to a majority of the owners before it drops
// anything, and who comes has got from a majority all that majorities hold before it is an owner; see package
// quorum/ring. Those who are owners to come do not count, and neither do those who
// are none. What majorities held is with every majority of later placements. But where
// fewer hold something, and none of them is an owner any more, they may not have handed it over yet, and nobody
// can tell: reads of that key are refused, for this session, and so are its writes where they follow it. It
// may Forget the key. Reads at One know of one holder, whoever else has it: a session that is to go on whoever
// leaves reads at Two or at a majority now and then. A coordinator that knows of an older ring than
// the token is told who to learn of the newer one from.
//
// A [VersionBound] has majorities of the owners acknowledge, whatever the level. So what it counts no more is
// with whoever comes to be an owner, and its bound is that of all who are owners, or are yet to come. What fewer have is with nobody
// whom a read at All would find, once they own the key no more and have not handed it over yet. It is not the bound of a node that was
// cut off when it ceased to be an owner, and does not know it: that answers reads at One of coordinators that do not know it
// either. Nor is it of an owner that has lost its disk.
//
// A [Bound] holds of what majorities acknowledge, too, as soon as its node has heard of the owners; see [Age].
//
// # The five levels of Cosmos DB
//
//	Strong             writes at Majority, reads at Majority with RepairWriteBack: linearizable for
//	                   each key, where states are totally ordered. Costs a majority for each
//	                   call, and two rounds where owners differ. A minority of the owners may be away.
//	Bounded staleness  in time: writes at Majority, reads by a Bound. Costs nothing where anti-entropy is quick
//	                   enough, else a majority. Reads go on while the bound is met, alone if need be.
//	                   In versions: all writes by VersionBounds, reads at One. Costs a read at All for
//	                   every Most writes of a key. Reads go on while one owner is there; writes
//	                   while no owner is away, or for up to Most more of a key. Together: both, by the one for
//	                   writes and the other for reads.
//	Session            a Session; writes at Majority, reads at One. Costs one owner for a read; for a write
//	                   a majority, and another round before it if reads at One returned what others wrote since: of all
//	                   those keys, 16 at a time. Sessions that need not order their writes for others have
//	                   ReadYourWrites and MonotonicReads alone, and no such round.
//	                   Reads go on while a majority is there, or one owner that has what was seen.
//	Consistent prefix  of what a writer wrote, to all keys: writers with MonotonicWrites, or writes at Majority one
//	                   after the other; reads at Majority. Costs a majority for each call. Of one key,
//	                   with reads at One: who writes states and not deltas, each with all it wrote before;
//	                   or a VersionBound whose Most is 1, as each write is sent when all owners have
//	                   what was acknowledged before it: a read lacks the last one at most.
//	Eventual           reads and writes at One, and anti-entropy. One owner is enough.
//
// # Concurrency
//
// A [Session], a [Bound] and a [VersionBound] are safe for concurrent use once their fields are set. A [Token] is a plain
// value for one goroutine. Goroutines are started where several keys are brought to majorities, unless Session.AtOnce is 1; they
// end before the call returns.
//
// # Errors
//
// Those of the [Quorum] pass untouched, but where a [Bound] asks others after its own replica has failed. [ErrUntold]: a Quorum that is not a
// *quorum.Coordinator does not say who holds what. [*CorruptError] and [ErrVersion]: bytes that are no token. [*LimitError]: a
// token that asks for more than sessions ask for, or is larger than any that can be read.
//
// # Wire compatibility
//
// A token is canonical msgpack, at version 1, pinned by golden bytes. Keys are in it by the first 8 bytes of their
// SHA-256: who can choose two keys that collide can have a session of both read less of them than
// it promises. It is neither signed nor secret: sign it where clients may not forge it. Who forges one can have nodes read keys at
// majorities, four times Session.Max of them, and learns nothing of them by that. Keys of package quorum/caspaxos are no exception:
// what is read of these is copied from acceptor to acceptor, as anti-entropy does at any time, and that is no acceptance. Bound the bytes of
// what is decoded where it comes in.
//
// # Testing
//
// A checker of histories, which knows nothing of tokens, judges what sessions read and wrote in seeded worlds: with messages that are
// late, lost and reordered, owners that fail, calls that fail, coordinators that change, tokens passed on as bytes
// and joined, and rings that change, call by call and with several calls of a session under way. Without sessions, and without each of the guarantees, it finds what is missing. In the same
// worlds it counts how many of the acknowledged writes each owner lacks, with a VersionBound and without one. Sessions and
// VersionBounds also go on by real nodes, in a testing/synctest bubble, while members come and go; and so does a Bound by what
// real loops of anti-entropy say, which by the end of their last exchanges is not kept.
package session
