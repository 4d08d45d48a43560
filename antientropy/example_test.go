package antientropy_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// A highScore is a Store of the simplest mergeable state: the larger text wins.
type highScore struct {
	mu    sync.Mutex
	best  map[string]string
	index *merkle.Tree
}

func newHighScore() *highScore {
	return &highScore{best: make(map[string]string), index: merkle.New(merkle.NewHasher([]byte("of the cluster")))}
}

func (s *highScore) Index() *merkle.Tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.Snapshot()
}

func (s *highScore) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []byte(s.best[key]), nil
}

func (s *highScore) Merge(_ context.Context, key string, state []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(state) <= s.best[key] {
		return nil, nil
	}
	s.best[key] = string(state)
	s.index.Set(key, s.index.Hasher().Sum(state))
	return []byte(s.best[key]), nil
}

func Example() {
	ctx := context.Background()
	net := new(mem.Network)
	alice, bob := newHighScore(), newHighScore()
	_, _ = alice.Merge(ctx, "chess", []byte("1900"))
	_, _ = bob.Merge(ctx, "chess", []byte("2100"))
	_, _ = bob.Merge(ctx, "go", []byte("0800"))

	serving := antientropy.Loop{Store: bob}
	net.Node("bob", serving.Handler())
	loop := antientropy.Loop{Store: alice, Caller: net.Node("alice", nil)}
	x, err := loop.Exchange(ctx, "bob")

	chess, _ := alice.Load(ctx, "chess")
	fmt.Println(string(chess), x.KeysReceived, "received,", x.KeysSent, "sent", err)
	fmt.Println(alice.Index().Root() == bob.Index().Root())
	// Output:
	// 2100 2 received, 0 sent <nil>
	// true
}

func ExampleLoop() {
	ctx, cancel := context.WithCancel(context.Background())
	net := new(mem.Network)
	alice, bob := newHighScore(), newHighScore()
	serving := antientropy.Loop{Store: bob}
	net.Node("bob", serving.Handler())

	exchanged := make(chan antientropy.Exchange)
	loop := &antientropy.Loop{
		Store:  alice,
		Peers:  antientropy.Static("bob"),
		Pace:   antientropy.Pace{Interval: time.Hour}, // for an output that never changes
		Events: antientropy.Events{OnExchange: func(x antientropy.Exchange) { exchanged <- x }},
	}
	loop.Caller = net.Node("alice", loop.Handler())
	var done sync.WaitGroup
	done.Go(func() { _ = loop.Run(ctx); close(exchanged) })

	fmt.Println("first a", (<-exchanged).Strategy)
	novel, _ := alice.Merge(ctx, "chess", []byte("1900"))
	_ = loop.Push(ctx, "chess", novel)
	x := <-exchanged
	fmt.Println("then", x.KeysSent, "key by", x.Strategy, "to", x.Peer)
	cancel()
	for range exchanged { // whatever was still under way
	}
	done.Wait()
	// Output:
	// first a reconciliation
	// then 1 key by deltas to bob
}

// The cores alone: one delta, one round, and nothing runs in between.
func ExampleOutbox() {
	ctx := context.Background()
	alice, bob := newHighScore(), newHighScore()
	responder := &antientropy.Responder{Store: bob}

	var out antientropy.Outbox
	out.Open("bob")
	novel, _ := alice.Merge(ctx, "chess", []byte("1900"))
	_, _ = out.Put("chess", novel, "")
	b, _ := out.Batch("bob")
	fmt.Println(b.Keys, "delta by", b.Method)
	resp, err := responder.ServeCall(ctx, "alice", b.Method, b.Request)
	if err != nil {
		out.Failed("bob", b.ID)
		return
	}
	_, _ = out.Acked("bob", b.ID, resp)
	fmt.Println(out.Pending("bob"), alice.Index().Root() == bob.Index().Root())
	// Output:
	// 1 delta by antientropy/deltas
	// 0 true
}

func ExampleRound() {
	ctx := context.Background()
	alice, bob := newHighScore(), newHighScore()
	_, _ = alice.Merge(ctx, "chess", []byte("1900"))
	_, _ = bob.Merge(ctx, "go", []byte("0800"))
	responder := &antientropy.Responder{Store: bob}

	round := antientropy.NewRound(alice, antientropy.RoundConfig{Peer: "bob"})
	for {
		method, req, more := round.Next()
		if !more {
			break
		}
		resp, err := responder.ServeCall(ctx, "alice", method, req)
		if err == nil {
			err = round.Step(ctx, resp)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	x := round.Result()
	fmt.Println(x.KeysSent, "sent,", x.KeysReceived, "received,", alice.Index().Root() == bob.Index().Root())
	// Output: 1 sent, 1 received, true
}

// Three stores forget what a deletion left behind, once all of them have it. Run does
// all of this by itself.
func ExampleEpoch() {
	ctx := context.Background()
	net := new(mem.Network)
	members := []transport.NodeID{"paris", "rome", "tokyo"}
	stores, loops := make(map[transport.NodeID]*store.Store), make(map[transport.NodeID]*antientropy.Loop)
	for _, id := range members {
		stores[id] = store.New(store.Config{})
		l := &antientropy.Loop{
			Store: stores[id],
			Self:  id,
			Epoch: func() antientropy.Epoch { return antientropy.Epoch{Number: 1, Members: members} },
			Pace:  antientropy.Pace{Quiet: -1}, // otherwise a deletion is left alone for a while
		}
		l.Caller = net.Node(id, l.Handler())
		loops[id] = l
	}
	exchange := func() {
		for _, id := range members[1:] {
			_, _ = loops["paris"].Exchange(ctx, id)
		}
	}

	_, _ = store.Update(stores["rome"], "cart", func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return s.Add(by.Replica, "milk")
	})
	exchange()
	_, _ = stores["tokyo"].Delete("cart")
	exchange()
	fmt.Println(stores["paris"].Len(), "keys to show,", stores["paris"].Index().Len(), "in the index")

	net.Down("rome")
	x, err := loops["paris"].Collect(ctx)
	fmt.Println(x.Records, "records, held up by", x.HeldUp[0].Peer, err)
	net.Up("rome")
	x, err = loops["paris"].Collect(ctx)
	fmt.Println(x.Records, "record", err)
	for _, id := range members {
		fmt.Println(id, "has", stores[id].Index().Len(), "in the index")
	}
	// Output:
	// 0 keys to show, 1 in the index
	// 0 records, held up by rome <nil>
	// 1 record <nil>
	// paris has 0 in the index
	// rome has 0 in the index
	// tokyo has 0 in the index
}
