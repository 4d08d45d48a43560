package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/examples/internal/certs"
	"github.com/eventual-go/eventual/examples/internal/service"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/membership"
)

// A gossip is who is there, as the members tell one another (SWIM): where they are, and when the ring follows.
type gossip struct {
	members *membership.Members
	planner *membership.Planner
	rings   *caspaxos.Registers // what the nodes have agreed on as the ring of each epoch
	seeds   []string
	tell    func(what string, err error)
}

// newGossip is called when all that it needs of the node is there.
func newGossip(n *node, addr string) (*gossip, error) {
	cfg := n.config
	g, tell := &gossip{seeds: cfg.seeds, tell: cfg.tell}, cfg.tell

	// Packets are encrypted with a key that all nodes have, beside their certificates.
	g.members = &membership.Members{
		Self: cfg.id, Cluster: clusterName, Zone: cfg.zone, Addr: addr, Listen: cfg.gossip, Plain: cfg.tls == "",
		Events: membership.Events{
			OnConflict: func(c *membership.ConflictError) { tell("gossip", c) },
			OnRefused:  func(r *membership.RefusedError) { tell("gossip", r) },
		},
	}
	if cfg.tls != "" {
		key, err := readSecret(cfg.tls)
		if err != nil {
			return nil, err
		}
		g.members.Keys = [][]byte{key}
	}

	// The ring follows on its own: who has been there for a while joins, and who says so leaves. Whoever decides that
	// asks the others to agree, so that there are never two rings of one epoch.
	g.rings = &caspaxos.Registers{Self: cfg.id, Local: n.store, Kinds: kinds, Ring: n.ring, Caller: n.caller}
	g.planner = &membership.Planner{
		Self: cfg.id, Members: g.members.All, Keeper: n.ring, Agree: g.agree,
		Policy: membership.Policy{JoinAfter: cfg.settle, TakeOverAfter: cfg.settle},
		OnPlan: func(_ membership.Plan, err error) { tell("ring", err) },
	}
	n.calls.Handle("caspaxos/", g.rings.Handler())

	// Who is in no ring has no say in the next one. Of several rules the one of the longest prefix counts, alone.
	n.links.access.Rules["caspaxos/"] = func(from transport.NodeID, method string) bool {
		return cfg.admits(from, method) && n.isMember(from)
	}
	return g, nil
}

func (n *node) isMember(id transport.NodeID) bool {
	r := n.ring.Ring()
	return r != nil && slices.ContainsFunc(r.Members(), func(m ring.Member) bool { return m.ID == id })
}

// agree is what was proposed first for an epoch.
func (g *gossip) agree(ctx context.Context, epoch uint64, proposal []byte) ([]byte, error) {
	_, err := g.rings.Create(ctx, fmt.Sprintf("ring/%d", epoch), proposal)
	if taken, ok := errors.AsType[*caspaxos.ConflictError](err); ok {
		return taken.Current.Data, nil
	}
	return proposal, err
}

func (g *gossip) run(ctx context.Context) error {
	if g == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	parts := []func(context.Context) error{g.members.Run, g.planner.Run}
	for _, seed := range g.seeds {
		parts = append(parts, func(ctx context.Context) error { return g.join(ctx, seed) })
	}
	return service.Together(ctx, parts...)
}

// join looks for one seed, and tells if there is nobody: Run goes on looking.
func (g *gossip) join(ctx context.Context, seed string) error {
	if err := g.members.Join(ctx, seed); err != nil && ctx.Err() == nil {
		g.tell("gossip", fmt.Errorf("%w; it is tried again", err))
	}
	<-ctx.Done()
	return ctx.Err()
}

// change takes the place of a change of the ring by hand: who is there joins by itself, and says itself that it leaves.
// Who is gone somebody else has leave, at the node that decides.
func (g *gossip) change(ctx context.Context, m ringChange) error {
	here := slices.ContainsFunc(g.members.All(), func(o membership.Member) bool { return o.ID == m.Leave && o.Status.Here() })
	switch {
	case m.Leave == "" || m.Join != nil:
		return badRequest(`with -gossip who is there joins by itself: want {"leave": ID} or {"abort": true}`)
	case m.Leave == g.members.Self:
		return g.members.Leave(ctx)
	case here:
		return badRequest("%s is there: tell it itself that it leaves", m.Leave)
	}
	return g.planner.Change(ctx, func(all []ring.Member) []ring.Member {
		return slices.DeleteFunc(all, func(o ring.Member) bool { return o.ID == m.Leave })
	})
}

// kinds are those of carts, and of what is agreed on.
var kinds = func() *crdt.Kinds {
	k, err := crdt.Standard().With(caspaxos.Kind)
	if err != nil {
		panic(err)
	}
	return k
}()

// A seen is a member as a node sees it.
type seen struct {
	ID     transport.NodeID `json:"id"`
	Status string           `json:"status"`
	Zone   string           `json:"zone"`
	Addr   string           `json:"addr"`
	Gossip string           `json:"gossip"`
}

func (n *node) serveSeen(*http.Request) (any, error) {
	if n.gossip == nil {
		return nil, &failure{Status: http.StatusNotFound, Code: "not_found", Message: "this node was started without -gossip"}
	}
	all := []seen{}
	for _, m := range n.gossip.members.All() {
		all = append(all, seen{m.ID, m.Status.String(), m.Zone, m.Addr, m.Gossip})
	}
	return all, nil
}

const secretFile = "gossip.secret" // no node's name makes a file of this name

// runCerts is the subcommand: certificates as for any cluster, and the key of the gossip if there is none.
func runCerts(out io.Writer, args []string) error {
	dir, err := certs.Run(out, clusterName, args)
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	err = certs.Write(filepath.Join(dir, secretFile), []byte(hex.EncodeToString(key)+"\n"), false)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	fmt.Fprintf(out, "All nodes need %s besides, for -gossip.\n", secretFile)
	return err
}

func readSecret(dir string) ([]byte, error) {
	path := filepath.Join(dir, secretFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
