package membership

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"
)

// from dials with an address of its own, as another host would.
func from(t *testing.T, host, to string) net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// Ten thousand connections that say nothing cost sixteen places, and members go on meeting.
func TestHalfOpenConnectionsAreBounded(t *testing.T) {
	a := member(t, "a").start()
	attempts := 10_000
	if testing.Short() {
		attempts = 500
	}
	for range attempts {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}
		c, err := d.DialContext(t.Context(), "tcp", a.gossip())
		if err != nil {
			continue // the backlog is full
		}
		if a.Stats().Streams < maxHostStream {
			t.Cleanup(func() { c.Close() })
			continue // held open
		}
		c.Close()
	}
	eventually(t, "all were looked at", func() bool { s := a.Stats(); return s.Streams+s.StreamsDenied > uint64(attempts)*9/10 })
	held := func() int {
		s, _ := a.current()
		s.sockets.mu.Lock()
		defer s.sockets.mu.Unlock()
		return len(s.sockets.conns)
	}
	require.LessOrEqual(t, held(), maxHostStream)
	require.Less(t, runtime.NumGoroutine(), 200)

	b := member(t, "b")
	b.Listen = "127.0.0.2:0"
	b.start()
	require.NoError(t, b.Join(t.Context(), a.gossip()))
	eventually(t, "b is a member", func() bool { return a.status("b") == Alive })
	eventually(t, "silent ones are given up", func() bool { return held() <= 1 })
}

// Claims of four gigabytes, garbage, and packets that are too long are dropped, and members stay what they are.
func TestGarbageIsDropped(t *testing.T) {
	all := joined(t, "a", "b")
	a := all[0]
	claim := from(t, "127.0.0.9", a.gossip())
	_, err := claim.Write(append([]byte{244, 4, 't', 'e', 's', 't', 10}, 0xff, 0xff, 0xff, 0xff))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, claim)
	require.NoError(t, err, "it is answered by an error, and closed")

	udp, err := net.Dial("udp", a.gossip())
	require.NoError(t, err)
	defer udp.Close()
	before := a.Stats()
	junk := make([]byte, 2*maxPacket)
	_, _ = rand.Read(junk)
	for n := range 300 {
		_, _ = udp.Write(junk[:1+n])
		_, _ = udp.Write(append([]byte{244, 4, 't', 'e', 's', 't', 1}, junk[:n]...))
	}
	eventually(t, "packets too long are counted", func() bool {
		_, _ = udp.Write(junk)
		return a.Stats().Oversized > before.Oversized
	})
	eventually(t, "others come through", func() bool {
		_, _ = udp.Write(junk[:10])
		return a.Stats().Packets > before.Packets
	})
	garbage := from(t, "127.0.0.9", a.gossip())
	_, _ = garbage.Write(junk)
	_, _ = io.Copy(io.Discard, garbage)
	require.Equal(t, Alive, a.status("b"))
	require.Len(t, a.All(), 2)
}

// Of a connection not more is read than a state may have.
func TestStreamsAreBounded(t *testing.T) {
	s, err := listen(t.Context(), "127.0.0.1:0", "")
	require.NoError(t, err)
	defer s.Shutdown()
	var sent sync.WaitGroup
	defer sent.Wait()
	sent.Go(func() {
		c, err := net.Dial("tcp", s.advertise.String())
		if err == nil {
			_, _ = c.Write(make([]byte, maxStream+1))
			c.Close()
		}
	})
	c := <-s.streams
	n, err := io.Copy(io.Discard, c)
	require.EqualValues(t, maxStream, n)
	require.ErrorIs(t, err, errStream)
	require.NoError(t, c.Close())
	require.Error(t, c.Close(), "twice is no harm")
	require.Zero(t, s.taken)
}

// Whatever comes by packets and connections from who has no key, nothing panics and nobody joins.
func FuzzReceived(f *testing.F) {
	m := member(nil, "a").Members
	m.Events = Events{}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	f.Cleanup(func() { stop(); <-done })
	if err := m.Join(f.Context()); err != nil {
		f.Fatal(err)
	}
	s, _ := m.current()
	label := []byte{244, 4, 't', 'e', 's', 't'}
	f.Add([]byte{1, 2, 3})
	f.Add(append(label, 1))
	f.Add(append(label, 10, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add(binary.BigEndian.AppendUint32(append(label, 10), 1<<31))
	f.Fuzz(func(t *testing.T, b []byte) {
		s.sockets.packets <- &memberlist.Packet{Buf: append([]byte(nil), b...), From: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9), Port: 1}, Timestamp: time.Now()}
		ours, theirs := net.Pipe()
		s.sockets.streams <- theirs
		read := make(chan struct{})
		go func() { _, _ = io.Copy(io.Discard, ours); close(read) }()
		_, _ = ours.Write(b)
		ours.Close()
		<-read
		if n := len(m.All()); n != 1 {
			t.Fatalf("%d members", n)
		}
	})
}

// Whatever somebody says of itself who has a key, it is refused or a member, and the table stays bounded.
func FuzzDelegate(f *testing.F) {
	f.Add("b", []byte(saidBytes), []byte{127, 0, 0, 1}, uint16(1), uint8(0))
	f.Add("", []byte{}, []byte{}, uint16(0), uint8(1))
	m := &Members{Self: "a", Cluster: "c"}
	s := &session{m: m, wake: make(chan struct{}, 1)}
	m.session, m.table.limit = s, 10
	d := delegate{s}
	f.Fuzz(func(t *testing.T, name string, meta, addr []byte, port uint16, what uint8) {
		n := &memberlist.Node{Name: name, Meta: meta, Addr: addr, Port: port}
		err := d.NotifyAlive(n)
		switch what % 4 {
		case 0:
			if err == nil {
				d.NotifyJoin(n)
			}
		case 1:
			d.NotifyLeave(n)
		case 2:
			d.NotifyConflict(n, n)
		case 3:
			_ = d.NotifyMerge([]*memberlist.Node{n, n})
		}
		m.news()
		if len(m.All()) > 10 {
			t.Fatalf("%d members", len(m.All()))
		}
		for _, p := range m.All() {
			_, _ = m.Resolve(t.Context(), p.ID)
		}
	})
}
