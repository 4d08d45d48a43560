package natstransport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// A Transport is one node's end of a cluster on NATS: with Call it calls other
// nodes, with Serve it answers them. Either works without the other. Its fields must
// not be changed after the first use, and it must not be copied. It is safe for
// concurrent use.
type Transport struct {
	// Conn is the connection to NATS, which others may use too. It stays open. It must
	// be set.
	Conn *nats.Conn

	// Self is the name of this node, which no other process may have. It must be set.
	Self transport.NodeID

	// Cluster is the name of the cluster. Nodes of different clusters do not meet. The
	// empty name is a name like any other.
	Cluster string

	// Prefix is how all subjects begin. If empty, "eventual".
	Prefix string

	// MaxMessage is the most bytes that a request or a response may have. If zero, 4
	// MiB. Never more than what the NATS server takes, less 512. Between two nodes the
	// smaller limit holds.
	MaxMessage int

	// MaxCalls is how many calls may be served at a time, of all nodes together.
	// Further ones are refused, and so are those of a node that has as many as are left
	// for others: alone, one gets half. If zero, 1024.
	MaxCalls int

	// MaxBytes is how many bytes the requests of calls being served may have together.
	// A request beyond it is refused; of what is more than MaxMessage, a node has no more
	// than is left for others. If zero, 16 times MaxMessage; one request always has room.
	MaxBytes int

	// KeepAlive is how often a call that waits asks whether it is being served: every
	// 10 ms at the most often, and every minute at the least, whatever the caller says
	// of itself. After three without an answer it fails, and a handler whose caller does
	// not ask for as long is stopped. If zero, two seconds.
	KeepAlive time.Duration

	// Drain is how long calls that are being served get to finish when Serve or the
	// whole transport is stopped. If zero, one second.
	Drain time.Duration

	calls carry.Calls
	inbox inbox
	room  struct{ calls, bytes carry.Room }

	mu      sync.Mutex
	stop    context.CancelFunc // of Serve; nil while it does not run
	served  chan struct{}      // closed when it has returned
	serving bool
	closed  bool
}

var (
	errConfig  = errors.New("natstransport: Conn must be set, Self must have 1 to 255 bytes, and Cluster no more")
	errServing = errors.New("natstransport: is being served already")
	errDown    = fmt.Errorf("%w: not connected to NATS", transport.ErrUnreachable)
)

func (t *Transport) check() error {
	if t.Conn == nil || t.Self == "" || len(t.Self) > transport.MaxName || len(t.Cluster) > transport.MaxName {
		return errConfig
	}
	return nil
}

// subject returns where the node from, as a token, publishes what is for the node to.
func (t *Transport) subject(to, from string) string {
	return cmp.Or(t.Prefix, "eventual") + "." + token(t.Cluster) + "." + to + "." + from
}

// Close stops the transport: new calls fail with transport.ErrClosed, those under way,
// which may have run, with transport.ErrUnreachable, and Serve ends. It returns when
// nothing of the transport runs any more, which a handler that ignores the end of its
// context can delay; a handler must not call it. Conn stays open. It returns nil, also
// when called again.
func (t *Transport) Close() error {
	stop, served := t.shut()
	t.calls.Close()
	if stop != nil {
		stop()
		<-served
	}
	t.inbox.close()
	if t.Conn != nil && t.Conn.IsConnected() {
		_ = t.Conn.FlushTimeout(time.Second) // so that others learn of it: else they find out by asking
	}
	return nil
}

func (t *Transport) shut() (stop context.CancelFunc, served <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t.stop, t.served
}

// limit is the most bytes that a message may have now.
func (t *Transport) limit() int {
	return min(t.maxMessage(), max(int(t.Conn.MaxPayload())-overhead, 0))
}

func (t *Transport) maxMessage() int {
	return min(cmp.Or(max(t.MaxMessage, 0), 4<<20), carry.MaxNumber)
}

func (t *Transport) maxCalls() int { return cmp.Or(max(t.MaxCalls, 0), 1024) }

func (t *Transport) maxBytes() int {
	return max(cmp.Or(max(t.MaxBytes, 0), 16*t.maxMessage()), t.maxMessage()+overhead)
}

func (t *Transport) keepAlive() time.Duration {
	return interval(cmp.Or(max(t.KeepAlive, 0), 2*time.Second))
}

func interval(d time.Duration) time.Duration { return min(max(d, 10*time.Millisecond), time.Minute) }

func (t *Transport) drain() time.Duration { return cmp.Or(max(t.Drain, 0), time.Second) }
