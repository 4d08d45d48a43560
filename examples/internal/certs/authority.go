package certs

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
)

const (
	authorityName    = "ca"
	authorityLasts   = 10 * 365 * 24 * time.Hour
	certificateLasts = 90 * 24 * time.Hour
)

// An authority issues the certificates of one cluster's nodes. None with another name that x509 has rules for is believed,
// be it of another cluster, of a host, an IP address or a mailbox: the authority says so itself, in the constraints on
// names that whoever verifies a certificate of it keeps to. A common name has no such rule, and is nobody's.
type authority struct {
	cluster string
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
}

// openAuthority reads the authority of a folder. Where there is none it makes one.
func openAuthority(dir, cluster string) (*authority, error) {
	cert, certErr := readCertificate(filepath.Join(dir, authorityName+".crt"))
	key, keyErr := readPEM(filepath.Join(dir, authorityName+".key"))
	if errors.Is(certErr, fs.ErrNotExist) && errors.Is(keyErr, fs.ErrNotExist) {
		return newAuthority(dir, cluster)
	}
	if errors.Is(certErr, fs.ErrNotExist) {
		certErr = fmt.Errorf("%w, but ca.key is there: put the ca.crt of the nodes beside it, or remove it if there has never been one", certErr)
	}
	if err := cmp.Or(certErr, keyErr); err != nil { // a new one would be believed by nobody
		return nil, err
	}
	secret, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("ca.key: %w", err)
	}
	private, ok := secret.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("ca.crt and ca.key are no pair")
	}
	return &authority{cluster, cert, private}, nil
}

// newAuthority makes one that issues certificates to nodes of this cluster alone, and none to other authorities.
func newAuthority(dir, cluster string) (*authority, error) {
	t := template("authority of "+cluster, time.Now().Add(authorityLasts))
	t.BasicConstraintsValid, t.IsCA, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign
	t.PermittedURIDomains, t.PermittedDNSDomainsCritical = []string{cluster}, true // critical: all of the constraints
	t.ExcludedURIDomains = []string{"." + cluster}                                 // one that is named as if it were below
	t.ExcludedDNSDomains, t.ExcludedEmailAddresses = []string{""}, []string{""}    // all of them
	t.ExcludedIPRanges = []*net.IPNet{
		{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
	}
	der, key, err := create(t, nil)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &authority{cluster, cert, key}, writePair(dir, authorityName, der, key, false)
}

// issue writes a certificate by which its owner is this node, to those it calls and to those that call it. It is looked
// at as they will look at it: so nothing comes of an authority of another cluster, or one whose time is over.
func (a *authority) issue(dir string, id transport.NodeID, renew bool) error {
	t := template("node", earlier(time.Now().Add(certificateLasts), a.cert.NotAfter))
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	t.URIs = []*url.URL{identity.NodeURI(a.cluster, id)}
	der, key, err := create(t, a)
	if err != nil {
		return err
	}
	if err := a.verify(der); err != nil {
		return fmt.Errorf("the authority of this folder cannot issue that: %w", err)
	}
	return writePair(dir, string(id), der, key, renew)
}

func (a *authority) verify(der []byte) error {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	for _, usage := range leaf.ExtKeyUsage {
		if err := (identity.Credentials{Roots: roots}).Verify([]*x509.Certificate{leaf}, usage); err != nil {
			return err
		}
	}
	return nil
}

// template leaves an hour for clocks that are slow.
func template(name string, until time.Time) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// create signs a certificate with a new key, by an authority or by itself.
func create(t *x509.Certificate, by *authority) (der []byte, key *ecdsa.PrivateKey, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = &authority{cert: t, key: key}
	}
	der, err = x509.CreateCertificate(rand.Reader, t, by.cert, &key.PublicKey, by.key)
	return der, key, err
}

func writePair(dir, name string, cert []byte, key *ecdsa.PrivateKey, replace bool) error {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if err := Write(path+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), replace); err != nil {
		return err
	}
	return Write(path+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), replace)
}
