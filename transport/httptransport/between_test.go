package httptransport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/httptransport"
)

func echo(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	return req, nil
}

// newHandler is node b, which echoes.
func newHandler() *httptransport.Handler {
	return &httptransport.Handler{Self: "b", Handler: transport.HandlerFunc(echo)}
}

// serve serves h until the test ends, and returns a client of it.
func serve(t testing.TB, h http.Handler) *httptransport.Client {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c := &httptransport.Client{Self: "a", Peers: map[transport.NodeID]string{"b": s.URL}}
	t.Cleanup(func() { c.Close() })
	return c
}

func try(t testing.TB, c *httptransport.Client, req []byte) ([]byte, error) {
	return c.Call(t.Context(), "b", "m", req)
}

func statusError(t *testing.T, err error) *httptransport.StatusError {
	t.Helper()
	require.ErrorIs(t, err, transport.ErrUnreachable)
	e, ok := errors.AsType[*httptransport.StatusError](err)
	require.True(t, ok, err)
	return e
}

// What something in between answers is told as what it is.
func TestOthersAnswer(t *testing.T) {
	page := "<html>\n<h1>Log in,\x00 please</h1>" + strings.Repeat("x", 1<<20)
	for _, status := range []int{200, 204, 302, 401, 403, 413, 502, 503, 504} {
		c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, page)
		}))
		_, err := try(t, c, []byte("x"))
		e := statusError(t, err)
		require.Equal(t, status, e.Status)
		require.False(t, e.Refused)
		require.LessOrEqual(t, len(e.Text), 512)
		if status != 204 {
			require.Contains(t, err.Error(), "<html> <h1>Log in, please</h1>")
		}
		require.Equal(t, status == 413, errors.Is(err, transport.ErrTooLarge))
	}
}

// Redirects are not followed: a request is not sent again to whoever.
func TestRedirectsAreNotFollowed(t *testing.T) {
	seen := 0
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen++
		http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
	}))
	_, err := try(t, c, []byte("x"))
	require.Equal(t, http.StatusTemporaryRedirect, statusError(t, err).Status)
	require.Equal(t, 1, seen)
}

// A response that was cut, lengthened, compressed or mangled on its way is none.
func TestMangledAnswers(t *testing.T) {
	for name, mangle := range map[string]func(w http.ResponseWriter){
		"cut":    func(w http.ResponseWriter) { _, _ = w.Write([]byte("123")) },
		"longer": func(w http.ResponseWriter) { _, _ = w.Write([]byte("12345")) },
		"compressed": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("1234"))
		},
		"no length": func(w http.ResponseWriter) { w.Header().Del("Eventual-Length"); _, _ = w.Write([]byte("1234")) },
		"negative":  func(w http.ResponseWriter) { w.Header().Set("Eventual-Length", "-1") },
		"no code": func(w http.ResponseWriter) {
			w.Header().Set("Eventual-Status", "failed")
			_, _ = w.Write([]byte("1234"))
		},
		"no limit": func(w http.ResponseWriter) { w.Header().Set("Eventual-Status", "response-too-large") },
		"twice":    func(w http.ResponseWriter) { w.Header().Add("Eventual-Length", "3"); _, _ = w.Write([]byte("1234")) },
		"version":  func(w http.ResponseWriter) { w.Header().Set("Eventual-Version", "2"); _, _ = w.Write([]byte("1234")) },
		"error of a proxy": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("1234"))
		},
		"partial": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte("1234"))
		},
		"status": func(w http.ResponseWriter) { w.Header().Set("Eventual-Status", "fine"); _, _ = w.Write([]byte("1234")) },
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Eventual-Version", "1")
				w.Header().Set("Eventual-Status", "ok")
				w.Header().Set("Eventual-Length", "4")
				mangle(w)
			}))
			resp, err := try(t, c, nil)
			require.ErrorIs(t, err, transport.ErrUnreachable)
			require.Nil(t, resp)
		})
	}
}

// A length of gigabytes is answered before anything is allocated for it.
func TestClaimsAreNotBelieved(t *testing.T) {
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Eventual-Version", "1")
		w.Header().Set("Eventual-Status", "ok")
		w.Header().Set("Eventual-Length", "1000000000")
		w.Header().Set("Content-Length", "1000000000")
		_, _ = w.Write([]byte("x"))
	}))
	_, err := try(t, c, nil)
	require.ErrorIs(t, err, transport.ErrTooLarge)
	c = serve(t, claiming(500))
	c.MaxMessage = 1 << 30
	_, err = try(t, c, nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
}

// claiming claims a response, and sends a few bytes of it.
func claiming(sends int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Eventual-Version", "1")
		w.Header().Set("Eventual-Status", "ok")
		w.Header().Set("Eventual-Length", "1073741824")
		_, _ = w.Write(make([]byte, sends))
	}
}

func TestMiddleware(t *testing.T) {
	limited := serve(t, http.MaxBytesHandler(newHandler(), 100))
	resp, err := try(t, limited, make([]byte, 100))
	require.NoError(t, err)
	require.Len(t, resp, 100)
	_, err = try(t, limited, make([]byte, 101))
	e, ok := errors.AsType[*transport.TooLargeError](err)
	require.True(t, ok, err)
	require.Equal(t, transport.TooLargeError{What: "request", Limit: 100, Size: 101}, *e)

	timed := serve(t, http.TimeoutHandler(newHandler(), 1<<40, ""))
	resp, err = try(t, timed, []byte("x"))
	require.NoError(t, err)
	require.Equal(t, "x", string(resp))

	guarded := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		newHandler().ServeHTTP(w, r)
	}))
	_, err = try(t, guarded, nil)
	require.Equal(t, 401, statusError(t, err).Status)
}

// What middleware has put into the context of a request, handlers find there.
func TestContextIsTheRequests(t *testing.T) {
	type key struct{}
	h := &httptransport.Handler{Self: "b", Handler: transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		return []byte(ctx.Value(key{}).(string)), nil
	})}
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "traced")))
	}))
	resp, err := try(t, c, nil)
	require.NoError(t, err)
	require.Equal(t, "traced", string(resp))
}
