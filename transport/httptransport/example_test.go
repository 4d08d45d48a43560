package httptransport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/httptransport"
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

// A node is who the certificate of its client says, by the one name in it. The
// server asks for certificates, and checks them.
func ExampleHandler_peer() {
	h := &httptransport.Handler{Self: "b", Peer: func(r *http.Request) (transport.NodeID, error) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			return "", errors.New("no certificate")
		}
		names := r.TLS.VerifiedChains[0][0].DNSNames
		if len(names) != 1 {
			return "", errors.New("not the certificate of a node")
		}
		return transport.NodeID(names[0]), nil
	}}
	server := http.Server{
		Handler: h,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS13,
			ClientAuth: tls.RequireAndVerifyClientCert, // by the authorities in ClientCAs
		},
	}
	fmt.Println(server.TLSConfig.ClientAuth)
	// Output: RequireAndVerifyClientCert
}
