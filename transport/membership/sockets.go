package membership

import (
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
)

const (
	maxPacket     = 4 << 10 // those of memberlist have at most 1400 bytes
	maxStream     = 4 << 20 // read of one connection: MaxMembers with the longest names
	maxStreams    = 128     // connections accepted at a time
	maxHostStream = 16      // of them, from one address
	bindAttempts  = 10
)

// sockets are one UDP and one TCP port of the same number. They bound what comes in before anybody has proved to
// have a key, and close what is open when they are shut down.
type sockets struct {
	tcp       *net.TCPListener
	udp       *net.UDPConn
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
	hosts  map[netip.Addr]int // connections accepted, by where they come from
	taken  int                // all of them
}

type traffic struct{ packets, oversized, streams, refused atomic.Uint64 }

// listen opens both ports. Who shuts it down owns the two goroutines.
func listen(ctx context.Context, addr, advertise string) (*sockets, error) {
	tcp, udp, err := bind(ctx, addr)
	if err != nil {
		return nil, err
	}
	s := &sockets{
		tcp: tcp, udp: udp,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn),
		conns: make(map[*stream]struct{}), hosts: make(map[netip.Addr]int),
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
		_, err = s.udp.WriteToUDPAddrPort(b, at)
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
	c := &stream{Conn: conn, s: s, left: maxStream}
	if !s.add(c) {
		conn.Close()
		return nil, transport.ErrClosed
	}
	return c, nil
}

// receive hands on packets, each in bytes of its own.
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
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
		select {
		case s.packets <- p:
		case <-s.ctx.Done():
			return
		}
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

// hand gives a connection to memberlist, which closes it, unless there are too many.
func (s *sockets) hand(conn *net.TCPConn) {
	c := &stream{Conn: conn, s: s, left: maxStream, host: conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()}
	if !s.add(c) {
		s.counts.refused.Add(1)
		conn.Close()
		return
	}
	s.counts.streams.Add(1)
	select {
	case s.streams <- c:
	case <-s.ctx.Done():
		c.Close()
	}
}

// add counts a connection, of which there must not be too many.
func (s *sockets) add(c *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if c.host.IsValid() {
		if s.taken >= maxStreams || s.hosts[c.host] >= maxHostStream {
			return false
		}
		s.taken++
		s.hosts[c.host]++
		s.inbound.Add(1)
	}
	s.conns[c] = struct{}{}
	return true
}

// remove follows add, once.
func (s *sockets) remove(c *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.conns[c]; !there {
		return
	}
	delete(s.conns, c)
	if !c.host.IsValid() {
		return
	}
	s.taken--
	if s.hosts[c.host]--; s.hosts[c.host] == 0 {
		delete(s.hosts, c.host)
	}
	s.inbound.Done()
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

// A stream is one connection, of which not more than so much is read.
type stream struct {
	net.Conn
	s    *sockets
	host netip.Addr // of the other side, where that has dialled
	left int        // for who reads, of whom there is one
}

var errStream = &transport.TooLargeError{What: "state of a member", Limit: maxStream, Size: maxStream + 1}

func (c *stream) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errStream
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// Write closes a connection that was dialled if it fails: memberlist forgets to, where it writes the label.
func (c *stream) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil && !c.host.IsValid() {
		c.Close()
	}
	return n, err
}

func (c *stream) Close() error {
	defer c.s.remove(c)
	return c.Conn.Close()
}
