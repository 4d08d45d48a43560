package tcp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A told collects what a transport tells.
type told struct {
	mu       sync.Mutex
	refusals []Refusal
}

func (e *told) events() Events {
	return Events{OnRefused: func(r Refusal) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.refusals = append(e.refusals, r)
	}}
}

func (e *told) all() []Refusal {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Refusal(nil), e.refusals...)
}

// reasons waits until n refusals were told, and returns their reasons.
func (e *told) reasons(t *testing.T, n int) (reasons []Reason) {
	t.Helper()
	eventually(t, func() bool { return len(e.all()) >= n })
	for _, r := range e.all() {
		reasons = append(reasons, r.Err.Reason)
	}
	return reasons
}

// secure is the node "b" of a cluster "blue", and an honest node "a", which calls it all
// the while.
type secure struct {
	*testing.T
	ca     *Authority
	b      *Transport
	addr   string
	told   told
	honest *honest
}

func newSecure(t *testing.T, configure func(b *Transport)) *secure {
	s := &secure{T: t, ca: NewAuthority(t)}
	a := &Transport{Cluster: "blue", TLS: s.ca.TLS("blue", "a")}
	s.b = &Transport{Cluster: "blue", TLS: s.ca.TLS("blue", "b"), Events: s.told.events()}
	if configure != nil {
		configure(s.b)
	}
	if s.b.Plain {
		a.TLS, a.Plain = nil, true
	}
	node(t, a, s.b, transport.HandlerFunc(echo))
	s.addr = a.Peers["b"]
	s.honest = serveHonest(t, a)
	return s
}

// An honest caller must not notice what others do.
type honest struct {
	calls int
	end   func()
}

// serveHonest has a call "b" again and again until the test ends.
func serveHonest(t *testing.T, a *Transport) *honest {
	ctx, cancel := context.WithCancel(context.Background())
	h := &honest{calls: 1}
	done := make(chan struct{})
	_, err := a.Call(ctx, "b", "m", []byte("honest"))
	require.NoError(t, err)
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond) // not to keep a processor from the rest of the test
		defer tick.Stop()
		for ctx.Err() == nil {
			resp, err := a.Call(ctx, "b", "m", []byte("honest"))
			if err == context.Canceled {
				return
			}
			if !assert.NoError(t, err) || !assert.Equal(t, "honest", string(resp)) {
				return
			}
			h.calls++
			<-tick.C
		}
	}()
	h.end = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(h.end)
	return h
}

// caller returns a node that calls b.
func (s *secure) caller(id transport.NodeID, cluster string, security *TLS) (*Transport, *told) {
	e := new(told)
	c := &Transport{Self: id, Cluster: cluster, TLS: security, Plain: security == nil, Events: e.events(),
		Peers: map[transport.NodeID]string{"b": s.addr}}
	s.Cleanup(func() { c.Close() })
	return c, e
}

// refused makes a call that must fail in the handshake.
func refused(t *testing.T, c *Transport) *HandshakeError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := c.Call(ctx, "b", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	e, ok := errors.AsType[*HandshakeError](err)
	require.True(t, ok, err)
	t.Log(err)
	return e
}

func expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
func notYet(c *x509.Certificate)  { c.NotBefore = time.Now().Add(time.Minute) }
func unnamed(c *x509.Certificate) { c.URIs, c.DNSNames = nil, []string{"a", "b", "x"} }
func noUsage(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }

