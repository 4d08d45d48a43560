package tcp

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/transport"
)

// memConn is a connection that has been written already.
type memConn struct{ io.Reader }

func (memConn) SetReadDeadline(time.Time) error { return nil }

func reader(b []byte, limit int) *frameReader {
	return newFrameReader(memConn{bytes.NewReader(b)}, limit, time.Minute)
}

func TestFrameVectors(t *testing.T) {
	for want, f := range map[string]frame{
		"\x00\x00\x00\x0f\x01\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x05\x03a/breq": {kind: kindRequest, id: 7, timeout: 5, method: "a/b", payload: []byte("req")},
		"\x00\x00\x00\x05\x04\x00\x00\x00\x00\x00\x00\x00\x07\x00resp":                                   {kind: kindResponse, id: 7, payload: []byte("resp")},
		"\x00\x00\x00\x04\x04\x00\x00\x00\x00\x00\x00\x00\x07\x01\x02no":                                 {kind: kindResponse, id: 7, status: statusFailed, code: 2, payload: []byte("no")},
		"\x00\x00\x00\x01\x04\x00\x00\x00\x00\x00\x00\x00\x07\x03":                                       {kind: kindResponse, id: 7, status: statusAway},
		"\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x07":                                           {kind: kindCancel, id: 7},
		"\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00":                                           {kind: kindPing},
		"\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00":                                           {kind: kindPong},
		"\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00":                                           {kind: kindAway},
	} {
		require.Equal(t, want, string(appendFrame(nil, &f)))
	}
}

func TestRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := frame{
			kind:    kindRequest,
			id:      rapid.Uint64().Draw(t, "id"),
			timeout: rapid.Uint64().Draw(t, "timeout"),
			method:  rapid.StringN(-1, -1, transport.MaxName).Draw(t, "method"),
			payload: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload"),
		}
		r := reader(appendFrame(nil, &f), requestSlack+300)
		h, err := r.next()
		require.NoError(t, err)
		body, err := r.read(nil, h.size)
		require.NoError(t, err)
		timeout, method, req, err := parseRequest(body, 300)
		require.NoError(t, err)
		require.Equal(t, header{h.size, f.kind, f.id}, h)
		require.Equal(t, f.timeout, timeout)
		require.Equal(t, f.method, string(method))
		require.True(t, bytes.Equal(f.payload, req))
		_, err = r.next()
		require.Equal(t, io.EOF, err)
	})
}

// Whatever the network cuts the bytes into, the same frames come out.
func TestFramesInPieces(t *testing.T) {
	var stream []byte
	sizes := []int{0, 1, chunk - 1, chunk, chunk + 1, 5*chunk + 7}
	for i, size := range sizes {
		stream = appendFrame(stream, &frame{kind: kindResponse, id: uint64(i), payload: bytes.Repeat([]byte{byte(i)}, size)})
	}
	for _, pieces := range []func(io.Reader) io.Reader{iotest.HalfReader, iotest.DataErrReader} {
		r := newFrameReader(memConn{pieces(bytes.NewReader(stream))}, 6*chunk, time.Minute)
		for i, size := range sizes {
			h, err := r.next()
			require.NoError(t, err)
			body, err := r.read(nil, h.size)
			require.NoError(t, err)
			require.Equal(t, uint64(i), h.id)
			require.True(t, bytes.Equal(bytes.Repeat([]byte{byte(i)}, size), body[1:]))
		}
	}
}

func TestMalformedFrames(t *testing.T) {
	head := func(size uint32, kind kind) []byte {
		b := binary.BigEndian.AppendUint32(nil, size)
		return append(b, byte(kind), 0, 0, 0, 0, 0, 0, 0, 1)
	}
	for name, b := range map[string][]byte{
		"over the limit": head(101, kindRequest),
		"4 GiB":          head(math.MaxUint32, kindResponse),
		"kind 0":         head(0, 0),
		"kind unknown":   head(0, kindAway+1),
		"ping with body": head(1, kindPing),
	} {
		_, err := parseHeader(b, 100)
		require.ErrorIs(t, err, errFrame, name)
	}
	for name, body := range map[string]string{
		"empty":       "",
		"no method":   "\x00\x00\x00\x00\x00\x00\x00\x00",
		"method cut":  "\x00\x00\x00\x00\x00\x00\x00\x00\x02m",
		"req too big": "\x00\x00\x00\x00\x00\x00\x00\x00\x01mtoo big",
	} {
		_, _, _, err := parseRequest([]byte(body), 3)
		require.ErrorIs(t, err, errFrame, name)
	}
	for status, body := range map[byte]string{
		statusOK:       "too big",
		statusFailed:   "",
		statusTooLarge: "123456789012345",
		statusAway:     "x",
		99:             "",
	} {
		_, _, malformed := parseResponse(status, []byte(body), "m", 3)
		require.ErrorIs(t, malformed, errFrame, status)
	}
}

// What is read into memory is bounded by what has arrived, not by what is claimed.
func TestClaimedLengthCostsNothing(t *testing.T) {
	const claimed = 1 << 30
	b := appendFrame(nil, &frame{kind: kindResponse, payload: make([]byte, 3*chunk)})
	binary.BigEndian.PutUint32(b, claimed)
	bytesPerRun := testing.Benchmark(func(b2 *testing.B) {
		for b2.Loop() {
			r := reader(b, claimed)
			h, err := r.next()
			require.NoError(b2, err)
			require.Equal(b2, claimed, h.size)
			_, err = r.read(nil, h.size)
			require.ErrorIs(b2, err, io.ErrUnexpectedEOF)
		}
	}).AllocedBytesPerOp()
	require.Less(t, bytesPerRun, int64(20*chunk))
}

func TestTimeoutOnTheWire(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, left := range []time.Duration{1, time.Microsecond, time.Second, 100 * 365 * 24 * time.Hour} {
		d := deadline(microseconds(left), now)
		require.False(t, d.Before(now.Add(left)), "%v: rounded up", left)
		require.Less(t, d.Sub(now.Add(left)), time.Microsecond)
	}
	require.Equal(t, uint64(1), microseconds(-time.Second))
	require.True(t, deadline(0, now).IsZero())
	require.True(t, deadline(math.MaxUint64, now).IsZero())
}
