package membership

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A wiretap is the way to a member, and records what goes there.
type wiretap struct {
	tcp *net.TCPListener
	udp *net.UDPConn

	mu       sync.Mutex
	to       string
	over     bool     // nothing more is recorded
	recorded [][]byte // packets
	streams  []*lockedBuffer
}

// tapped starts a member that others reach by a wiretap alone.
func tapped(t *testing.T, r *runner) *wiretap {
	tcp, udp, err := bind(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	w := &wiretap{tcp: tcp, udp: udp}
	r.Advertise = tcp.Addr().String()
	r.start()
	s, _ := r.current()
	w.to = s.sockets.tcp.Addr().String()
	var group sync.WaitGroup
	group.Go(w.packets)
	group.Go(w.connections)
	t.Cleanup(func() { tcp.Close(); udp.Close(); group.Wait() })
	return w
}

func (w *wiretap) packets() {
	out, err := net.Dial("udp", w.to)
	if err != nil {
		return
	}
	defer out.Close()
	buf := make([]byte, 64<<10)
	for {
		n, _, err := w.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		if len(w.recorded) < 1000 && !w.over {
			w.recorded = append(w.recorded, bytes.Clone(buf[:n]))
		}
		w.mu.Unlock()
		_, _ = out.Write(buf[:n])
	}
}

func (w *wiretap) connections() {
	for {
		in, err := w.tcp.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		if err != nil {
			in.Close()
			continue
		}
		record := new(lockedBuffer)
		w.mu.Lock()
		if len(w.streams) < 100 && !w.over {
			w.streams = append(w.streams, record)
		}
		w.mu.Unlock()
		go func() { _, _ = io.Copy(io.MultiWriter(out, record), in); out.Close() }()
		go func() { _, _ = io.Copy(in, out); in.Close() }()
	}
}

// replay sends all that was recorded to a member, as somebody does who has no key.
func (w *wiretap) replay(t *testing.T, to *runner) {
	s, _ := to.current()
	at := s.sockets.tcp.Addr().String()
	udp, err := net.Dial("udp", at)
	require.NoError(t, err)
	defer udp.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.recorded {
		_, _ = udp.Write(p)
	}
	for _, record := range w.streams {
		c, err := net.Dial("tcp", at)
		if err != nil {
			continue
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(record.bytes())
		_, _ = io.Copy(io.Discard, c) // until it is answered
		c.Close()
	}
}

// halves returns the packets that were recorded alone, and the connections alone.
func (w *wiretap) halves() (packets, connections *wiretap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &wiretap{recorded: w.recorded}, &wiretap{streams: w.streams}
}

// has reports whether packets and connections were recorded.
func (w *wiretap) has() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.recorded) > 10 && len(w.streams) > 1 && len(w.streams[0].bytes()) > 100
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// forget has a member know no more what others said last: it is as if it had been started only now.
func (r *runner) forget(id transport.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.table.rows, id)
}

