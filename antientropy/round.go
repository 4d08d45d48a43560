package antientropy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// A RoundConfig says how a [Round] goes about.
type RoundConfig struct {
	// Peer is the node that the round is with. It is only passed on.
	Peer transport.NodeID

	// MaxMessage is the most bytes that a request or a response may have. If zero,
	// 1 MiB; at least 1 KiB.
	MaxMessage int

	// Ranges are the parts of the index to reconcile: nothing else is compared or sent. If
	// empty, all of it.
	Ranges []merkle.Range

	// Give has the round go one way: what this store has the peer gets, and nothing is taken
	// from it.
	Give bool

	// Session is a number that differs between the rounds of one node with one
	// peer, as far as that is possible. It lets a peer tell them apart.
	Session uint64

	// InFlight, if not nil, reports whether deltas of key are on their way to the
	// peer. What differs because of them is left to them.
	InFlight func(key string) bool

	// Insist are the ranges that the previous round with this peer left to
	// deltas, by [Round.Deferred]: this one does not, so that a key which is written
	// to all the time cannot hide a difference for ever.
	Insist []merkle.Range

	// Resume is how far an earlier round of [FullState] has come that ended early, by
	// [Round.Resume], in the same Ranges. This one goes on from there, if anything differs
	// at all.
	Resume Cursor

	// insistAll is Insist for every range.
	insistAll bool

	// Learned, if not nil, is told what the peer's states brought that was new, so
	// that it can be passed on to other peers; not of what a [FullState] stream brought.
	// novel is not changed afterwards.
	Learned func(key string, novel []byte)

	// Refused, if not nil, is told of each key that could not be exchanged.
	Refused func(Refused)

	// Membership is that of this node, and its [Responder]. If nil, it is no member.
	Membership *Membership

	// SetAside, if not nil, is given all that the store held when the round had to empty
	// it, each key with its state, to be ranged over once, at any time. It may be called
	// once.
	SetAside func(aside iter.Seq2[string, []byte])
}

// A Round is the side that starts one reconciliation with one peer, as a state
// machine: no goroutine, clock or I/O but its Store. It is what [Loop.Exchange] is
// made of, and most users will not need it.
//
//	for {
//		method, req, more := round.Next()
//		if !more {
//			break
//		}
//		resp := ... // call method at the peer, whose Responder answers
//		if err := round.Step(ctx, resp); err != nil {
//			return err
//		}
//	}
//
// It first finds the ranges of the index that differ. If nearly all do, because this
// store has next to nothing, the peer streams all it has, and the comparison begins
// anew. Then it asks for what the peer has there, unless it has become equal
// meanwhile, merges it, and sends its own states where they still differ from the
// peer's. Of a large key it asks for what this store lacks alone, and sends what the peer
// lacks, if both can tell ([Differ]). Both sides may be written to all along. A round that is given up half way
// has done no harm, and all that it merged stays. It comes to an end whatever the peer
// answers: each answer has to bring it further. A Round is for one goroutine at a
// time.
type Round struct {
	store   Store
	cfg     RoundConfig
	limit   int
	hasher  *merkle.Hasher
	session *merkle.Session
	next    []byte          // message of the session that waits until todo is done
	insist  map[uint32]bool // by place

	method string // of the request to answer next; none when the round is over
	req    []byte

	todo     []merkle.Range // differ, not yet asked for
	window   int            // how many to ask for at once
	asked    []question     // what the pull under way asks for
	skip     int            // keys received of the first of them
	part     []found        // those keys, without their states
	deferred []merkle.Range

	keys        int            // that the store had
	cursor      Cursor         // of a stream
	asking      []merkle.Range // that it was asked for last; all if there are none
	left        int            // keys still to be streamed
	streamedAll bool
	told        map[uint32]bool // places of keys that the stream could not bring

	sends []due    // to send next
	held  *entry   // the first of them, loaded but not sent: it did not fit
	batch []*entry // the push under way
	sent  []due    // what it is of
	looks looks

	own, theirs position
	leading     int // records sent to the peer
	alignments  int

	withheld int // keys of the peer's that could not be taken
	result   Exchange
}

// NewRound starts a round. It takes a snapshot of the store's index: what is
// written later is compared again when it matters.
func NewRound(store Store, cfg RoundConfig) *Round {
	r := &Round{
		store:  store,
		cfg:    cfg,
		limit:  maxMessage(cfg.MaxMessage),
		insist: make(map[uint32]bool, len(cfg.Insist)),
		window: 1024,
		result: Exchange{Peer: cfg.Peer},
	}
	if ranges := joined(cfg.Ranges); len(ranges) > 0 { // ranges that are all empty stay what they are: not all
		r.cfg.Ranges = ranges
	}
	for _, at := range cfg.Insist {
		r.insist[place(at)] = true
	}
	if cfg.Membership == nil {
		r.cfg.Membership = new(Membership)
	}
	r.begin()
	if r.resumes() && !cfg.Give {
		r.cursor = cfg.Resume
	}
	return r
}

