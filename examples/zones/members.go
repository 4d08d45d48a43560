package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/eventual-go/eventual/examples/internal/certs"
	"github.com/eventual-go/eventual/examples/internal/service"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

// A ringChange is the body of POST /members: one of the three.
type ringChange struct {
	Join  *peer            `json:"join,omitempty"`
	Leave transport.NodeID `json:"leave,omitempty"`
	Abort bool             `json:"abort,omitempty"` // the change under way
}

// serveMembers changes the ring at this node; the others hear of it. Two changes that are made at two nodes
// at the same time are in conflict, so one node is to be told all of them, one after the other.
func (n *node) serveMembers(r *http.Request) (any, error) {
	var m ringChange
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, badRequest("body: %v", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), n.patience())
	defer cancel()
	if n.gossip != nil && !m.Abort {
		if m.Leave != "" && !n.isMember(m.Leave) {
			return nil, badRequest("%s is no member", m.Leave)
		}
		err := n.gossip.change(ctx, m)
		return n.state(), err
	}
	if err := n.catchUp(ctx); err != nil {
		return nil, err
	}
	next, err := n.changed(n.ring.Ring(), m)
	if err == nil {
		err = n.ring.Adopt(next)
	}
	return n.state(), err
}

// changed is the ring that follows.
func (n *node) changed(r *ring.Ring, m ringChange) (*ring.Ring, error) {
	members := r.Members()
	switch {
	case m.Abort && m.Join == nil && m.Leave == "":
		return r.Abort()
	case m.Join != nil && m.Leave == "" && !m.Abort:
		if certs.CheckName(m.Join.ID) != nil || m.Join.Zone == "" || service.CheckAddr(m.Join.Addr) != nil {
			return nil, badRequest("who joins has an id, a zone and an addr, host:port; %v", certs.ErrName)
		}
		n.book.add(m.Join.ID, m.Join.Addr)
		members = append(members, ring.Member{ID: m.Join.ID, Zone: m.Join.Zone})
	case m.Leave != "" && m.Join == nil && !m.Abort:
		members = slices.DeleteFunc(members, func(o ring.Member) bool { return o.ID == m.Leave })
		if len(members) == len(r.Members()) {
			return nil, badRequest("%s is no member", m.Leave)
		}
	default:
		return nil, badRequest(`want {"join": {"id", "zone", "addr"}}, {"leave": ID} or {"abort": true}`)
	}
	return r.Change(members, 0)
}

// catchUp learns the newest ring that a majority of the members knows of: a change of an older one would be
// a conflict.
func (n *node) catchUp(ctx context.Context) error {
	if n.ring.Ring() == nil {
		return badRequest("this node is in no ring yet")
	}
	others := n.others()
	heard := make(chan error, len(others))
	for _, id := range others {
		go func() { heard <- n.ring.Refresh(ctx, id) }()
	}
	ok, needed := 1, (len(others)+1)/2+1
	for range others {
		if <-heard == nil {
			ok++
		}
	}
	if ok < needed {
		return fmt.Errorf("%d of %d members answer, and %d are needed", ok, len(others)+1, needed)
	}
	return nil
}

// ringEvents tells the operator what goes wrong; it is tried again.
func (n *node) ringEvents() ring.Events {
	tell := n.config.tell
	return ring.Events{
		OnConflict: func(c *ring.ConflictError) { tell("ring", c) },
		OnTransfer: func(e ring.TransferEvent) { tell("transfer with "+string(e.Peer), e.Err) },
		OnDrop:     func(e ring.DropEvent) { tell("drop", e.Err) },
	}
}

// A state is what one node says of its ring.
type state struct {
	ID          transport.NodeID   `json:"id"`
	Zone        string             `json:"zone"`
	Partitions  int                `json:"partitions"` // that it holds, or will
	Epoch       uint64             `json:"epoch"`
	Fingerprint string             `json:"fingerprint"`
	Changing    bool               `json:"changing"`
	Done        bool               `json:"done"`            // it has what the change gives to it
	Gets        int                `json:"gets"`            // partitions that it has to reconcile for that
	Gives       int                `json:"gives"`           // partitions that it has to hand over and drop
	Waits       []transport.NodeID `json:"waits,omitempty"` // nodes that it has to hear of to go on
	Error       string             `json:"error,omitempty"`
}

func (n *node) state() state {
	s := n.ring.Stats()
	out := state{
		ID: n.config.id, Zone: n.config.zone, Epoch: s.Epoch, Changing: s.Changing, Done: s.Done,
		Gets: s.Gets, Gives: s.Gives, Waits: s.Waits,
	}
	if r := n.ring.Ring(); r != nil {
		out.Fingerprint, out.Partitions = r.Fingerprint().String(), r.Balance().Loads[n.config.id]
	}
	return out
}

func (n *node) serveState(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
	return json.Marshal(n.state())
}

func (n *node) stateOf(ctx context.Context, id transport.NodeID) (s state) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	resp, err := n.caller.Call(ctx, id, "node/state", nil)
	if err == nil {
		err = json.Unmarshal(resp, &s)
	}
	if s.ID = id; err != nil {
		s.Error = err.Error()
	}
	return s
}

// ringView is the answer to GET /ring: what each member says of it.
type ringView struct {
	Settled bool    `json:"settled"` // all members have this node's ring, and nothing is left to do
	Most    float64 `json:"most"`    // partitions of a member, divided by its fair share: the most,
	Least   float64 `json:"least"`   // and the least
	Members []state `json:"members"`
}

func (n *node) serveRing(r *http.Request) (any, error) {
	own := n.state()
	view := ringView{Settled: own.Epoch > 0, Members: []state{own}}
	if now := n.ring.Ring(); now != nil {
		b := now.Balance()
		view.Most, view.Least = b.Max, b.Min
	}
	others := n.others()
	states := make([]state, len(others))
	var wg sync.WaitGroup
	for i, id := range others {
		wg.Go(func() { states[i] = n.stateOf(r.Context(), id) })
	}
	wg.Wait()
	view.Members = append(view.Members, states...)
	for _, s := range view.Members {
		if s.Fingerprint != own.Fingerprint || s.Changing || s.Gives > 0 {
			view.Settled = false
		}
	}
	slices.SortFunc(view.Members, func(a, b state) int { return cmp.Compare(a.ID, b.ID) })
	return view, nil
}
