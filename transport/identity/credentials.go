package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// Credentials are what a node shows, and whom it believes.
type Credentials struct {
	Certificate *tls.Certificate // with its key, and what lies between it and the authority
	Roots       *x509.CertPool   // the cluster's authorities; those of the system are never used
}

var (
	errNoRoots       = errors.New("identity: no authorities")
	errNoCertificate = errors.New("identity: no certificate")
)

// Valid returns an error if there is nothing to show, or nobody to believe.
func (c Credentials) Valid() error {
	switch {
	case c.Certificate == nil || len(c.Certificate.Certificate) == 0:
		return errNoCertificate
	case c.Roots == nil:
		return errNoRoots
	}
	return nil
}

// Verify says whether a chain of certificates, which begins with that of the other side,
// leads to one of the authorities now, and is for the side that showed it. It asks for no
// certificate of this side. Its error is a *tls.CertificateVerificationError; of a chain of
// nothing it is [ErrUnverified], and without authorities that of Valid.
func (c Credentials) Verify(chain []*x509.Certificate, usage x509.ExtKeyUsage) error {
	switch {
	case c.Roots == nil: // which to x509 are those of the system
		return errNoRoots
	case len(chain) == 0:
		return ErrUnverified
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         c.Roots,
		Intermediates: between,
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}
