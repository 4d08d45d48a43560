package membership

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/eventual-go/eventual/transport"
)

const (
	leaveTimeout = 5 * time.Second
	alonePause   = 2 * time.Second // between attempts to find others where there are none, or Sync if that is less
)

// A session is one Run.
type session struct {
	m       *Members
	process uint64
	pace    Pace
	seal    *seal
	sockets *sockets
	list    *memberlist.Memberlist
	group   sync.WaitGroup
	wake    chan struct{} // there is something to tell; holds one
	renew   chan struct{} // there is something to say; holds one
	saying  sync.Mutex    // held while it is said, so that what is said later is newer

	ready, over bool // guarded by m.mu
}

func newSession(m *Members) *session {
	return &session{m: m, process: random(), pace: m.Pace.filled(), seal: newSeal(m.Cluster),
		wake: make(chan struct{}, 1), renew: make(chan struct{}, 1)}
}

// start listens, and begins to answer.
func (s *session) start(ctx context.Context) (err error) {
	m := s.m
	if s.sockets, err = listen(ctx, m.Listen, m.Advertise, s.seal, s.pace.ProbeTimeout); err != nil {
		return err
	}
	if s.list, err = memberlist.Create(s.config()); err != nil {
		return errors.Join(fmt.Errorf("membership: %w", err), s.sockets.Shutdown())
	}
	s.sockets.deliver(suspicion(uint32(time.Now().Unix()), s.m.Self), s.sockets.advertise)
	return nil
}

// suspicion is a message that a member is suspected, in an incarnation. memberlist begins with the first one, and
// refutes this by a later one. So a process comes after its predecessors, and a record of what was said of them, that
// they were suspected or dead, is of no use against it.
func suspicion(incarnation uint32, id transport.NodeID) []byte {
	b := append([]byte{msgSuspect, 0x83}, "\xabIncarnation\xce"...)
	b = binary.BigEndian.AppendUint32(b, incarnation)
	for _, field := range []string{"\xa4Node", "\xa4From"} {
		b = append(append(b, field...), 0xda, 0, byte(len(id)))
		b = append(b, id...)
	}
	return b
}

// config is that of memberlist. It logs to Log alone, and its metrics go where go-metrics has them go, which is
// nowhere unless a program says otherwise.
//
// It knows of no cluster and no keys, as it is shown what is of this cluster and decrypted: see seal.
func (s *session) config() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = string(s.m.Self)
	c.Logger = logger(s.m.Log, s.m.Plain)
	c.Transport = s.sockets
	if s.m.tap != nil {
		c.Transport = s.m.tap(s.sockets)
	}
	c.BindPort = int(s.sockets.advertise.Port())
	c.EnableCompression = false // messages are small, and what is compressed is refused
	c.UDPBufferSize -= s.seal.overhead() + maxLonger
	c.DelegateProtocolMin, c.DelegateProtocolMax, c.DelegateProtocolVersion = metaVersion, metaVersion, metaVersion
	d := delegate{s}
	c.Delegate, c.Events, c.Conflict, c.Merge, c.Alive = d, d, d, d, d
	s.pace.set(c)
	return c
}

// run tells what happens, and looks for members that are lost, until ctx ends.
func (s *session) run(ctx context.Context) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer s.group.Wait()
	defer stop()
	s.group.Go(func() { s.tell(inner) })
	defer s.stop()
	timer := time.NewTimer(s.pause())
	defer timer.Stop()
	renew := s.renew // nil for a Sync after it was heard
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			if s.leave() {
				return nil
			}
			return ctx.Err()
		case <-renew:
			s.group.Go(func() { _ = s.say(time.Millisecond) }) // nobody waits until it is heard
			renew, again = nil, time.After(s.pace.Sync)
			timer.Reset(min(s.pause(), alonePause)) // they may believe it now
		case <-again:
			renew, again = s.renew, nil
		case <-timer.C:
			s.search(ctx)
			timer.Reset(s.pause())
		}
	}
}

// say has others told what this node says of itself now, and waits for that for so long.
func (s *session) say(wait time.Duration) error {
	s.saying.Lock()
	defer s.saying.Unlock()
	return s.list.UpdateNode(wait)
}

// leave tells the others that this node is gone, if it is to be, and reports whether.
func (s *session) leave() bool {
	s.m.mu.Lock()
	leaving := s.m.leaving
	s.m.mu.Unlock()
	if leaving {
		_ = s.list.Leave(leaveTimeout) // who was not told takes this node for gone after a while
	}
	return leaving
}

// stop ends what memberlist does.
func (s *session) stop() {
	_ = s.list.Shutdown() // it returns nil
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.over = true
	s.traffic(&s.m.counts)
}

// stats needs m.mu.
func (s *session) stats(out *Stats) {
	if !s.over {
		s.traffic(out)
		out.Health = s.list.GetHealthScore()
	}
}

