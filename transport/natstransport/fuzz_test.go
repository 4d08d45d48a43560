package natstransport

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// FuzzName reads anything as a token: what is taken is written alike, and what is
// written is one token and is read again.
func FuzzName(f *testing.F) {
	f.Add("=")
	f.Add("a=2Eb")
	f.Add("=2e")
	f.Add("*.>")
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := name(s); ok {
			require.Equal(t, s, token(n))
		}
		require.Regexp(t, `^[A-Za-z0-9_=-]+$`, token(s))
		n, ok := name(token(s))
		require.True(t, ok)
		require.Equal(t, s, n)
	})
}

// FuzzRequest reads anything as a request: what is taken has the same meaning when
// it is written again.
func FuzzRequest(f *testing.F) {
	q := request{left: 5, every: time.Second, accepts: 100, method: "m", payload: []byte("x")}
	f.Add(q.append(nil)[2:])
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := parseRequest(b)
		if err != nil {
			return
		}
		again, err := parseRequest(q.append(nil)[2:])
		require.NoError(t, err)
		require.Equal(t, q, again)
		require.LessOrEqual(t, len(q.append(nil))-len(q.payload), overhead)
	})
}

// FuzzServer sends anything to a node, from anybody: nothing stays taken.
func FuzzServer(f *testing.F) {
	q := request{left: 5, every: time.Second, accepts: 100, method: "m", payload: []byte("x")}
	f.Add("a", q.append(nil), q.append(nil))
	f.Add("=2A", []byte{version, kindCancel}, []byte{version, kindAsk})
	f.Fuzz(func(t *testing.T, from string, first, second []byte) {
		tr := &Transport{Conn: new(nats.Conn), Self: "b", MaxCalls: 2}
		s := &server{t: tr, calls: make(map[callName]*served), handler: transport.HandlerFunc(
			func(_ context.Context, from transport.NodeID, _ string, req []byte) ([]byte, error) {
				require.NotEmpty(t, from)
				return req, nil
			})}
		for _, data := range [][]byte{first, second} {
			s.receive(&nats.Msg{Subject: "eventual.=.b." + from, Reply: "inbox", Data: data})
		}
		s.running.Wait()
		require.Empty(t, s.calls)
		require.True(t, tr.room.calls.Take("c", 1, 1, 1))
		require.True(t, tr.room.bytes.Take("c", 1, 1, 1))
	})
}

// FuzzAnswer reads anything as what comes to the inbox of a call.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{version, statusOK, 'x'})
	f.Add([]byte{version, statusFailed, 1, 'x'})
	f.Add(tooLarge(statusResponseTooLarge, 1, 2))
	f.Add(refused("no"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := waiting{to: "b", method: "m", accepts: 10}
		a, final := w.read(&nats.Msg{Data: b})
		require.LessOrEqual(t, len(a.resp), 10)
		require.False(t, a.err != nil && (a.resp != nil || !final))
	})
}
