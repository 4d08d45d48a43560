package tcp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
	"github.com/eventual-go/eventual/transport/internal/authority"
)

// A changing gives out credentials that change.
type changing struct {
	now atomic.Pointer[identity.Credentials]
}

func newChanging(cert *tls.Certificate, roots *x509.CertPool) *changing {
	c := new(changing)
	c.set(cert, roots)
	return c
}

func (c *changing) set(cert *tls.Certificate, roots *x509.CertPool) {
	c.now.Store(&identity.Credentials{Certificate: cert, Roots: roots})
}

// and returns the certificate with another one between it and the authority.
func (c *changing) and(between *x509.Certificate) *tls.Certificate {
	cert := *c.now.Load().Certificate
	cert.Certificate = append(slices.Clone(cert.Certificate), between.Raw)
	return &cert
}

func (c *changing) tls() *TLS {
	return &TLS{Recheck: time.Millisecond, Credentials: func() (identity.Credentials, error) { return *c.now.Load(), nil }}
}

// A node that gets another certificate is called, and calls, over new connections; no
// call fails for that, not even one that was under way.
func TestCertificateIsRenewed(t *testing.T) {
	ca := NewAuthority(t)
	for _, who := range []string{"caller", "server", "caller, what lies between", "server, what lies between"} {
		t.Run(who, func(t *testing.T) {
			credsA, credsB := newChanging(ca.Issue("", "a"), ca.Roots), newChanging(ca.Issue("", "b"), ca.Roots)
			a, b := &Transport{TLS: credsA.tls()}, &Transport{TLS: credsB.tls()}
			started, released := make(chan struct{}), make(chan struct{})
			release := sync.OnceFunc(func() { close(released) })
			node(t, a, b, transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
				if method == "wait" {
					close(started)
					<-released
				}
				return nil, nil
			}))
			defer release()
			long := make(chan error, 1)
			go func() {
				_, err := a.Call(context.Background(), "b", "wait", nil)
				long <- err
			}()
			<-started
			switch who {
			case "caller":
				credsA.set(ca.Issue("", "a"), ca.Roots)
			case "server":
				credsB.set(ca.Issue("", "b"), ca.Roots)
			case "caller, what lies between":
				credsA.set(credsA.and(ca.Cert), ca.Roots)
			default:
				credsB.set(credsB.and(ca.Cert), ca.Roots)
			}
			eventually(t, func() bool {
				_, err := a.Call(t.Context(), "b", "m", nil)
				require.NoError(t, err)
				return a.Stats().Dialed == 2
			})
			release()
			require.NoError(t, <-long)
			require.Zero(t, a.Stats().Distrusted+b.Stats().Distrusted)
		})
	}
}

// Who is allowed no more is not kept until its certificate ends: at the side that does
// not allow it, which says why.
func TestAllowIsAskedAgain(t *testing.T) {
	ca := NewAuthority(t)
	for _, who := range []string{"caller", "server"} {
		t.Run(who, func(t *testing.T) {
			var banned atomic.Value
			banned.Store(transport.NodeID("nobody"))
			guarded := func(id transport.NodeID) *TLS {
				s := ca.TLS("", id)
				s.Recheck = time.Millisecond
				s.Allow = func(leaf *x509.Certificate, cluster string, id transport.NodeID) error {
					if id == banned.Load() {
						return errors.New("banned")
					}
					return identity.Check(leaf, cluster, id)
				}
				return s
			}
			var toldA, toldB told
			a := &Transport{TLS: guarded("a"), Events: toldA.events()}
			b := &Transport{TLS: guarded("b"), Events: toldB.events()}
			node(t, a, b, transport.HandlerFunc(echo))
			_, err := a.Call(t.Context(), "b", "m", nil)
			require.NoError(t, err)
			at, told, other := a, &toldA, transport.NodeID("b")
			if who == "caller" {
				at, told, other = b, &toldB, "a"
			}
			banned.Store(other)
			eventually(t, func() bool { return at.Stats().Distrusted == 1 })
			require.Equal(t, ReasonName, told.reasons(t, 1)[0])
			require.Equal(t, other, told.all()[0].Err.Node)
			require.ErrorContains(t, told.all()[0].Err, "banned")
			banned.Store(transport.NodeID("nobody"))
			eventually(t, func() bool {
				_, err := a.Call(t.Context(), "b", "m", nil)
				return err == nil
			})
		})
	}
}

// When an authority is taken away, connections with nodes that it vouches for end, at
// the side that believes it no more, which says why.
func TestAuthorityIsTakenAway(t *testing.T) {
	ca, other := NewAuthority(t), NewAuthority(t)
	for _, who := range []string{"caller", "server"} {
		t.Run(who, func(t *testing.T) {
			credsA, credsB := newChanging(ca.Issue("", "a"), ca.Roots), newChanging(ca.Issue("", "b"), ca.Roots)
			var toldA, toldB told
			a := &Transport{TLS: credsA.tls(), Events: toldA.events()}
			b := &Transport{TLS: credsB.tls(), Events: toldB.events()}
			node(t, a, b, transport.HandlerFunc(echo))
			_, err := a.Call(t.Context(), "b", "m", nil)
			require.NoError(t, err)
			at, told := a, &toldA
			if who == "caller" {
				credsA.set(credsA.now.Load().Certificate, other.Roots)
			} else {
				credsB.set(credsB.now.Load().Certificate, other.Roots)
				at, told = b, &toldB
			}
			eventually(t, func() bool { return at.Stats().Distrusted == 1 })
			require.Equal(t, ReasonUntrusted, told.reasons(t, 1)[0])
			eventually(t, func() bool {
				_, err = a.Call(t.Context(), "b", "m", nil)
				e, ok := errors.AsType[*HandshakeError](err)
				return ok && e.Reason == ReasonUntrusted
			})
			// Both are believed while authorities change.
			both := other.Roots.Clone()
			both.AddCert(ca.Cert)
			credsA.set(credsA.now.Load().Certificate, both)
			credsB.set(credsB.now.Load().Certificate, both)
			eventually(t, func() bool {
				_, err := a.Call(t.Context(), "b", "m", nil)
				return err == nil
			})
		})
	}
}

