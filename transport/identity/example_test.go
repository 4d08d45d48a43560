package identity_test

import (
	"fmt"
	"net/http"

	"github.com/eventual-go/eventual/transport/identity"
)

// A service over HTTP that serves nodes of its cluster, and knows which one calls. Its
// own calls to other nodes are made with client.
func Example() {
	files := &identity.Files{Cert: "/etc/example/b.crt", Key: "/etc/example/b.key", CA: "/etc/example/cluster.crt"}
	server := &http.Server{
		Addr:      ":7443",
		TLSConfig: identity.Server("example", files.Credentials),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from, err := identity.Peer(r.TLS, "example")
			if err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
			fmt.Fprintln(w, "hello", from)
		}),
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   identity.Client("example", files.Credentials),
		ForceAttemptHTTP2: true,
	}}
	_, _ = client, server // server.ListenAndServeTLS("", "")
}
