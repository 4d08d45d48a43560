package httptransport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/httptransport"
)

// post is a request as the Client makes it, of three bytes.
func post(body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/any/where", body)
	for key, value := range map[string]string{"Version": "1", "Cluster": "", "From": "a", "To": "b", "Method": "m", "Length": "3", "Limit": "1000"} {
		r.Header.Set("Eventual-"+key, value)
	}
	return r
}

func answerOf(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *http.Request)
		status int
	}{
		"method of HTTP":   {func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"no version":       {func(r *http.Request) { r.Header.Del("Eventual-Version") }, 400},
		"later version":    {func(r *http.Request) { r.Header.Set("Eventual-Version", "2") }, 400},
		"another cluster":  {func(r *http.Request) { r.Header.Set("Eventual-Cluster", "x") }, 421},
		"another node":     {func(r *http.Request) { r.Header.Set("Eventual-To", "c") }, 421},
		"no name":          {func(r *http.Request) { r.Header.Set("Eventual-From", "") }, 400},
		"long name":        {func(r *http.Request) { r.Header.Set("Eventual-From", strings.Repeat("x", 256)) }, 400},
		"two names":        {func(r *http.Request) { r.Header.Set("Eventual-From", "a,c") }, 400},
		"other escape":     {func(r *http.Request) { r.Header.Set("Eventual-From", "%61") }, 400},
		"escape":           {func(r *http.Request) { r.Header.Set("Eventual-Method", "%zz") }, 400},
		"claims 4 GiB":     {func(r *http.Request) { r.Header.Set("Eventual-Length", "4294967296") }, 400},
		"claims 1 GiB":     {func(r *http.Request) { r.Header.Set("Eventual-Length", "1073741824") }, 413},
		"claims too much":  {func(r *http.Request) { r.Header.Set("Eventual-Length", "4") }, 400},
		"claims too few":   {func(r *http.Request) { r.Header.Set("Eventual-Length", "2") }, 400},
		"negative timeout": {func(r *http.Request) { r.Header.Set("Eventual-Timeout", "-1") }, 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := post(strings.NewReader("abc"))
			c.change(r)
			resp := answerOf(newHandler(), r)
			require.Equal(t, c.status, resp.StatusCode)
			require.NotEqual(t, "ok", resp.Header.Get("Eventual-Status"))
		})
	}
	for _, key := range []string{"Version", "Cluster", "From", "To", "Method", "Length", "Limit", "Timeout"} {
		r := post(strings.NewReader("abc"))
		r.Header.Add("Eventual-Timeout", "1000000000")
		require.Equal(t, 200, answerOf(newHandler(), r.Clone(t.Context())).StatusCode)
		r = post(strings.NewReader("abc"))
		r.Header.Add("Eventual-Timeout", "1000000000")
		r.Header.Add("Eventual-"+key, r.Header.Get("Eventual-"+key))
		require.Equal(t, 400, answerOf(newHandler(), r).StatusCode, "repeated %s", key)
	}
	require.Equal(t, 200, answerOf(newHandler(), post(strings.NewReader("abc"))).StatusCode)
	require.Equal(t, 421, answerOf(new(httptransport.Handler), post(strings.NewReader("abc"))).StatusCode)
}

// A refusal reaches the caller with its reason.
func TestRefusalsAreTold(t *testing.T) {
	h := newHandler()
	h.Cluster = "other"
	_, err := try(t, serve(t, h), []byte("x"))
	e := statusError(t, err)
	require.True(t, e.Refused)
	require.Contains(t, err.Error(), `cluster "other"`)
}

// Who calls is who Peer says, and nobody else.
func TestPeerDecides(t *testing.T) {
	h := newHandler()
	h.Peer = func(r *http.Request) (transport.NodeID, error) {
		if name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer of "); ok {
			return transport.NodeID(name), nil
		}
		return "a", errors.New("secret reasons")
	}
	for token, status := range map[string]int{"Bearer of a": 200, "Bearer of c": 403, "": 403, "Bearer of ": 403} {
		r := post(strings.NewReader("abc"))
		r.Header.Set("Authorization", token)
		resp := answerOf(h, r)
		require.Equal(t, status, resp.StatusCode)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NotContains(t, string(text), "secret")
	}
}

// More calls than MaxCalls, and more bytes than MaxBytes, are refused at once, and
// others are served meanwhile and afterwards.
func TestRoomIsBounded(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	h := &httptransport.Handler{Self: "b", MaxCalls: 2, MaxBytes: 1 << 10, Handler: transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		if method == "hold" {
			started <- struct{}{}
			<-release
		}
		return req, nil
	})}
	c := serve(t, h)
	other := &httptransport.Client{Self: "c", Peers: c.Peers}
	defer other.Close()
	done := make(chan error, 2)
	hold := func(from *httptransport.Client, size int) {
		go func() {
			_, err := from.Call(t.Context(), "b", "hold", make([]byte, size))
			done <- err
		}()
		<-started
	}
	hold(c, 600)
	_, err := try(t, other, make([]byte, 600))
	require.Equal(t, http.StatusServiceUnavailable, statusError(t, err).Status, "600 and 600 bytes")
	_, err = try(t, other, make([]byte, 400))
	require.NoError(t, err)
	hold(other, 0)
	_, err = try(t, c, []byte("x"))
	require.Equal(t, http.StatusServiceUnavailable, statusError(t, err).Status, "a third call")
	close(release)
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	for range 5 { // what was taken is given back
		require.Eventually(t, func() bool {
			_, err := try(t, c, make([]byte, 1<<10))
			return err == nil
		}, time.Minute, time.Millisecond)
	}
}

