package grpctransport_test

import (
	"context"
	"crypto/tls"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/grpctransport"
	"github.com/eventual-go/eventual/transport/identity"
	"github.com/eventual-go/eventual/transport/internal/authority"
)

// certified is the Peer of servers whose clients show whose they are.
func certified(ctx context.Context) (transport.NodeID, error) {
	p, _ := peer.FromContext(ctx)
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return "", identity.ErrUnverified
	}
	return identity.Peer(&info.State, "blue")
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

func (p *papers) server() grpc.ServerOption {
	return grpc.Creds(credentials.NewTLS(identity.Server("blue", p.credentials)))
}

// client is for calls of one node.
func (p *papers) client(to transport.NodeID) *tls.Config {
	config := identity.Client("blue", p.credentials)
	ofCluster := config.VerifyConnection
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if err := ofCluster(s); err != nil {
			return err
		}
		return identity.Check(s.PeerCertificates[0], "blue", to)
	}
	return config
}

// serveTLS serves node b of cluster "blue" as who the papers say, and returns its address,
// and how many calls it has served.
func serveTLS(t *testing.T, p *papers) (addr string, served *atomic.Int32) {
	served = new(atomic.Int32)
	s := &grpctransport.Server{Self: "b", Cluster: "blue", Peer: certified, Handler: transport.HandlerFunc(
		func(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
			served.Add(1)
			return []byte(from), nil
		})}
	return serve(t, s, p.server()).CanonicalTarget()[len("passthrough:///"):], served
}

// callTLS calls b as a over a connection of its own, and returns who it is to b.
func callTLS(t *testing.T, addr string, config *tls.Config) (string, error) {
	conn, err := dial(addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	require.NoError(t, err)
	defer conn.Close()
	c := &grpctransport.Client{Self: "a", Cluster: "blue", Conns: map[transport.NodeID]grpc.ClientConnInterface{"b": conn}}
	defer c.Close()
	resp, err := c.Call(t.Context(), "b", "m", nil)
	return string(resp), err
}

// Who calls is who the certificate says: of this cluster, by its authority. Others are
// refused by TLS, and another node of the cluster by the Server.
func TestWhoCallsIsProved(t *testing.T) {
	ca := authority.New(t)
	addr, served := serveTLS(t, shows(ca, "blue", "b"))
	from, err := callTLS(t, addr, shows(ca, "blue", "a").client("b"))
	require.NoError(t, err)
	require.Equal(t, "a", from)
	_, err = callTLS(t, addr, shows(ca, "blue", "c").client("b"))
	require.Equal(t, codes.PermissionDenied, codeOf(t, err))

	none := shows(ca, "blue", "a").client("b")
	none.GetClientCertificate = nil
	wrong := shows(authority.New(t), "blue", "a")
	wrong.now.Load().Roots = ca.Roots
	for name, config := range map[string]*tls.Config{
		"of another cluster":   shows(ca, "green", "a").client("b"),
		"of another authority": wrong.client("b"),
		"none":                 none,
	} {
		_, err = callTLS(t, addr, config)
		require.Equal(t, codes.Unavailable, codeOf(t, err), name)
	}
	require.Equal(t, int32(1), served.Load())
}

// Who answers is who the certificate says, and gets no call that is for another: of
// another cluster, of another authority, or another node of the cluster.
func TestWhoAnswersIsProved(t *testing.T) {
	ca := authority.New(t)
	for name, p := range map[string]*papers{
		"of another cluster":   shows(ca, "green", "b"),
		"of another authority": shows(authority.New(t), "blue", "b"),
		"of another node":      shows(ca, "blue", "c"),
	} {
		p.now.Load().Roots = ca.Roots // and it takes everybody
		addr, served := serveTLS(t, p)
		_, err := callTLS(t, addr, shows(ca, "blue", "a").client("b"))
		require.Equal(t, codes.Unavailable, codeOf(t, err), name)
		require.Zero(t, served.Load(), name)
	}
}

// Without TLS nothing is proved.
func TestNothingIsProved(t *testing.T) {
	s := newServer()
	s.Peer = certified
	_, err := client(t, serve(t, s)).Call(t.Context(), "b", "m", nil)
	require.Equal(t, codes.PermissionDenied, codeOf(t, err))
}

// Certificates and authorities that are replaced hold from the next connection on.
func TestReplacedCredentials(t *testing.T) {
	ca, next := authority.New(t), authority.New(t)
	a, b := shows(ca, "blue", "a"), shows(ca, "blue", "b")
	addr, _ := serveTLS(t, b)
	config := a.client("b")
	for _, replace := range []struct {
		p    *papers
		ca   *authority.Authority
		id   transport.NodeID
		good bool
	}{{a, ca, "a", true}, {b, next, "b", false}, {a, next, "a", true}, {a, next, "c", false}, {a, ca, "a", false}, {b, ca, "b", true}} {
		replace.p.replace(replace.ca, "blue", replace.id)
		_, err := callTLS(t, addr, config)
		require.Equal(t, replace.good, err == nil, err)
	}
}
