package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
)

// A trio is three nodes in one process, which all hold every cart.
type trio struct {
	t     *testing.T
	nodes map[transport.NodeID]*node
	dying atomic.Value // the node that is gone as soon as it has made a change for another one
}

func newTrio(t *testing.T) *trio {
	three := &trio{t: t, nodes: map[transport.NodeID]*node{}}
	three.dying.Store(transport.NodeID(""))
	var lns []net.Listener
	var peers []peer
	for _, id := range []string{"a1", "b1", "c1"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		lns = append(lns, ln)
		peers = append(peers, peer{transport.NodeID(id), id[:1], ln.Addr().String()})
	}
	for i, p := range peers {
		n, err := newNode(config{id: p.ID, zone: p.Zone, peers: slices.Delete(slices.Clone(peers), i, i+1), timeout: time.Second}, p.Addr)
		require.NoError(t, err)
		three.nodes[p.ID] = n
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = n.links.tcp.Serve(context.Background(), lns[i], three.handler(n))
		}()
		t.Cleanup(func() {
			_ = n.links.tcp.Close()
			<-served
			_ = n.store.Close()
		})
	}
	return three
}

// handler serves what a node is called for, until it dies: when a change is made, and before anybody is told.
func (three *trio) handler(n *node) transport.Handler {
	return transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
		resp, err := n.calls.ServeCall(ctx, from, method, req)
		if method == "cart/change" && three.dying.Load() == n.config.id {
			go func() { _ = n.links.tcp.Close() }()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return resp, err
	})
}

func (three *trio) do(at transport.NodeID, method, path string, headers ...string) (status int, tag string, body failure) {
	return request(three.t, three.nodes[at].api(), method, path, headers...)
}

// request makes a request with these headers, each a name and a value.
func request(t *testing.T, api http.Handler, method, path string, headers ...string) (status int, tag string, body failure) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	_ = json.Unmarshal(w.Body.Bytes(), &body)
	return w.Code, w.Header().Get("ETag"), body
}

// A client changes what it has seen, and nothing else.
func TestChangesOnCondition(t *testing.T) {
	n, err := newNode(config{id: "a1", zone: "a", timeout: time.Second}, "127.0.0.1:1")
	require.NoError(t, err)
	api := n.api()
	change := func(want int, method, path string, headers ...string) (tag string) {
		status, tag, _ := request(t, api, method, path, headers...)
		require.Equal(t, want, status, "%s %s %q", method, path, headers)
		return tag
	}
	get := func() string { return change(200, "GET", "/carts/x") }

	first := change(200, "PUT", "/carts/x/milk", "If-None-Match", "*")
	require.Equal(t, first, get())
	change(412, "PUT", "/carts/x/tea", "If-None-Match", "*")
	second := change(200, "PUT", "/carts/x/tea", "If-Match", first)
	require.Equal(t, second, get())
	change(412, "PUT", "/carts/x/jam", "If-Match", first)
	change(412, "DELETE", "/carts/x/tea", "If-Match", first)
	require.Equal(t, second, get(), "what was refused has changed nothing")
	change(200, "PUT", "/carts/x/jam")
	change(412, "PUT", "/carts/x/bread", "If-Match", second)
	change(200, "DELETE", "/carts/x/nothing", "If-Match", get())
	for _, element := range []string{"milk", "tea", "jam"} {
		change(200, "DELETE", "/carts/x/"+element, "If-Match", get())
	}
	last := change(200, "PUT", "/carts/x/milk", "If-None-Match", "*") // an empty cart is none
	require.Equal(t, last, get())
	change(400, "PUT", "/carts/x/y?level=one", "If-Match", first)
}