// A node that dials with what it should not have is refused, and both sides say why.
func TestTrap32_CallersAreWhoTheirCertificatesSay(t *testing.T) {
	for name, c := range map[string]struct {
		cluster   string // that it says that it is of; blue if empty
		security  func(s *secure) *TLS
		dials     Reason // what it learns
		accepts   Reason // what b tells
		remote    bool   // it was refused by b
		remoteAtB bool   // b was refused by it
	}{
		"wrong authority": {security: func(s *secure) *TLS { return shows(NewAuthority(t).Issue("blue", "x"), s.ca.Roots) },
			dials: ReasonUntrusted, accepts: ReasonUntrusted, remote: true},
		"wrong authority of another name": {security: func(s *secure) *TLS {
			return shows(NewAuthority(t, func(c *x509.Certificate) { c.Subject.CommonName = "other" }).Issue("blue", "x"), s.ca.Roots)
		},
			dials: ReasonUntrusted, accepts: ReasonUntrusted, remote: true},
		"another node's": {security: func(s *secure) *TLS { return s.ca.TLS("blue", "a") },
			dials: ReasonName, accepts: ReasonName, remote: true},
		"nobody's": {security: func(s *secure) *TLS { return s.ca.TLS("blue", "x", unnamed) },
			dials: ReasonName, accepts: ReasonName, remote: true},
		"expired": {security: func(s *secure) *TLS { return s.ca.TLS("blue", "x", expired) },
			dials: ReasonExpired, accepts: ReasonExpired, remote: true},
		"not yet valid": {security: func(s *secure) *TLS { return s.ca.TLS("blue", "x", notYet) },
			dials: ReasonExpired, accepts: ReasonExpired, remote: true},
		"for another purpose": {security: func(s *secure) *TLS { return s.ca.TLS("blue", "x", noUsage) },
			dials: ReasonCertificate, accepts: ReasonCertificate, remote: true},
		"of another cluster, and says so": {cluster: "green", security: func(s *secure) *TLS { return anybody(s.ca.TLS("green", "x")) },
			dials: ReasonCluster, accepts: ReasonCluster},
		"of another cluster, and says it is of this": {security: func(s *secure) *TLS { return s.ca.TLS("green", "x") },
			dials: ReasonCluster, accepts: ReasonCluster, remote: true},
		"of this cluster, and says it is of another": {cluster: "green", security: func(s *secure) *TLS { return anybody(s.ca.TLS("blue", "x")) },
			dials: ReasonCluster, accepts: ReasonCluster},
		"does not believe b": {security: func(s *secure) *TLS { return shows(s.ca.Issue("blue", "x"), NewAuthority(t).Roots) },
			dials: ReasonUntrusted, accepts: ReasonCertificate, remoteAtB: true},
		"looks for b in another cluster": {cluster: "green", security: func(s *secure) *TLS { return s.ca.TLS("green", "x") },
			dials: ReasonCluster, accepts: ReasonCertificate, remoteAtB: true},
		"without TLS": {security: func(*secure) *TLS { return nil },
			dials: ReasonPlain, accepts: ReasonPlain},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecure(t, nil)
			x, told := s.caller("x", "blue", c.security(s))
			if c.cluster != "" {
				x.Cluster = c.cluster
			}
			e := refused(t, x)
			require.Equal(t, c.dials, e.Reason)
			require.Equal(t, c.remote, e.Remote)
			require.Equal(t, s.addr, e.Addr)
			require.Equal(t, transport.NodeID("b"), e.Node)
			require.Equal(t, []Reason{c.dials}, told.reasons(t, 1))
			require.True(t, told.all()[0].Dialled)

			require.Equal(t, []Reason{c.accepts}, s.told.reasons(t, 1))
			at := s.told.all()[0]
			require.False(t, at.Dialled)
			require.Equal(t, c.remoteAtB, at.Err.Remote)
			require.Equal(t, uint64(1), s.b.Stats().Refused)
			require.Equal(t, uint64(1), s.b.Stats().Accepted, "the honest node")
			require.Zero(t, x.Stats().Dialed)
		})
	}
}

// anybody makes a node that believes every certificate of the authority.
func anybody(t *TLS) *TLS {
	t.Allow = func(*x509.Certificate, string, transport.NodeID) error { return nil }
	return t
}

