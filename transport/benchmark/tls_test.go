package benchmark

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/url"
	"time"

	"github.com/eventual-go/eventual/transport/identity"
	"github.com/eventual-go/eventual/transport/tcp"
)

func startTLS(ctx context.Context) (system, error) {
	credentials, err := newCredentials()
	if err != nil {
		return system{}, err
	}
	return startTCP(ctx, &tcp.TLS{Credentials: func() (identity.Credentials, error) { return credentials, nil }})
}

// newCredentials has one certificate for both nodes, which is its own authority.
func newCredentials() (identity.Credentials, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity.Credentials{}, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		URIs:        []*url.URL{identity.NodeURI("", "a"), identity.NodeURI("", "b")},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return identity.Credentials{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return identity.Credentials{}, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return identity.Credentials{Certificate: &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, Roots: roots}, nil
}
