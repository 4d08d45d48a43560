package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// Whatever a client sends to a node that is alone, the answer is one that the README names and not the node's failure;
// what it takes into a cart is there, and what it refuses is not.
func FuzzAPI(f *testing.F) {
	for _, seed := range []struct{ method, target, tag, body string }{
		{"PUT", "/carts/x/milk", "", ""},
		{"PUT", "/carts/x/milk?level=all&sloppy=1", `"0"`, ""},
		{"DELETE", "/carts/x/milk?level=local-one", "*", ""},
		{"GET", "/carts/x%2F?level=one", `W/"1", "2"`, ""},
		{"PUT", "/carts/%ff/%00", "", ""},
		{"PUT", "/carts/%00cas%2Fring%2F2/x", "", ""},
		{"PUT", "/carts/x/%ff", "", ""},
		{"PUT", "/carts//x", "", ""},
		{"PUT", "/carts/x/" + strings.Repeat("e", maxName+1), "", ""},
		{"GET", "/where/x", "", ""},
		{"POST", "/members", "", `{"join": {"id": "b1", "zone": "b", "addr": "127.0.0.1:1"}}`},
		{"POST", "/members", "", `{"join": {"id": "../b1", "zone": "b", "addr": "127.0.0.1:1"}}`},
		{"POST", "/members", "", `{"leave": "a1"}`},
		{"GET", "/members", "", ""},
		{"GET", "/ring", "", ""},
		{"GET", "/stats", "", ""},
		{"GET", "/metrics", "", ""},
	} {
		f.Add(seed.method, seed.target, seed.tag, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, target, tag, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || method == "" {
			return // as a server refuses it
		}
		n, err := newNode(config{id: "a1", zone: "a", timeout: time.Minute}, "127.0.0.1:1")
		require.NoError(t, err)
		defer n.close()
		ask := func(method string, u *url.URL) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			r := &http.Request{Method: method, URL: u, Host: "a", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
			if tag != "" {
				name := "If-Match"
				if method == http.MethodGet || strings.HasPrefix(tag, "*") {
					name = "If-None-Match"
				}
				r.Header.Set(name, tag)
			}
			n.api().ServeHTTP(w, r.WithContext(t.Context()))
			return w
		}
		w := ask(method, u)
		require.Contains(t, []int{200, 301, 304, 307, 400, 404, 405, 409, 412}, w.Code, "%s", w.Body)
		require.LessOrEqual(t, w.Body.Len(), 12*(len(target)+len(method)+len(tag)+len(body))+100_000)
		key, element, ok := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/carts/"), "/")
		if method != http.MethodPut || !ok || !strings.HasPrefix(u.EscapedPath(), "/carts/") || w.Code >= 300 && w.Code < 400 {
			return
		}
		tag = ""
		read := ask(http.MethodGet, &url.URL{Path: "/carts/" + unescaped(t, key), RawPath: "/carts/" + key})
		if w.Code != http.StatusOK {
			require.Contains(t, []int{400, 404}, read.Code, "%s", read.Body)
			return
		}
		var c cart
		require.NoError(t, json.Unmarshal(read.Body.Bytes(), &c))
		require.Equal(t, []string{unescaped(t, element)}, c.Elements)
		isName(t, unescaped(t, key))
		isName(t, unescaped(t, element))
	})
}

func unescaped(t *testing.T, s string) string {
	s, err := url.PathUnescape(s)
	require.NoError(t, err)
	return s
}

// isName fails for what cannot be a key or an element: above all keys at which the nodes agree on rings.
func isName(t *testing.T, s string) {
	t.Helper()
	require.True(t, s != "" && len(s) <= 512 && utf8.ValidString(s) && s[0] != 0, "%q", s)
}

// What other nodes may send is answered, with an error or without, whatever it is.
func FuzzCalls(f *testing.F) {
	for _, seed := range []struct{ method, req string }{
		{"cart/change", `{"key": "x", "element": "milk", "level": 1}`},
		{"cart/change", `{"key": "x", "element": "milk", "level": -7, "sloppy": true, "expected": "0", "remove": true}`},
		{"cart/change", `{"key": "\u0000cas/ring/2", "element": "milk"}`},
		{"book/address", "b1"},
		{"node/state", ""},
		{"none/", ""},
	} {
		f.Add(seed.method, []byte(seed.req))
	}
	f.Fuzz(func(t *testing.T, method string, req []byte) {
		n, err := newNode(config{id: "a1", zone: "a", timeout: time.Minute}, "127.0.0.1:1")
		require.NoError(t, err)
		defer n.close()
		resp, err := n.links.handler(&n.calls).ServeCall(t.Context(), "b1", method, req)
		if err != nil || method != "cart/change" {
			return
		}
		var r reply
		require.NoError(t, json.Unmarshal(resp, &r))
		for key := range n.store.Keys("") {
			isName(t, key)
		}
	})
}
