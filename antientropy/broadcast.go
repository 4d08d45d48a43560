package antientropy

import (
	"cmp"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Broadcast does what an [Outbox] does, and sends each delta to each node about
// once, also in a graph with cycles. It is what [Loop] pushes from if it is [Lazy],
// and most users will not need it.
//
// It is after Plumtree (Leitao, Pereira and Rodrigues, Epidemic Broadcast Trees,
// SRDS 2007). The deltas that a node puts are numbered. At first they go to all
// peers, and by these on to all of theirs. Who gets one that it has already tells
// the sender to send it no more of that origin: what is left is a tree. Over the
// other links only numbers go, a few bytes for any number of deltas. Who is told of
// a number that does not arrive asks one of those who have it, and from then on has
// the origin's deltas from there: so a tree that lost a link or a node is mended.
// Each origin has a tree of its own: the ways on which its deltas come first.
//
// Each node takes the deltas of one origin in the order of their numbers, so an
// effect never shows before its cause, as with an Outbox, and with the same
// exceptions. As there, a peer that fails is closed, and is to be reconciled with
// and opened again; and as there, only what was new to a node is passed on by it.
//
// What has been sent is kept for those who might ask for it: MaxBytes in all, for
// MaxAge. Like an Outbox it has no goroutine, clock, lock or I/O, and is for one
// goroutine at a time.
type Broadcast struct {
	// Self numbers this life of this node: a random number. No two may be the same.
	Self uint64

	// MaxMessage is the most bytes of one batch, or of its answer. If zero, 1 MiB; at
	// least 1 KiB.
	MaxMessage int

	// MaxBytes is the most bytes that are kept, each delta counted with its key and 48
	// bytes. If zero, 8 MiB. A peer that lacks what has to go is closed.
	MaxBytes int

	// MaxAge is how long deltas are kept. If zero, one minute.
	MaxAge time.Duration

	// Attempts is how many times in a row a batch may fail before the peer is closed.
	// If zero, 2.
	Attempts int

	// Patience is how long a delta that was announced may fail to arrive before it is
	// asked for. It should be longer than a delta takes to reach the farthest node. If
	// zero, 500 ms.
	Patience time.Duration

	now     time.Duration
	batches uint64
	log     parcels
	streams map[uint64]*stream
	known   []*stream // as they were first seen
	links   map[transport.NodeID]*link
	order   []transport.NodeID // of the links, as they were opened first
}

// A stream is what comes from one origin.
type stream struct {
	id      uint64
	have    uint64           // up to here it has arrived, or a reconciliation brings it
	kept    int              // of them in the log
	evicted uint64           // up to here it is kept no more
	parent  transport.NodeID // who brought the last that was new
	since   time.Duration    // when the last one arrived, or was announced first
	late    bool             // some peer has more
}

// A link is what is known of one peer.
type link struct {
	id       transport.NodeID
	open     bool
	tracks   map[uint64]*track // by origin
	next     uint64            // the peer needs nothing that arrived before this
	grafts   []*stream         // to ask it for
	told     time.Duration     // when it was last told of anything
	flight   treeFlight        // the batch on its way
	failures int               // of batches in a row
	transit  time.Duration     // half of what a batch took to be acknowledged, lately
}

// A track is how far a peer is with a stream.
type track struct {
	known  uint64        // up to here the peer has it, as far as is known
	told   uint64        // up to here it knows that this node has it
	cover  uint64        // up to here it is to be told that a reconciliation brings it; zero if it was
	pruned bool          // it wants no deltas, only to be told
	asked  time.Duration // when it was last asked for deltas
}

// maxStreams bounds the origins that are followed. Deltas of others are merged, and
// passed on as this node's own.
const maxStreams = 1 << 12

// stream returns what is known of an origin, and makes it known; nil if there are
// too many.
func (b *Broadcast) stream(id uint64) *stream {
	if s := b.streams[id]; s != nil {
		return s
	}
	if id != b.Self && len(b.known) >= maxStreams && !b.forgetStream() {
		return nil
	}
	if b.streams == nil {
		b.streams = make(map[uint64]*stream)
	}
	s := &stream{id: id, since: b.now}
	b.streams[id] = s
	b.known = append(b.known, s)
	return s
}

// forgetStream makes room: for an origin of which nothing is kept, and that has
// been silent for longest.
func (b *Broadcast) forgetStream() bool {
	idle := -1
	for i, s := range b.known {
		if s.kept == 0 && s.id != b.Self && (idle < 0 || s.since < b.known[idle].since) {
			idle = i
		}
	}
	if idle < 0 || b.known[idle].since+b.maxAge() > b.now {
		return false
	}
	id := b.known[idle].id
	b.known = slices.Delete(b.known, idle, idle+1)
	delete(b.streams, id)
	for _, l := range b.links {
		delete(l.tracks, id)
		l.grafts = slices.DeleteFunc(l.grafts, func(s *stream) bool { return s.id == id })
	}
	return true
}

func (l *link) track(s *stream) *track {
	t := l.tracks[s.id]
	if t == nil {
		t = new(track)
		l.tracks[s.id] = t
	}
	return t
}

// lacks reports whether p is to be sent to the peer.
func (l *link) lacks(p *parcel) bool {
	t := l.track(p.stream)
	return !t.pruned && p.seq > t.known
}

func (b *Broadcast) maxAge() time.Duration   { return cmp.Or(b.MaxAge, time.Minute) }
func (b *Broadcast) patience() time.Duration { return cmp.Or(b.Patience, 500*time.Millisecond) }

// Open has deltas sent to peer from now on. It does nothing if they are already.
// What was put before is left to the reconciliation for which it is opened.
func (b *Broadcast) Open(peer transport.NodeID) {
	l := b.links[peer]
	if l == nil {
		if b.links == nil {
			b.links = make(map[transport.NodeID]*link)
		}
		l = &link{id: peer, tracks: make(map[uint64]*track), told: -time.Hour}
		b.links[peer] = l
		b.order = append(b.order, peer)
	}
	if l.open {
		return
	}
	l.open, l.next = true, b.log.end()
	for _, s := range b.known {
		t := l.track(s)
		t.known = s.have
		t.told, t.cover = s.have, s.have
	}
}

// Close drops all that waits for peer, and has nothing sent to it until it is
// opened again. It returns how many bytes it lacked.
func (b *Broadcast) Close(peer transport.NodeID) (dropped int) {
	l := b.links[peer]
	if l == nil || !l.open {
		return 0
	}
	dropped = b.Pending(peer)
	l.open, l.flight, l.failures, l.grafts = false, treeFlight{}, 0, nil
	return dropped
}

// Forget drops all that is known of peer.
func (b *Broadcast) Forget(peer transport.NodeID) {
	delete(b.links, peer)
	b.order = slices.DeleteFunc(b.order, func(p transport.NodeID) bool { return p == peer })
}

// Closed reports whether nothing is sent to peer, so that it needs a reconciliation.
func (b *Broadcast) Closed(peer transport.NodeID) bool {
	l := b.links[peer]
	return l == nil || !l.open
}

// Pending is how many bytes of deltas are to be sent to peer.
func (b *Broadcast) Pending(peer transport.NodeID) (bytes int) {
	l := b.links[peer]
	if l == nil || !l.open {
		return 0
	}
	for _, p := range b.log.since(l.next) {
		if l.lacks(p) {
			bytes += p.weight(peer)
		}
	}
	return bytes
}

// Holds reports whether a delta of key is on its way to peer, from here or, as far
// as is known, from somebody else. Of many it looks at the latest.
func (b *Broadcast) Holds(peer transport.NodeID, key string) bool {
	const most = 16
	l := b.links[peer]
	if l == nil || !l.open {
		return false
	}
	p := b.log.keys[key]
	for range most {
		if p == nil {
			return false
		}
		if p.from != peer && p.seq > l.track(p.stream).known {
			return true
		}
		p = p.older
	}
	return false
}

// Put has a delta of key sent to every open peer but origin, from which it came; ""
// for a local update. It is what [Outbox.Put] is.
func (b *Broadcast) Put(key string, delta []byte, origin transport.NodeID) (overflowed []Dropped, err error) {
	return b.put(arrival{from: origin, key: key, novel: delta})
}

func (b *Broadcast) put(a arrival) (overflowed []Dropped, err error) {
	if limit := maxMessage(b.MaxMessage); !fits(a.key, len(a.novel)+runSize, limit) {
		return nil, &TooLargeError{Key: a.key, Size: len(a.novel), Max: limit}
	}
	s := b.stream(b.Self)
	a.novel = slices.Clone(a.novel)
	return b.keep(s, a), nil
}

// keep adds the next delta of a stream to the log.
func (b *Broadcast) keep(s *stream, a arrival) (overflowed []Dropped) {
	s.have++
	s.kept++
	s.since = b.now
	b.log.add(&parcel{delta: delta{entry{a.key, a.novel}, b.now, a.age}, stream: s, seq: s.have, from: a.from})
	for b.log.bytes > cmp.Or(b.MaxBytes, 8<<20) {
		overflowed = append(overflowed, b.evict()...)
	}
	return overflowed
}

// evict drops the oldest parcel, and closes who lacks it.
func (b *Broadcast) evict() (overflowed []Dropped) {
	p := b.log.since(0)[0]
	for _, peer := range b.order {
		l := b.links[peer]
		if l.open && l.next <= b.log.first && l.lacks(p) && p.from != peer {
			overflowed = append(overflowed, Dropped{Peer: peer, Bytes: b.Close(peer)})
		}
	}
	p.stream.evicted = p.seq
	p.stream.kept--
	b.log.drop()
	return overflowed
}

// Tick says what time it is, since any moment: it never goes back. It returns the
// peers that it closed because they lacked what is too old, and has what was
// announced and did not arrive asked for by the next batches. It is to be called
// some times within Patience, and Batch after it for every peer.
func (b *Broadcast) Tick(now time.Duration) (overdue []Dropped) {
	b.now = max(b.now, now)
	for b.log.len() > 0 && b.log.since(0)[0].at < b.now-b.maxAge() {
		overdue = append(overdue, b.evict()...)
	}
	for _, s := range b.known {
		if s.late && b.now-s.since >= b.patience() {
			b.graft(s)
		}
	}
	return overdue
}

// graft asks one of those who have more of a stream: who was not asked for longest.
func (b *Broadcast) graft(s *stream) {
	var best *link
	for _, peer := range b.order {
		l := b.links[peer]
		if l.open && l.track(s).known > s.have && (best == nil || l.track(s).asked < best.track(s).asked) {
			best = l
		}
	}
	s.since = b.now
	if s.late = best != nil; s.late {
		best.track(s).asked = b.now
		best.grafts = append(best.grafts, s)
	}
}
