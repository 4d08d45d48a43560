package benchmark

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
	"github.com/eventual-go/eventual/vclock"
)

// coordinators are three stores in memory, each behind a quorum.Coordinator, that
// reach one another by transport/tcp. A value is a register in which the last write
// wins. There is no anti-entropy: what is measured is the quorum.
type coordinators struct {
	nodes  []*coordinator
	stop   context.CancelFunc
	served sync.WaitGroup
}

type coordinator struct {
	kinds  *crdt.Kinds
	store  *store.Store
	net    *tcp.Transport
	quorum *quorum.Coordinator
}

type register = *crdt.LWWRegister[string]

func startCoordinators(ctx context.Context) (cluster, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &coordinators{stop: stop}
	var all quorum.Everywhere
	peers := map[transport.NodeID]string{}
	listeners := map[transport.NodeID]net.Listener{}
	for i := range members {
		self := transport.NodeID(fmt.Sprint("node-", i))
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		all, peers[self], listeners[self] = append(all, self), ln.Addr().String(), ln
	}
	for _, self := range all {
		n := newCoordinator(self, all, peers)
		c.nodes = append(c.nodes, n)
		c.served.Go(func() { _ = n.serve(ctx, listeners[self]) })
	}
	return c, nil
}

func newCoordinator(self transport.NodeID, all quorum.Everywhere, peers map[transport.NodeID]string) *coordinator {
	kinds := crdt.Standard()
	s := store.New(store.Config{Replica: vclock.NewReplicaID(string(self)), Kinds: kinds})
	wire := &tcp.Transport{Self: self, Cluster: "benchmark", Plain: true, Peers: peers}
	return &coordinator{
		kinds: kinds, store: s, net: wire,
		quorum: &quorum.Coordinator{Self: self, Local: s, Ring: all, Caller: wire, Join: s.Join},
	}
}

func (n *coordinator) serve(ctx context.Context, ln net.Listener) error {
	var mux transport.Mux
	mux.Handle("quorum/", n.quorum.Handler())
	return n.net.Serve(ctx, ln, &mux)
}

func (c *coordinators) close() (err error) {
	c.stop()
	for _, n := range c.nodes {
		err = errors.Join(err, n.net.Close())
	}
	c.served.Wait()
	return err
}

func (c *coordinators) put(ctx context.Context, member int, key, value string) error {
	n := c.nodes[member]
	delta, err := store.Update(n.store, key, func(r register, by store.Writer) register {
		return r.Set(by.Stamp(), value)
	})
	if err != nil {
		return err
	}
	state, err := delta.Bytes()
	if err != nil {
		return err
	}
	_, err = n.quorum.Write(ctx, key, state, quorum.WriteOptions{Level: quorumOf, Applied: true})
	return err
}

func (c *coordinators) get(ctx context.Context, member int, key string) (string, error) {
	n := c.nodes[member]
	res, err := n.quorum.Read(ctx, key, quorum.ReadOptions{Level: quorumOf})
	if err != nil {
		return "", err
	}
	v, err := n.store.Decode(res.State)
	if err != nil {
		return "", err
	}
	r, _ := crdt.Component[register](n.kinds, v)
	value, ok := r.Value()
	if !ok {
		return "", fmt.Errorf("nothing under %q", key)
	}
	return value, nil
}
