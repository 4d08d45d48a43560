package linearizability

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// Quorums make a register linearizable whose states are in a total order, without agreement: who writes reads first, and
// writes what is above; a write is with a majority before it is acknowledged, and what is read before it is answered
// (Attiya, Bar-Noy, Dolev, 1995; Lynch, Shvartsman, 1997).

type maximum = *crdt.MaxRegister[int64]

// A raise is a write of a number, or a read if there is none.
type raise struct{ to int64 }

// A seen is what a read returned, or what became of a write.
type seen struct {
	most    int64
	unknown bool
}

// highest is the specification of a register that holds the most that was written.
var highest = porcupine.NondeterministicModel{
	Init: func() []any { return []any{int64(0)} },
	Step: func(state, in, out any) []any {
		most, i, o := state.(int64), in.(raise), out.(seen)
		switch {
		case i.to == 0 && o.most == most:
			return []any{most}
		case i.to == 0:
			return nil
		case o.unknown:
			return []any{most, max(most, i.to)}
		}
		return []any{max(most, i.to)}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

// options are how clients read and write.
type options struct {
	read  quorum.ReadOptions
	write quorum.WriteOptions
	first bool // who writes reads first
}

// raised returns what clients saw of one register that they raise and read by quorums.
func raised(t *testing.T, seed uint64, as options) (past []porcupine.Operation) {
	synctest.Test(t, func(t *testing.T) {
		kinds := crdt.Standard()
		c := &cluster{net: &mem.Network{Seed: seed, Link: mem.Link{
			Latency: time.Millisecond, Jitter: 9 * time.Millisecond, Loss: 0.02, Duplicate: 0.05, Reorder: 0.1,
		}}, stores: make(map[transport.NodeID]*store.Store)}
		var nodes []*quorum.Coordinator
		for _, id := range names {
			c.stores[id] = store.New(store.Config{Kinds: kinds})
			q := &quorum.Coordinator{Self: id, Local: c.stores[id], Ring: names, Join: c.stores[id].Join, Timeout: 100 * time.Millisecond}
			q.Caller = c.net.Node(id, q.Handler())
			nodes = append(nodes, q)
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		var moments atomic.Int64 // two things may happen at one time of the bubble, and one before the other all the same
		client := func(id int, rng *rand.Rand) {
			for n := range calls {
				at := rng.IntN(len(nodes))
				var in raise
				if rng.IntN(2) == 0 {
					in.to = int64(n*1000+rng.IntN(2000)) + 1
				}
				called := moments.Add(1)
				out, known := raiseOrRead(t.Context(), kinds, c.stores[names[at]], nodes[at], in, as)
				returned := moments.Add(1)
				if out.unknown {
					returned = 1 << 62
				}
				if known {
					mu.Lock()
					past = append(past, porcupine.Operation{ClientId: id, Input: in, Call: called, Output: out, Return: returned})
					mu.Unlock()
				}
				time.Sleep(upTo(rng, 20*time.Millisecond))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		for i := range clients {
			wg.Go(func() { client(i, rand.New(rand.NewPCG(seed, uint64(i+2)))) })
		}
		go c.trouble(ctx, rand.New(rand.NewPCG(seed, 1)))
		wg.Wait()
		cancel()
		time.Sleep(time.Minute)
	})
	return past
}

// raiseOrRead makes one call. A read that fails tells nothing, a write that fails may have been made.
func raiseOrRead(ctx context.Context, kinds *crdt.Kinds, s *store.Store, q *quorum.Coordinator, in raise, as options) (out seen, known bool) {
	if in.to == 0 || as.first {
		most, err := readMost(ctx, kinds, s, q, as.read)
		if err != nil || in.to == 0 || most >= in.to {
			return seen{most: most}, err == nil
		}
	}
	delta, err := store.Update(s, "k", func(m maximum, _ store.Writer) maximum { return m.Set(in.to) })
	if err != nil {
		panic(err) // which is a mistake of the test
	}
	state, err := delta.Bytes()
	if err == nil && len(state) > 0 {
		_, err = q.Write(ctx, "k", state, as.write)
	} else { // this node has as much by now, and nobody knows who else
		_, err = readMost(ctx, kinds, s, q, as.read)
	}
	return seen{unknown: err != nil}, true
}

func readMost(ctx context.Context, kinds *crdt.Kinds, s *store.Store, q *quorum.Coordinator, opts quorum.ReadOptions) (most int64, err error) {
	res, err := q.Read(ctx, "k", opts)
	if err != nil {
		return 0, err
	}
	v, err := s.Decode(res.State)
	if err != nil {
		return 0, err
	}
	if m, _ := crdt.Component[maximum](kinds, v); m != nil {
		most, _ = m.Value()
	}
	return most, nil
}

func judged(past []porcupine.Operation) bool {
	return porcupine.CheckOperationsTimeout(highest.ToModel(), past, 20*time.Second) == porcupine.Ok
}

var (
	majority  = quorum.WriteOptions{Level: quorum.Majority, Applied: true}
	writeBack = quorum.ReadOptions{Level: quorum.Majority, Repair: quorum.RepairWriteBack}
)

// Reads that write back, and writes to majorities above what was read: linearizable.
func TestWriteBackIsLinearizable(t *testing.T) {
	done, unknown := 0, 0
	for seed := range uint64(5 * *seeds) {
		past := raised(t, seed, options{writeBack, majority, true})
		require.True(t, judged(past), "seed %d", seed)
		for _, op := range past {
			if op.Output.(seen).unknown {
				unknown++
			} else {
				done++
			}
		}
	}
	t.Logf("%d done, %d unknown", done, unknown)
	require.Greater(t, done, 20**seeds)
	require.Greater(t, unknown, *seeds/4)
}

// Less is found out.
func TestLessIsNotLinearizable(t *testing.T) {
	for name, less := range map[string]options{
		"one":          {quorum.ReadOptions{Level: quorum.One, Repair: quorum.RepairOff}, quorum.WriteOptions{Level: quorum.One, Applied: true}, true},
		"not awaited":  {quorum.ReadOptions{Level: quorum.Majority, Repair: quorum.RepairOff}, majority, true},
		"without read": {writeBack, majority, false},
	} {
		found := false
		for seed := uint64(0); seed < 1000 && !found; seed++ {
			if found = !judged(raised(t, seed, less)); found {
				t.Logf("%s: found by seed %d", name, seed)
			}
		}
		require.True(t, found, name)
	}
}