// A condition that cannot be understood, or is there and empty, or is one of two, is refused: a change that was to be made on
// one is never made without.
func TestConditionsAreNeverPassedOver(t *testing.T) {
	n, err := newNode(config{id: "a1", zone: "a", timeout: time.Second}, "127.0.0.1:1")
	require.NoError(t, err)
	api := n.api()
	old := tagOf(t, api, "PUT", "/carts/x/milk", "If-None-Match", "*")
	now := tagOf(t, api, "PUT", "/carts/x/tea", "If-Match", old)
	for _, bad := range [][]string{
		{"If-Match", ""}, {"If-None-Match", ""}, {"If-Match", " "}, {"If-Match", "", "If-None-Match", ""},
		{"If-Match", now, "If-Match", old}, {"If-Match", now, "If-Match", now}, {"If-Match", "", "If-Match", now}, {"If-Match", now, "If-Match", ""},
		{"If-None-Match", "*", "If-None-Match", "*"}, {"If-Match", now, "If-None-Match", ""}, {"If-Match", now, "If-None-Match", "*"},
		{"If-Match", "*"}, {"If-Match", "W/" + now}, {"If-Match", old + ", " + now}, {"If-Match", now + ","}, {"If-Match", `"`},
		{"If-Match", `""`}, {"If-Match", `"x"`}, {"If-Match", now[1:]}, {"If-None-Match", now}, {"If-None-Match", `"*"`},
	} {
		for _, method := range []string{"PUT", "DELETE"} {
			status, _, f := request(t, api, method, "/carts/x/milk", bad...)
			require.Equal(t, http.StatusBadRequest, status, "%s %q", method, bad)
			require.Equal(t, "bad_request", f.Code)
		}
	}
	require.Equal(t, now, tagOf(t, api, "GET", "/carts/x"), "nothing has changed")
}

// Who reads and has what is there is told just that.
func TestWhatAClientHasIsNotSentAgain(t *testing.T) {
	n, err := newNode(config{id: "a1", zone: "a", timeout: time.Second}, "127.0.0.1:1")
	require.NoError(t, err)
	api := n.api()
	old := tagOf(t, api, "PUT", "/carts/x/milk", "If-None-Match", "*")
	now := tagOf(t, api, "PUT", "/carts/x/tea", "If-Match", old)
	for _, c := range []struct {
		status int
		known  []string
	}{
		{http.StatusNotModified, []string{now}}, {http.StatusNotModified, []string{"W/" + now}}, {http.StatusNotModified, []string{"*"}},
		{http.StatusNotModified, []string{old + ",  " + now}}, {http.StatusNotModified, []string{old, now}},
		{http.StatusOK, []string{old}}, {http.StatusOK, []string{""}}, {http.StatusOK, []string{now[1:]}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/carts/x", nil)
		r.Header["If-None-Match"] = c.known
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		require.Equal(t, c.status, w.Code, "%q", c.known)
		require.Equal(t, now, w.Header().Get("ETag"))
		require.Equal(t, c.status == http.StatusNotModified, w.Body.Len() == 0)
	}
	status, _, _ := request(t, api, "GET", "/carts/none", "If-None-Match", "*")
	require.Equal(t, http.StatusNotFound, status)
}

// tagOf is the entity tag of an answer that is 200.
func tagOf(t *testing.T, api http.Handler, method, path string, headers ...string) string {
	t.Helper()
	status, tag, f := request(t, api, method, path, headers...)
	require.Equal(t, http.StatusOK, status, f.Message)
	require.NotEmpty(t, tag)
	return tag
}

// The owner that changes on a condition go to is killed when it has made one, with the answer on its way. The client is told
// that it is not known, and not that its condition is not met. While that owner is away its changes are made by the next one,
// at once or after a moment in which it is not known either; and no client meets its own change.
func TestALostAnswerIsNotAConflict(t *testing.T) {
	three := newTrio(t)
	owners := three.nodes["a1"].ring.Place("x").Owners
	first, client := owners[0], owners[2]
	three.dying.Store(first)

	status, _, f := three.do(client, "PUT", "/carts/x/milk", "If-None-Match", "*")
	require.Contains(t, []int{http.StatusServiceUnavailable, http.StatusGatewayTimeout}, status)
	require.Equal(t, "unknown", f.Code)
	require.Contains(t, f.Message, "not known")
	status, tag, _ := three.do(client, "GET", "/carts/x")
	require.Equal(t, http.StatusOK, status, "it was made")

	require.Eventually(t, func() bool {
		status, _, f = three.do(client, "PUT", "/carts/x/bread", "If-Match", tag)
		require.NotEqual(t, http.StatusPreconditionFailed, status, f.Message)
		return status == http.StatusOK
	}, 10*time.Second, 10*time.Millisecond, "the next owner makes it")
	status, _, _ = three.do(client, "PUT", "/carts/x/jam", "If-Match", tag)
	require.Equal(t, http.StatusPreconditionFailed, status)
}

// A change that its owner has made, and that too few others confirm, is not known either, also by the owner itself; one that
// was not made because too few could be asked says just that.
func TestAChangeThatIsNotConfirmedIsUnknown(t *testing.T) {
	three := newTrio(t)
	for hop, key := range []string{"x", "y"} { // asked of its owner, and of another node
		owners := three.nodes["a1"].ring.Place(key).Owners
		first := three.nodes[owners[0]]
		made := func() bool { held, err := first.store.Load(t.Context(), key); return err == nil && len(held) > 0 }
		first.coord.Caller = refusing{first.caller, made}
		status, _, f := three.do(owners[hop], "PUT", "/carts/"+key+"/milk", "If-None-Match", "*")
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, "unknown", f.Code)
		require.Equal(t, []int{2, 1}, []int{f.Needed, f.Answered})

		status, _, f = three.do(owners[hop], "PUT", "/carts/"+key+"/bread", "If-None-Match", "*")
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, "unavailable", f.Code, "it could not be looked whether it may be made")
		first.coord.Caller = first.caller
	}
}

