package membership

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/crowd"
)

const (
	maxPacket    = 4 << 10  // those of memberlist have at most 1400 bytes
	maxStream    = 5 << 20  // of one connection: MaxMembers with the longest names
	maxStreams   = 128      // connections accepted at a time
	maxHeld      = 64 << 20 // of all of them
	bindAttempts = 10
)

// sockets are one UDP and one TCP port of the same number. They bound what comes in before anybody has proved to
// have a key, show memberlist nothing but what is sealed and well-formed, and close what is open when they are shut
// down.
type sockets struct {
	tcp       *net.TCPListener
	udp       *net.UDPConn
	seal      *seal
	numbers   numbers
	relays    relays
	advertise netip.AddrPort
	packets   chan *memberlist.Packet
	streams   chan net.Conn
	ctx       context.Context
	stop      context.CancelFunc
	group     sync.WaitGroup // the two that listen
	inbound   sync.WaitGroup // connections accepted, which memberlist closes
	counts    traffic

	mu     sync.Mutex
	closed bool
	conns  map[*stream]struct{}
	taken  crowd.Crowd[string, *stream] // connections accepted, by where they come from
	held   int                          // bytes that they have brought
}

type traffic struct{ packets, oversized, garbled, unprobed, streams, denied atomic.Uint64 }

// listen opens both ports. Who shuts it down owns the two goroutines. A probe for another member takes relayed at most.
func listen(ctx context.Context, addr, advertise string, seal *seal, relayed time.Duration) (*sockets, error) {
	tcp, udp, err := bind(ctx, addr)
	if err != nil {
		return nil, err
	}
	s := &sockets{
		tcp: tcp, udp: udp, seal: seal, numbers: newNumbers(), relays: relays{span: relayed},
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), conns: make(map[*stream]struct{}),
		taken: crowd.Crowd[string, *stream]{Limit: maxStreams},
	}
	if s.advertise, err = advertised(ctx, tcp, advertise); err != nil {
		return nil, errors.Join(err, tcp.Close(), udp.Close())
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.group.Go(s.accept)
	s.group.Go(s.receive)
	return s, nil
}

// bind takes a port that is free for both. Where any will do, the one that TCP gets may be taken for UDP.
func bind(ctx context.Context, addr string) (tcp *net.TCPListener, udp *net.UDPConn, err error) {
	var lc net.ListenConfig
	for range bindAttempts {
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		tcp = ln.(*net.TCPListener)
		pc, err := lc.ListenPacket(ctx, "udp", tcp.Addr().String())
		if err == nil {
			return tcp, pc.(*net.UDPConn), nil
		}
		tcp.Close()
		if _, port, _ := net.SplitHostPort(addr); port != "0" && port != "" {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("membership: no port is free for both TCP and UDP at %q", addr)
}

var errNowhere = errors.New("membership: Members.Listen names no address that others could use: set Advertise")

// advertised is where others reach the ports.
func advertised(ctx context.Context, tcp *net.TCPListener, given string) (netip.AddrPort, error) {
	if given == "" {
		at := tcp.Addr().(*net.TCPAddr).AddrPort()
		at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		if at.Addr().IsUnspecified() {
			return at, errNowhere
		}
		return at, nil
	}
	all, err := lookup(ctx, given)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if all[0].Port() == 0 {
		return netip.AddrPortFrom(all[0].Addr(), tcp.Addr().(*net.TCPAddr).AddrPort().Port()), nil
	}
	return all[0], nil
}

// lookup returns what "host:port" stands for, at least one.
func lookup(ctx context.Context, addr string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	out := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		out[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("membership: no address of %q", host)
	}
	return out, nil
}

func (s *sockets) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return s.advertise.Addr().AsSlice(), int(s.advertise.Port()), nil
}

func (s *sockets) PacketCh() <-chan *memberlist.Packet { return s.packets }
func (s *sockets) StreamCh() <-chan net.Conn           { return s.streams }

func (s *sockets) WriteTo(b []byte, addr string) (time.Time, error) {
	at, err := netip.ParseAddrPort(addr)
	if err == nil {
		b, err = s.numbers.going(b)
	}
	if err == nil {
		_, err = s.udp.WriteToUDPAddrPort(s.seal.packet(b), at)
	}
	return time.Now(), err
}

func (s *sockets) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return s.WriteTo(b, a.Addr)
}

