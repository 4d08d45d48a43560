package intercept

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Log writes down calls that failed, with node, method, error and duration: those
// that are served, and those that are made, at level warn; and the stack of a handler
// that panicked, at level error. Calls that nobody waited for any more are left out.
//
// It writes little, however many calls fail: of each [Result] and direction one line in
// an interval, which says by "omitted" how many there were since the one before. So
// its first line is written at once, and what is omitted at the end is not told.
//
// The fields are set before the first use. The zero value is ready to use. A Log is
// safe for concurrent use, and must not be copied. A call that succeeds costs a reading of
// the clock.
type Log struct {
	// Logger takes the lines. If nil, slog.Default(), as it is when the line is written.
	Logger *slog.Logger

	// Every is the interval. If zero, one second.
	Every time.Duration

	mu     sync.Mutex
	pauses [2][results + 1]pause // by direction; the last are panics
}

// A pause is between two lines of a kind.
type pause struct {
	until   time.Time
	omitted int
}

const (
	called = 0
	served = 1
	panics = results // beside the results
)

// Caller logs the calls made by next that fail.
func (l *Log) Caller(next transport.Caller) transport.Caller {
	return &loggingCaller{l, next}
}

// Handler logs the calls served by next that fail. A nil next answers no method. A
// panic goes on when it has been logged, and fails the call.
func (l *Log) Handler(next transport.Handler) transport.Handler {
	return &loggingHandler{l, orNone(next)}
}

type loggingCaller struct {
	log  *Log
	next transport.Caller
}

// Call calls next, and logs.
func (c *loggingCaller) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	start := time.Now()
	resp, err := c.next.Call(ctx, to, method, req)
	if err != nil {
		c.log.failed(ctx, called, CallResult(err), to, method, start, err)
	}
	return resp, err
}

type loggingHandler struct {
	log  *Log
	next transport.Handler
}

// ServeCall has next serve the call, and logs.
func (h *loggingHandler) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	start := time.Now()
	defer func() {
		if v := recover(); v != nil {
			h.log.panicked(ctx, from, method, v)
			panic(v)
		}
	}()
	resp, err := h.next.ServeCall(ctx, from, method, req)
	if err != nil {
		h.log.failed(ctx, served, ServeResult(ctx, err), from, method, start, err)
	}
	return resp, err
}

var messages = [2]string{"transport: call failed", "transport: served call failed"}

func (l *Log) failed(ctx context.Context, way int, r Result, node transport.NodeID, method string, start time.Time, err error) {
	if r == Cancelled {
		return
	}
	if omitted, ok := l.due(way, int(r)); ok {
		l.logger().LogAttrs(context.WithoutCancel(ctx), slog.LevelWarn, messages[way],
			slog.String("node", string(node)), slog.String("method", method), slog.String("result", r.String()),
			slog.Duration("elapsed", time.Since(start)), slog.Any("error", err), slog.Int("omitted", omitted))
	}
}

func (l *Log) panicked(ctx context.Context, node transport.NodeID, method string, v any) {
	if omitted, ok := l.due(served, panics); ok {
		l.logger().LogAttrs(context.WithoutCancel(ctx), slog.LevelError, "transport: handler panicked",
			slog.String("node", string(node)), slog.String("method", method), slog.String("panic", fmt.Sprint(v)),
			slog.String("stack", string(debug.Stack())), slog.Int("omitted", omitted))
	}
}

// due says whether a line of a kind is to be written, and how many were not since the
// last one.
func (l *Log) due(way, kind int) (omitted int, ok bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.pauses[way][kind]
	if now.Before(p.until) {
		p.omitted++
		return 0, false
	}
	omitted = p.omitted
	*p = pause{until: now.Add(cmp.Or(max(l.Every, 0), time.Second))}
	return omitted, true
}

func (l *Log) logger() *slog.Logger { return cmp.Or(l.Logger, slog.Default()) }
