package grpctransport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/grpctransport"
)

// certified is a Peer for servers that ask for certificates and check them: a node
// is who its certificate says, by the one name in it.
func certified(ctx context.Context) (transport.NodeID, error) {
	p, _ := peer.FromContext(ctx)
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return "", errors.New("no certificate")
	}
	names := info.State.VerifiedChains[0][0].DNSNames
	if len(names) != 1 {
		return "", errors.New("not the certificate of a node")
	}
	return transport.NodeID(names[0]), nil
}

// An authority certifies nodes.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &ca, &ca, &key.PublicKey, key)
	require.NoError(t, err)
	a := &authority{key: key, pool: x509.NewCertPool()}
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) config(t *testing.T, name string) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leaf := x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, &leaf, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      a.pool, ServerName: "b",
		ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// With mutual TLS, the node that calls is the one of its certificate, and the one
// that answers is too.
func TestMutualTLS(t *testing.T) {
	ca := newAuthority(t)
	s := newServer()
	s.Peer = certified
	plain := serve(t, s, grpc.Creds(credentials.NewTLS(ca.config(t, "b"))))
	call := func(config *tls.Config) error {
		conn, err := dial(plain.CanonicalTarget()[len("passthrough:///"):], grpc.WithTransportCredentials(credentials.NewTLS(config)))
		require.NoError(t, err)
		defer conn.Close()
		c := &grpctransport.Client{Self: "a", Conns: map[transport.NodeID]grpc.ClientConnInterface{"b": conn}}
		_, err = c.Call(t.Context(), "b", "m", nil)
		return err
	}
	require.NoError(t, call(ca.config(t, "a")))
	require.Equal(t, codes.PermissionDenied, codeOf(t, call(ca.config(t, "c"))))
	require.Equal(t, codes.Unavailable, codeOf(t, call(newAuthority(t).config(t, "a"))))
	other := ca.config(t, "a")
	other.ServerName = "c"
	require.Equal(t, codes.Unavailable, codeOf(t, call(other)))
	none := ca.config(t, "a")
	none.Certificates = nil
	require.Equal(t, codes.Unavailable, codeOf(t, call(none)))
}
