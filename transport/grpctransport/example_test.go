package grpctransport_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/grpctransport"
	"github.com/eventual-go/eventual/transport/identity"
)

func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	var methods transport.Mux
	methods.Handle("greet/", transport.HandlerFunc(
		func(_ context.Context, from transport.NodeID, _ string, req []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s to you too, %s", req, from), nil
		}))
	server := grpc.NewServer() // the one that the service has
	b := &grpctransport.Server{Self: "b", Cluster: "example", Handler: &methods}
	b.Register(server)
	go server.Serve(ln)
	defer server.Stop()

	conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	a := &grpctransport.Client{
		Self:    "a",
		Cluster: "example",
		Conns:   map[transport.NodeID]grpc.ClientConnInterface{"b": conn},
	}
	defer a.Close()
	resp, err := a.Call(context.Background(), "b", "greet/hello", []byte("hi"))
	fmt.Println(string(resp), err)
	// Output: hi to you too, a <nil>
}

// With certificates that name nodes: who calls is who is in the certificate, of this
// cluster and no other, and so is who answers. The files may be replaced at any time.
func ExampleServer() {
	const cluster = "example"
	files := &identity.Files{Cert: "b.crt", Key: "b.key", CA: "cluster.crt"}
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(identity.Server(cluster, files.Credentials))),
		grpc.MaxConcurrentStreams(250),
	)
	b := &grpctransport.Server{Self: "b", Cluster: cluster, Peer: func(ctx context.Context) (transport.NodeID, error) {
		p, _ := peer.FromContext(ctx)
		info, ok := p.AuthInfo.(credentials.TLSInfo)
		if !ok {
			return "", identity.ErrUnverified
		}
		return identity.Peer(&info.State, cluster)
	}}
	b.Register(server)

	// A connection to node a is to that node alone, and not to any of the cluster.
	config := identity.Client(cluster, files.Credentials)
	ofCluster := config.VerifyConnection
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if err := ofCluster(s); err != nil {
			return err
		}
		return identity.Check(s.PeerCertificates[0], cluster, "a")
	}
	conn, err := grpc.NewClient("a.example:8443", grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	client := &grpctransport.Client{Self: "b", Cluster: cluster, Conns: map[transport.NodeID]grpc.ClientConnInterface{"a": conn}}
	defer client.Close()
}
