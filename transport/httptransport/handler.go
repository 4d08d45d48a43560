package httptransport

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// A Handler is an [http.Handler] that answers the calls of a [Client]. It may be
// mounted anywhere: of a request's path it looks at nothing. Its fields must not be
// changed after the first use, and it must not be copied. It is safe for concurrent
// use.
//
// It stops with the server: http.Server.Shutdown lets running calls finish, and
// Close ends their contexts.
type Handler struct {
	// Self is the name of this node, and Cluster that of the cluster. Calls for
	// another node, and from another cluster, are refused with status 421. Self must be
	// set; without it all calls are.
	Self    transport.NodeID
	Cluster string

	// Handler answers the calls. Its contexts are those of the requests, with what
	// middleware has put there, and the caller's deadline. If nil, it knows no method.
	Handler transport.Handler

	// Peer returns who calls, by what the server or its middleware has proved: a
	// client's certificate, a token. Its error refuses the call with status 403, and is
	// not told; a node that says in its headers that it is another one is refused too.
	// If nil, a node is who it says it is: then only let in whom you trust.
	//
	// Behind a proxy that ends TLS, r.TLS is of the connection to the proxy.
	Peer func(r *http.Request) (transport.NodeID, error)

	// MaxMessage is the most bytes that a request or a response may have, at most 1
	// GiB and MaxBytes. If zero, 4 MiB, or MaxBytes if that is less. Between Client and
	// Handler the smaller limit holds.
	MaxMessage int

	// MaxCalls is how many calls may be running, or being answered, at a time, of all
	// nodes together. Further ones are refused, and so are those of a node that has as
	// many as are left for others: alone, one gets half. If zero, 1024.
	MaxCalls int

	// MaxBytes is how many bytes of requests may be in memory at a time, also those
	// that have not arrived whole, and again how many of responses that have not been
	// taken. What is beyond it is refused, a response after the call has run. Of what is
	// more than MaxMessage a node has no more than is left for others. If zero, 16 times
	// MaxMessage.
	MaxBytes int

	// TransferTimeout is how long a request may take to arrive, and a response to be
	// taken; then the connection, or the stream of HTTP/2, is closed. For calls it stands
	// in for the server's ReadTimeout and WriteTimeout, which would end long ones. It works
	// where middleware lets http.ResponseController through. If zero, one minute.
	TransferTimeout time.Duration

	calls, requests, responses carry.Room
}

// buffers are used again for other requests, if they are small.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// ServeHTTP answers one call.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := answering{h: h, w: w, r: r, rc: http.NewResponseController(w)}
	q, ok := a.admit()
	if !ok {
		return
	}
	buf := buffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= chunk {
			buffers.Put(buf)
		}
	}()
	req, ok := a.receive(&q, *buf)
	defer a.release(q.from)
	*buf = req
	if !ok {
		return
	}
	if !h.calls.Take(q.from, 1, 1, h.maxCalls()) {
		a.refuse(http.StatusServiceUnavailable, "too many calls at a time")
		return
	}
	defer h.calls.Give(q.from, 1)
	ctx, cancel := carry.WithLeft(r.Context(), q.timeout)
	defer cancel()
	resp, err := carry.Serve(ctx, h.Handler, q.from, q.method, req)
	a.reply(&q, resp, err)
}

// maxMessage is no more than there is room for: what is longer would be refused each time,
// by an error that says to try again.
func (h *Handler) maxMessage() int {
	most := maxMessageOf(h.MaxMessage)
	if h.MaxBytes > 0 {
		return min(most, h.MaxBytes)
	}
	return most
}

func (h *Handler) maxCalls() int { return cmp.Or(max(h.MaxCalls, 0), 1024) }

func (h *Handler) maxBytes() int { return cmp.Or(max(h.MaxBytes, 0), 16*h.maxMessage()) }

func (h *Handler) transferTimeout() time.Duration {
	return cmp.Or(max(h.TransferTimeout, 0), time.Minute)
}
