package antientropy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
)

// BenchmarkFinding prints what rounds between two replicas of n keys cost over TCP when d of them differ:
//
//	go test ./antientropy -run '^$' -bench Finding -benchtime 1x
//
// Counted are all bytes on the connection, both ways, with the frames and whatever else the transport says: of
// finding out, and of the keys with their states (of 8 to 16 bytes) that are exchanged then. Beside the first is what
// the messages of a merkle.Session between the same indexes have. sent is how often a key that differs was sent. Of a
// key that only one side has it is once. One of kind changed is on both sides, and was written to on one of them, which
// nobody can tell from its fingerprints: sent is for each direction then. Medians of five.
func BenchmarkFinding(b *testing.B) {
	for b.Loop() {
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "\nn\td\tkind\tfinding\tsession\t×session\trounds\texchanging\tsent\ttime\t")
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		p := newWired(b, n)
		for _, d := range []int{1, 10, 100, 1000, 10_000} {
			for _, kind := range []string{"spread", "clustered", "changed"} {
				if d == n || d == 1 && kind == "clustered" {
					continue
				}
				p.measure(b, d, kind).print(out, n, d, kind)
			}
		}
		out.Flush()
		p.stop()
	}
}

// wired is two stores, one of which is served over TCP.
type wired struct {
	a, b   *sets
	keys   []string
	caller transport.Caller
	bytes  atomic.Int64 // on the connection
	fresh  uint64       // the next element that nobody has
	stop   func()
}

func newWired(b *testing.B, n int) *wired {
	p := &wired{a: newSets(), b: newSets(), fresh: 2}
	for i := range n {
		p.keys = append(p.keys, fmt.Sprint("key ", i))
		p.a.add(p.keys[i], 1)
		p.b.add(p.keys[i], 1)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &tcp.Transport{Self: "b", Plain: true}
	client := &tcp.Transport{Self: "a", Plain: true, Peers: map[transport.NodeID]string{"b": ln.Addr().String()}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, &countingListener{ln, &p.bytes}, &Responder{Store: p.b}) }()
	p.caller = client
	p.stop = func() {
		client.Close()
		cancel()
		<-done
		server.Close()
	}
	return p
}

// differ makes the stores differ in d keys.
func (p *wired) differ(rng *rand.Rand, d int, kind string) {
	first := rng.IntN(len(p.keys) - d + 1)
	for i, k := range rng.Perm(len(p.keys))[:d] {
		if kind == "clustered" {
			k = first + i
		}
		of := []*sets{p.a, p.b}[i%2]
		if kind == "changed" {
			of.add(p.keys[k], p.fresh)
			p.fresh++
			continue
		}
		of.remove(p.keys[k])
	}
}

// remove makes a store that never heard of a key.
func (s *sets) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, key)
	s.index.Delete(key)
}

// spent is what one round did.
type spent struct {
	finding, session, exchanging, rounds, moved int
	elapsed                                     time.Duration
}

func (p *wired) measure(b *testing.B, d int, kind string) spent {
	var all []spent
	for seed := range uint64(5) {
		p.differ(rand.New(rand.NewPCG(seed, uint64(d))), d, kind)
		all = append(all, p.round(b, seed))
		if p.a.root() != p.b.root() {
			b.Fatal("still different")
		}
	}
	return spent{
		finding:    middle(all, func(s spent) int { return s.finding }),
		session:    middle(all, func(s spent) int { return s.session }),
		exchanging: middle(all, func(s spent) int { return s.exchanging }),
		rounds:     middle(all, func(s spent) int { return s.rounds }),
		moved:      middle(all, func(s spent) int { return s.moved }),
		elapsed:    time.Duration(middle(all, func(s spent) int { return int(s.elapsed) })),
	}
}

func (p *wired) round(b *testing.B, number uint64) (s spent) {
	s.session = sessionBytes(b, p.a.Index(), p.b.Index())
	ctx := context.Background()
	if _, err := p.caller.Call(ctx, "b", "no method", nil); err == nil { // so that there is a connection
		b.Fatal("served")
	}
	start := time.Now()
	r := NewRound(p.a, RoundConfig{Peer: "b", Session: number})
	for {
		method, req, more := r.Next()
		if !more {
			break
		}
		before := p.bytes.Load()
		resp, err := p.caller.Call(ctx, "b", method, req)
		if err == nil {
			err = r.Step(ctx, resp)
		}
		if err != nil {
			b.Fatal(err)
		}
		if method == methodReconcile {
			s.finding += int(p.bytes.Load() - before)
		} else {
			s.exchanging += int(p.bytes.Load() - before)
		}
	}
	x := r.Result()
	s.elapsed, s.rounds, s.moved = time.Since(start), x.RoundTrips, x.KeysSent+x.KeysReceived
	return s
}

// sessionBytes is what the messages of a session have.
func sessionBytes(b *testing.B, of, to *merkle.Tree) (n int) {
	s := merkle.NewSession(of, merkle.SessionConfig{MaxMessage: 1 << 20})
	r := merkle.NewResponder(to, merkle.SessionConfig{MaxMessage: 1 << 20})
	for msg := s.Start(); len(msg) > 0; {
		resp, err := r.Step(msg)
		if err != nil {
			b.Fatal(err)
		}
		n += len(msg) + len(resp)
		if msg, err = s.Step(resp); err != nil {
			b.Fatal(err)
		}
	}
	return n
}

func (s spent) print(out *tabwriter.Writer, n, d int, kind string) {
	directions := 1
	if kind == "changed" {
		directions = 2
	}
	fmt.Fprintf(out, "%d\t%d\t%s\t%d\t%d\t%.2f\t%d\t%d\t%.3f\t%v\t\n", n, d, kind, s.finding, s.session,
		float64(s.finding)/float64(s.session), s.rounds, s.exchanging, float64(s.moved)/float64(d*directions), s.elapsed)
}

// countingListener counts the bytes of what it accepts.
type countingListener struct {
	net.Listener
	n *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{conn, l.n}, nil
}

type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b))) // before the peer can answer
	return c.Conn.Write(b)
}

func middle(all []spent, of func(spent) int) int {
	var values []int
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