// A node is not taken for another because of what it serves with.
func TestTrap32_ServersAreWhoTheirCertificatesSay(t *testing.T) {
	ca := NewAuthority(t)
	for name, c := range map[string]struct {
		serves *TLS
		dials  Reason
	}{
		"wrong authority": {shows(NewAuthority(t).Issue("blue", "b"), ca.Roots), ReasonUntrusted},
		"wrong authority of another name": {shows(NewAuthority(t, func(c *x509.Certificate) { c.Subject.CommonName = "other" }).Issue("blue", "b"), ca.Roots),
			ReasonUntrusted},
		"another node's":      {ca.TLS("blue", "x"), ReasonName},
		"nobody's":            {ca.TLS("blue", "b", unnamed), ReasonName},
		"another cluster's":   {ca.TLS("green", "b"), ReasonCluster},
		"expired":             {ca.TLS("blue", "b", expired), ReasonExpired},
		"not yet valid":       {ca.TLS("blue", "b", notYet), ReasonExpired},
		"for another purpose": {ca.TLS("blue", "b", noUsage), ReasonCertificate},
		"none":                {nil, ReasonPlain},
	} {
		t.Run(name, func(t *testing.T) {
			a := &Transport{Cluster: "blue", TLS: ca.TLS("blue", "a")}
			b := &Transport{Cluster: "blue", TLS: c.serves, Plain: c.serves == nil}
			var told told
			b.Events = told.events()
			node(t, a, b, transport.HandlerFunc(echo))
			require.Equal(t, c.dials, refused(t, a).Reason)
			want := ReasonCertificate
			if c.serves == nil {
				want = ReasonPlain
			}
			require.Equal(t, []Reason{want}, told.reasons(t, 1))
			require.Zero(t, b.Stats().Accepted)
		})
	}
}

// What other programs do that speak TLS.
func TestForeignTLSIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(config *tls.Config)
		reason Reason
	}{
		"no certificate":   {func(c *tls.Config) { c.Certificates = nil }, ReasonNoCertificate},
		"TLS 1.2":          {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, ReasonTLS},
		"no protocol":      {func(c *tls.Config) { c.NextProtos = nil }, ReasonTLS},
		"another protocol": {func(c *tls.Config) { c.NextProtos = []string{"h2"} }, ReasonTLS},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecure(t, nil)
			config := &tls.Config{
				Certificates:       []tls.Certificate{*s.ca.Issue("blue", "x")},
				InsecureSkipVerify: true,
				NextProtos:         []string{protocol},
			}
			c.change(config)
			conn, err := tls.Dial("tcp", s.addr, config)
			if err == nil { // TLS 1.3 tells late
				defer conn.Close()
				_, err = readHello(conn)
			}
			require.Error(t, err)
			_, op := alertOf(err)
			require.Equal(t, "remote error", op, err)
			require.Equal(t, []Reason{c.reason}, s.told.reasons(t, 1))
		})
	}
}

// A node with TLS that dials one without is told so, as is the other.
func TestTLSAtPlainNode(t *testing.T) {
	s := newSecure(t, func(b *Transport) { b.TLS, b.Plain = nil, true })
	x, _ := s.caller("x", "blue", s.ca.TLS("blue", "x"))
	e := refused(t, x)
	require.Equal(t, ReasonPlain, e.Reason)
	require.Equal(t, []Reason{ReasonPlain}, s.told.reasons(t, 1))
}

// A recorder keeps what a connection sends.
type recorder struct {
	net.Conn
	sent []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.sent = append(r.sent, b...)
	return r.Conn.Write(b)
}

// The bytes of a connection are of no use for another one.
func TestReplayIsRefused(t *testing.T) {
	s := newSecure(t, nil)
	x, _ := s.caller("x", "blue", s.ca.TLS("blue", "x"))
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	tape := &recorder{Conn: conn}
	met, err := x.reach(tape, "b")
	require.NoError(t, err)
	request := appendFrame(nil, &frame{kind: kindRequest, id: 1, method: "m", payload: []byte("once")})
	_, err = met.line.Write(request)
	require.NoError(t, err)
	_, err = newFrameReader(met.line, 1<<10, time.Minute).next()
	require.NoError(t, err)
	conn.Close()
	served := s.b.Stats().Accepted
	for range 3 {
		again, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		defer again.Close()
		_, err = again.Write(tape.sent)
		require.NoError(t, err)
	}
	require.Equal(t, []Reason{ReasonTLS, ReasonTLS, ReasonTLS}, s.told.reasons(t, 3))
	require.Equal(t, served, s.b.Stats().Accepted)
}

// Changed bytes end a connection, and harm nobody else.
func TestChangedBytesEndTheConnection(t *testing.T) {
	s := newSecure(t, nil)
	x, _ := s.caller("x", "blue", s.ca.TLS("blue", "x"))
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	met, err := x.reach(conn, "b")
	require.NoError(t, err)
	_, err = conn.Write([]byte("\x17\x03\x03\x00\x20not what TLS would have written."))
	require.NoError(t, err)
	_, err = newFrameReader(met.line, 1<<10, time.Minute).next()
	require.Error(t, err)
}
