package membership

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/eventual-go/eventual/transport"
)

// MaxMembers is how many members a node knows, those that are gone among them. Further ones are refused.
const MaxMembers = 4096

// Members are the members of a cluster as one node knows them, itself included. The exported fields are set
// before the first use and not changed afterwards; Self, Listen, and Keys or Plain are needed. Members
// must not be copied. It is safe for concurrent use.
type Members struct {
	// Self is the name of this node.
	Self transport.NodeID
	// Cluster is the name of the cluster. Members of different clusters never mix. The
	// empty name is a name like any other.
	Cluster string
	// Zone is what fails together with this node, for the ring.
	Zone string
	// Weight is how much of the keys this node takes, for the ring. If zero, 1.
	Weight float64
	// Addr is the address of this node's transport, "host:port", which Resolve returns at the others. If its
	// host is empty, or stands for all addresses, that of the gossip takes its place.
	Addr string

	// Listen is where this node gossips, "host:port", by UDP and TCP both. Port 0 is any.
	Listen string
	// Advertise is where the others find that, "host:port", if it differs. Port 0 is that of Listen.
	Advertise string
	// Keys encrypt the gossip: AES with 16, 24 or 32 bytes, in Galois/Counter Mode. All of them are taken, the first
	// one is used. See [Members.Rotate].
	Keys [][]byte
	// Plain has the gossip go without encryption. Then whoever can send a packet can join,
	// and move or remove members: it is for networks that you trust.
	Plain bool

	// Pace is how fast members are probed, and news spread. If zero, [LAN].
	Pace Pace
	// Events are called as things happen.
	Events Events
	// Log takes what memberlist logs. If nil, nobody.
	Log *slog.Logger

	// tap, if not nil, stands between memberlist and the sockets. For tests.
	tap func(memberlist.NodeAwareTransport) memberlist.NodeAwareTransport

	mu      sync.Mutex // never held while anything foreign is called; taken under memberlist's own lock
	copied  bool       // keys is a copy of Keys
	keys    [][]byte
	table   table
	leaving bool
	version uint64 // of what this node says of itself; it only rises
	seeds   []string
	session *session
	begun   chan struct{} // closed when there is a session; nil if nobody waits
	untold  untold
	counts  Stats
}

// ErrRunning says that [Members.Run] was called while it was running already.
var ErrRunning = errors.New("membership: members are running")

// check says what is wrong with the fields.
func (m *Members) check() error {
	switch {
	case m.Self == "" || len(m.Self) > transport.MaxName:
		return errors.New("membership: Members.Self must have 1 to 255 bytes")
	case !validWeight(m.Weight):
		return errors.New("membership: Members.Weight must be finite and not negative")
	case m.Listen == "":
		return errors.New("membership: Members.Listen is empty")
	case m.Plain && len(m.Keys) > 0:
		return errTooMany
	case !m.Plain:
		return checkKeys(m.Keys)
	}
	return nil
}

// meta is what this node says of itself; it needs m.mu.
func (m *Members) meta(process uint64) *meta {
	return &meta{leaving: m.leaving, process: process, version: m.version,
		weight: m.Weight, cluster: m.Cluster, zone: m.Zone, addr: m.Addr}
}

// outdo has what this node says next be newer than all that it has said, and than a version that it was told of; it
// needs m.mu. Versions are times, so that a process knows more than its predecessors, wherever they were.
func (m *Members) outdo(version uint64) {
	m.version = min(max(uint64(time.Now().UnixNano()), m.version+1, version+1), maxVersion)
}

// random returns a number for one process.
func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.BigEndian.Uint64(b[:])
}

// Run takes part until ctx ends, and returns its error; or nil once it has left, where [Members.Leave] was called
// before. It listens, and finds the members that Join names. The error is also [ErrRunning], a
// [*transport.TooLargeError] if names and addresses have more than 512 bytes together, what is wrong with the fields,
// or that of listening.
//
// All that it has begun has ended when it returns, but for goroutines of memberlist, which end within a Probe and
// hold no socket. If it ends without Leave the others take this node for dead after a while, as if it had crashed:
// that is how to stop for being started again.
func (m *Members) Run(ctx context.Context) error {
	if err := m.check(); err != nil {
		return err
	}
	s := newSession(m)
	if _, err := (&meta{cluster: m.Cluster, zone: m.Zone, addr: m.Addr}).append(nil); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := m.begin(s); err != nil {
		return err
	}
	defer m.end(s)
	if err := s.start(ctx); err != nil {
		return err
	}
	m.ready(s)
	return s.run(ctx)
}

// begin makes a session the one that runs.
func (m *Members) begin(s *session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != nil {
		return ErrRunning
	}
	if !m.copied {
		m.copied, m.keys = true, cloneKeys(m.Keys)
	}
	if !m.Plain {
		if err := s.seal.rekey(m.keys); err != nil {
			return err
		}
	}
	m.session, m.leaving, m.table = s, false, table{limit: MaxMembers}
	m.outdo(0)
	return nil
}

