package tcp

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
	"github.com/eventual-go/eventual/transport/internal/authority"
)

// An Authority issues certificates to the nodes of tests.
type Authority struct{ *authority.Authority }

func NewAuthority(t testing.TB, changes ...func(*x509.Certificate)) *Authority {
	return &Authority{authority.New(t, changes...)}
}

// TLS returns what a node needs that the authority knows.
func (a *Authority) TLS(cluster string, id transport.NodeID, changes ...func(*x509.Certificate)) *TLS {
	return shows(a.Issue(cluster, id, changes...), a.Roots)
}

// shows returns the TLS of a node with fixed credentials.
func shows(c *tls.Certificate, roots *x509.CertPool) *TLS {
	return &TLS{Credentials: func() (identity.Credentials, error) {
		return identity.Credentials{Certificate: c, Roots: roots}, nil
	}}
}
