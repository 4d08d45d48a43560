// Package authority issues certificates to the nodes of tests.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// An Authority issues certificates, good ones and others.
type Authority struct {
	t     testing.TB
	key   *ecdsa.PrivateKey
	Cert  *x509.Certificate
	Roots *x509.CertPool // itself alone
}

// New returns an authority with a key of its own. Its name may be changed before, as
// all else of its certificate; unless it is, all authorities have the same.
func New(t testing.TB, changes ...func(*x509.Certificate)) *Authority {
	a := &Authority{t: t, key: newKey(t), Roots: x509.NewCertPool()}
	c := template("authority")
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	for _, change := range changes {
		change(c)
	}
	a.Cert = a.sign(c, c, a.key)
	a.Roots.AddCert(a.Cert)
	return a
}

// Issue issues the certificate of a node of a cluster, which lasts for an hour. What it
// says may be changed before.
func (a *Authority) Issue(cluster string, id transport.NodeID, changes ...func(*x509.Certificate)) *tls.Certificate {
	c := template("node")
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c.URIs = []*url.URL{{Scheme: "eventual", Host: cluster, Path: "/" + string(id)}}
	for _, change := range changes {
		change(c)
	}
	key := newKey(a.t)
	cert := a.sign(c, a.Cert, key)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

var serials atomic.Int64

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
}

func (a *Authority) sign(c, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return cert
}

// WriteFile writes PEM blocks to a file of a folder, in place of what was there.
func WriteFile(t testing.TB, dir, name string, blocks ...pem.Block) string {
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(&b)...)
	}
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path+".new", text, 0o600))
	require.NoError(t, os.Rename(path+".new", path))
	return path
}

// CertBlock returns a certificate as it stands in a file.
func CertBlock(der []byte) pem.Block { return pem.Block{Type: "CERTIFICATE", Bytes: der} }

// KeyBlock returns the key of a certificate as it stands in a file.
func KeyBlock(t testing.TB, c *tls.Certificate) pem.Block {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	require.NoError(t, err)
	return pem.Block{Type: "PRIVATE KEY", Bytes: der}
}
