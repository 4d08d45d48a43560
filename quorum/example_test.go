package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
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

// nodes is a network in which a node that is not there is not reachable.
type nodes map[transport.NodeID]transport.Handler

func (n nodes) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	if h, ok := n[to]; ok {
		return h.ServeCall(ctx, "", method, req)
	}
	return nil, transport.ErrUnreachable
}

// start returns the coordinator of each of the nodes a, b and c.
func start(network nodes) (a, b, c *quorum.Coordinator) {
	all := make([]*quorum.Coordinator, 3)
	ring := quorum.Everywhere{"a", "b", "c"}
	for i, id := range ring {
		all[i] = &quorum.Coordinator{
			Self: id, Local: &words{keys: make(map[string][]byte)},
			Ring: ring, Caller: network, Join: join,
		}
		network[id] = all[i].Handler()
	}
	return all[0], all[1], all[2]
}

func Example() {
	a, b, _ := start(nodes{})
	ctx := context.Background()

	wrote, err := a.Write(ctx, "cart", []byte("milk"), quorum.WriteOptions{Level: quorum.All})
	fmt.Println(wrote.Answered, "of", wrote.Owners, err)

	read, err := b.Read(ctx, "cart", quorum.ReadOptions{Level: quorum.Majority})
	fmt.Println(string(read.State), read.Found, err)

	read, err = b.Read(ctx, "shoes", quorum.ReadOptions{Level: quorum.Majority})
	fmt.Println(read.Found, err)
	// Output:
	// 3 of 3 <nil>
	// milk true <nil>
	// false <nil>
}

// A write that reached too few is not acknowledged, and may be seen nevertheless. Who
// reads it at a majority has brought it to a majority.
func ExampleCoordinator_Read() {
	a, b, _ := start(nodes{})
	ctx := context.Background()
	_, err := a.Local.Merge(ctx, "cart", []byte("milk")) // it reached a alone
	if err != nil {
		panic(err)
	}

	read, err := b.Read(ctx, "cart", quorum.ReadOptions{Level: quorum.All})
	fmt.Println(string(read.State), read.Repaired, err)

	held, err := b.Local.Load(ctx, "cart")
	fmt.Println(string(held), err)
	// Output:
	// milk 2 <nil>
	// milk <nil>
}

func ExampleUnavailableError() {
	network := nodes{}
	a, _, _ := start(network)
	delete(network, "b")
	delete(network, "c")

	_, err := a.Read(context.Background(), "cart", quorum.ReadOptions{Level: quorum.All})
	if e, ok := errors.AsType[*quorum.UnavailableError](err); ok {
		fmt.Println(e.Op, e.Key, "needed", e.Needed, "of", e.Owners)
		fmt.Println(errors.Is(e, transport.ErrUnreachable))
	}
	_, err = a.Read(context.Background(), "cart", quorum.ReadOptions{Level: 4})
	fmt.Println(err)
	// Output:
	// read cart needed 3 of 3
	// true
	// quorum: level 4 cannot be asked of 3 owners
}

func ExampleTally() {
	owners := quorum.Placement{Owners: []transport.NodeID{"a", "b", "c"}}
	tally, err := quorum.NewTally(owners, "a", quorum.Demand{Level: quorum.Majority})
	if err != nil {
		panic(err)
	}
	tally.Answer("a", false)
	tally.Answer("a", false) // counts once
	tally.Answer("z", false) // owns nothing
	fmt.Println(tally.Answered(), tally.Reached(), tally.Impossible())
	tally.Fail("b", errors.New("disk full"))
	tally.Answer("c", false)
	fmt.Println(tally.Answered(), tally.Reached(), tally.Impossible())
	// Output:
	// 1 false false
	// 2 true false
}

// A WriteOp says what to send and is told what came of it; when, how and in what
// order is the business of who runs it.
func ExampleWriteOp() {
	network := nodes{}
	start(network)
	owners := quorum.Placement{Owners: []transport.NodeID{"a", "b", "c"}}
	op, err := quorum.NewWriteOp(quorum.WriteConfig{Key: "cart", Delta: []byte("milk"), Placement: owners})
	if err != nil {
		panic(err)
	}
	for _, send := range slices.Backward(op.Start()) {
		resp, err := network.Call(context.Background(), send.To, quorum.Method, send.Request())
		op.Answer(send, resp, err)
		fmt.Println(send.To, op.Done())
	}
	// Output:
	// c false
	// b true
	// a true
}
