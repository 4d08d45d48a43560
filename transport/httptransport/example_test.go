package httptransport_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/httptransport"
	"github.com/eventual-go/eventual/transport/identity"
)

func Example() {
	var methods transport.Mux
	methods.Handle("greet/", transport.HandlerFunc(
		func(_ context.Context, from transport.NodeID, _ string, req []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s to you too, %s", req, from), nil
		}))
	var mux http.ServeMux // the one that the service has
	mux.Handle("/eventual", &httptransport.Handler{Self: "b", Cluster: "example", Handler: &methods})
	server := httptest.NewServer(&mux)
	defer server.Close()

	a := &httptransport.Client{
		Self:    "a",
		Cluster: "example",
		Peers:   map[transport.NodeID]string{"b": server.URL + "/eventual"},
	}
	defer a.Close()
	resp, err := a.Call(context.Background(), "b", "greet/hello", []byte("hi"))
	fmt.Println(string(resp), err)
	// Output: hi to you too, a <nil>
}

// With certificates that name nodes: who calls is who is in the certificate, of this
// cluster and no other, and so is who answers. The files may be replaced at any time.
func ExampleHandler() {
	const cluster = "example"
	files := &identity.Files{Cert: "b.crt", Key: "b.key", CA: "cluster.crt"}
	server := &http.Server{
		Addr:      ":8443",
		TLSConfig: identity.Server(cluster, files.Credentials),
		Handler: &httptransport.Handler{Self: "b", Cluster: cluster, Peer: func(r *http.Request) (transport.NodeID, error) {
			return identity.Peer(r.TLS, cluster)
		}},
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 250, WriteByteTimeout: time.Minute},
	}
	client := &httptransport.Client{
		Self:    "b",
		Cluster: cluster,
		Peers:   map[transport.NodeID]string{"a": "https://a.example:8443/"},
		HTTP: &http.Client{Transport: &http.Transport{
			TLSClientConfig:   identity.Client(cluster, files.Credentials),
			ForceAttemptHTTP2: true,
		}},
		Check: func(to transport.NodeID, state *tls.ConnectionState) error {
			if state == nil {
				return identity.ErrUnverified
			}
			return identity.Check(state.PeerCertificates[0], cluster, to)
		},
	}
	defer client.Close()
	fmt.Println(server.ListenAndServeTLS("", ""))
}
