package antientropy

import (
	"iter"
	"strconv"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Events are what a [Loop] tells as it happens. Any of the functions may be nil.
// They are called from several goroutines at once, with no lock held and no
// exchange going on in the goroutine that calls, so they may call the Loop, also
// for an Exchange with the same peer. What they delay is the loop's own work, so
// they should be quick.
type Events struct {
	// OnExchange is told of every exchange that ended: each reconciliation, and each
	// batch of deltas that was acknowledged or failed, which Strategy tells apart.
	OnExchange func(Exchange)

	// OnPeerUp is told when a peer answered that had not answered before.
	OnPeerUp func(peer transport.NodeID)

	// OnPeerDown is told when a peer stopped answering, or never did.
	OnPeerDown func(PeerDown)

	// OnDropped is told when the deltas that waited for a peer were dropped. The peer
	// gets a reconciliation in their place.
	OnDropped func(Dropped)

	// OnRefused is told of each key that could not be loaded, sent or merged, here
	// or at the peer. It stays as it is, is tried again in later exchanges, and does
	// not keep other keys from being exchanged.
	OnRefused func(Refused)

	// OnCollected is told of every collection that this node has led: whether it has
	// forgotten something, or for whom everybody waits.
	OnCollected func(Collected)

	// OnSetAside is told of every key of a store that was emptied, since the node was away
	// for longer than the others keep records, or had gone another way than they. The
	// store is being filled again as it is told. What it held is nowhere else any more
	// unless the peers have it, among it what was written here and had reached nobody:
	// an application that wants it writes it again, as it finds right.
	OnSetAside func(SetAside)
}

// A Strategy is how an exchange finds out what to send.
type Strategy uint8

const (
	// Reconciliation compares the indexes and exchanges what differs, both ways.
	Reconciliation Strategy = iota

	// Deltas sends what was written since the last acknowledgement, one way.
	Deltas

	// FullState has all that the peer has sent, in the order of its index, and then
	// reconciles. It is what a reconciliation becomes that finds the store to have
	// next to nothing.
	FullState

	allStrategies // how many there are
)

// String returns "reconciliation", "deltas" or "full state".
func (s Strategy) String() string {
	switch s {
	case Reconciliation:
		return "reconciliation"
	case Deltas:
		return "deltas"
	case FullState:
		return "full state"
	}
	return "Strategy(" + strconv.Itoa(int(s)) + ")"
}

// An Exchange is what one exchange with one peer did.
type Exchange struct {
	Peer     transport.NodeID
	Strategy Strategy
	Err      error         // why it ended early; nil if it did not
	Duration time.Duration // from its start to its end

	Different     int // ranges of the index found to differ, nearly all of one key, those of writes under way among them
	Deferred      int // of those, left to the deltas that were under way
	KeysSent      int // with a state or delta each, and acknowledged
	KeysReceived  int // with a state each, of which
	KeysNovel     int // so many brought something new
	KeysRefused   int // told to OnRefused one by one, as far as the peer tells
	BytesSent     int // of requests, without what the transport adds
	BytesReceived int // of responses, likewise
	RoundTrips    int

	Records    int  // settled, here or at the peer, for both to come to one generation
	Readmitted bool // this store was emptied and set to the peer's generation, and its content told to OnSetAside
}

// A PeerDown says that a peer did not answer, and why.
type PeerDown struct {
	Peer transport.NodeID
	Err  error
}

// A Dropped says that deltas were dropped.
type Dropped struct {
	Peer  transport.NodeID
	Bytes int   // that waited, by [Outbox.Pending]
	Err   error // why the peer did not take them; nil if they were too many, or too old
}

// A Refused is one key that could not be loaded, sent or merged.
type Refused struct {
	Peer transport.NodeID // with whom the exchange was
	Key  string
	Err  error // *[TooLargeError], *[RefusedError] from the peer, or what the Store said
}

// A SetAside is one key of what a store held that was emptied.
type SetAside struct {
	Peer  transport.NodeID // whose generation was taken on
	Key   string
	State []byte // encoded, as the Store gave it: that of crdt/store is for its Decode
}

func (e *Events) collected(c Collected) {
	if e.OnCollected != nil {
		e.OnCollected(c)
	}
}

func (e *Events) setAside(peer transport.NodeID, aside iter.Seq2[string, []byte]) {
	if e.OnSetAside == nil || aside == nil {
		return
	}
	for key, state := range aside {
		e.OnSetAside(SetAside{Peer: peer, Key: key, State: state})
	}
}

func (e *Events) exchange(x Exchange) {
	if e.OnExchange != nil {
		e.OnExchange(x)
	}
}

func (e *Events) peerUp(peer transport.NodeID) {
	if e.OnPeerUp != nil {
		e.OnPeerUp(peer)
	}
}

func (e *Events) peerDown(d PeerDown) {
	if e.OnPeerDown != nil {
		e.OnPeerDown(d)
	}
}

func (e *Events) dropped(d Dropped) {
	if e.OnDropped != nil {
		e.OnDropped(d)
	}
}

func (e *Events) refused(r Refused) {
	if e.OnRefused != nil {
		e.OnRefused(r)
	}
}

// news is what Events are to be told, in the order in which it happened. It is
// gathered where something is held, and told once nothing is.
type news []func(*Events)

func (n *news) exchange(x Exchange)        { *n = append(*n, func(e *Events) { e.exchange(x) }) }
func (n *news) peerUp(id transport.NodeID) { *n = append(*n, func(e *Events) { e.peerUp(id) }) }
func (n *news) peerDown(d PeerDown)        { *n = append(*n, func(e *Events) { e.peerDown(d) }) }
func (n *news) dropped(d Dropped)          { *n = append(*n, func(e *Events) { e.dropped(d) }) }
func (n *news) refused(r Refused)          { *n = append(*n, func(e *Events) { e.refused(r) }) }
func (n *news) collected(c Collected)      { *n = append(*n, func(e *Events) { e.collected(c) }) }
func (n *news) setAside(peer transport.NodeID, aside iter.Seq2[string, []byte]) {
	*n = append(*n, func(e *Events) { e.setAside(peer, aside) })
}

// tell tells everything and starts anew.
func (n *news) tell(e *Events) {
	all := *n
	*n = nil
	for _, f := range all {
		f(e)
	}
}
