package identity

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport/internal/authority"
)

// Nothing is no proof, and no authorities are nobody's: those of the system would be asked in their place.
func TestVerifyNeedsAChainAndAuthorities(t *testing.T) {
	ca := authority.New(t)
	trusted := filepath.Join(t.TempDir(), "system.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw})
	require.NoError(t, os.WriteFile(trusted, text, 0o600))
	t.Setenv("SSL_CERT_FILE", trusted) // believed by whoever asks the system, where it is looked at
	chain := []*x509.Certificate{ca.Issue("blue", "b").Leaf}

	for _, none := range [][]*x509.Certificate{nil, {}} {
		require.ErrorIs(t, Credentials{Roots: ca.Roots}.Verify(none, x509.ExtKeyUsageServerAuth), ErrUnverified)
	}
	require.ErrorIs(t, Credentials{}.Verify(chain, x509.ExtKeyUsageServerAuth), errNoRoots)
	require.ErrorIs(t, Credentials{}.Verify(nil, x509.ExtKeyUsageServerAuth), errNoRoots)
	require.NoError(t, Credentials{Roots: ca.Roots}.Verify(chain, x509.ExtKeyUsageServerAuth), "the control")
	err := Credentials{Roots: x509.NewCertPool()}.Verify(chain, x509.ExtKeyUsageServerAuth)
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	require.True(t, ok, err)
}
