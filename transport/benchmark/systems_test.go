package benchmark

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/grpctransport"
	"github.com/eventual-go/eventual/transport/httptransport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/natstransport"
	"github.com/eventual-go/eventual/transport/tcp"
)

// A system has two sides in this process, of which one sends back what the other
// sends.
type system struct {
	// caller returns how one more caller calls. What a call returns is its own.
	caller func() (func(req []byte) (resp []byte, err error), error)
	close  func() error
}

// The systems, in the order of the table. Those that others are compared with come
// first.
var systems = []struct {
	name  string
	start func(ctx context.Context) (system, error)
}{
	{bareConn, startBare},
	{minimalEcho, startMinimal},
	{grpcGo, startGRPC},
	{"tcp", func(ctx context.Context) (system, error) { return startTCP(ctx, nil) }},
	{"tcp, TLS", startTLS},
	{"http/1.1", func(ctx context.Context) (system, error) { return startHTTP(ctx, (*http.Protocols).SetHTTP1) }},
	{"http/2", func(ctx context.Context) (system, error) {
		return startHTTP(ctx, (*http.Protocols).SetUnencryptedHTTP2)
	}},
	{"grpc", startGRPCTransport},
	{"nats", startNATS},
	{"mem", startMem},
}

const (
	bareConn    = "bare conn"
	minimalEcho = "minimal echo"
	grpcGo      = "gRPC-Go"
)

var echo = transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	return req, nil
})

// over is a system in which node a calls node b.
func over(ctx context.Context, a transport.Caller, closers ...func() error) system {
	call := func(req []byte) ([]byte, error) { return a.Call(ctx, "b", "bench/echo", req) }
	return system{
		caller: func() (func([]byte) ([]byte, error), error) { return call, nil },
		close: func() (err error) {
			for _, c := range closers {
				err = errors.Join(err, c())
			}
			return err
		},
	}
}

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// startTCP starts nodes with TLS, or without if there is none.
func startTCP(ctx context.Context, tls *tcp.TLS) (system, error) {
	ln, err := listen()
	if err != nil {
		return system{}, err
	}
	b := &tcp.Transport{Self: "b", TLS: tls, Plain: tls == nil}
	go b.Serve(ctx, ln, echo)
	a := &tcp.Transport{Self: "a", TLS: tls, Plain: tls == nil, Peers: map[transport.NodeID]string{"b": ln.Addr().String()}}
	return over(ctx, a, a.Close, b.Close), nil
}

func startHTTP(ctx context.Context, speak func(p *http.Protocols, on bool)) (system, error) {
	ln, err := listen()
	if err != nil {
		return system{}, err
	}
	protocols := new(http.Protocols)
	speak(protocols, true)
	s := &http.Server{Handler: &httptransport.Handler{Self: "b", Handler: echo}, Protocols: protocols,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxCallers}}
	go s.Serve(ln)
	pool := &http.Transport{Protocols: protocols, MaxIdleConnsPerHost: maxCallers}
	a := &httptransport.Client{Self: "a", HTTP: &http.Client{Transport: pool}, Peers: map[transport.NodeID]string{"b": "http://" + ln.Addr().String()}}
	return over(ctx, a, a.Close, s.Close), nil
}

func startGRPCTransport(ctx context.Context) (system, error) {
	s := grpc.NewServer()
	(&grpctransport.Server{Self: "b", Handler: echo}).Register(s)
	conn, err := serveGRPC(s)
	if err != nil {
		return system{}, err
	}
	a := &grpctransport.Client{Self: "a", Conns: map[transport.NodeID]grpc.ClientConnInterface{"b": conn}}
	return over(ctx, a, a.Close, conn.Close, func() error { s.Stop(); return nil }), nil
}

func serveGRPC(s *grpc.Server) (*grpc.ClientConn, error) {
	ln, err := listen()
	if err != nil {
		return nil, err
	}
	go s.Serve(ln)
	return grpc.NewClient("passthrough:///"+ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func startNATS(ctx context.Context) (system, error) {
	broker, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		return system{}, err
	}
	broker.Start()
	if !broker.ReadyForConnections(time.Minute) {
		return system{}, errors.New("the NATS server does not start")
	}
	near, err := nats.Connect(broker.ClientURL())
	far, other := nats.Connect(broker.ClientURL())
	if err := cmp.Or(err, other); err != nil {
		return system{}, err
	}
	b := &natstransport.Transport{Conn: far, Self: "b"}
	go b.Serve(ctx, echo)
	a := &natstransport.Transport{Conn: near, Self: "a"}
	for {
		if _, err = a.Call(ctx, "b", "", nil); err == nil || ctx.Err() != nil {
			break
		}
	}
	return over(ctx, a, a.Close, b.Close, func() error {
		near.Close()
		far.Close()
		broker.Shutdown()
		return nil
	}), err
}

func startMem(ctx context.Context) (system, error) {
	network := new(mem.Network)
	network.Node("b", echo)
	a := network.Node("a", nil)
	return over(ctx, a, a.Close), nil
}