func (s *sockets) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	return s.DialTimeout(a.Addr, d)
}

func (s *sockets) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	conn, err := d.DialContext(s.ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &stream{Conn: conn, s: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return nil, transport.ErrClosed
	}
	s.conns[c] = struct{}{}
	return c, nil
}

// receive hands on packets.
func (s *sockets) receive() {
	buf := make([]byte, maxPacket+1)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		switch {
		case s.ctx.Err() != nil:
			return
		case err != nil || n == 0: // of one packet, or of an earlier one that was sent
			continue
		case n > maxPacket:
			s.counts.oversized.Add(1)
			continue
		}
		s.counts.packets.Add(1)
		s.packet(bytes.Clone(buf[:n]), from)
	}
}

// packet hands one on whose bytes are its own.
func (s *sockets) packet(b []byte, from netip.AddrPort) {
	relay := false
	msg, err := s.seal.openPacket(b)
	if err == nil {
		relay, err = inspectPacket(msg)
	}
	if err == nil {
		msg, err = s.numbers.come(msg)
	}
	switch {
	case err != nil:
		s.counts.garbled.Add(1)
		return
	case relay && !s.relays.enter(crowd.Origin(net.UDPAddrFromAddrPort(from)), time.Now()):
		s.counts.unprobed.Add(1)
		return
	}
	s.deliver(msg, from)
}

func (s *sockets) deliver(msg []byte, from netip.AddrPort) {
	select {
	case s.packets <- &memberlist.Packet{Buf: msg, From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}:
	case <-s.ctx.Done():
	}
}

func (s *sockets) accept() {
	for {
		conn, err := s.tcp.AcceptTCP()
		if s.ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil { // of one connection, or there are no files left
			s.pause()
			continue
		}
		s.hand(conn)
	}
}

// pause waits before another attempt to accept, as what failed would fail again at once.
func (s *sockets) pause() {
	select {
	case <-time.After(50 * time.Millisecond):
	case <-s.ctx.Done():
	}
}

// hand gives a connection to memberlist, which closes it. If that makes too many, the oldest one has to go of where
// most of them come from.
func (s *sockets) hand(conn net.Conn) {
	c := &stream{Conn: conn, s: s, accepted: true, origin: crowd.Origin(conn.RemoteAddr())}
	out, ok := s.enter(c)
	if !ok {
		conn.Close()
		return
	}
	s.counts.streams.Add(1)
	if out != nil {
		s.counts.denied.Add(1)
		out.Close()
	}
	select {
	case s.streams <- c:
	case <-s.ctx.Done():
		c.Close()
	}
}

// enter takes in a connection that was accepted, and returns which one has to go for it, if any; unless all have to.
func (s *sockets) enter(c *stream) (out *stream, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	s.conns[c] = struct{}{}
	s.inbound.Add(1)
	out, _ = s.taken.Enter(c.origin, c)
	return out, true
}

// remove takes a connection off, which may be done twice.
func (s *sockets) remove(c *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.conns[c]; !there {
		return
	}
	delete(s.conns, c)
	if c.accepted {
		s.taken.Leave(c.origin, c)
		s.held -= c.held
		c.held = 0
		s.inbound.Done()
	}
}

// Shutdown closes all, and returns when what was accepted is not served any more.
func (s *sockets) Shutdown() error {
	s.stop()
	s.tcp.Close()
	s.udp.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Conn.Close()
	}
	s.mu.Unlock()
	s.group.Wait()
	s.inbound.Wait()
	return nil
}