// What b says is recorded and replayed by somebody who has no key. Who remembers b takes nothing of it: who is gone
// stays gone, who has moved stays where it is, and nothing is in doubt. Each time the same is replayed to who does not
// remember b, and there it does harm: so it is read, and understood.
func TestReplays(t *testing.T) {
	record := func(t *testing.T) (a, b *runner, w *wiretap) {
		t.Parallel()
		a, b = member(t, "a"), member(t, "b")
		w = tapped(t, a)
		b.start()
		require.NoError(t, b.Join(t.Context(), a.gossip()))
		eventually(t, "they meet, and much is said", func() bool { return a.status("b") == Alive && w.has() })
		return a, b, w
	}
	// refused replays until it was refused, and long enough for memberlist to have forgotten who is gone.
	refused := func(t *testing.T, w *wiretap, by *runner) {
		before, stale := by.All(), by.Stats().Stale
		began := time.Now()
		eventually(t, "it is refused", func() bool {
			w.replay(t, by)
			return by.Stats().Stale > stale+10 && time.Since(began) > 6*fast.Sync
		})
		require.Equal(t, before, by.All(), "nothing has changed, and nobody is in doubt")
		require.Zero(t, by.Stats().Conflicts)
	}
	// revived replays until b is taken for a member; as it may be said that it has left, too, not for long.
	revived := func(t *testing.T, w *wiretap, by *runner) {
		eventually(t, "it does harm", func() bool {
			w.replay(t, by)
			_, known := by.find("b")
			return known
		})
	}
	for name, end := range map[string]func(t *testing.T, a, b *runner){
		"dead": func(t *testing.T, a, b *runner) {
			b.kill()
			eventually(t, "b is dead", func() bool { return a.status("b") == Dead })
		},
		"left": func(t *testing.T, a, b *runner) {
			require.NoError(t, b.Leave(t.Context()))
			b.kill()
			eventually(t, "b has left", func() bool { return a.status("b") == Left })
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, w := record(t)
			end(t, a, b)
			refused(t, w, a)
			a.forget("b")
			revived(t, w, a)
			packets, connections := w.halves()
			revived(t, packets, member(t, "c").start())
			revived(t, connections, member(t, "d").start())
		})
	}
	t.Run("moved", func(t *testing.T) {
		a, b, w := record(t)
		b.kill()
		eventually(t, "b is dead", func() bool { return a.status("b") == Dead })
		w.mu.Lock()
		w.over = true // what it says elsewhere is not old
		w.mu.Unlock()
		back := member(t, "b")
		back.Listen = "127.0.0.2:0"
		back.start()
		require.NoError(t, back.Join(t.Context(), a.gossip()))
		eventually(t, "b is elsewhere", func() bool {
			m, _ := a.find("b")
			return m.Status == Alive && m.Gossip == back.gossip()
		})
		refused(t, w, a)
		refused(t, w, back)
		a.mu.Lock()
		a.table.rows["b"].origin = origin{}
		a.mu.Unlock()
		eventually(t, "it does harm", func() bool {
			w.replay(t, a)
			return a.Stats().Conflicts > 0
		})
		revived(t, w, member(t, "c").start())
	})
}

// That a member was dead, or suspected, in a process that had refuted it often, is of no use against the process of
// now.
func TestReplayedDeaths(t *testing.T) {
	a, b := member(t, "a").start(), member(t, "b")
	var heard lockedBuffer
	b.Log = slog.New(slog.NewTextHandler(&heard, nil))
	b.start()
	eventually(t, "b has come after its predecessors", func() bool { return heard.contains("Refuting a suspect message (from: b)") })
	require.NoError(t, b.Join(t.Context(), a.gossip()))
	eventually(t, "they meet", func() bool { return a.status("b") == Alive })
	s, _ := a.current()
	udp, err := net.Dial("udp", a.gossip())
	require.NoError(t, err)
	defer udp.Close()
	send := func(kind byte, fields fieldsOf) {
		_, _ = udp.Write(s.seal.packet(append([]byte{kind}, packed(t, fields)...)))
	}
	dead := func(incarnation uint32) {
		send(msgDead, fieldsOf{"Incarnation": incarnation, "Node": "b", "From": "c"})
	}
	before, _ := a.find("b")
	for i := range 20 {
		dead(1 << 20)
		name := fmt.Sprint("x", i)
		said := meta{cluster: "test", version: 1}
		b, err := said.append(nil)
		require.NoError(t, err)
		eventually(t, "another message is taken, sent after it", func() bool {
			send(msgAlive, fieldsOf{"Incarnation": 1, "Node": name, "Addr": []byte{127, 0, 0, 9}, "Port": 9, "Meta": b, "Vsn": []byte{1, 5, 2, 1, 1, 1}})
			_, known := a.find(transport.NodeID(name))
			return known
		})
	}
	after, _ := a.find("b")
	require.Equal(t, before, after)
	dead(1 << 31)
	eventually(t, "it would have done harm", func() bool {
		m, _ := a.find("b")
		return m.Status == Alive && m.Since.After(before.Since)
	})
}
