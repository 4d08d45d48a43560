package httptransport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/httptransport"
)

// certified is a Peer for servers that ask for certificates and check them: a node
// is who its certificate says, by the one name in it.
func certified(r *http.Request) (transport.NodeID, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return "", errors.New("no certificate")
	}
	names := r.TLS.VerifiedChains[0][0].DNSNames
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
	h := newHandler()
	h.Peer = certified
	s := httptest.NewUnstartedServer(h)
	s.TLS = ca.config(t, "b")
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	call := func(config *tls.Config) error {
		pool := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		defer pool.CloseIdleConnections()
		c := &httptransport.Client{Self: "a", HTTP: &http.Client{Transport: pool}, Peers: map[transport.NodeID]string{"b": s.URL}}
		_, err := c.Call(t.Context(), "b", "m", nil)
		return err
	}
	require.NoError(t, call(ca.config(t, "a")))
	require.Equal(t, http.StatusForbidden, statusError(t, call(ca.config(t, "c"))).Status)
	other, none := ca.config(t, "a"), ca.config(t, "a")
	other.ServerName, none.Certificates = "c", nil
	for _, config := range []*tls.Config{newAuthority(t).config(t, "a"), other, none} {
		err := call(config)
		require.ErrorIs(t, err, transport.ErrUnreachable)
		_, answered := errors.AsType[*httptransport.StatusError](err)
		require.False(t, answered)
	}
}
