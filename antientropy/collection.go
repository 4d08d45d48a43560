package antientropy

import (
	"context"
	"errors"
	"time"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

// ErrNotProposing says that a node is not the one that collects: it has no [Epoch], is not the
// least of its members, has a Store that is no [Collector], or has met nobody yet.
var ErrNotProposing = errors.New("antientropy: this node does not propose what to collect")

// A CollectionConfig says how a [Collection] goes about.
type CollectionConfig struct {
	// MaxMessage is the most bytes that a request or a response may have. If zero,
	// 1 MiB; at least 1 KiB.
	MaxMessage int

	// Quiet is how long something has to have been left alone before it is proposed.
	Quiet time.Duration
}

// A Collection is the side of the node that proposes what to forget, as a state machine:
// no goroutine, clock or I/O but its Store. It is what [Loop.Collect] is made of, and
// most users will not need it.
//
//	for {
//		peer, method, req, more := collection.Next()
//		if !more {
//			break
//		}
//		resp, err := ... // call method at peer, whose Responder answers
//		if err != nil {
//			err = collection.Failed(ctx, err)
//		} else {
//			err = collection.Step(ctx, resp)
//		}
//		if err != nil {
//			return err
//		}
//	}
//
// It first asks every member whether it is of the same epoch and generation; who lacks
// records is sent them, and those that a member has are taken. Once all are together
// they prepare what is proposed, one after the other. Each then has all that is to be
// forgotten. When the last one has, the proposal is concluded here, and so decided, and
// the others are told. Who misses that hears of it by the next Round or Collection. It
// goes on until there is no more to propose. If a member has then prepared something of
// which nothing came, all are asked once more, and take that back.
//
// It may be given up at any point. What was prepared binds nobody: it is merged, so it is
// proposed again. Nothing is forgotten anywhere before it is decided, and nothing is
// decided unless all members had prepared it and had, by then, no later epoch than this
// one. A Collection is for one goroutine at a time.
type Collection struct {
	f      Follower
	c      Collector
	m      *Membership
	cfg    CollectionConfig
	limit  int
	epoch  Epoch
	others []transport.NodeID // the members but for this one

	stage      stage
	at         int    // which of the others is asked
	moves      int    // how often somebody was brought further
	released   bool   // members were told that nothing came of what they had prepared
	generation string // that all are to be of
	rank       rank
	promised   pledge   // by this node, when it asked first
	theirs     position // of the one that is led
	pledges    []pledge // of the others, as they said last
	proposal   []byte
	replies    [][]byte
	record     []byte
	before     string // the generation that it is on top of

	method string
	req    []byte
	result Collected
}

// A stage is what a collection asks the members for, one after the other.
type stage uint8

const (
	over stage = iota
	polling
	leading
	preparing
	telling
)

const (
	maxCollected = 16   // records of one collection; what is left is for the next
	maxMoves     = 1024 // messages that bring members to one generation, likewise
)

// A Collected is what a collection did.
type Collected struct {
	Epoch      uint64
	Generation string        // at the end
	Records    int           // decided, and settled here
	HeldUp     []HeldUp      // the members for which everybody waits
	Err        error         // why it ended early, but for what HeldUp says
	Duration   time.Duration // from its start to its end
}

// A HeldUp is a member that did not do its part of a collection.
type HeldUp struct {
	Peer transport.NodeID
	Err  error // of the call, *[EpochError], *[GenerationError], *[TooLargeError], or *[RefusedError]
}

// NewCollection starts a collection. Its error is [ErrNotProposing], that of ctx, or of
// the Store.
func NewCollection(ctx context.Context, store Store, m *Membership, cfg CollectionConfig) (*Collection, error) {
	c := &Collection{m: m, cfg: cfg, limit: maxMessage(cfg.MaxMessage), epoch: m.now()}
	var follows, collects bool
	c.f, follows = store.(Follower)
	c.c, collects = store.(Collector)
	if !follows || !collects || !m.proposes(c.epoch) || c.f.Generation() == "" {
		return nil, ErrNotProposing
	}
	c.others = c.epoch.others(m.Self)
	c.pledges = make([]pledge, len(c.others))
	c.result = Collected{Epoch: c.epoch.Number}
	return c, c.poll(ctx)
}

// Next returns the request to send next, and to whom, again the same until Step was given
// its response or Failed was called. more is false when the collection is over.
func (c *Collection) Next() (peer transport.NodeID, method string, req []byte, more bool) {
	if c.stage == over {
		return "", "", nil, false
	}
	return c.others[c.at], c.method, c.req, true
}

// Failed says that the call of Next failed for good: the member is passed over. The error
// is one of this side, as that of Step.
func (c *Collection) Failed(ctx context.Context, err error) error {
	if c.stage == over {
		return nil
	}
	return c.end(c.heldUp(ctx, err))
}

// Step takes the response to what Next returned. Its error ends the collection: that of
// ctx or of the Store, or an *[EpochError] if this node has another epoch now. What a
// member does wrong is in the result. The response is not kept.
func (c *Collection) Step(ctx context.Context, resp []byte) error {
	var err error
	switch c.stage {
	case polling:
		err = c.polled(ctx, resp)
	case preparing:
		err = c.prepared(ctx, resp)
	case leading, telling:
		err = c.told(ctx, resp)
	default:
		err = errors.New("antientropy: response to a collection that is over")
	}
	return c.end(err)
}

// end ends the collection if there is an error of this side.
func (c *Collection) end(err error) error {
	if err != nil {
		c.stage, c.result.Err = over, err
	}
	return err
}

// Result is what the collection has done so far. Duration is left to the one who drives
// it.
func (c *Collection) Result() Collected {
	r := c.result
	r.Generation = c.f.Generation()
	return r
}

// heldUp notes that a member does not do its part. The others are still asked whether
// they are ready, or told what was decided.
func (c *Collection) heldUp(ctx context.Context, err error) error {
	if planted.Bug == planted.EarlyCollection {
		return c.next(ctx)
	}
	c.result.HeldUp = append(c.result.HeldUp, HeldUp{Peer: c.others[c.at], Err: err})
	if c.stage == preparing {
		c.stage = over
		return c.m.release(ctx, c.c, c.epoch)
	}
	return c.next(ctx)
}

// next goes on to the next member, or, after the last one, to the next stage.
func (c *Collection) next(ctx context.Context) error {
	if c.at++; c.at < len(c.others) {
		if c.stage == leading {
			c.stage = polling
		}
		c.ask()
		return nil
	}
	switch c.stage {
	case polling, leading:
		return c.together(ctx)
	case preparing:
		return c.conclude(ctx)
	}
	return c.propose(ctx)
}

// ask makes the request to the member whose turn it is.
func (c *Collection) ask() {
	switch c.stage {
	case telling:
		c.method, c.req = methodSettle, encodeSettle(c.rank, c.pledges[c.at], way{c.before, [][]byte{c.record}})
	default:
		q := asking{epoch: c.epoch.Number, generation: c.generation, rank: c.rank, promised: c.pledges[c.at], proposal: c.proposal}
		c.method, c.req = methodPrepare, encodePrepare(&q)
	}
}

// start begins a stage with the first member.
func (c *Collection) start(ctx context.Context, s stage) error {
	c.stage, c.at = s, -1
	return c.next(ctx)
}
