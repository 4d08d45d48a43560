package membership

import (
	"cmp"
	"time"

	"github.com/hashicorp/memberlist"
)

// A Pace is how fast members are probed, and news spread. The zero Pace is [LAN]. All members
// should have the same.
type Pace struct {
	// Probe is the time from one probe of a member to the next. Each member probes one other at a time, so
	// all of them are probed about that often. If zero, one second.
	Probe time.Duration
	// ProbeTimeout is how long an answer may take, before others are asked to probe as well. If zero, half of
	// Probe.
	ProbeTimeout time.Duration
	// Suspicion is how many times Probe, times the decimal logarithm of the number of members (at least
	// one), a member that does not answer has for saying that it is alive. If zero, 4.
	Suspicion int
	// Gossip is the time from one message to some others to the next, while there is news. If zero, a fifth
	// of Probe.
	Gossip time.Duration
	// Sync is the time from one exchange of all that is known with one other to the next, and from one attempt to the
	// next to meet members again that are dead, and seeds that are not members. If zero, 30 times Probe.
	Sync time.Duration
	// Timeout bounds such an exchange. If zero, 10 seconds.
	Timeout time.Duration
}

// Paces for networks near and far. A member that is killed is dead to the others after six or seven seconds with LAN,
// as measured with five members, and 40 or so with WAN; longer in larger clusters, and where few confirm the suspicion.
var (
	LAN = Pace{Probe: time.Second, ProbeTimeout: 500 * time.Millisecond, Suspicion: 4,
		Gossip: 200 * time.Millisecond, Sync: 30 * time.Second, Timeout: 10 * time.Second}
	WAN = Pace{Probe: 5 * time.Second, ProbeTimeout: 3 * time.Second, Suspicion: 6,
		Gossip: 500 * time.Millisecond, Sync: time.Minute, Timeout: 30 * time.Second}
)

func positive(d, otherwise time.Duration) time.Duration { return cmp.Or(max(d, 0), otherwise) }

// filled returns the pace with its defaults.
func (p Pace) filled() Pace {
	p.Probe = positive(p.Probe, LAN.Probe)
	p.ProbeTimeout = min(positive(p.ProbeTimeout, max(1, p.Probe/2)), p.Probe)
	p.Suspicion = cmp.Or(max(p.Suspicion, 0), LAN.Suspicion)
	p.Gossip = positive(p.Gossip, max(1, p.Probe/5))
	p.Sync = positive(p.Sync, 30*p.Probe)
	p.Timeout = positive(p.Timeout, LAN.Timeout)
	return p
}

// set has memberlist keep the pace.
func (p Pace) set(c *memberlist.Config) {
	c.ProbeInterval, c.ProbeTimeout = p.Probe, p.ProbeTimeout
	c.SuspicionMult = p.Suspicion
	c.GossipInterval, c.PushPullInterval = p.Gossip, p.Sync
	c.GossipToTheDeadTime = 2 * p.refutable()
	c.TCPTimeout = p.Timeout
	c.DeadNodeReclaimTime = time.Nanosecond // who is dead may come back at another address at once: see table.fresh
}

// refutable is how long a member that is dead may refute that without saying anything new of itself. It is safely
// less than memberlist remembers the incarnation that died.
func (p Pace) refutable() time.Duration { return p.Sync }
