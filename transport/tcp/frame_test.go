package tcp

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"strings"
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
		"\x01\x07\x09\x05\x00\x03a/breq":   {kind: kindRequest, id: 7, timeout: 5, method: "a/b", payload: []byte("req")},
		"\x01\x07\x05\x05\x01req":          {kind: kindRequest, id: 7, timeout: 5, number: 1, method: "a/b", payload: []byte("req")},
		"\x01\xac\x02\x06\xe8\x07\x7freq":  {kind: kindRequest, id: 300, timeout: 1000, number: 127, payload: []byte("req")},
		"\x04\x07\x05\x00resp":             {kind: kindResponse, id: 7, payload: []byte("resp")},
		"\x04\x07\x04\x01\x02no":           {kind: kindResponse, id: 7, status: statusFailed, code: 2, payload: []byte("no")},
		"\x04\xff\xff\xff\xff\x0f\x01\x03": {kind: kindResponse, id: math.MaxUint32, status: statusAway},
		"\x02\x07":                         {kind: kindCancel, id: 7},
		"\x03":                             {kind: kindPing},
		"\x05":                             {kind: kindPong},
		"\x06":                             {kind: kindAway},
	} {
		require.Equal(t, want, string(appendFrame(nil, &f)))
	}
}

// drawRequest draws a request with at most 300 bytes beside its method.
func drawRequest(t *rapid.T) frame {
	f := frame{
		kind:    kindRequest,
		id:      rapid.Uint64().Draw(t, "id"),
		timeout: rapid.Uint64().Draw(t, "timeout"),
		number:  rapid.Uint64Range(0, maxNumbered).Draw(t, "number"),
		payload: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload"),
	}
	if f.number == 0 {
		f.method = rapid.StringN(-1, -1, transport.MaxName).Draw(t, "method")
	}
	return f
}

func TestRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawRequest(t)
		r := reader(appendFrame(nil, &f), requestSlack+300)
		h, err := r.next()
		require.NoError(t, err)
		body, err := r.read(nil, h.size)
		require.NoError(t, err)
		q, err := parseRequest(body, 300)
		require.NoError(t, err)
		require.Equal(t, header{h.size, f.kind, f.id}, h)
		require.Equal(t, f.timeout, q.timeout)
		require.Equal(t, f.number, uint64(q.number))
		require.Equal(t, f.method, string(q.name))
		require.True(t, bytes.Equal(f.payload, q.payload))
		_, err = r.next()
		require.Equal(t, io.EOF, err)
	})
}

// A header is taken when its last byte is there, and not before.
func TestHeaderIsNotWaitedBeyond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := header{kind: kind(rapid.IntRange(int(kindRequest), int(kindAway)).Draw(t, "kind"))}
		if want.kind.ofCall() {
			want.id = rapid.Uint64().Draw(t, "id")
		}
		if want.kind.hasBody() {
			want.size = rapid.IntRange(0, maxMessage).Draw(t, "size")
		}
		b := appendHeader(nil, want.kind, want.id, want.size)
		require.LessOrEqual(t, len(b), headerSize)
		for n := range b {
			_, err := reader(b[:n], maxMessage).next()
			require.Equal(t, io.EOF, err)
		}
		r := newFrameReader(memConn{iotest.OneByteReader(io.MultiReader(bytes.NewReader(b), iotest.ErrReader(errGone)))}, maxMessage, time.Minute)
		got, err := r.next()
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Zero(t, r.buf.Buffered())
	})
}

func TestUvarint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "n") >> rapid.IntRange(0, 63).Draw(t, "shift")
		b := binary.AppendUvarint(nil, n)
		got, rest, err := uvarint(append(b, "rest"...))
		require.NoError(t, err)
		require.Equal(t, n, got)
		require.Equal(t, "rest", string(rest))
		for i := range b {
			_, _, err := uvarint(b[:i])
			require.Equal(t, errShort, err)
		}
		longer := append(slices.Clone(b), 0)
		longer[len(b)-1] |= 0x80
		_, _, err = uvarint(longer)
		require.ErrorIs(t, err, errFrame)
		require.NotEqual(t, errShort, err)
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
	for name, b := range map[string]string{
		"over the limit":   "\x01\x01\x65",
		"4 GiB":            "\x04\x01\x80\x80\x80\x80\x10",
		"2^64-1 bytes":     "\x04\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"length over 64":   "\x04\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
		"length too long":  "\x04\x01\x81\x00",
		"zero too long":    "\x04\x01\x80\x00",
		"id too long":      "\x02\x87\x80\x00",
		"id over 64 bits":  "\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
		"id without end":   "\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"kind 0":           "\x00",
		"kind unknown":     "\x07",
		"kind of 2 bytes":  "\x81\x00",
		"all that is left": "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		_, err := reader([]byte(b), 100).next() // which would be io.EOF if it asked for more
		require.ErrorIs(t, err, errFrame, name)
	}
	for name, body := range map[string]string{
		"empty":              "",
		"time left cut":      "\x80",
		"time left too long": "\x80\x00\x01",
		"no method":          "\x00",
		"number too long":    "\x00\x81\x00",
		"number too large":   "\x00\x80\x01",
		"number 2^64-1":      "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"no name":            "\x00\x00",
		"name cut":           "\x00\x00\x02m",
		"name too long":      "\x00\x00\x80\x02" + strings.Repeat("m", transport.MaxName+1),
		"length too long":    "\x00\x00\x81\x00m",
		"req too big":        "\x00\x00\x01mtoo big",
		"req too big too":    "\x00\x01too big",
	} {
		_, err := parseRequest([]byte(body), 3)
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
	b := append(appendHeader(nil, kindResponse, 1, claimed), make([]byte, 3*chunk)...)
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

// Whatever arrives together with a pong is noted to have arrived, and a batch of frames
// is noted once.
func TestReaderNotesBatches(t *testing.T) {
	pong, ping := &frame{kind: kindPong}, &frame{kind: kindPing}
	for _, c := range []struct {
		frames []*frame
		pongs  int
	}{
		{[]*frame{pong}, 0},
		{[]*frame{pong, pong, ping}, 1},
		{[]*frame{ping, pong, ping, ping}, 1},
	} {
		var b []byte
		for _, f := range c.frames {
			b = appendFrame(b, f)
		}
		r := reader(b, 1<<10)
		r.patience = 0 // as if time passed between any two looks at the clock
		pongs := 0
		r.pong = func() { pongs++ }
		for range c.frames {
			_, err := r.next()
			require.NoError(t, err)
		}
		require.Equal(t, c.pongs, pongs)
	}
}
