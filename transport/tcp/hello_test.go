package tcp

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/transport"
)

func TestHelloVector(t *testing.T) {
	h := hello{oldest: 1, newest: 2, verdict: wrongNode, cluster: "prod", self: "a", peer: "bb",
		limits: limits{message: 1 << 22, calls: 1024, window: 1 << 24, ping: 2 * time.Second}}
	require.Equal(t, "eventual\x00\x1d\x01\x02\x03\x04prod\x01a\x02bb"+
		"\x00\x40\x00\x00\x00\x00\x04\x00\x01\x00\x00\x00\x00\x00\x07\xd0", string(h.append(nil)))
}

func TestHelloRoundTrip(t *testing.T) {
	name := rapid.StringN(-1, -1, transport.MaxName)
	rapid.Check(t, func(t *rapid.T) {
		h := hello{
			oldest:  rapid.Byte().Draw(t, "oldest"),
			newest:  rapid.Byte().Draw(t, "newest"),
			verdict: verdict(rapid.Byte().Draw(t, "verdict")),
			cluster: name.Draw(t, "cluster"),
			self:    transport.NodeID(rapid.StringN(1, -1, transport.MaxName).Draw(t, "self")),
			peer:    transport.NodeID(name.Draw(t, "peer")),
			limits: limits{
				message: rapid.IntRange(1, maxMessage).Draw(t, "message"),
				calls:   rapid.IntRange(1, maxMessage).Draw(t, "calls"),
				window:  rapid.IntRange(1, maxMessage).Draw(t, "window"),
				ping:    time.Duration(rapid.IntRange(0, maxMessage).Draw(t, "ping")) * time.Millisecond,
			},
		}
		r := bytes.NewReader(append(h.append(nil), "the next frame"...))
		got, err := readHello(r)
		require.NoError(t, err)
		require.Equal(t, h, got)
		require.Equal(t, len("the next frame"), r.Len())
	})
}

// The longest names are read, and end no process.
func TestHelloOfTheLongestNames(t *testing.T) {
	long := strings.Repeat("n", transport.MaxName)
	h := hello{
		oldest: 1, newest: 1, cluster: long, self: transport.NodeID(long), peer: transport.NodeID(long),
		limits: limits{message: 1, calls: 1, window: 1, ping: time.Millisecond},
	}
	got, err := readHello(bytes.NewReader(h.append(nil)))
	require.NoError(t, err)
	require.Equal(t, h, got)
}

// A later version may say more.
func TestHelloOfLaterVersion(t *testing.T) {
	h := hello{oldest: 1, newest: 9, self: "a", limits: testLimits}
	b := append(h.append(nil), "more"...)
	b[9] += 4
	got, err := readHello(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, h, got)
	require.Equal(t, accepted, got.judge(hello{oldest: 1, newest: 1}))
}

func TestMalformedHello(t *testing.T) {
	good := hello{self: "a", peer: "b", cluster: "c", limits: testLimits}.append(nil)
	for n := range good {
		_, err := readHello(bytes.NewReader(good[:n]))
		require.Error(t, err)
		if n >= 10 {
			_, err = parseHello(good[10:n])
			require.ErrorIs(t, err, errHello)
		}
	}
	_, err := readHello(io.MultiReader(bytes.NewReader([]byte("GET / HTTP/1.1\r\n"))))
	require.ErrorIs(t, err, errHello)
	_, err = readHello(bytes.NewReader([]byte("eventual\xff\xff")))
	require.ErrorIs(t, err, errHello)
	_, err = readHello(bytes.NewReader(hello{peer: "b", limits: testLimits}.append(nil)))
	require.ErrorIs(t, err, errHello)
}

// A node that takes no calls, or none of any size, would keep its callers waiting
// for ever.
func TestHelloOfNodeThatTakesNothing(t *testing.T) {
	for _, change := range []func(*limits){
		func(l *limits) { l.message = 0 },
		func(l *limits) { l.calls = 0 },
		func(l *limits) { l.window = 0 },
	} {
		h := hello{oldest: 1, newest: 1, self: "a", limits: testLimits}
		_, err := readHello(bytes.NewReader(h.append(nil)))
		require.NoError(t, err)
		change(&h.limits)
		_, err = readHello(bytes.NewReader(h.append(nil)))
		require.ErrorIs(t, err, errHello)
		require.ErrorContains(t, err, "takes no calls")
	}
}

func TestJudge(t *testing.T) {
	own := hello{oldest: 2, newest: 3, cluster: "c", self: "b"}
	good := hello{oldest: 1, newest: 2, cluster: "c", self: "a", peer: "b"}
	require.Equal(t, accepted, good.judge(own))
	for want, change := range map[verdict]func(*hello){
		wrongVersion: func(h *hello) { h.newest = 1 },
		wrongCluster: func(h *hello) { h.cluster = "C" },
		wrongNode:    func(h *hello) { h.peer = "c" },
	} {
		h := good
		change(&h)
		require.Equal(t, want, h.judge(own))
	}
	newer := good
	newer.oldest, newer.newest = 4, 5
	require.Equal(t, wrongVersion, newer.judge(own))
	own.peer = "somebody else"
	require.Equal(t, wrongNode, good.judge(own))
}
