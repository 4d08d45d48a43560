package tcp_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
)

func echo(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	return req, nil
}

func BenchmarkEcho(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		benchmarkEcho(b, &tcp.Transport{Self: "a", Plain: true}, &tcp.Transport{Self: "b", Plain: true})
	})
	b.Run("tls", func(b *testing.B) {
		ca := tcp.NewAuthority(b)
		benchmarkEcho(b, &tcp.Transport{Self: "a", TLS: ca.TLS("", "a")}, &tcp.Transport{Self: "b", TLS: ca.TLS("", "b")})
	})
}

func benchmarkEcho(b *testing.B, client, server *tcp.Transport) {
	ln := listen(b, "127.0.0.1:0")
	serve(b, server, ln, transport.HandlerFunc(echo))
	client.Peers = map[transport.NodeID]string{"b": ln.Addr().String()}
	defer client.Close()
	for _, size := range []int{100, 64 << 10} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("bytes=%d/callers=%d", size, callers), func(b *testing.B) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				req := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				parallel(b, callers, func() error {
					_, err := client.Call(ctx, "b", "bench/echo", req)
					return err
				})
			})
		}
	}
}

// BenchmarkHandshake is what the first call to a node takes beside those that follow,
// for both ends together.
func BenchmarkHandshake(b *testing.B) {
	ca := tcp.NewAuthority(b)
	for name, nodes := range map[string][2]*tcp.Transport{
		"plain": {{Self: "a", Plain: true}, {Self: "b", Plain: true}},
		"tls":   {{Self: "a", TLS: ca.TLS("", "a")}, {Self: "b", TLS: ca.TLS("", "b")}},
	} {
		b.Run(name, func(b *testing.B) {
			ln := listen(b, "127.0.0.1:0")
			serve(b, nodes[1], ln, transport.HandlerFunc(echo))
			b.ReportAllocs()
			for b.Loop() {
				a := &tcp.Transport{Self: "a", Plain: nodes[0].Plain, TLS: nodes[0].TLS,
					Peers: map[transport.NodeID]string{"b": ln.Addr().String()}}
				if _, err := a.Call(context.Background(), "b", "m", nil); err != nil {
					b.Fatal(err)
				}
				a.Close()
			}
		})
	}
}

// BenchmarkBareConn is what the network itself takes: one message there and one
// back on a connection that does nothing else.
func BenchmarkBareConn(b *testing.B) {
	for _, size := range []int{100, 64 << 10} {
		b.Run(fmt.Sprintf("bytes=%d/callers=1", size), func(b *testing.B) {
			ln := listen(b, "127.0.0.1:0")
			defer ln.Close()
			go pingPong(ln)
			conn, err := net.Dial("tcp", ln.Addr().String())
			require.NoError(b, err)
			defer conn.Close()
			msg := make([]byte, 4+size)
			binary.BigEndian.PutUint32(msg, uint32(size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			parallel(b, 1, func() error {
				if _, err := conn.Write(msg); err != nil {
					return err
				}
				_, err := io.ReadFull(conn, msg)
				return err
			})
		})
	}
}

func pingPong(ln net.Listener) {
	conn, err := ln.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	buf := make([]byte, 4+64<<10)
	for {
		if _, err := io.ReadFull(conn, buf[:4]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(buf))
		if _, err := io.ReadFull(conn, buf[4:4+n]); err != nil {
			return
		}
		if _, err := conn.Write(buf[:4+n]); err != nil {
			return
		}
	}
}

// parallel runs op b.N times, shared among callers.
func parallel(b *testing.B, callers int, op func() error) {
	var group sync.WaitGroup
	work := make(chan int, callers)
	b.ResetTimer()
	for i := range callers {
		n := b.N / callers
		if i < b.N%callers {
			n++
		}
		work <- n
	}
	for range callers {
		group.Go(func() {
			for range <-work {
				if err := op(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
