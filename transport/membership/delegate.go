package membership

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/eventual-go/eventual/transport"
)

// A delegate is what memberlist asks and tells, mostly with its lock held. So it notes what it is told, and calls
// nobody.
type delegate struct{ s *session }

var _ interface {
	memberlist.Delegate
	memberlist.EventDelegate
	memberlist.ConflictDelegate
	memberlist.MergeDelegate
	memberlist.AliveDelegate
} = delegate{}

// NodeMeta is what this node says of itself now: as long as what was said when it began.
func (d delegate) NodeMeta(int) []byte {
	m := d.s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	said, err := m.meta(d.s.process).append(nil)
	if err != nil {
		return nil
	}
	return said
}

func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState and MergeRemoteState are a part of each exchange of all that is known.
func (d delegate) LocalState(bool) []byte            { return d.s.claims() }
func (d delegate) MergeRemoteState(b []byte, _ bool) { d.s.claimed(b) }

var errStale = errors.New("it has said something newer before")

// NotifyAlive refuses who is no member of this cluster, and what is older than what is known.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	said, from, err := d.read(n)
	if err != nil {
		d.refuse(err)
		return err
	}
	if !d.fresh(said, from) {
		return errStale
	}
	if !d.room(n) {
		err := refused(n, "there are too many members")
		d.refuse(err)
		return err
	}
	return nil
}

// fresh reports whether what is said may be taken.
func (d delegate) fresh(said Member, from origin) (ok bool) {
	m := d.s.m
	m.change(d.s, func(now time.Time) {
		switch {
		case said.ID != m.Self:
			ok = m.table.fresh(now, said, from, d.s.pace.refutable())
		case from.process == d.s.process:
			ok = from.version <= m.version // nobody else can say more of it
		default:
			ok = d.other(said, from)
		}
		if !ok {
			m.counts.Stale++
		}
	})
	return ok
}

// other looks at what another process says under the name of this node; it needs m.mu. An earlier one at this
// address is refuted by memberlist. An earlier one elsewhere may live, or be gone and replayed: if this node says
// something newer of itself, those to whom the other one lives take that for a conflict, and tell it.
func (d delegate) other(said Member, from origin) (ok bool) {
	m := d.s.m
	self, _ := m.table.member(m.Self)
	newer, here := from.version > m.version, said.Gossip == self.Gossip
	if from.version >= m.version || !here {
		d.s.outdo(from.version)
	}
	return newer || here
}

func (d delegate) room(n *memberlist.Node) (ok bool) {
	d.s.m.change(d.s, func(time.Time) { ok = d.s.m.table.room(transport.NodeID(n.Name)) })
	return ok
}

// NotifyMerge refuses to join somebody who knows members that are none of this cluster.
func (d delegate) NotifyMerge(peers []*memberlist.Node) error {
	for _, n := range peers {
		if _, _, err := d.read(n); err != nil {
			d.refuse(err)
			return err
		}
	}
	return nil
}

func (d delegate) NotifyJoin(n *memberlist.Node)   { d.here(n) }
func (d delegate) NotifyUpdate(n *memberlist.Node) { d.here(n) }

func (d delegate) here(n *memberlist.Node) {
	member, from, err := d.read(n)
	if err != nil {
		return // NotifyAlive was asked before
	}
	m := d.s.m
	m.change(d.s, func(now time.Time) {
		changed, lost := m.table.here(now, member, from)
		if changed {
			m.untold.member(member.ID)
		}
		if lost { // and so, as likely as not, was this node to it
			d.s.outdo(0)
		}
	})
}

func (d delegate) NotifyLeave(n *memberlist.Node) {
	m, id := d.s.m, transport.NodeID(n.Name)
	m.change(d.s, func(now time.Time) {
		if m.table.gone(now, id) {
			m.untold.member(id)
		}
	})
}

func (d delegate) NotifyConflict(existing, other *memberlist.Node) {
	e := &ConflictError{Node: transport.NodeID(existing.Name), Gossip: gossip(existing), OtherGossip: gossip(other)}
	said, err := parseMeta(other.Meta)
	if err != nil {
		return // NotifyAlive was asked before
	}
	e.OtherAddr = said.addr
	m := d.s.m
	m.change(d.s, func(now time.Time) {
		if m.table.doubted(now, e.Node, said.version) {
			m.counts.Conflicts++
			m.untold.conflict(e)
		}
	})
}

func (d delegate) refuse(e *RefusedError) {
	m := d.s.m
	m.change(d.s, func(time.Time) {
		m.counts.Refused++
		m.untold.refusal(e)
	})
}

// read takes a member out of what memberlist knows.
func (d delegate) read(n *memberlist.Node) (Member, origin, *RefusedError) {
	said, err := parseMeta(n.Meta)
	switch {
	case n.Name == "" || len(n.Name) > transport.MaxName:
		return Member{}, origin{}, refused(n, "its name has no bytes, or too many")
	case err != nil:
		return Member{}, origin{}, refused(n, err.Error())
	case said.cluster != d.s.m.Cluster:
		return Member{}, origin{}, refused(n, "it is of another cluster")
	}
	out := Member{
		ID: transport.NodeID(n.Name), Status: Alive, Gossip: gossip(n),
		Zone: said.zone, Weight: said.weight, Addr: said.addr,
	}
	if said.leaving {
		out.Status = Leaving
	}
	return out, origin{said.process, said.version}, nil
}

func refused(n *memberlist.Node, reason string) *RefusedError {
	return &RefusedError{Node: transport.NodeID(n.Name[:min(len(n.Name), transport.MaxName)]), Gossip: gossip(n), Reason: reason}
}

func gossip(n *memberlist.Node) string {
	ip, ok := netip.AddrFromSlice(n.Addr)
	if !ok {
		return net.JoinHostPort("", "0")
	}
	return netip.AddrPortFrom(ip.Unmap(), n.Port).String()
}
