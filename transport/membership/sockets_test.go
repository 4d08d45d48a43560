package membership

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// from dials with an address of its own, as another host would.
func from(t *testing.T, host, to string) net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// Connections that say nothing, from few addresses and far more than there is room for, make room for those of others.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	a := member(t, "a")
	a.Pace.Timeout = time.Minute // so that none of them ends by itself, however slow the machine is
	a.start()
	s, _ := a.current()
	held := func() int {
		s.sockets.mu.Lock()
		defer s.sockets.mu.Unlock()
		return s.sockets.taken.Len()
	}
	attempts := 1000
	for i := range attempts {
		from(t, fmt.Sprintf("127.0.0.%d", 9+i%8), a.gossip()) // held open to the end
	}
	eventually(t, "all were taken, and most had to go", func() bool {
		s := a.Stats()
		return s.Streams == uint64(attempts) && s.StreamsDenied == uint64(attempts-maxStreams)
	})
	require.Equal(t, maxStreams, held(), "there is no room")

	for i := range 20 {
		b := member(t, transport.NodeID(fmt.Sprint("b", i)))
		b.Listen = "127.0.0.2:0"
		b.start()
		require.NoError(t, b.Join(t.Context(), a.gossip()))
	}
	require.Greater(t, a.Stats().StreamsDenied, uint64(attempts-maxStreams), "they had to make room")
	require.LessOrEqual(t, held(), maxStreams)
}

// Many connections from few addresses that bring most of a long message, and then nothing, do not take up memory
// without bound, nor keep others out.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	a := member(t, "a")
	a.Pace.Timeout = time.Minute
	a.start()
	s, _ := a.current()
	held := func() (all, sum int) {
		s.sockets.mu.Lock()
		defer s.sockets.mu.Unlock()
		for c := range s.sockets.conns {
			sum += c.held
		}
		return s.sockets.held, sum
	}
	const each = maxStream / 2
	claim := append(s.seal.stream(nil)[:len(s.seal.label)+1], 0, 0x4f, 0xff, 0xff)
	claim = append(claim, make([]byte, each)...)
	n := maxHeld/each + 8
	for i := range n {
		c := from(t, fmt.Sprintf("127.0.0.%d", 9+i%4), a.gossip())
		_, _ = c.Write(claim)
		eventually(t, "it is read, or closed", func() bool {
			all, _ := held()
			return all > min(i+1, maxHeld/each-1)*each
		})
	}
	eventually(t, "some had to go", func() bool {
		all, sum := held()
		return all == sum && all <= maxHeld && a.Stats().StreamsDenied >= 8 // that one has to go is known before it is gone
	})

	b := member(t, "b")
	b.Listen = "127.0.0.2:0"
	b.start()
	require.NoError(t, b.Join(t.Context(), a.gossip()))
}

// Ten thousand connections that come and go leave nothing, nor does one that says nothing.
func TestConnectionsThatComeAndGo(t *testing.T) {
	a := member(t, "a").start()
	from(t, "127.0.0.9", a.gossip())
	attempts := 10_000
	if testing.Short() {
		attempts = 500
	}
	for range attempts {
		c, err := net.Dial("tcp", a.gossip())
		if err == nil { // the backlog is not full
			c.Close()
		}
	}
	s, _ := a.current()
	eventually(t, "nothing is left", func() bool {
		s.sockets.mu.Lock()
		defer s.sockets.mu.Unlock()
		return len(s.sockets.conns) == 0 && s.sockets.taken.Len() == 0
	})
	require.Less(t, runtime.NumGoroutine(), 200)
}

// Claims of four gigabytes, garbage, and packets that are too long are dropped, and members stay what they are.
func TestGarbageIsDropped(t *testing.T) {
	all := joined(t, "a", "b")
	a := all[0]
	claim := from(t, "127.0.0.9", a.gossip())
	_, err := claim.Write(append([]byte{244, 4, 't', 'e', 's', 't', 10}, 0xff, 0xff, 0xff, 0xff))
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, claim) // it is closed
	require.Positive(t, a.Stats().Garbled)

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
	eventually(t, "others are read, and dropped", func() bool {
		_, _ = udp.Write(junk[:10])
		return a.Stats().Garbled > before.Garbled
	})
	garbage := from(t, "127.0.0.9", a.gossip())
	_, _ = garbage.Write(junk)
	_, _ = io.Copy(io.Discard, garbage)
	require.Equal(t, Alive, a.status("b"))
	require.Len(t, a.All(), 2)
}

// Whatever comes by packets and connections, from who has a key and who has none, nothing panics.
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
	label := []byte{labelByte, 4, 't', 'e', 's', 't'}
	f.Add([]byte{1, 2, 3})
	f.Add(append(label, 1))
	f.Add(append(label, 10, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add(binary.BigEndian.AppendUint32(append(label, 10), 1<<31))
	f.Add([]byte("\x03\x83\xabIncarnation\xcd\x01\x00\xa4Node\xa1a\xa4From\xa1b"))
	f.Add([]byte("\x06\x83\xa5Nodes\x00\xacUserStateLen\x01\xa4Join\xc3\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		at := netip.MustParseAddrPort("127.0.0.9:1")
		s.sockets.packet(bytes.Clone(b), at)
		s.sockets.packet(s.seal.packet(b), at)
		for _, b := range [][]byte{b, s.seal.stream(b)} {
			ours, theirs := net.Pipe()
			s.sockets.hand(theirs)
			read := make(chan struct{})
			go func() { _, _ = io.Copy(io.Discard, ours); close(read) }()
			_, _ = ours.Write(b)
			ours.Close()
			<-read
		}
		if n := len(m.All()); n > MaxMembers {
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
			d.MergeRemoteState(meta, false)
			d.MergeRemoteState(d.LocalState(false), false)
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
