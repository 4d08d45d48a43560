package handoff_test

import (
	"context"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
)

func Example() {
	ctx := context.Background()
	network := &mem.Network{Refuse: true}
	paris := store.New(store.Config{Replica: vclock.NewReplicaID("paris")})
	tokyo := store.New(store.Config{Replica: vclock.NewReplicaID("tokyo")})

	there := &handoff.Handoff{Self: "tokyo", Replica: tokyo}
	var mux transport.Mux
	mux.Handle("handoff/", there.Handler())
	network.Node("tokyo", &mux)
	network.Down("tokyo")

	here := &handoff.Handoff{Self: "paris", Join: paris.Join, Caller: network.Node("paris", nil)}
	for range 3 {
		delta, err := store.Update(paris, "visits", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
			return c.Add(by.Replica, 1)
		})
		if err != nil {
			fmt.Println(err)
		}
		encoded, _ := delta.Bytes()
		if err := here.Keep(ctx, "tokyo", "visits", encoded); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("hints:", here.Stats().Hints)

	network.Up("tokyo") // and here.Run, if it runs, finds it within seconds
	done, err := here.Replay(ctx, "tokyo")
	fmt.Println("replayed:", done.Hints, err)
	_, _ = store.View(tokyo, "visits", func(c *crdt.PNCounter) { fmt.Println("visits in tokyo:", c.Value()) })
	// Output:
	// hints: 1
	// replayed: 1 <nil>
	// visits in tokyo: 3
}
