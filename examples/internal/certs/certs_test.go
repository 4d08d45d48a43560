package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/examples/internal/certs"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
)

func run(args ...string) error {
	_, err := certs.Run(io.Discard, "kv", args)
	return err
}

// files are the names in a folder and all below it, with what is in each.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			all[strings.TrimPrefix(path, dir+"/")] = string(text)
			return err
		}
		return err
	}))
	return all
}

var badNames = []string{
	"", "ca", ".", "..", "../x", "a/b", `a\b`, "a%2Fb", "a b", "a\nb", "a\x00", "-a", ".a", "_a", "A", "CA", "Ca", "ä", "a\xff",
	strings.Repeat("a", 64), strings.Repeat("a", transport.MaxName+1),
}

func TestNames(t *testing.T) {
	for _, name := range badNames {
		require.ErrorIs(t, certs.CheckName(transport.NodeID(name)), certs.ErrName, "%q", name)
	}
	for _, name := range []string{"a", "a1", "7", "paris.eu-west_1", "ca.crt", "cat", "c", "a..b", strings.Repeat("a", 63)} {
		require.NoError(t, certs.CheckName(transport.NodeID(name)), "%q", name)
	}
	require.Less(t, len(certs.CheckName(transport.NodeID(strings.Repeat("a", 1<<20))).Error()), 1000)
}

// A name never leads out of the folder, nor to the authority's files; and where one of several names is bad nothing is
// written at all.
func TestBadNamesWriteNothing(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "certs")
	for _, name := range badNames {
		require.ErrorIs(t, run(dir, "a", name), certs.ErrName, "%q", name)
		require.Empty(t, files(t, above), "%q", name)
	}
	require.Error(t, run(dir, "a", "b", "a"), "twice")
	require.Empty(t, files(t, above))

	require.NoError(t, run(dir, "a"))
	before := files(t, above)
	require.Len(t, before, 4)
	for _, name := range badNames {
		require.ErrorIs(t, run(dir, name), certs.ErrName, "%q", name)
		require.ErrorIs(t, run("-renew", dir, name), certs.ErrName, "%q", name)
		require.Equal(t, before, files(t, above), "%q", name)
	}
}

func TestNothingIsReplacedUnasked(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(dir, "a"))
	before := files(t, dir)
	require.ErrorContains(t, run(dir, "b", "a"), "a.crt is there already; -renew")
	require.Equal(t, before, files(t, dir), "b is not made either")
	require.NoError(t, os.Rename(filepath.Join(dir, "a.crt"), filepath.Join(dir, "kept")))
	require.ErrorContains(t, run(dir, "a"), "a.key is there already")
	require.ErrorContains(t, run("-renew", dir, "a"), "a.key is there already")
	require.NoError(t, os.Rename(filepath.Join(dir, "kept"), filepath.Join(dir, "a.crt")))
	require.Equal(t, before, files(t, dir))

	require.ErrorContains(t, run("-renew", dir, "a", "b"), "nothing to renew")
	require.Equal(t, before, files(t, dir), "a is not renewed either")
	require.NoError(t, run("-renew", dir, "a"))
	after := files(t, dir)
	for _, name := range []string{"ca.crt", "ca.key"} {
		require.Equal(t, before[name], after[name])
	}
	for _, name := range []string{"a.crt", "a.key"} {
		require.NotEqual(t, before[name], after[name])
	}
	require.Len(t, after, 4, "nothing is left over")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.crt"), []byte(after["a.crt"]), 0o600))
	var wrong *identity.NameError
	require.ErrorAs(t, run("-renew", dir, "b"), &wrong)
}

// A run that was killed between a key and its certificate says what to remove, and then all goes on.
func TestWhatWasCutShortIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(dir, "a", "b"))
	remove := func(name string) { require.NoError(t, os.Remove(filepath.Join(dir, name))) }
	remove("b.crt")
	left := files(t, dir)
	for _, args := range [][]string{{dir, "b"}, {"-renew", dir, "b"}, {"-renew", dir, "a", "b"}} {
		require.ErrorContains(t, run(args...), filepath.Join(dir, "b.key")+" is there already, without b.crt")
		require.ErrorContains(t, run(args...), "remove it")
		require.Equal(t, left, files(t, dir))
	}
	remove("b.key")
	require.NoError(t, run(dir, "b"))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.crt"), nil, 0o600)) // cut short itself
	require.ErrorContains(t, run("-renew", dir, "b"), "remove what there is of b.crt and .key")
	remove("b.crt")
	remove("b.key")
	require.NoError(t, run(dir, "b"))

	remove("ca.crt")
	require.ErrorContains(t, run(dir, "c"), "ca.key is there: put the ca.crt of the nodes beside it, or remove it")
	remove("ca.key")
	require.NoError(t, run(dir, "c"))
}

func TestAnAuthorityThatIsNotWholeIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(dir, "a"))
	whole := files(t, dir)
	for file, text := range map[string]string{"ca.key": whole["a.key"], "ca.crt": whole["a.crt"]} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
		require.ErrorContains(t, run(dir, "b"), "no pair")
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte("nonsense"), 0o600))
		require.ErrorContains(t, run(dir, "b"), "no PEM")
		require.NoError(t, os.Remove(filepath.Join(dir, file)))
		require.ErrorContains(t, run(dir, "b"), file)
		require.NotContains(t, files(t, dir), file, "one that nobody believes is of no use")
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(whole[file]), 0o600))
	}
	require.Equal(t, whole, files(t, dir))
	require.NoError(t, run(dir, "b"))
}

