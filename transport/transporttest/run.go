package transporttest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A Network is what Run needs to know of the transport it tests: how to start and
// stop nodes that reach each other by name. It ends with the test it was made for.
type Network interface {
	// Start starts a node, or starts it again after Stop, and returns its end of the
	// transport. All nodes can call it by id. If the Caller has a Close method that
	// returns an error, closing is tested too.
	Start(id transport.NodeID, h transport.Handler) transport.Caller

	// Stop ends a node without a farewell, as far as the transport can: the handlers it
	// runs see their contexts end, and who calls it sees that it is gone.
	Stop(id transport.NodeID)

	// MaxMessage is the limit on requests and responses, in bytes.
	MaxMessage() int
}

// A Leaver is a Network whose nodes can stop politely; then that is tested too.
type Leaver interface {
	// Leave ends a node when the calls that it serves are answered: their handlers
	// finish undisturbed, and the callers get what they return. Calls that come later
	// may fail. Leave returns when the node is gone.
	Leave(id transport.NodeID)
}

// Run tests a transport. It calls newNetwork for each part of the suite.
func Run(t *testing.T, newNetwork func(t *testing.T) Network) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, n Network)
	}{
		{"Echo", testEcho},
		{"EmptyMessages", testEmptyMessages},
		{"EveryNodeCalls", testEveryNodeCalls},
		{"SlowCallBlocksNoOther", testSlowCallBlocksNoOther},
		{"ManyCallsAtOnce", testManyCallsAtOnce},
		{"ManyMethods", testManyMethods},
		{"MethodsOfAnyBytes", testMethodsOfAnyBytes},
		{"CallsWithinCalls", testCallsWithinCalls},
		{"AllSizesBothWays", testAllSizesBothWays},
		{"LargeMessages", testLargeMessages},
		{"RequestTooLarge", testRequestTooLarge},
		{"ResponseTooLarge", testResponseTooLarge},
		{"NamesTooLong", testNamesTooLong},
		{"RemoteError", testRemoteError},
		{"RemoteErrorIsNotLocal", testRemoteErrorIsNotLocal},
		{"RemoteErrorIsBounded", testRemoteErrorIsBounded},
		{"RemoteErrorIsVerbatim", testRemoteErrorIsVerbatim},
		{"UnknownMethod", testUnknownMethod},
		{"Panic", testPanic},
		{"HandlerEndsGoroutine", testHandlerEndsGoroutine},
		{"Cancel", testCancel},
		{"CancelBeforeCall", testCancelBeforeCall},
		{"CancelManyAtOnce", testCancelManyAtOnce},
		{"CancelWhileSending", testCancelWhileSending},
		{"Deadline", testDeadline},
		{"DeadlineIsTheCallers", testDeadlineIsTheCallers},
		{"DeadlineBeforeCall", testDeadlineBeforeCall},
		{"NoDeadline", testNoDeadline},
		{"ValuesStay", testValuesStay},
		{"CallerGone", testCallerGone},
		{"UnknownNode", testUnknownNode},
		{"NodeGone", testNodeGone},
		{"NodeReturns", testNodeReturns},
		{"NodeLeaves", testNodeLeaves},
		{"RequestIsTheCallers", testRequestIsTheCallers},
		{"RequestIsNotShared", testRequestIsNotShared},
		{"ResponseIsTheCallers", testResponseIsTheCallers},
		{"Close", testClose},
		{"CloseUnderWay", testCloseUnderWay},
		{"FloodStarvesNobody", testFloodStarvesNobody},
		{"SlowReaderBlocksNobody", testSlowReaderBlocksNobody},
		{"Identity", testIdentity},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, newNetwork(t)) })
	}
	t.Run("NothingIsLeft", func(t *testing.T) { testNothingIsLeft(t, newNetwork) })
}

// patience is for what must happen soon, on a machine that does other things too.
var patience = 30 * time.Second

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// call makes a call that must succeed.
func call(t *testing.T, from transport.Caller, to transport.NodeID, method string, req []byte) []byte {
	t.Helper()
	resp, err := from.Call(bounded(t), to, method, req)
	require.NoError(t, err)
	return resp
}

// fails makes a call that must fail, and returns the error.
func fails(t *testing.T, from transport.Caller, to transport.NodeID, method string, req []byte) error {
	t.Helper()
	resp, err := from.Call(bounded(t), to, method, req)
	require.Error(t, err)
	require.Nil(t, resp)
	return err
}

// receive waits for a value that must come.
func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		require.Fail(t, "nothing came")
	}
	return v
}

// until tries again, with pauses, until ok.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			require.Fail(t, "did not come to pass")
		}
	}
}

// a handler for each method, where "method" means all of it.
type methods map[string]transport.HandlerFunc

func (m methods) mux() *transport.Mux {
	mux := new(transport.Mux)
	for method, h := range m {
		mux.Handle(method, h)
	}
	return mux
}

func echo(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	return req, nil
}

// block waits for the end of its context and reports it.
func block(started, ended chan<- error) transport.HandlerFunc {
	return func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		started <- nil
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
}
