package httptransport

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// Memory grows with what has arrived: a claim costs one chunk.
func TestReadExactlyGrows(t *testing.T) {
	taken := 0
	buf, err := readExactly(strings.NewReader("abc"), 1<<30, nil, func(n int) bool { taken += n; return true })
	require.Equal(t, errLength, err)
	require.Equal(t, "abc", string(buf))
	require.Equal(t, chunk, taken)
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 10*chunk + 3} {
		want := bytes.Repeat([]byte("0123456"), size/7+1)[:size]
		got, err := readExactly(iotest.HalfReader(bytes.NewReader(want)), size, nil, func(int) bool { return true })
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	}
}

// When a call is over, net/http gets no more of the caller's bytes, also if it
// begins again.
func TestPayloadEnds(t *testing.T) {
	p := &payload{data: []byte("mine")}
	first, _ := p.reader()
	again, _ := p.reader()
	b := make([]byte, 2)
	_, err := io.ReadFull(first, b)
	require.NoError(t, err)
	p.end()
	for _, r := range []io.Reader{first, again} {
		n, err := r.Read(b)
		require.Zero(t, n)
		require.Equal(t, errOver, err)
	}
	require.Equal(t, "mi", string(b))
}
