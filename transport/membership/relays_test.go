package membership

import (
	"bytes"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An asker asks a member to probe others.
type asker struct {
	conn *net.UDPConn
	seal *seal
}

func askerOf(t *testing.T, host string, member *runner) *asker {
	to, err := net.ResolveUDPAddr("udp", member.gossip())
	require.NoError(t, err)
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)}, to)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &asker{conn, sealed(t, "test", key)}
}

const asked = 77

// request asks for a probe of b at an address. The answer comes to where this came from.
func (a *asker) request(t *testing.T, at *net.UDPAddr) []byte {
	return a.seal.packet(append([]byte{msgIndirectPing}, packed(t, fieldsOf{"SeqNo": asked, "Target": []byte(at.IP.To4()),
		"Port": at.Port, "Node": "b", "Nack": true})...))
}

// relayed asks for a probe of b where the echo is, and returns what kind of answer comes with its number; 0 if none does.
func (a *asker) relayed(t *testing.T, e *echo) byte {
	_, _ = a.conn.Write(a.request(t, e.conn.LocalAddr().(*net.UDPAddr)))
	_ = a.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, maxPacket)
	n, err := a.conn.Read(buf)
	if err != nil {
		return 0
	}
	msg, err := a.seal.openPacket(buf[:n])
	if err != nil {
		return 0
	}
	kind, number := numberOf(msg)
	if number != asked {
		return 0
	}
	return kind
}

// There are never more than so many at a time, of one place half, and each makes room when its time is over.
func TestRelaysAreBounded(t *testing.T) {
	now := time.Now()
	enter := func(r *relays, origin string, n int) (in int) {
		for range n {
			if r.enter(origin, now) {
				in++
			}
		}
		return in
	}
	r := &relays{span: time.Second}
	require.Equal(t, maxRelays/2, enter(r, "x", 1000))
	require.Equal(t, maxRelays/4, enter(r, "y", 1000))
	require.Equal(t, 1, enter(r, "z", 1))
	now = now.Add(time.Second - 1)
	require.Zero(t, enter(r, "x", 1000))
	require.Equal(t, 1, enter(r, "z", 1))
	for range maxRelays {
		enter(r, string(rune(len(r.begun))), 1000)
	}
	require.LessOrEqual(t, len(r.begun), maxRelays)
	now = now.Add(1)
	require.Equal(t, 1, enter(r, "x", 1))
	now = now.Add(time.Second)
	require.Equal(t, maxRelays/2, enter(r, "x", 1000))
	require.Len(t, r.begun, maxRelays/2)
	require.Equal(t, map[string]int{"x": maxRelays / 2}, r.from, "nothing is left of what is over")
}

// One request to probe another member, recorded and replayed as often as can be, costs a bounded number of
// goroutines, and those from elsewhere are served meanwhile.
func TestReplayedRequests(t *testing.T) {
	r := member(t, "a")
	r.Pace.Probe, r.Pace.ProbeTimeout = 20*time.Second, 20*time.Second // so that none is over before the end
	r.start()
	seal := sealed(t, "test", key)
	e := echoing(t, seal)
	e.answer(func(number uint32) [][]byte { return [][]byte{seal.packet(numbered(t, msgAck, number))} })
	flood := askerOf(t, "127.0.0.1", r)
	packet := flood.request(t, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
	before := runtime.NumGoroutine()
	eventually(t, "most are dropped", func() bool {
		for range 100 {
			_, _ = flood.conn.Write(packet)
		}
		return r.Stats().ProbesDenied > 1000
	})
	require.Less(t, runtime.NumGoroutine()-before, maxRelays)
	elsewhere := askerOf(t, "127.0.0.2", r)
	eventually(t, "another is served", func() bool { return elsewhere.relayed(t, e) == msgAck })
}

// Who cannot reach a member itself is answered by way of another one.
func TestOthersProbe(t *testing.T) {
	a, b, c := member(t, "a"), member(t, "b"), member(t, "c")
	var heard lockedBuffer
	a.Log = slog.New(slog.NewTextHandler(&heard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w := walled(a)
	join(t, []*runner{a, b, c})
	w.set(true, b)
	eventually(t, "probes that failed are answered after all", func() bool {
		log := heard.bytes()
		failed := bytes.Count(log, []byte("Failed UDP ping: b"))
		return failed-bytes.Count(log, []byte("Suspect b has failed")) > 2
	})
}
