package main

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
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
)

const (
	authorityLasts   = 10 * 365 * 24 * time.Hour
	certificateLasts = 90 * 24 * time.Hour
)

// runCerts is the subcommand: kv certs DIR NAME... issues a certificate to each of the
// replicas, from the authority whose key is in the folder, which is made if there is none.
func runCerts(out io.Writer, args []string) error {
	if len(args) < 2 {
		return errors.New("certs needs a folder and the names of replicas")
	}
	dir, ids := args[0], args[1:]
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	a, err := openAuthority(dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := a.issue(dir, transport.NodeID(id)); err != nil {
			return fmt.Errorf("%q: %w", id, err)
		}
	}
	fmt.Fprintf(out, "A replica needs ca.crt and its own .crt and .key out of %s, for -tls.\nKeep ca.key from all of them: who has it can be any replica.\n", dir)
	return nil
}

// An authority issues the certificates of one cluster.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func openAuthority(dir string) (*authority, error) {
	cert, certErr := readPEM(filepath.Join(dir, "ca.crt"))
	key, keyErr := readPEM(filepath.Join(dir, "ca.key"))
	if errors.Is(certErr, fs.ErrNotExist) && errors.Is(keyErr, fs.ErrNotExist) {
		return newAuthority(dir)
	}
	if err := cmp.Or(certErr, keyErr); err != nil { // a new one would be believed by nobody
		return nil, err
	}
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, fmt.Errorf("ca.crt: %w", err)
	}
	secret, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("ca.key: %w", err)
	}
	private, ok := secret.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(parsed.PublicKey) {
		return nil, errors.New("ca.crt and ca.key are no pair")
	}
	return &authority{parsed, private}, nil
}

func newAuthority(dir string) (*authority, error) {
	t := template("authority of "+clusterName, authorityLasts)
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	der, key, err := create(t, nil)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert, key}, writePair(dir, "ca", der, key)
}

// issue writes a certificate by which its owner is this replica, to those it calls and to
// those that call it.
func (a *authority) issue(dir string, id transport.NodeID) error {
	if id == "" || len(id) > transport.MaxName {
		return fmt.Errorf("a name has 1 to %d bytes", transport.MaxName)
	}
	t := template("replica", certificateLasts)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	t.URIs = []*url.URL{identity.NodeURI(clusterName, id)}
	der, key, err := create(t, a)
	if err != nil {
		return err
	}
	return writePair(dir, fileOf(id), der, key)
}

// template leaves an hour for clocks that are slow.
func template(name string, lasts time.Duration) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lasts)}
}

// create signs a certificate with a new key, by an authority or by itself.
func create(t *x509.Certificate, by *authority) (der []byte, key *ecdsa.PrivateKey, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = &authority{t, key}
	}
	der, err = x509.CreateCertificate(rand.Reader, t, by.cert, &key.PublicKey, by.key)
	return der, key, err
}

func writePair(dir, name string, cert []byte, key *ecdsa.PrivateKey) error {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	return errors.Join(
		writePEM(path+".key", &pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		writePEM(path+".crt", &pem.Block{Type: "CERTIFICATE", Bytes: cert}),
	)
}

// writePEM puts a file in the place of another in one step: replicas may be reading it.
func writePEM(path string, b *pem.Block) error {
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(b), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readPEM(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b, _ := pem.Decode(text)
	if b == nil {
		return nil, fmt.Errorf("%s: no PEM", path)
	}
	return b.Bytes, nil
}