// A connection does not outlive the certificate of the other side, to the millisecond,
// however seldom it is checked.
func TestConnectionEndsWithCertificate(t *testing.T) {
	for name, c := range map[string]struct{ a, b time.Duration }{
		"caller's": {time.Hour, 2 * time.Hour},
		"server's": {2 * time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := NewAuthority(t)
				lasts := func(id transport.NodeID, d time.Duration) *Transport {
					security := ca.TLS("", id, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(d) })
					security.Recheck = 24 * time.Hour
					return &Transport{Self: id, TLS: security, IdleTimeout: 24 * time.Hour, HandshakeTimeout: time.Minute}
				}
				ca.Roots = x509.NewCertPool()
				ca.Cert.NotAfter = time.Now().Add(24 * time.Hour)
				ca.Roots.AddCert(ca.Cert)
				a, b := lasts("a", c.a), lasts("b", c.b)
				begin := time.Now()
				near, far := net.Pipe()
				var group sync.WaitGroup
				group.Go(func() {
					met, err := b.welcome(far, func(transport.NodeID) bool { return true })
					require.NoError(t, err)
					s := newServer(met.line, "a", met.own.limits, met.other.limits, transport.HandlerFunc(echo), new(counters))
					s.trust = met.trust
					s.trust.tell(b, far, "a", false)
					s.run()
				})
				met, err := a.reach(near, "b")
				require.NoError(t, err)
				client := newClient(met.line, met.own.limits, met.other.limits, new(counters))
				client.trust = met.trust
				client.trust.tell(a, near, "b", true)
				group.Go(client.run)
				_, err = client.call(t.Context(), "m", nil)
				require.NoError(t, err)
				<-client.dead
				require.Less(t, time.Since(begin)-time.Hour, 2*time.Second) // certificates have whole seconds
				require.Greater(t, time.Since(begin), time.Hour-2*time.Second)
				group.Wait()
				require.Equal(t, uint64(1), a.stats.distrusted.Load()+b.stats.distrusted.Load())
			})
		})
	}
}

// What fails to load changes nothing, but time goes on.
func TestRecheckWithoutCredentials(t *testing.T) {
	ca := NewAuthority(t)
	cert := ca.Issue("", "b")
	w := &trust{
		tls:   &TLS{Credentials: func() (identity.Credentials, error) { return identity.Credentials{}, errors.New("not now") }},
		chain: []*x509.Certificate{cert.Leaf},
		usage: x509.ExtKeyUsageServerAuth,
		creds: identity.Credentials{Certificate: cert, Roots: ca.Roots},
		node:  "b",
	}
	stale, err := w.check()
	require.NoError(t, err)
	require.False(t, stale)
	require.Equal(t, time.Minute, w.next(time.Now()))
	require.Equal(t, time.Millisecond, w.next(cert.Leaf.NotAfter.Add(time.Hour)))
	w.chain = []*x509.Certificate{ca.Issue("", "b", expired).Leaf}
	_, err = w.check()
	require.Equal(t, ReasonExpired, reasonOf(err))
}

// A node's certificate is replaced in its files while it serves: who connects next sees
// the new one.
func TestFilesOfRunningNode(t *testing.T) {
	ca := NewAuthority(t)
	dir := t.TempDir()
	write := func(c *tls.Certificate) {
		authority.WriteFile(t, dir, "key", authority.KeyBlock(t, c))
		authority.WriteFile(t, dir, "cert", authority.CertBlock(c.Certificate[0]))
	}
	old, renewed := ca.Issue("", "b"), ca.Issue("", "b")
	write(old)
	files := &identity.Files{Cert: dir + "/cert", Key: dir + "/key", Every: 1,
		CA: authority.WriteFile(t, dir, "ca", authority.CertBlock(ca.Cert.Raw))}
	a := &Transport{TLS: ca.TLS("", "a")}
	b := &Transport{TLS: &TLS{Credentials: files.Credentials, Recheck: time.Millisecond}}
	node(t, a, b, transport.HandlerFunc(echo))
	serial := func() string {
		p, err := a.peer("b")
		require.NoError(t, err)
		c, err := p.get(t.Context())
		require.NoError(t, err)
		return c.trust.chain[0].SerialNumber.String()
	}
	require.Equal(t, old.Leaf.SerialNumber.String(), serial())
	write(renewed)
	eventually(t, func() bool { return serial() == renewed.Leaf.SerialNumber.String() })
	_, err := a.Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)
}
