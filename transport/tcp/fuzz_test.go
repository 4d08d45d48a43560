package tcp

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func FuzzHello(f *testing.F) {
	f.Add(hello{oldest: 1, newest: 1, cluster: "c", self: "a", peer: "b", limits: testLimits}.append(nil))
	f.Add([]byte("eventual\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHello(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := readHello(bytes.NewReader(h.append(nil)))
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}

// FuzzFrames reads anything as frames: what is taken is written with the same bytes.
func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: []byte("x")}))
	f.Add(appendFrame(nil, &frame{kind: kindRequest, id: 300, timeout: 5_000_000, number: 1, payload: []byte("x")}))
	f.Add(appendFrame(nil, &frame{kind: kindResponse, id: 1, status: statusTooLarge, payload: tooLarge(1, 2)}))
	f.Add([]byte("\x04\x01\x80\x80\x80\x80\x10"))
	f.Add([]byte("\x03\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 10
		r := reader(b, limit)
		var again []byte
		for {
			h, err := r.next()
			if err != nil {
				return
			}
			body, err := r.read(nil, h.size)
			if err != nil {
				return
			}
			require.Len(t, body, h.size)
			again = append(appendHeader(again, h.kind, h.id, h.size), body...)
			require.Equal(t, b[:len(again)], again)
			if q, err := parseRequest(body, limit); err == nil {
				request := frame{kind: kindRequest, timeout: q.timeout, number: uint64(q.number), method: string(q.name), payload: q.payload}
				require.Equal(t, append(appendHeader(nil, kindRequest, 0, h.size), body...), appendFrame(nil, &request))
			}
			if len(body) > 0 {
				parseResponse(body[0], body[1:], "m", limit)
			}
		}
	})
}

// FuzzServer sends anything to a server that has greeted its peer: it must end the
// connection without harm, and keep its bounds.
func FuzzServer(f *testing.F) {
	request := appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: []byte("x")})
	f.Add(request)
	f.Add(append(request, request...))
	f.Add(appendFrame(slices.Clone(request), &frame{kind: kindRequest, id: 2, number: 1}))
	f.Add(appendFrame(slices.Clone(request), &frame{kind: kindRequest, id: 2, number: 2}))
	f.Add(appendFrame(request, &frame{kind: kindCancel, id: 1}))
	f.Add(appendFrame(nil, &frame{kind: kindPing}))
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		own := limits{message: minMessage, calls: 4, window: 4 * minMessage, ping: time.Second}
		s := newServer(near, "fuzz", own, own, transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
			return req, nil
		}), new(counters))
		done := make(chan struct{})
		go func() { s.run(); close(done) }()
		go io.Copy(io.Discard, far)
		far.Write(b)
		far.Close()
		<-done
		require.Empty(t, s.calls)
		require.LessOrEqual(t, len(s.names), maxNumbered)
	})
}

// FuzzClient answers a call with anything.
func FuzzClient(f *testing.F) {
	f.Add(appendFrame(nil, &frame{kind: kindResponse, id: 1, payload: []byte("x")}))
	f.Add(appendFrame(nil, &frame{kind: kindResponse, id: 2, status: statusFailed, code: 1, payload: []byte("x")}))
	f.Add(appendFrame(nil, &frame{kind: kindAway}))
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		own := limits{message: minMessage, calls: 4, window: 4 * minMessage, ping: time.Second}
		c := newClient(near, own, own, new(counters))
		done := make(chan struct{})
		go func() { c.run(); close(done) }()
		go io.Copy(io.Discard, far)
		called := make(chan struct{})
		go func() { c.call(context.Background(), "m", []byte("x")); close(called) }()
		far.Write(b)
		far.Close()
		<-done
		<-called
	})
}