// begin begins the comparison.
func (r *Round) begin() {
	index := r.snapshot()
	r.hasher, r.keys = index.Hasher(), keysIn(index, r.cfg.Ranges)
	r.session = initiate(index, r.cfg.Ranges, r.limit-r.head())
	r.looks.forget()
	r.ask("", nil)
	if start := r.session.Start(); len(start) > 0 {
		r.ask(methodReconcile, encodeReconcile(r.cfg.Session, &r.own, start))
	}
}

// head is how much of a request is taken by what it says beside its purpose.
func (r *Round) head() int { return messageOverhead + len(r.own.generation) }

// Next returns the request to send next, again the same until Step was given its
// response: so a call that failed may be repeated. more is false when the round
// is over.
func (r *Round) Next() (method string, req []byte, more bool) {
	return r.method, r.req, r.method != ""
}

// Step takes the response to what Next returned. Its error ends the round: the
// peer's response was not to be understood (*[CorruptError], [ErrVersion], or one
// of the session), the two cannot come to one generation now (*[GenerationError], or
// what the Store says), or it is that of ctx. A key that fails is told to
// RoundConfig.Refused instead, and the round goes on. The response is not kept.
func (r *Round) Step(ctx context.Context, resp []byte) error {
	r.result.RoundTrips++
	r.result.BytesSent += len(r.req)
	r.result.BytesReceived += len(resp)
	err := r.stepped(ctx, resp)
	if err != nil {
		r.ask("", nil)
	}
	return err
}

func (r *Round) stepped(ctx context.Context, resp []byte) error {
	switch r.method {
	case methodPush:
		return r.pushed(ctx, resp)
	case methodSettle:
		return r.led(resp)
	case "":
		return errors.New("antientropy: response to a round that is over")
	}
	if isElsewhere(resp) {
		e, err := decodeElsewhere(r.method, resp)
		if err != nil {
			return err
		}
		return r.apartFrom(ctx, e)
	}
	switch r.method {
	case methodPull:
		return r.pulled(ctx, resp)
	case methodStream:
		return r.streamed(ctx, resp)
	}
	return r.compared(ctx, resp)
}

// Result is what the round has done so far. Err and Duration are left to the one
// who drives it.
func (r *Round) Result() Exchange {
	x := r.result
	x.Deferred = len(r.deferred)
	return x
}

// Deferred are the ranges of positions that differ, were left to the deltas under
// way, and are for the Insist of the next round with the same peer: in ascending
// order.
func (r *Round) Deferred() []merkle.Range {
	return slices.Compact(slices.SortedFunc(slices.Values(r.deferred), byPosition))
}

func (r *Round) insists(at merkle.Range) bool { return r.cfg.insistAll || r.insist[place(at)] }

func (r *Round) ask(method string, req []byte) { r.method, r.req = method, req }

// compared takes one message of the session. It goes on with the session until
// that is finished, or there is much to repair first. Whether the session is verified does
// not matter: it is not where the peer was written to meanwhile, by this round too, and
// then all is found that differed when it began. What came since is for the next one.
func (r *Round) compared(ctx context.Context, resp []byte) error {
	const much = 1 << 14
	standing, msg, err := decodeReconciled(resp)
	if err != nil {
		return err
	}
	r.together(standing)
	r.cfg.Membership.resign(ctx, r.store)
	if r.next, err = r.session.Step(msg); err != nil {
		return fmt.Errorf("antientropy: reconcile: %w", err)
	}
	at := slices.DeleteFunc(take(r.session), func(at merkle.Range) bool { return r.told[place(at)] })
	r.todo = append(r.todo, at...)
	r.result.Different += len(at)
	if r.cfg.Give {
		return r.give(ctx)
	}
	if len(r.next)+len(r.todo) > 0 && r.streams() {
		r.stream()
		return nil
	}
	if len(r.next) > 0 && len(r.todo) < much {
		r.compare()
		return nil
	}
	slices.SortFunc(r.todo, byPosition)
	return r.pull(ctx)
}

// compare sends the next message of the session, or ends the round.
func (r *Round) compare() {
	if len(r.next) == 0 {
		r.ask("", nil)
		return
	}
	r.ask(methodReconcile, encodeReconcile(r.cfg.Session, &r.own, r.next))
	r.next = nil
}

// withhold is refuse, of a key that the peer has more of.
func (r *Round) withhold(key string, err error) {
	r.withheld++
	r.refuse(key, err)
}

func (r *Round) refuse(key string, err error) {
	r.result.KeysRefused++
	if r.cfg.Refused != nil {
		r.cfg.Refused(Refused{Peer: r.cfg.Peer, Key: key, Err: err})
	}
}