// ready has those go on who wait for a session.
func (m *Members) ready(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.ready = true
	if m.begun != nil {
		close(m.begun)
		m.begun = nil
	}
}

func (m *Members) end(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session = nil
}

// running waits until Run has begun.
func (m *Members) running(ctx context.Context) (*session, error) {
	for {
		s, begun := m.current()
		if s != nil {
			return s, nil
		}
		select {
		case <-begun:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (m *Members) current() (*session, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != nil && m.session.ready {
		return m.session, nil
	}
	if m.begun == nil {
		m.begun = make(chan struct{})
	}
	return nil, m.begun
}

// Leave tells the others that this node is going for good: they see it as [Leaving], a [Policy] takes it
// from the ring, and it is not taken in again. It goes on being a member, which answers and is found, since it
// has to hand over what it holds. When the ring names it no more end Run: then it has [Left].
// It waits for Run to begin, and until others have been told. The error is that of ctx, or says that nobody was told in
// time; the news spreads all the same. A node that is started again has not left.
func (m *Members) Leave(ctx context.Context) error {
	s, err := m.running(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.leaving = true
	m.outdo(0)
	m.mu.Unlock()
	return s.within(ctx, func() error { return s.say(s.pace.Timeout) })
}

// Rotate makes the keys others; the first of them is used from now on. To go from one key to another
// without a gap: Rotate(old, new) at all members, then Rotate(new, old) at all, then Rotate(new). The error
// says what is wrong with the keys, or that the gossip is Plain.
func (m *Members) Rotate(keys ...[]byte) error {
	if m.Plain {
		return errTooMany
	}
	if err := checkKeys(keys); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.copied, m.keys = true, cloneKeys(keys)
	if m.session == nil {
		return nil
	}
	return m.session.seal.rekey(m.keys)
}

// All returns the members, by ID, this node and those that are gone among them. Before Run there are none;
// after it, those there were.
func (m *Members) All() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.all()
}

// Peers returns the other members that are here, by ID. It fits antientropy.Loop. With 1,000 members it
// takes 0.1 ms or so.
func (m *Members) Peers() []transport.NodeID {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]transport.NodeID, 0, len(m.table.rows))
	for id, r := range m.table.rows {
		if r.Status.Here() && id != m.Self {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// Resolve returns the address of a member's transport, also of one that is gone: the last one that it had. It
// fits tcp.Transport. The error is [transport.ErrUnreachable]. It waits for nothing.
func (m *Members) Resolve(_ context.Context, id transport.NodeID) (string, error) {
	m.mu.Lock()
	member, ok := m.table.member(id)
	m.mu.Unlock()
	if !ok || member.Addr == "" {
		return "", fmt.Errorf("%w: membership knows no address of %q", transport.ErrUnreachable, id)
	}
	return reach(member.Addr, member.Gossip), nil
}

// reach returns an address, with the host of another if it has none of its own.
func reach(addr, gossip string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return addr
	}
	host, _, err = net.SplitHostPort(gossip)
	if err != nil {
		return addr
	}
	return net.JoinHostPort(host, port)
}

// Stats are what a node knows and has counted since it was made.
type Stats struct {
	Alive, Leaving, Left, Dead int // members, this node included

	// Health is 0 if this node answers and is answered in time, and more the less that is so, up to 7. Then
	// it gives others longer before it suspects them (Lifeguard: Dadgar, Phillips, Currey, 2018). It begins with 1.
	Health int

	Joins     uint64 // attempts to meet a seed, or a member that is dead
	Unjoined  uint64 // those that failed
	Conflicts uint64 // news of another process under the name of a member
	Refused   uint64 // messages of those who have a key and are no members
	Stale     uint64 // news of members that were older than what was known: late, or replayed
	Untold    uint64 // events that were left out because too many came at once

	Packets, Oversized     uint64 // that came in; those dropped for their length
	Streams, StreamsDenied uint64 // connections that came in; those closed because there were too many
	Garbled                uint64 // packets and connections dropped as they were under no key, of no member, or malformed
	ProbesDenied           uint64 // packets dropped that asked for a probe of another member, as there were too many
}

// Stats returns what there is to know at this moment.
func (m *Members) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.counts
	s.Untold = m.untold.dropped
	for _, r := range m.table.rows {
		switch r.Status {
		case Alive:
			s.Alive++
		case Leaving:
			s.Leaving++
		case Left:
			s.Left++
		case Dead:
			s.Dead++
		}
	}
	if m.session != nil && m.session.ready {
		m.session.stats(&s)
	}
	return s
}

// change has f change what is known, and what there is to tell.
func (m *Members) change(s *session, f func(now time.Time)) {
	m.mu.Lock()
	if m.session == s && !s.over {
		f(time.Now())
	}
	m.mu.Unlock()
	s.nudge()
}
