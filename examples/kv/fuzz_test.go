package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever a client sends to a replica that is alone, the answer is JSON with a code of the README that is not the
// replica's failure, costs about what was sent, and what is refused changes nothing.
func FuzzAPI(f *testing.F) {
	for _, seed := range []struct{ method, target, body string }{
		{"POST", "/v1/counters/x", `{"add": -3}`},
		{"POST", "/v1/counters/x?w=1", `{"add": 9223372036854775807}`},
		{"POST", "/v1/sets/x%2F..%2Fy", `{"add": ["x", "y"], "remove": ["z"]}`},
		{"PUT", "/v1/registers/x?level=all", `{"value": {"a": [1, null, "\u0000"]}}`},
		{"PUT", "/v1/values/x", `{"value": 1, "context": "AAAAAAAAAAAAAAAA"}`},
		{"GET", "/v1/values/x?r=1", ""},
		{"DELETE", "/v1/sets/x?level=one", ""},
		{"GET", "/v1/keys?prefix=x", ""},
		{"GET", "/v1/status", ""},
		{"POST", "/v1/sync", ""},
		{"POST", "/v1/faults", `{"cut": [], "delay": "1ms", "loss": 0.5}`},
		{"PUT", "/v1/registers/" + strings.Repeat("k", maxKey+1), `{"value": 1}`},
		{"POST", "/v1/sets/x", `{"add": ["` + strings.Repeat("[", 200) + `"]} `},
		{"OPTIONS", "*", ""},
	} {
		f.Add(seed.method, seed.target, seed.body)
	}
	allowed := []int{http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || method == "" {
			return // as a server refuses it
		}
		n, err := newNode("a", nil, config{timeout: time.Minute, faults: true})
		require.NoError(t, err)
		defer n.store.Close()
		ask := func(method string, u *url.URL, body string) (int, []byte) {
			w := httptest.NewRecorder()
			r := &http.Request{Method: method, URL: u, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
			n.api().ServeHTTP(w, r.WithContext(t.Context()))
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			require.True(t, json.Valid(w.Body.Bytes()), "%q", w.Body)
			return w.Code, w.Body.Bytes()
		}
		before := n.root()
		status, answer := ask(method, u, body)
		require.Contains(t, allowed, status, "%s", answer)
		require.LessOrEqual(t, len(answer), 12*(len(target)+len(method)+len(body))+1000)
		if status != http.StatusOK {
			var fail failure
			require.NoError(t, json.Unmarshal(answer, &fail))
			require.NotEmpty(t, fail.Code)
			require.NotEmpty(t, fail.Error)
			require.Equal(t, before, n.root())
			return
		}
		if bytes.Equal(answer, []byte("{\"acked\":1}\n")) && method != http.MethodDelete {
			again, held := ask(http.MethodGet, &url.URL{Path: u.Path, RawPath: u.RawPath}, "")
			require.True(t, slices.Contains([]int{http.StatusOK, http.StatusNotFound}, again), "%s", held)
		}
	})
}
