package intercept_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
)

var quiet = slog.New(slog.DiscardHandler)

// around is a Caller and a Handler with an interceptor of each kind.
func around(metrics *intercept.Metrics) (transport.Caller, transport.Handler) {
	access := &intercept.Access{Rules: map[string]intercept.Rule{"": intercept.Anyone, "m": intercept.Nodes("a", "b")}}
	log := &intercept.Log{Logger: quiet}
	resp := []byte("response")
	return log.Caller(metrics.Caller(callerFunc(says(resp, nil)))),
		log.Handler(metrics.Handler(access.Handler(says(resp, nil))))
}

// A call that succeeds costs no memory.
func TestCallsAllocateNothing(t *testing.T) {
	var metrics intercept.Metrics
	c, h := around(&metrics)
	req := make([]byte, 100)
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() { c.Call(ctx, "b", "method", req) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { h.ServeCall(ctx, "a", "method", req) }))
	unknown := metrics.Handler(says(nil, transport.ErrUnknownMethod))
	require.Zero(t, testing.AllocsPerRun(100, func() { unknown.ServeCall(ctx, "a", "made up", req) }))
}

func BenchmarkMetrics(b *testing.B) {
	var metrics intercept.Metrics
	h := metrics.Handler(says(nil, nil))
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeCall(ctx, "a", "method", nil)
	}
}

func BenchmarkAccess(b *testing.B) {
	access := &intercept.Access{Rules: map[string]intercept.Rule{"": nil, "quorum/": intercept.Nodes("a", "b"), "antientropy/": intercept.Nodes("a", "b")}}
	h := access.Handler(says(nil, nil))
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeCall(ctx, "b", "quorum/2", nil)
	}
}

func BenchmarkAll(b *testing.B) {
	var metrics intercept.Metrics
	_, h := around(&metrics)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeCall(ctx, "a", "method", nil)
	}
}
