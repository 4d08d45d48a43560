package revision_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/tcp"
)

func overTCP(b *testing.B) attach {
	listeners, peers := make(map[nodeID]net.Listener), make(map[nodeID]string)
	for _, id := range everybody {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(b, err)
		listeners[id], peers[id] = l, l.Addr().String()
	}
	return func(id nodeID, h transport.Handler) transport.Caller {
		t := &tcp.Transport{Self: id, Cluster: "bench", Plain: true, Peers: peers}
		go t.Serve(context.Background(), listeners[id], h)
		b.Cleanup(func() { t.Close() })
		return t
	}
}

var fresh atomic.Int64 // keys

// What a write on a condition costs beside one without: three nodes, stores in memory, a document of some bytes that
// each write takes the place of; one caller, and 32, each with a key of its own.
func BenchmarkWrite(b *testing.B) {
	for _, way := range []string{"mem", "tcp"} {
		join := over(new(mem.Network))
		if way == "tcp" {
			join = overTCP(b)
		}
		a := newNodes(join)[0]
		ctx := context.Background()
		for _, size := range []int{16, 16 << 10} {
			text := strings.Repeat("x", size)
			bench := func(name string, maker func(key string) func() error) {
				b.Run(fmt.Sprintf("%s/%d/%s/one", way, size, name), func(b *testing.B) {
					call := maker(fmt.Sprint(fresh.Add(1)))
					b.ReportAllocs()
					for b.Loop() {
						require.NoError(b, call())
					}
				})
				b.Run(fmt.Sprintf("%s/%d/%s/many", way, size, name), func(b *testing.B) {
					b.SetParallelism(16)
					b.RunParallel(func(pb *testing.PB) {
						call := maker(fmt.Sprint(fresh.Add(1)))
						for pb.Next() {
							if err := call(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				})
			}
			bench("majority-write", func(key string) func() error {
				return func() error {
					d, err := store.Update(a.store, key, func(m *crdt.MVRegister[string], by store.Writer) *crdt.MVRegister[string] {
						return m.Set(by.Replica, text)
					})
					if err != nil {
						return err
					}
					delta, err := d.Bytes()
					if err == nil {
						_, err = a.coord.Write(ctx, key, delta, quorum.WriteOptions{Applied: true})
					}
					return err
				}
			})
			bench("if-match", func(key string) func() error {
				var r revision.Revision
				return func() (err error) {
					_, r, err = a.writer.Write(ctx, key, r, a.put(key, text), quorum.WriteOptions{Applied: true})
					return err
				}
			})
		}
	}
}

// What a revision costs by itself.
func BenchmarkRevision(b *testing.B) {
	a := newNodes(over(new(mem.Network)))[0]
	for _, size := range []int{16, 1 << 10, 64 << 10} {
		state, err := a.put("k", strings.Repeat("x", size))(nil)
		require.NoError(b, err)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(state)))
			for b.Loop() {
				_, _ = a.writer.Revision(state)
			}
		})
	}
}