// What there is never room for is too large, and not refused as what may fit the next time: a
// call whose response was refused would be made again and again.
func TestWhatNeverFitsIsTooLarge(t *testing.T) {
	h := &httptransport.Handler{Self: "b", MaxBytes: 1 << 10, Handler: transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		if method == "more" {
			return make([]byte, 1<<10+1), nil
		}
		return make([]byte, 1<<10), nil
	})}
	for what, c := range map[string]struct {
		method string
		size   int
		large  string
	}{
		"request": {"m", 1<<10 + 1, "request"}, "response": {"more", 0, "response"}, "neither": {"m", 1 << 10, ""},
	} {
		t.Run(what, func(t *testing.T) {
			client := serve(t, h)
			_, err := client.Call(t.Context(), "b", c.method, make([]byte, c.size))
			if c.large == "" {
				require.NoError(t, err)
				return
			}
			e, ok := errors.AsType[*transport.TooLargeError](err)
			require.True(t, ok, err)
			require.Equal(t, transport.TooLargeError{What: c.large, Limit: 1 << 10, Size: 1<<10 + 1}, *e)
		})
	}
}

// A request that trickles is given up, holds no call's place meanwhile, and what it
// held is free again.
func TestSlowRequestIsGivenUp(t *testing.T) {
	h := newHandler()
	h.MaxCalls, h.TransferTimeout = 1, 100*time.Millisecond
	s := httptest.NewServer(h)
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	head := "POST / HTTP/1.1\r\nHost: b\r\nEventual-Version: 1\r\nEventual-Cluster:\r\nEventual-From: a\r\nEventual-To: b\r\nEventual-Method: m\r\nEventual-Limit: 9\r\n"
	_, err = io.WriteString(conn, head+"Eventual-Length: 9\r\nContent-Length: 9\r\n\r\nabc")
	require.NoError(t, err)
	c := &httptransport.Client{Self: "a", Peers: map[transport.NodeID]string{"b": s.URL}}
	defer c.Close()
	_, err = try(t, c, []byte("served meanwhile"))
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestTimeout, resp.StatusCode)
}

// The timeout of one request is not that of the next on its connection, nor that of
// its handler.
func TestTransferTimeoutIsOfTheTransfer(t *testing.T) {
	h := newHandler()
	h.TransferTimeout = 50 * time.Millisecond
	long := make(chan struct{})
	h.Handler = transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		if method == "long" {
			select {
			case <-long:
			case <-ctx.Done():
			}
		}
		return nil, ctx.Err()
	})
	c := serve(t, h)
	_, err := try(t, c, []byte("x"))
	require.NoError(t, err)
	time.AfterFunc(4*h.TransferTimeout, func() { close(long) })
	_, err = c.Call(t.Context(), "b", "long", []byte("x"))
	require.NoError(t, err)
	_, err = try(t, c, []byte("x"))
	require.NoError(t, err)
}

func TestSelfMustBeSet(t *testing.T) {
	c := &httptransport.Client{Peers: map[transport.NodeID]string{"b": "http://127.0.0.1:1"}}
	_, err := c.Call(t.Context(), "b", "m", nil)
	require.Error(t, err)
	c = &httptransport.Client{Self: "a", Peers: map[transport.NodeID]string{"b": "::no URL"}}
	for _, to := range []transport.NodeID{"b", "c"} {
		_, err = c.Call(t.Context(), to, "m", nil)
		require.ErrorIs(t, err, transport.ErrUnreachable)
	}
	for _, at := range []string{"https://me:secret@b:port", "https://me:%secret@b", "https:/me:secret@b", "https:me:secret@b", "me:secret@b:1", "https://me:secret@127.0.0.1:1"} {
		c = &httptransport.Client{Self: "a", Peers: map[transport.NodeID]string{"b": at}}
		_, err = c.Call(t.Context(), "b", "m", nil)
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.NotContains(t, err.Error(), "sec", "the password of a URL is not told")
		require.NoError(t, c.Close())
	}
	c = &httptransport.Client{Self: "a", Resolve: func(context.Context, transport.NodeID) (string, error) {
		return "", fmt.Errorf("lookup: %w", context.Canceled)
	}}
	_, err = c.Call(t.Context(), "b", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.NotErrorIs(t, err, context.Canceled)
}
