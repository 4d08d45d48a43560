// Replica assembles an eventually consistent replica from the packages, in
// replica.go, and runs three of them on real TCP.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync"
	"time"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	likes, err := run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("likes:", likes)
}

// run lets three replicas count likes, one each, and asks the third.
func run(ctx context.Context) (likes int64, err error) {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()

	replicas, err := start(ctx, &wg, "a", "b", "c")
	if err != nil {
		return 0, err
	}
	for _, r := range replicas {
		delta, err := store.Update(r.Store, "likes", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
			return c.Add(by.Replica, 1)
		})
		if err != nil {
			return 0, err
		}
		state, err := delta.Bytes()
		if err != nil {
			return 0, err
		}
		if _, err := r.Quorum.Write(ctx, "likes", state, quorum.WriteOptions{Level: quorum.Majority}); err != nil {
			return 0, err
		}
	}
	last := replicas[len(replicas)-1]
	if _, err := last.Quorum.Read(ctx, "likes", quorum.ReadOptions{Level: quorum.All}); err != nil { // reads repair
		return 0, err
	}
	_, err = store.View(last.Store, "likes", func(c *crdt.PNCounter) { likes = c.Value() })
	return likes, err
}

// start gives each replica a listener and the addresses of the others.
func start(ctx context.Context, wg *sync.WaitGroup, ids ...transport.NodeID) ([]*Replica, error) {
	listeners := map[transport.NodeID]net.Listener{}
	for _, id := range ids {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners[id] = ln
	}
	var all []*Replica
	for _, id := range ids {
		peers := map[transport.NodeID]string{}
		for other, ln := range listeners {
			if other != id {
				peers[other] = ln.Addr().String()
			}
		}
		r := NewReplica(id, peers)
		all = append(all, r)
		wg.Go(func() {
			if err := r.Run(ctx, listeners[id]); err != nil && ctx.Err() == nil {
				log.Printf("%s: %v", id, err)
			}
		})
	}
	return all, nil
}
