package tcp

import (
	"crypto/x509"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
)

// Neither side guesses whether there is to be TLS.
func TestModeMustBeSaid(t *testing.T) {
	ca := NewAuthority(t)
	for name, c := range map[string]struct {
		transport *Transport
		err       error
	}{
		"neither":        {&Transport{Self: "a"}, ErrMode},
		"both":           {&Transport{Self: "a", Plain: true, TLS: ca.TLS("", "a")}, ErrMode},
		"no credentials": {&Transport{Self: "a", TLS: new(TLS)}, errCredentials},
		"cluster's name": {&Transport{Self: "a", Cluster: "not a host", TLS: ca.TLS("blue", "a")}, errClusterName},
	} {
		t.Run(name, func(t *testing.T) {
			c.transport.Peers = map[transport.NodeID]string{"b": "127.0.0.1:1"}
			_, err := c.transport.Call(t.Context(), "b", "m", nil)
			require.ErrorIs(t, err, c.err)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			require.ErrorIs(t, c.transport.Serve(t.Context(), ln, nil), c.err)
			_, err = ln.Accept()
			require.ErrorIs(t, err, net.ErrClosed)
			require.NoError(t, c.transport.Close())
		})
	}
}

// Credentials that cannot be had fail calls, and refuse who calls; the authorities of
// the machine are never used in their place.
func TestNoCredentials(t *testing.T) {
	lost := errors.New("vault is sealed")
	ca := NewAuthority(t)
	cert := ca.Issue("blue", "b")
	for name, give := range map[string]func() (identity.Credentials, error){
		"error":          func() (identity.Credentials, error) { return identity.Credentials{}, lost },
		"no certificate": func() (identity.Credentials, error) { return identity.Credentials{Roots: ca.Roots}, nil },
		"no authorities": func() (identity.Credentials, error) { return identity.Credentials{Certificate: cert}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecure(t, nil)
			x, _ := s.caller("x", "blue", &TLS{Credentials: give})
			e := refused(t, x)
			require.Equal(t, ReasonCredentials, e.Reason)
			require.False(t, e.Remote)
			a := &Transport{Cluster: "blue", TLS: ca.TLS("blue", "a")}
			b := &Transport{Cluster: "blue", TLS: &TLS{Credentials: give}}
			var told told
			b.Events = told.events()
			node(t, a, b, nil)
			refused(t, a)
			require.Equal(t, []Reason{ReasonCredentials}, told.reasons(t, 1))
		})
	}
}

// Names of hosts do, where the authorities serve one cluster alone.
func TestAllowByHostName(t *testing.T) {
	ca := NewAuthority(t)
	byHost := func(id transport.NodeID) *TLS {
		s := ca.TLS("", id, func(c *x509.Certificate) { c.URIs, c.DNSNames = nil, []string{string(id)} })
		s.Allow = func(leaf *x509.Certificate, _ string, id transport.NodeID) error {
			return leaf.VerifyHostname(string(id))
		}
		return s
	}
	a, b := &Transport{Cluster: "any name", TLS: byHost("a")}, &Transport{Cluster: "any name", TLS: byHost("b")}
	node(t, a, b, transport.HandlerFunc(echo))
	_, err := a.Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)
	x := &Transport{Self: "x", Cluster: "any name", TLS: byHost("a"), Peers: a.Peers}
	defer x.Close()
	require.Equal(t, ReasonName, refused(t, x).Reason)
}