// refusing is a caller that reaches nobody once something is so.
type refusing struct {
	transport.Caller
	once func() bool
}

func (r refusing) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	if r.once() {
		return nil, transport.ErrUnreachable
	}
	return r.Caller.Call(ctx, to, method, req)
}

// What proves that nothing was sent is told from what may have been under way, and what is not known has one code.
func TestWhatIsNotKnownIsToldApart(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: io.EOF}
	for _, c := range []struct {
		err    error
		unsent bool
	}{
		{fmt.Errorf("%w: %w", transport.ErrUnreachable, dial), true},
		{fmt.Errorf("%w: %w", transport.ErrUnreachable, &tcp.HandshakeError{Reason: tcp.ReasonBusy}), true},
		{fmt.Errorf("%w of %q", errNoAddress, "b1"), true},
		{fmt.Errorf("%w: connection lost: %w", transport.ErrUnreachable, &tcp.HandshakeError{Reason: tcp.ReasonExpired}), false},
		{fmt.Errorf("%w: connection lost: %w", transport.ErrUnreachable, &tcp.HandshakeError{Reason: tcp.ReasonUntrusted}), false},
		{fmt.Errorf("%w: connection lost: %w", transport.ErrUnreachable, &net.OpError{Op: "read", Err: io.EOF}), false},
		{transport.ErrUnreachable, false},
		{&transport.RemoteError{Message: "panic"}, false},
		{context.DeadlineExceeded, false},
	} {
		require.Equal(t, c.unsent, unsent(c.err), "%v", c.err)
	}
	lacks := quorum.Refusal{Needed: 2, Answered: 1}
	for _, c := range []struct {
		err    error
		status int
	}{
		{transport.ErrUnreachable, http.StatusServiceUnavailable},
		{context.DeadlineExceeded, http.StatusGatewayTimeout},
		{&revision.UnknownError{Err: &quorum.UnavailableError{Refusal: lacks}}, http.StatusServiceUnavailable},
		{&revision.UnknownError{Err: &quorum.TimeoutError{Refusal: lacks}}, http.StatusGatewayTimeout},
		{&quorum.LevelError{Level: quorum.All}, http.StatusServiceUnavailable},
	} {
		f := failureOf(&unknownError{by: "b1", err: c.err})
		require.Equal(t, c.status, f.Status)
		require.Equal(t, "unknown", f.Code)
		require.Contains(t, f.Message, "it is not known whether b1 has made the change")
		if _, refused := errors.AsType[*revision.UnknownError](c.err); refused {
			require.Equal(t, []int{2, 1}, []int{f.Needed, f.Answered})
		}
	}
	require.Equal(t, "unavailable", failureOf(&quorum.UnavailableError{}).Code, "of a change without a condition, or before it was made")
}
