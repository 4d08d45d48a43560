package intercept

import (
	"context"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Metrics counts the calls that a node makes and serves, by method: how they end, how
// long they take, their bytes, and how many are under way. The zero value is ready to
// use. The fields are set before the first use and not changed afterwards; then it is
// safe for concurrent use. It must not be copied after first use.
//
// A call costs two readings of the clock and some additions, a quarter of a
// microsecond, and no memory. A method costs half a kilobyte, for each direction, once.
type Metrics struct {
	// Methods are counted by themselves whatever else is called. Without them a peer may
	// take all rows, where a handler serves any name that begins as its own do.
	Methods []string

	// MaxMethods is how many other methods are counted by themselves, for each direction,
	// in the order in which they come; further ones count as [Other]. If zero, 100; if
	// negative, none.
	MaxMethods int

	called, served table
}

// Other is the method under which calls are counted whose method has no row of its
// own: those that the node does not know, or does not let the caller call, if they are
// none of Methods, and those beyond MaxMethods. So a peer that makes up names costs no
// memory.
const Other = "_OTHER"

// Caller counts the calls that are made by next.
func (m *Metrics) Caller(next transport.Caller) transport.Caller {
	return &countingCaller{m, next}
}

// Handler counts the calls that next serves. A nil next answers no method.
//
// What has become of the response is not known here: a call that was served in time
// and whose response was too large for the transport counts as OK.
func (m *Metrics) Handler(next transport.Handler) transport.Handler {
	return &countingHandler{m, orNone(next)}
}

type countingCaller struct {
	m    *Metrics
	next transport.Caller
}

// Call calls next, and counts.
func (c *countingCaller) Call(ctx context.Context, to transport.NodeID, method string, req []byte) (resp []byte, err error) {
	a := c.m.called.begin(method, c.m)
	defer func() { a.end(CallResult(err), len(req), len(resp), c.m) }()
	err = errPanicked
	return c.next.Call(ctx, to, method, req)
}

type countingHandler struct {
	m    *Metrics
	next transport.Handler
}

// ServeCall has next serve the call, and counts.
func (h *countingHandler) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) (resp []byte, err error) {
	size := len(req)
	a := h.m.served.begin(method, h.m)
	defer func() { a.end(ServeResult(ctx, err), size, len(resp), h.m) }()
	err = errPanicked
	return h.next.ServeCall(ctx, from, method, req)
}

// An attempt is one call under way.
type attempt struct {
	table  *table
	method string
	row    *row
	start  time.Time
}

func (t *table) begin(method string, m *Metrics) attempt {
	r := t.row(method)
	if r == &t.other && slices.Contains(m.Methods, method) {
		r = t.add(method, m, true)
	}
	r.inFlight.Add(1)
	return attempt{t, method, r, time.Now()}
}

// end counts a call. Who asks for what there is not gets no row by that.
func (a *attempt) end(res Result, req, resp int, m *Metrics) {
	took := time.Since(a.start)
	a.row.inFlight.Add(-1)
	r := a.row
	if r == &a.table.other && res != UnknownMethod && res != Denied {
		r = a.table.add(a.method, m, false)
	}
	r.results[res].Add(1)
	r.requests.Add(uint64(req))
	r.responses.Add(uint64(resp))
	r.latency.add(took)
}
