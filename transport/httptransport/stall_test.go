package httptransport_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/httptransport"
	"github.com/eventual-go/eventual/transport/transporttest"
)

const lengthy = 32 << 20 // more than lies between two sides that do not read

// newLengthy is node b, which answers with more than fits anywhere, or echoes.
func newLengthy() *httptransport.Handler {
	resp := make([]byte, lengthy)
	return &httptransport.Handler{Self: "b", MaxMessage: lengthy, Handler: transport.HandlerFunc(
		func(_ context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
			if method == "lengthy" {
				return resp, nil
			}
			return req, nil
		})}
}

// ask sends the request of a call of "lengthy", of no bytes.
func ask(from, url string) *http.Request {
	r, _ := http.NewRequest(http.MethodPost, url, nil)
	for key, value := range map[string]string{"Version": "1", "Cluster": "", "From": from, "To": "b", "Method": "lengthy", "Length": "0", "Limit": fmt.Sprint(lengthy)} {
		r.Header.Set("Eventual-"+key, value)
	}
	return r
}

// stallers are ways to ask and then not to read. Each returns when the answer has begun.
var stallers = map[string]struct {
	protocols func(p *http.Protocols)
	ask       func(t *testing.T, s *httptest.Server, from string)
}{
	"HTTP1": {unencrypted1, func(t *testing.T, s *httptest.Server, from string) {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		require.NoError(t, ask(from, s.URL).Write(conn))
		_, err = io.ReadFull(conn, make([]byte, 1))
		require.NoError(t, err)
	}},
	"stream of HTTP2": {unencrypted2, func(t *testing.T, s *httptest.Server, from string) {
		stall2(t, s, from, new(transporttest.Valve))
	}},
	"connection of HTTP2": {unencrypted2, func(t *testing.T, s *httptest.Server, from string) {
		var valve transporttest.Valve
		stall2(t, s, from, &valve)
		valve.Shut()
	}},
}

func stall2(t *testing.T, s *httptest.Server, from string, valve *transporttest.Valve) {
	pool := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return valve.Conn(conn), nil
	}}
	pool.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(pool.CloseIdleConnections)
	resp, err := (&http.Client{Transport: pool}).Do(ask(from, s.URL))
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
}

// Callers that do not read their answers hold what these take for TransferTimeout, and
// not for longer: neither places, nor room for responses.
func TestUnreadAnswersAreGivenUp(t *testing.T) {
	for name, staller := range stallers {
		for _, bound := range []string{"calls", "bytes"} {
			t.Run(name+"/"+bound, func(t *testing.T) {
				again := func(timeout time.Duration) func() error {
					h := newLengthy()
					if h.MaxCalls, h.TransferTimeout = 2, timeout; bound == "bytes" {
						h.MaxCalls, h.MaxBytes = 100, 2*lengthy
					}
					s := httptest.NewUnstartedServer(h)
					s.Config.Protocols = new(http.Protocols)
					staller.protocols(s.Config.Protocols)
					s.Config.HTTP2 = &http.HTTP2Config{WriteByteTimeout: timeout}
					s.Start()
					t.Cleanup(func() {
						s.CloseClientConnections()
						s.Close()
					})
					for _, from := range []string{"m", "n"} {
						staller.ask(t, s, from)
					}
					pool := &http.Transport{Protocols: s.Config.Protocols}
					c := &httptransport.Client{Self: "a", HTTP: &http.Client{Transport: pool}, MaxMessage: lengthy, Peers: map[transport.NodeID]string{"b": s.URL}}
					t.Cleanup(pool.CloseIdleConnections)
					return func() error {
						_, err := c.Call(t.Context(), "b", "echo", []byte("x"))
						return err
					}
				}
				e := statusError(t, again(time.Hour)())
				require.Equal(t, map[string]int{"calls": 503, "bytes": 507}[bound], e.Status)
				require.Contains(t, e.Text, bound)
				call := again(100 * time.Millisecond)
				require.Eventually(t, func() bool { return call() == nil }, time.Minute, 10*time.Millisecond)
			})
		}
	}
}
