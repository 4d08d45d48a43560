package caspaxos_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/tcp"
)

// counted counts the requests that go over a Caller.
type counted struct {
	transport.Caller
	calls *atomic.Int64
}

func (c counted) Call(ctx context.Context, to node, method string, req []byte) ([]byte, error) {
	c.calls.Add(1)
	return c.Caller.Call(ctx, to, method, req)
}

// A bench is three nodes in one process, with stores in memory, seen from the first.
type bench struct {
	store *store.Store
	both  *quorum.Coordinator
	keys  *caspaxos.Registers
	all   []*caspaxos.Registers
	calls atomic.Int64
}

// network has nodes reach one another.
type network func(b *testing.B, id node, h transport.Handler) transport.Caller

func overMem() network {
	n := new(mem.Network)
	return func(_ *testing.B, id node, h transport.Handler) transport.Caller { return n.Node(id, h) }
}

func overTCP(b *testing.B, ring quorum.Everywhere) network {
	listeners, peers := make(map[node]net.Listener), make(map[node]string)
	for _, id := range ring {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(b, err)
		listeners[id], peers[id] = l, l.Addr().String()
	}
	return func(b *testing.B, id node, h transport.Handler) transport.Caller {
		t := &tcp.Transport{Self: id, Cluster: "bench", Plain: true, Peers: peers}
		go t.Serve(context.Background(), listeners[id], h)
		b.Cleanup(func() { t.Close() })
		return t
	}
}

func newBench(b *testing.B, over string, ahead bool) *bench {
	ring := quorum.Everywhere{"a", "b", "c"}
	attach := overMem()
	if over == "tcp" {
		attach = overTCP(b, ring)
	}
	k := kinds(b)
	x := new(bench)
	for _, id := range ring {
		s := store.New(store.Config{Kinds: k})
		c := &quorum.Coordinator{Self: id, Local: s, Ring: ring, Join: s.Join}
		r := &caspaxos.Registers{Self: id, Local: s, Kinds: k, Ring: ring, Ahead: ahead}
		var mux transport.Mux
		mux.Handle("quorum/", c.Handler())
		mux.Handle("caspaxos/", r.Handler())
		caller := counted{attach(b, id, &mux), &x.calls}
		c.Caller, r.Caller = caller, caller
		x.all = append(x.all, r)
		if id == "a" {
			x.store, x.both, x.keys = s, c, r
		}
	}
	return x
}

// What a change on which nodes agree costs beside a write to a majority: three nodes, stores in memory, 16 bytes, one
// caller after the other, and as many at once as the machine has room for, each with keys of its own.
func BenchmarkCompareAndSet(b *testing.B) {
	for _, over := range []string{"mem", "tcp"} {
		x, ahead := newBench(b, over, false), newBench(b, over, true)
		ctx := context.Background()
		data := []byte("sixteen bytes.  ")
		write := func() func(string) error {
			return func(key string) error {
				d, err := store.Update(x.store, key, func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
					return r.Set(by.Stamp(), string(data))
				})
				if err != nil {
					return err
				}
				delta, err := d.Bytes()
				if err == nil {
					_, err = x.both.Write(ctx, key, delta, quorum.WriteOptions{Level: quorum.Majority})
				}
				return err
			}
		}
		swap := func(r *caspaxos.Registers) func() func(string) error {
			return func() func(string) error {
				var last caspaxos.Ballot
				return func(key string) error {
					v, err := r.CompareAndSet(ctx, "cas"+key, last, data)
					last = v.Version
					return err
				}
			}
		}
		read := func() func(string) error {
			return func(key string) error { _, err := x.keys.Read(ctx, "read"+key); return err }
		}
		readMajority := func() func(string) error {
			return func(key string) error {
				_, err := x.both.Read(ctx, "r"+key, quorum.ReadOptions{Level: quorum.Majority})
				return err
			}
		}
		x.measure(b, over+"/majority-write", write)
		x.measure(b, over+"/compare-and-set", swap(x.keys))
		ahead.measure(b, over+"/compare-and-set-ahead", swap(ahead.keys))
		x.measure(b, over+"/majority-read", readMajority)
		x.measure(b, over+"/read", read)
	}
}

// What it costs that several nodes change one key at the same time, and that one does.
func BenchmarkRivals(b *testing.B) {
	for _, rivals := range []int{1, 2, 3} {
		for _, ahead := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/ahead=%v", rivals, ahead), func(b *testing.B) {
				x := newBench(b, "tcp", ahead)
				left, lost := new(atomic.Int64), new(atomic.Int64)
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				for _, r := range x.all[:rivals] {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							_, err := r.Change(b.Context(), "k", func(caspaxos.Value) ([]byte, error) { return []byte("x"), nil })
							if err != nil {
								lost.Add(1)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(x.calls.Load())/float64(b.N), "requests/op")
				b.ReportMetric(float64(lost.Load())/float64(b.N), "failed/op")
			})
		}
	}
}

var fresh atomic.Int64 // keys

func (x *bench) measure(b *testing.B, name string, maker func() func(key string) error) {
	b.Run(name+"/one", func(b *testing.B) {
		call, key := maker(), fmt.Sprint(fresh.Add(1))
		x.calls.Store(0)
		b.ReportAllocs()
		for b.Loop() {
			require.NoError(b, call(key))
		}
		b.ReportMetric(float64(x.calls.Load())/float64(b.N), "requests/op")
	})
	b.Run(name+"/many", func(b *testing.B) {
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			call, key := maker(), fmt.Sprint(fresh.Add(1))
			for pb.Next() {
				if err := call(key); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
