package httptransport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/httptransport"
	"github.com/eventual-go/eventual/transport/identity"
	"github.com/eventual-go/eventual/transport/internal/authority"
)

// certified is the Peer of servers whose clients show whose they are.
func certified(r *http.Request) (transport.NodeID, error) { return identity.Peer(r.TLS, "blue") }

// is is the Check of clients whose servers do.
func is(to transport.NodeID, state *tls.ConnectionState) error {
	if state == nil {
		return identity.ErrUnverified
	}
	return identity.Check(state.PeerCertificates[0], "blue", to)
}

// Papers are the credentials of one node, which may be replaced.
type papers struct {
	now atomic.Pointer[identity.Credentials]
}

func shows(ca *authority.Authority, cluster string, id transport.NodeID) *papers {
	p := new(papers)
	p.replace(ca, cluster, id)
	return p
}

func (p *papers) replace(ca *authority.Authority, cluster string, id transport.NodeID) {
	p.now.Store(&identity.Credentials{Certificate: ca.Issue(cluster, id), Roots: ca.Roots})
}

func (p *papers) credentials() (identity.Credentials, error) { return *p.now.Load(), nil }

// serveTLS serves node b of cluster "blue" as who the papers say, and returns its URL, and
// how many calls it has served.
func serveTLS(t *testing.T, p *papers) (url string, served *atomic.Int32) {
	served = new(atomic.Int32)
	h := &httptransport.Handler{Self: "b", Cluster: "blue", Peer: certified, Handler: transport.HandlerFunc(
		func(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
			served.Add(1)
			return []byte(from), nil
		})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &http.Server{Handler: h, TLSConfig: identity.Server("blue", p.credentials), ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- s.ServeTLS(ln, "", "") }()
	t.Cleanup(func() {
		s.Close()
		assert.Equal(t, http.ErrServerClosed, <-done)
	})
	return "https://" + ln.Addr().String(), served
}

// callTLS calls b as a over a connection of its own, and returns who it is to b.
func callTLS(t *testing.T, url string, config *tls.Config) (string, error) {
	pool := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer pool.CloseIdleConnections()
	c := &httptransport.Client{Self: "a", Cluster: "blue", HTTP: &http.Client{Transport: pool}, Peers: map[transport.NodeID]string{"b": url}, Check: is}
	defer c.Close()
	resp, err := c.Call(t.Context(), "b", "m", []byte("private"))
	return string(resp), err
}

// Who calls is who the certificate says: of this cluster, by its authority. Others are
// refused by TLS, and another node of the cluster by the Handler.
func TestWhoCallsIsProved(t *testing.T) {
	ca := authority.New(t)
	url, served := serveTLS(t, shows(ca, "blue", "b"))
	config := func(p *papers) *tls.Config { return identity.Client("blue", p.credentials) }
	from, err := callTLS(t, url, config(shows(ca, "blue", "a")))
	require.NoError(t, err)
	require.Equal(t, "a", from)
	_, err = callTLS(t, url, config(shows(ca, "blue", "c")))
	require.Equal(t, http.StatusForbidden, statusError(t, err).Status)

	none := config(shows(ca, "blue", "a"))
	none.GetClientCertificate = nil
	wrong := shows(authority.New(t), "blue", "a")
	wrong.now.Load().Roots = ca.Roots
	for name, config := range map[string]*tls.Config{
		"of another cluster":   config(shows(ca, "green", "a")),
		"of another authority": config(wrong),
		"none":                 none,
	} {
		_, err = callTLS(t, url, config)
		require.ErrorIs(t, err, transport.ErrUnreachable, name)
		_, answered := errors.AsType[*httptransport.StatusError](err)
		require.False(t, answered, name)
	}
	require.Equal(t, int32(1), served.Load())
}

// Who answers is who the certificate says, and gets no call that is for another: of
// another cluster, of another authority, or another node of the cluster.
func TestWhoAnswersIsProved(t *testing.T) {
	ca, other := authority.New(t), authority.New(t)
	mine := shows(ca, "blue", "a")
	for name, p := range map[string]*papers{
		"of another cluster":   shows(ca, "green", "b"),
		"of another authority": shows(other, "blue", "b"),
		"of another node":      shows(ca, "blue", "c"),
	} {
		p.now.Load().Roots = ca.Roots // and it takes everybody
		url, served := serveTLS(t, p)
		_, err := callTLS(t, url, identity.Client("blue", mine.credentials))
		require.ErrorIs(t, err, transport.ErrUnreachable, name)
		e, ok := errors.AsType[*identity.NameError](err)
		require.Equal(t, name != "of another authority", ok, err)
		if ok {
			require.Equal(t, name == "of another cluster", e.Elsewhere)
		}
		require.Zero(t, served.Load(), name)
	}
}

// Without TLS nothing is proved, and a transport that tells nothing of its connections is
// asked when it brings an answer.
func TestNothingIsProved(t *testing.T) {
	c := serve(t, newHandler())
	c.Check = is
	for _, http1 := range []http.RoundTripper{nil, untold{}} {
		c.HTTP = &http.Client{Transport: http1}
		plain := &httptransport.Client{Self: "a", Peers: c.Peers, HTTP: c.HTTP, Check: c.Check}
		_, err := plain.Call(t.Context(), "b", "m", []byte("private"))
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.ErrorIs(t, err, identity.ErrUnverified)
		plain = &httptransport.Client{Self: "a", Peers: c.Peers, HTTP: c.HTTP}
		_, err = plain.Call(t.Context(), "b", "m", []byte("private"))
		require.NoError(t, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// untold makes requests that are traced by nobody.
type untold struct{}

func (untold) RoundTrip(r *http.Request) (*http.Response, error) {
	return http.DefaultTransport.RoundTrip(r.WithContext(context.Background()))
}

// Certificates and authorities that are replaced hold from the next connection on.
func TestReplacedCredentials(t *testing.T) {
	ca, next := authority.New(t), authority.New(t)
	a, b := shows(ca, "blue", "a"), shows(ca, "blue", "b")
	url, _ := serveTLS(t, b)
	config := identity.Client("blue", a.credentials)
	for _, replace := range []struct {
		p    *papers
		ca   *authority.Authority
		id   transport.NodeID
		good bool
	}{{a, ca, "a", true}, {b, next, "b", false}, {a, next, "a", true}, {a, next, "c", false}, {a, ca, "a", false}, {b, ca, "b", true}} {
		replace.p.replace(replace.ca, "blue", replace.id)
		_, err := callTLS(t, url, config)
		require.Equal(t, replace.good, err == nil, err)
	}
}
