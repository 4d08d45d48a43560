package tcp

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

// An Authority issues certificates to the nodes of tests.
type Authority struct {
	t     testing.TB
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	Roots *x509.CertPool
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

func NewAuthority(t testing.TB) *Authority {
	a := &Authority{t: t, key: newKey(t), Roots: x509.NewCertPool()}
	c := template("authority")
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	a.cert = a.sign(c, c, a.key)
	a.Roots.AddCert(a.cert)
	return a
}

func (a *Authority) sign(c, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return cert
}

// Issue issues the certificate of a node. What it says may be changed before.
func (a *Authority) Issue(cluster string, id transport.NodeID, changes ...func(*x509.Certificate)) *tls.Certificate {
	c := template("node")
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c.URIs = []*url.URL{NodeURI(cluster, id)}
	for _, change := range changes {
		change(c)
	}
	key := newKey(a.t)
	cert := a.sign(c, a.cert, key)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// TLS returns what a node needs that the authority knows.
func (a *Authority) TLS(cluster string, id transport.NodeID, changes ...func(*x509.Certificate)) *TLS {
	return shows(a.Issue(cluster, id, changes...), a.Roots)
}

// shows returns the TLS of a node with fixed credentials.
func shows(c *tls.Certificate, roots *x509.CertPool) *TLS {
	return &TLS{Credentials: func() (Credentials, error) { return Credentials{Certificate: c, Roots: roots}, nil }}
}

// pemFile writes PEM blocks to a file of a folder, in place of what was there.
func pemFile(t testing.TB, dir, name string, blocks ...pem.Block) string {
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(&b)...)
	}
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path+".new", text, 0o600))
	require.NoError(t, os.Rename(path+".new", path))
	return path
}

func certBlock(der []byte) pem.Block { return pem.Block{Type: "CERTIFICATE", Bytes: der} }

func keyBlock(t testing.TB, c *tls.Certificate) pem.Block {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	require.NoError(t, err)
	return pem.Block{Type: "PRIVATE KEY", Bytes: der}
}
