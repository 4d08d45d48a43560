package membership_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/membership"
	"github.com/eventual-go/eventual/transport/tcp"
)

// greeter is a node whose address nobody is told: it is found by its name.
func greeter(ctx context.Context, id transport.NodeID, key []byte) (*tcp.Transport, *membership.Members, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	members := &membership.Members{
		Self: id, Cluster: "example", Zone: "north", Addr: ln.Addr().String(),
		Listen: "127.0.0.1:0", Keys: [][]byte{key},
	}
	tr := &tcp.Transport{Self: id, Cluster: "example", Plain: true, Resolve: members.Resolve}
	var calls transport.Mux
	calls.Handle("greet/", transport.HandlerFunc(
		func(_ context.Context, from transport.NodeID, _ string, req []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s to you too, %s", req, from), nil
		}))
	go tr.Serve(ctx, ln, &calls)
	go members.Run(ctx)
	return tr, members, members.Join(ctx) // without seeds: it has begun
}

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	key := []byte("sixteen bytes in") // from wherever you keep secrets
	_, a, err := greeter(ctx, "a", key)
	if err != nil {
		panic(err)
	}
	tr, b, err := greeter(ctx, "b", key)
	if err != nil {
		panic(err)
	}
	fmt.Println(b.Join(ctx, a.All()[0].Gossip))
	fmt.Println(b.Peers())
	resp, err := tr.Call(ctx, "a", "greet/hello", []byte("hi"))
	fmt.Println(string(resp), err)
	// Output:
	// <nil>
	// [a]
	// hi to you too, b <nil>
}

// A ring follows the members of a cluster; a node leaves for good, and ends once it has handed over what it held.
func Example_ring() {
	service := func(ctx context.Context, members *membership.Members, keeper *ring.Keeper) error {
		planner := &membership.Planner{
			Self: keeper.Self, Members: members.All, Keeper: keeper,
			Policy: membership.Policy{JoinAfter: 5 * time.Minute, ReplaceAfter: 24 * time.Hour},
			OnPlan: func(p membership.Plan, err error) { fmt.Println(p.Join, p.Leave, p.Replace, err) },
		}
		return planner.Run(ctx)
	}
	leave := func(ctx context.Context, members *membership.Members, keeper *ring.Keeper) error {
		if err := members.Leave(ctx); err != nil {
			return err
		}
		for {
			r, s := keeper.Ring(), keeper.Stats()
			if r == nil || !s.Changing && s.Gives == 0 && len(r.Ranges(keeper.Self)) == 0 {
				return nil // now end the Run of all
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	_, _ = service, leave
}
