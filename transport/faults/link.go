package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Distribution is how long something takes. Those of package quorum/pbs are
// Distributions, and so is whatever has this method.
type Distribution interface {
	// Sample draws one duration from r, and from nothing else. What is negative counts
	// as zero, and what is longer than 36 years as that. It is called by many
	// goroutines at once, each with an r of its own.
	Sample(r *rand.Rand) time.Duration
}

// A Link says what a network does to what is sent from one node to another:
// requests of the one, and its replies to the other's requests. The zero Link
// delivers everything at once, and once. Probabilities are from 0, never, to 1,
// always; what is negative counts as zero.
type Link struct {
	// Latency is how long everything takes. Jitter is how much longer it may take, at
	// most; each message takes a random part of it. Neither changes the order: what
	// was sent first on a link arrives first, replies apart from requests.
	Latency, Jitter time.Duration

	// Delay, if not nil, is drawn for each message, and comes on top. Since the order
	// is kept, what is sent close behind a slow message waits for it, as on one
	// connection; the times are as drawn where messages are farther apart than they
	// differ.
	Delay Distribution

	// Loss is the probability that a message is lost.
	Loss float64

	// Duplicate is the probability that a message arrives twice, the second time up to
	// the sum of Latency, Jitter and its Delay later.
	Duplicate float64

	// Reorder is the probability that a message is held back for up to the sum of
	// Latency, Jitter and its Delay, at least a millisecond, while later ones overtake it.
	Reorder float64

	// Bandwidth is how many bytes a second the link carries, requests and replies
	// together; zero: as many as come. A message waits in a queue without end until
	// those before it are through, also if it is lost then. Only the bytes of requests
	// and responses count, not what a real transport puts around them.
	Bandwidth int

	// Burst is how many bytes a link that was idle carries at once, before Bandwidth
	// tells: the size of its token bucket. If zero, each byte takes its time.
	Burst int
}

// far is longer than anything takes; a few of them can be added up.
const far = time.Duration(1) << 60

func bounded(d time.Duration) time.Duration { return min(max(d, 0), far) }

// check refuses what has no meaning: a script with a slip in it should say so.
func (l Link) check() error {
	for _, p := range []float64{l.Loss, l.Duplicate, l.Reorder} {
		if !(p >= 0 && p <= 1) {
			return errors.New("a probability is from 0 to 1")
		}
	}
	if !within(l.Latency) || !within(l.Jitter) || min(l.Bandwidth, l.Burst) < 0 {
		return errors.New("latency, jitter, bandwidth and burst are not negative")
	}
	return nil
}

// A Kind is what a [Message] is.
type Kind uint8

// The kinds. Each has an order of its own on a link.
const (
	Request Kind = iota
	Reply
)

// String returns "request" or "reply".
func (k Kind) String() string {
	if k == Reply {
		return "reply"
	}
	return "request"
}

// MarshalText writes the kind as its String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (k *Kind) UnmarshalText(text []byte) error {
	switch string(text) {
	case "request":
		*k = Request
	case "reply":
		*k = Reply
	default:
		return fmt.Errorf("no kind of message %.20q", text)
	}
	return nil
}

// A Message is one request or reply on its way, without what it says.
type Message struct {
	From, To transport.NodeID // of this message: a reply comes from the node that was called
	Kind     Kind
	Method   string
	Size     int    // bytes of the request or the response
	N        uint64 // how many of its kind were sent on the link before it; set by the network
}