func (s *session) traffic(out *Stats) {
	c := &s.sockets.counts
	out.Packets += c.packets.Load()
	out.Oversized += c.oversized.Load()
	out.Streams += c.streams.Load()
	out.StreamsDenied += c.denied.Load()
	out.Garbled += c.garbled.Load()
	out.ProbesDenied += c.unprobed.Load()
}

func (s *session) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// tell calls Events until ctx ends, and then what is left of them.
func (s *session) tell(ctx context.Context) {
	for {
		select {
		case <-s.wake:
			s.tellNow()
		case <-ctx.Done():
			s.tellNow()
			return
		}
	}
}

func (s *session) tellNow() {
	e := &s.m.Events
	members, conflicts, refused := s.m.news()
	for _, m := range members {
		if e.OnMember != nil {
			e.OnMember(m)
		}
	}
	for _, c := range conflicts {
		if e.OnConflict != nil {
			e.OnConflict(c)
		}
	}
	for _, r := range refused {
		if e.OnRefused != nil {
			e.OnRefused(r)
		}
	}
}

// news takes what there is to tell.
func (m *Members) news() (members []Member, conflicts []*ConflictError, refused []*RefusedError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, member := range m.table.all() {
		if m.untold.members[member.ID] {
			members = append(members, member)
		}
	}
	conflicts, refused = m.untold.conflicts, m.untold.refused
	m.untold = untold{dropped: m.untold.dropped}
	return members, conflicts, refused
}

// pause is the time to the next search, give or take a fifth.
func (s *session) pause() time.Duration {
	d := s.pace.Sync
	if len(s.m.Peers()) == 0 {
		d = min(d, alonePause)
	}
	return max(d-d/5+rand.N(2*d/5+1), time.Millisecond)
}

// search tries to meet one of those who are lost: seeds that are not members, and members that are dead. So the two
// sides of a partition find each other again.
func (s *session) search(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.pace.Timeout)
	defer cancel()
	lost := s.lost(ctx)
	if len(lost) == 0 {
		return
	}
	_ = s.meet(ctx, lost[rand.IntN(len(lost))])
}

// lost are the addresses where a member should be and none is.
func (s *session) lost(ctx context.Context) (out []netip.AddrPort) {
	s.m.mu.Lock()
	seeds := slices.Clone(s.m.seeds)
	members := s.m.table.all()
	s.m.mu.Unlock()
	there := map[netip.AddrPort]bool{s.sockets.advertise: true}
	for _, m := range members {
		at, err := netip.ParseAddrPort(m.Gossip)
		switch {
		case err != nil:
		case m.Status.Here():
			there[at] = true
		case m.Status == Dead:
			out = append(out, at)
		}
	}
	for _, seed := range seeds {
		all, err := lookup(ctx, seed)
		if err == nil {
			out = append(out, all...)
		}
	}
	return slices.DeleteFunc(out, func(at netip.AddrPort) bool { return there[at] })
}

// meet exchanges all that is known with who is at an address.
func (s *session) meet(ctx context.Context, at netip.AddrPort) error {
	err := s.within(ctx, func() error {
		_, err := s.list.Join([]string{at.String()})
		return err
	})
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.counts.Joins++
	if err != nil {
		s.m.counts.Unjoined++
	}
	return err
}

// within has f, which does not know ctx, run on by itself if that ends before it.
func (s *session) within(ctx context.Context, f func() error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !s.enter() {
		return errOver
	}
	done := make(chan error, 1)
	go func() { defer s.group.Done(); done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter has the end of Run wait for one more goroutine, unless it is on its way.
func (s *session) enter() bool {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if !s.over {
		s.group.Add(1)
	}
	return !s.over
}

// A SeedError says why a seed could not be joined. It is [transport.ErrUnreachable] to [errors.Is].
type SeedError struct {
	Addr   string
	Reason string
}

// Error names the seed and the reason.
func (e *SeedError) Error() string {
	return fmt.Sprintf("membership: seed %s: %s", e.Addr, e.Reason)
}

// Is says whether target is transport.ErrUnreachable.
func (e *SeedError) Is(target error) bool { return target == transport.ErrUnreachable }

// seedError words what memberlist says.
func seedError(seed string, err error) error {
	if inner := errors.Unwrap(err); inner != nil { // of several errors, of which there is one
		err = inner
	}
	reason := err.Error()
	if _, rest, ok := strings.Cut(reason, "failed to join "); ok {
		_, reason, _ = strings.Cut(rest, ": ")
	}
	if reason == io.EOF.Error() || strings.Contains(reason, "connection reset") {
		reason = "it closed the connection: it is of another cluster, has other keys, is plain and this node is not or the " +
			"other way round, or refuses this node"
	}
	return &SeedError{Addr: seed, Reason: reason}
}
