package identity

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport/internal/authority"
)

// A changing gives out credentials that change.
type changing struct{ now atomic.Pointer[Credentials] }

func gives(cert *tls.Certificate, roots *x509.CertPool) *changing {
	c := new(changing)
	c.set(cert, roots)
	return c
}

func (c *changing) set(cert *tls.Certificate, roots *x509.CertPool) {
	c.now.Store(&Credentials{Certificate: cert, Roots: roots})
}

func (c *changing) credentials() (Credentials, error) { return *c.now.Load(), nil }

// serveHTTP serves nodes of the cluster "blue", and tells each who it is. It returns its
// address.
func serveHTTP(t *testing.T, credentials func() (Credentials, error)) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &http.Server{
		ErrorLog:  log.New(io.Discard, "", 0),
		TLSConfig: Server("blue", credentials),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := Peer(r.TLS, "blue")
			fmt.Fprint(w, id, " ", err, " ", r.Proto)
		}),
	}
	done := make(chan error, 1)
	go func() { done <- s.ServeTLS(ln, "", "") }()
	t.Cleanup(func() {
		s.Close()
		assert.Equal(t, http.ErrServerClosed, <-done)
	})
	return "https://" + ln.Addr().String()
}

// get makes one request over a connection of its own. It returns what the server said,
// and which certificate it showed.
func get(url string, config *tls.Config) (said string, shown *x509.Certificate, err error) {
	t := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer t.CloseIdleConnections()
	resp, err := (&http.Client{Transport: t}).Get(url)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), resp.TLS.PeerCertificates[0], err
}

// Nodes of a cluster find each other by HTTP, and know who is who.
func TestNodesOfOneCluster(t *testing.T) {
	ca := authority.New(t)
	url := serveHTTP(t, gives(ca.Issue("blue", "b"), ca.Roots).credentials)
	said, shown, err := get(url, Client("blue", gives(ca.Issue("blue", "a"), ca.Roots).credentials))
	require.NoError(t, err)
	require.Equal(t, "a <nil> HTTP/2.0", said)
	require.NoError(t, Check(shown, "blue", "b"))
	require.Error(t, Check(shown, "blue", "a"))
}

// refusal returns what a server says, by TLS, to who connects with a config.
func refusal(t *testing.T, url string, config *tls.Config) string {
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), config)
	if err == nil { // TLS 1.3 tells late
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		_, err = conn.Read(make([]byte, 1))
	}
	require.Error(t, err)
	says, ok := strings.CutPrefix(err.Error(), "remote error: tls: ")
	require.True(t, ok, err)
	return says
}

// Callers that are not of the cluster are refused, and learn why as far as TLS has words
// for it.
func TestServerRefuses(t *testing.T) {
	ca := authority.New(t)
	other := authority.New(t)
	third := authority.New(t, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "third"} })
	url := serveHTTP(t, gives(ca.Issue("blue", "b"), ca.Roots).credentials)
	for name, c := range map[string]struct {
		cert *tls.Certificate
		says string
	}{
		"another cluster's":             {ca.Issue("green", "a"), "bad certificate"},
		"nobody's":                      {ca.Issue("blue", "a", func(c *x509.Certificate) { c.URIs = nil }), "bad certificate"},
		"wrong authority":               {other.Issue("blue", "a"), "unknown certificate authority"},
		"wrong authority, another name": {third.Issue("blue", "a"), "unknown certificate authority"},
		"not for clients": {ca.Issue("blue", "a", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
			"bad certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.says, refusal(t, url, Client("blue", gives(c.cert, ca.Roots).credentials)))
		})
	}
	t.Run("none", func(t *testing.T) {
		config := Client("blue", gives(ca.Issue("blue", "a"), ca.Roots).credentials)
		config.GetClientCertificate = nil
		require.Equal(t, "certificate required", refusal(t, url, config))
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		config := Client("blue", gives(ca.Issue("blue", "a"), ca.Roots).credentials)
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		require.Equal(t, "protocol version not supported", refusal(t, url, config))
	})
	_, _, err := get(url, Client("blue", gives(ca.Issue("blue", "a"), ca.Roots).credentials))
	require.NoError(t, err, "and who is of the cluster is served")
}