// A file of another mode, or a link, that somebody has put where a key is going to be does not have it, nor does one that a
// run that was killed has left.
func TestKeysAreTheirOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	plant := func(names ...string) {
		for _, name := range names {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
			require.NoError(t, os.Chmod(filepath.Join(dir, name), 0o666))
		}
	}
	plant("ca.key.new", "a.key.new", "a.crt.new")
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, "b.key")))
	require.ErrorContains(t, run(dir, "b"), "is there already")
	require.NoError(t, run(dir, "a"))
	require.NoError(t, run("-renew", dir, "a"))
	require.NoFileExists(t, elsewhere)
	for _, name := range []string{"ca.key", "a.key", "ca.crt", "a.crt"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), name)
		require.NotZero(t, info.Size())
	}
}

func certificate(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(files(t, dir)[name+".crt"]))
	require.NotNil(t, block)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return cert
}

// What the authority may issue says its own certificate: those of nodes of its cluster, and no authorities. Go keeps to it.
func TestAnAuthorityIsOfItsClusterAlone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(dir, "a"))
	ca, a := certificate(t, dir, "ca"), certificate(t, dir, "a")
	require.True(t, ca.IsCA && ca.BasicConstraintsValid && ca.MaxPathLenZero)
	require.Equal(t, x509.KeyUsageCertSign, ca.KeyUsage)
	require.True(t, ca.PermittedDNSDomainsCritical)
	require.Equal(t, x509.KeyUsageDigitalSignature, a.KeyUsage)
	require.ElementsMatch(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, a.ExtKeyUsage)
	require.False(t, a.IsCA)
	require.False(t, a.NotAfter.After(ca.NotAfter))

	block, _ := pem.Decode([]byte(files(t, dir)["ca.key"]))
	secret, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	sign := func(t *testing.T, leaf x509.Certificate, by *x509.Certificate, with any) *x509.Certificate {
		leaf.SerialNumber, leaf.NotBefore, leaf.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, &leaf, by, &key.PublicKey, with)
		require.NoError(t, err)
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return cert
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	verify := func(leaf *x509.Certificate, between ...*x509.Certificate) error {
		opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		for _, c := range between {
			opts.Intermediates.AddCert(c)
		}
		_, err := leaf.Verify(opts)
		return err
	}
	ours := x509.Certificate{URIs: []*url.URL{identity.NodeURI("kv", "b")}}
	require.NoError(t, verify(a))
	require.NoError(t, verify(sign(t, ours, ca, secret)), "the control: what it may issue by hand is believed")
	for name, leaf := range map[string]x509.Certificate{
		"another cluster":        {URIs: []*url.URL{identity.NodeURI("other", "a")}},
		"one that is named like": {URIs: []*url.URL{identity.NodeURI("xkv", "a")}},
		"this and another":       {URIs: []*url.URL{identity.NodeURI("kv", "a"), identity.NodeURI("other", "a")}},
		"one that is below":      {URIs: []*url.URL{identity.NodeURI("sub.kv", "a")}},
		"a host":                 {DNSNames: []string{"example.com"}},
		"an address":             {IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}},
		"one of IPv6":            {IPAddresses: []net.IP{net.ParseIP("2001:db8::1")}},
		"a mailbox":              {EmailAddresses: []string{"root@example.com"}},
	} {
		require.Error(t, verify(sign(t, leaf, ca, secret)), name)
	}
	sub := sign(t, x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, ca, secret)
	require.Error(t, verify(sign(t, ours, sub, key), sub), "an authority below it")
}

// Certificates that nobody would believe are not written.
func TestAnAuthorityOfAnotherClusterIssuesNothing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(dir, "a"))
	before := files(t, dir)
	_, err := certs.Run(io.Discard, "zones", []string{dir, "b"})
	require.ErrorContains(t, err, "cannot issue that")
	require.Equal(t, before, files(t, dir))
}

func TestFilesAreThoseOfANode(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(dir, "a", "b"))
	for _, id := range []transport.NodeID{"a", "b"} {
		c, err := certs.Files(dir, id).Credentials()
		require.NoError(t, err)
		require.Equal(t, []*url.URL{identity.NodeURI("kv", id)}, c.Certificate.Leaf.URIs)
	}
	_, err := certs.Files(dir, "c").Credentials()
	require.Error(t, err)
}

// What cannot be used is said once: by the error at first, and later by onError.
func TestFilesThatCannotBeUsedAreToldOnce(t *testing.T) {
	dir := t.TempDir()
	var told []error
	tell := func(err error) { told = append(told, err) }
	_, err := certs.Open(dir, "a", tell)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Empty(t, told)

	require.NoError(t, run(dir, "a"))
	f, err := certs.Open(dir, "a", tell)
	require.NoError(t, err)
	f.Every = time.Nanosecond
	before, err := f.Credentials()
	require.NoError(t, err)
	require.Empty(t, told)
	require.NoError(t, os.Remove(filepath.Join(dir, "a.key")))
	after, err := f.Credentials()
	require.NoError(t, err)
	require.Equal(t, before.Certificate, after.Certificate)
	require.Len(t, told, 1)
}

func TestArguments(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{}, {dir}, {"-renew", dir}, {"-nonsense", dir, "a"}} {
		require.Error(t, run(args...), "%v", args)
	}
	require.Empty(t, files(t, dir))
}
