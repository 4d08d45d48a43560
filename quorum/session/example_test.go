package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/session"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
)

// words is a Replica whose states are sorted words, and whose merge is the union.
type words struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (w *words) Load(_ context.Context, key string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keys[key], nil
}

func (w *words) Merge(_ context.Context, key string, state []byte) (novel []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[key], err = join(w.keys[key], state)
	return state, err
}

func join(a, b []byte) ([]byte, error) {
	all := append(strings.Fields(string(a)), strings.Fields(string(b))...)
	slices.Sort(all)
	return []byte(strings.Join(slices.Compact(all), " ")), nil
}

// network reaches the nodes that are there.
type network map[transport.NodeID]transport.Handler

func (n network) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	if h, ok := n[to]; ok {
		return h.ServeCall(ctx, "", method, req)
	}
	return nil, transport.ErrUnreachable
}

func start(n network) (a, b *quorum.Coordinator) {
	ring := quorum.Everywhere{"a", "b", "c"}
	all := map[transport.NodeID]*quorum.Coordinator{}
	for _, id := range ring {
		all[id] = &quorum.Coordinator{Self: id, Local: &words{keys: map[string][]byte{}}, Ring: ring, Caller: n, Join: join}
		n[id] = all[id].Handler()
	}
	return all["a"], all["b"]
}

// A client writes by one coordinator and reads by another, each time at one owner. The token that goes
// from one to the other says which owner has what was written.
func Example() {
	a, b := start(network{})
	ctx := context.Background()
	a.Caller = network{} // it reaches nobody

	first := &session.Session{Quorum: a}
	_, err := first.Write(ctx, "cart", []byte("milk"), quorum.WriteOptions{Level: quorum.One})
	fmt.Println("written:", err)
	token, err := first.Token().AppendBinary(nil)
	fmt.Println("token:", len(token), "bytes,", err)

	res, err := b.Read(ctx, "cart", quorum.ReadOptions{Level: quorum.One})
	fmt.Printf("without a session: %q %v\n", res.State, err)

	var t session.Token
	if err := t.UnmarshalBinary(token); err != nil {
		panic(err)
	}
	second := &session.Session{Quorum: b}
	second.Resume(t)
	res, err = second.Read(ctx, "cart", quorum.ReadOptions{Level: quorum.One})
	fmt.Printf("with it: %q %v\n", res.State, err)
	// Output:
	// written: <nil>
	// token: 18 bytes, <nil>
	// without a session: "" <nil>
	// with it: "milk" <nil>
}

// How old the node's own replica is follows from the Stats of its anti-entropy. Writes are at a majority: so it is enough to be
// covered by one of the others.
func ExampleBound() {
	ctx, net, owners := context.Background(), new(mem.Network), quorum.Everywhere{"a", "b", "c"}
	loops, coordinators := map[transport.NodeID]*antientropy.Loop{}, map[transport.NodeID]*quorum.Coordinator{}
	for _, id := range owners {
		s := store.New(store.Config{Replica: vclock.Named(string(id))})
		mux := new(transport.Mux)
		caller := net.Node(id, mux)
		loop := &antientropy.Loop{Store: s, Caller: caller, Peers: antientropy.Static("b", "c")}
		c := &quorum.Coordinator{Self: id, Local: s, Ring: owners, Caller: caller, Join: s.Join}
		mux.Handle("antientropy/", loop.Handler())
		mux.Handle("quorum/", c.Handler())
		loops[id], coordinators[id] = loop, c
	}
	bound := &session.Bound{
		Quorum: coordinators["a"], Self: "a", Within: 5 * time.Second,
		Age: func(key string) (time.Duration, bool) {
			covered := map[transport.NodeID]time.Time{}
			for _, p := range loops["a"].Stats().Peers {
				covered[p.Peer] = p.Covered
			}
			var others []time.Time
			for _, id := range owners.Place(key).Owners {
				if id != "a" {
					others = append(others, covered[id]) // zero if it never was
				}
			}
			return session.Age(time.Now(), others, 2)
		},
	}
	delta, err := crdt.Standard().Append(nil, new(crdt.GSet[string]).Add("milk"))
	if err != nil {
		panic(err)
	}
	_, err = coordinators["b"].Write(ctx, "cart", delta, quorum.WriteOptions{})
	fmt.Println("written:", err)
	res, err := bound.Read(ctx, "cart")
	fmt.Println("nothing is known:", res.Found, res.Answered, "of", res.Owners, err)
	for _, peer := range []transport.NodeID{"b", "c"} { // as loop.Run does
		if _, err := loops["a"].Exchange(ctx, peer); err != nil {
			panic(err)
		}
	}
	res, err = bound.Read(ctx, "cart")
	fmt.Println("by itself:", res.Found, res.Answered, "of", res.Owners, err)
	// Output:
	// written: <nil>
	// nothing is known: true 2 of 3 <nil>
	// by itself: true 1 of 3 <nil>
}

// One write may be lacked. Another one would be too much while an owner is away.
func ExampleVersionBound() {
	net := network{}
	a, _ := start(net)
	ctx := context.Background()
	writer := &session.VersionBound{Quorum: a, Most: 1}
	_, err := writer.Write(ctx, "cart", []byte("milk"), quorum.WriteOptions{Level: quorum.All})
	fmt.Println("milk:", err)
	delete(net, "c")
	_, err = writer.Write(ctx, "cart", []byte("bread"), quorum.WriteOptions{})
	fmt.Println("bread:", err)
	_, err = writer.Write(ctx, "cart", []byte("salt"), quorum.WriteOptions{})
	_, refused := errors.AsType[*quorum.UnavailableError](err)
	fmt.Println("salt is refused:", refused)
	// Output:
	// milk: <nil>
	// bread: <nil>
	// salt is refused: true
}

// What one owner has is brought to another, as soon as one is reached.
func ExampleSession_Wait() {
	a, b := start(network{})
	ctx := context.Background()
	a.Caller = network{} // it reaches nobody
	s := &session.Session{Quorum: a}
	_, err := s.Write(ctx, "cart", []byte("milk"), quorum.WriteOptions{Level: quorum.One})
	fmt.Println("written:", err)
	n, err := s.Wait(ctx, "cart", quorum.Two)
	fmt.Println(n, "has it:", err != nil)

	elsewhere := &session.Session{Quorum: b}
	elsewhere.Resume(s.Token())
	n, err = elsewhere.Wait(ctx, "cart", quorum.Two)
	fmt.Println(n, "have it:", err)
	// Output:
	// written: <nil>
	// 1 has it: true
	// 2 have it: <nil>
}