// Servers that are not of the cluster are not talked to.
func TestClientRefuses(t *testing.T) {
	ca := authority.New(t)
	mine := Client("blue", gives(ca.Issue("blue", "a"), ca.Roots).credentials)
	for name, cert := range map[string]*tls.Certificate{
		"another cluster's": ca.Issue("green", "b"),
		"nobody's":          ca.Issue("blue", "b", func(c *x509.Certificate) { c.URIs, c.DNSNames = nil, []string{"localhost"} }),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := get(serveHTTP(t, gives(cert, ca.Roots).credentials), mine)
			e, ok := errors.AsType[*NameError](err)
			require.True(t, ok, err)
			require.Equal(t, name == "another cluster's", e.Elsewhere)
		})
	}
	t.Run("wrong authority", func(t *testing.T) {
		_, _, err := get(serveHTTP(t, gives(authority.New(t).Issue("blue", "b"), ca.Roots).credentials), mine)
		_, ok := errors.AsType[x509.UnknownAuthorityError](err)
		require.True(t, ok, err)
	})
	t.Run("not for servers", func(t *testing.T) {
		cert := ca.Issue("blue", "b", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
		_, _, err := get(serveHTTP(t, gives(cert, ca.Roots).credentials), mine)
		_, ok := errors.AsType[*tls.CertificateVerificationError](err)
		require.True(t, ok, err)
	})
}

// Credentials that are replaced hold from the next handshake on, at either side.
func TestReplacedCredentialsAreFollowed(t *testing.T) {
	ca, next := authority.New(t), authority.New(t)
	atA, atB := gives(ca.Issue("blue", "a"), ca.Roots), gives(ca.Issue("blue", "b"), ca.Roots)
	url, config := serveHTTP(t, atB.credentials), Client("blue", atA.credentials)
	_, _, err := get(url, config)
	require.NoError(t, err)
	both := ca.Roots.Clone()
	both.AddCert(next.Cert)
	for range 2 { // the authority at one side, then at the other
		atA.set(atA.now.Load().Certificate, both)
		atB.set(atB.now.Load().Certificate, both)
		_, _, err = get(url, config)
		require.NoError(t, err)
	}
	renewed := next.Issue("blue", "b")
	atB.set(renewed, both)
	_, shown, err := get(url, config)
	require.NoError(t, err)
	require.Equal(t, renewed.Leaf.SerialNumber, shown.SerialNumber)
	atA.set(next.Issue("blue", "c"), next.Roots)
	said, _, err := get(url, config)
	require.NoError(t, err)
	require.Equal(t, "c <nil> HTTP/2.0", said)
	atB.set(ca.Issue("blue", "b"), both) // of the authority that is believed no more
	_, _, err = get(url, config)
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	require.True(t, ok, err)
	atB.set(renewed, ca.Roots)
	require.Equal(t, "unknown certificate authority", refusal(t, url, config))
}

// Credentials that cannot be had fail handshakes, and nothing is used in their place.
func TestNoCredentials(t *testing.T) {
	lost := errors.New("vault is sealed")
	ca := authority.New(t)
	cert := ca.Issue("blue", "b")
	good := gives(cert, ca.Roots).credentials
	for name, give := range map[string]func() (Credentials, error){
		"error":          func() (Credentials, error) { return Credentials{Certificate: cert, Roots: ca.Roots}, lost },
		"no certificate": gives(nil, ca.Roots).credentials,
		"no authorities": gives(cert, nil).credentials,
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, "internal error", refusal(t, serveHTTP(t, give), Client("blue", good)))
			_, _, err := get(serveHTTP(t, good), Client("blue", give))
			require.Error(t, err)
			if name == "error" {
				require.ErrorIs(t, err, lost)
			}
		})
	}
}
