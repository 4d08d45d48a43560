package membership

import (
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

func (d delegate) NodeMeta(int) []byte {
	m := d.s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.leaving {
		return d.s.said
	}
	said, err := m.meta(d.s.process, true).append(nil)
	if err != nil { // it is as long as it was
		return d.s.said
	}
	return said
}

func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}

// NotifyAlive refuses who is no member of this cluster.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	if _, _, err := d.read(n); err != nil {
		d.refuse(err)
		return err
	}
	if !d.room(n) {
		err := refused(n, "there are too many members")
		d.refuse(err)
		return err
	}
	return nil
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
	member, process, err := d.read(n)
	if err != nil {
		return // NotifyAlive was asked before
	}
	m := d.s.m
	m.change(d.s, func(now time.Time) {
		if m.table.here(now, member, process) {
			m.untold.member(member.ID)
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
	if said, err := parseMeta(other.Meta); err == nil {
		e.OtherAddr = said.addr
	}
	m := d.s.m
	m.change(d.s, func(now time.Time) {
		m.counts.Conflicts++
		m.table.doubted(now, e.Node)
		m.untold.conflict(e)
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
func (d delegate) read(n *memberlist.Node) (Member, uint64, *RefusedError) {
	said, err := parseMeta(n.Meta)
	switch {
	case n.Name == "" || len(n.Name) > transport.MaxName:
		return Member{}, 0, refused(n, "its name has no bytes, or too many")
	case err != nil:
		return Member{}, 0, refused(n, err.Error())
	case said.cluster != d.s.m.Cluster:
		return Member{}, 0, refused(n, "it is of another cluster")
	}
	out := Member{
		ID: transport.NodeID(n.Name), Status: Alive, Gossip: gossip(n),
		Zone: said.zone, Weight: said.weight, Addr: said.addr,
	}
	if said.leaving {
		out.Status = Leaving
	}
	return out, said.process, nil
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
