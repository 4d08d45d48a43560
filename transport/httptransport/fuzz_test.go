package httptransport

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// FuzzHead reads anything as headers: what is taken is written with the same meaning.
func FuzzHead(f *testing.F) {
	f.Add("c", "a", "b", "m", "5", "3", "7")
	f.Add("%00", "%2525", "", "a%2Fb", "18446744073709551615", "1073741824", "0")
	f.Fuzz(func(t *testing.T, cluster, from, to, method, timeout, length, limit string) {
		h := http.Header{}
		for key, value := range map[string]string{headerVersion: version, headerCluster: cluster, headerFrom: from, headerTo: to,
			headerMethod: method, headerTimeout: timeout, headerLength: length, headerLimit: limit} {
			set(h, key, value)
		}
		q, err := readHead(h)
		if err != nil {
			return
		}
		require.LessOrEqual(t, max(len(q.cluster), len(q.from), len(q.to), len(q.method)), transport.MaxName)
		require.True(t, q.length >= 0 && q.length <= carry.MaxNumber && q.accepts >= 0 && q.accepts <= carry.MaxNumber)
		again := http.Header{}
		q.write(again)
		r, err := readHead(again)
		require.NoError(t, err)
		require.Equal(t, q, r)
	})
}

// FuzzHandler sends anything to a Handler: nothing stays taken, and a call is served
// only if it is whole.
func FuzzHandler(f *testing.F) {
	f.Add("3", "m", []byte("abc"))
	f.Add("1073741824", "%6d", []byte("abc"))
	h := &Handler{Self: "b", MaxMessage: 100, MaxBytes: 300}
	f.Fuzz(func(t *testing.T, length, method string, body []byte) {
		served := false
		own := &Handler{Self: h.Self, MaxMessage: h.MaxMessage, MaxBytes: h.MaxBytes,
			Handler: transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
				served = true
				require.Equal(t, string(body), string(req))
				return req, nil
			})}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		q := head{from: "a", to: "b", accepts: 100}
		q.write(r.Header)
		set(r.Header, headerLength, length)
		set(r.Header, headerMethod, method)
		w := httptest.NewRecorder()
		own.ServeHTTP(w, r)
		require.Equal(t, served, w.Header().Get(headerStatus) == statusOK)
		require.True(t, own.calls.Take("c", 1, 1, 1))
		require.True(t, own.requests.Take("c", 300, 300, 300))
		require.True(t, own.responses.Take("c", 300, 300, 300))
	})
}

// FuzzAnswer reads anything as an answer.
func FuzzAnswer(f *testing.F) {
	f.Add(statusOK, "3", "0", "0", 200, []byte("abc"))
	f.Add(statusFailed, "3", "1", "0", 200, []byte("abc"))
	f.Add(statusResponseTooLarge, "3", "", "5", 200, []byte(""))
	f.Add("", "", "", "", 502, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status, length, code, size string, of int, body []byte) {
		h := http.Header{}
		for key, value := range map[string]string{headerVersion: version, headerStatus: status, headerLength: length, headerCode: code, headerSize: size, headerLimit: size} {
			if value != "" {
				set(h, key, value)
			}
		}
		c := &Client{Self: "a"}
		resp, err := c.answer(&http.Response{StatusCode: of, Header: h, Body: io.NopCloser(strings.NewReader(string(body)))}, &head{to: "b", method: "m", accepts: 100})
		if err != nil {
			require.Nil(t, resp)
			require.LessOrEqual(t, len(err.Error()), 4*max(maxExcerpt, transport.MaxErrorText)+len(url.PathEscape(length)))
			return
		}
		require.Equal(t, string(body), string(resp))
	})
}
