package tcp

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
)

// begin makes a config for one handshake. Sessions are not resumed, so each handshake
// proves all there is to prove.
func (t *TLS) begin() (*tls.Config, identity.Credentials, error) {
	creds, err := t.credentials()
	if err != nil {
		return nil, creds, err
	}
	return &tls.Config{
		Certificates:           []tls.Certificate{*creds.Certificate},
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{protocol},
		SessionTicketsDisabled: true,
	}, creds, nil
}

// dial puts TLS on a line to a node, and returns what the other side is trusted for.
func (t *TLS) dial(l *line, cluster string, id transport.NodeID) (*trust, error) {
	config, creds, err := t.begin()
	if err != nil {
		return nil, err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return creds.Certificate, nil // also to who believes other authorities, and is to say so
	}
	config.InsecureSkipVerify = true // of names of hosts: what follows verifies all
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if err := checkState(s); err != nil {
			return err
		}
		if err := creds.Verify(s.PeerCertificates, x509.ExtKeyUsageServerAuth); err != nil {
			return err
		}
		return t.allow(s.PeerCertificates[0], cluster, id)
	}
	return t.shake(l, tls.Client(l.wire, config), creds, x509.ExtKeyUsageServerAuth)
}

// accept puts TLS on a line from a node, which has yet to say which one it is.
func (t *TLS) accept(l *line) (*trust, error) {
	config, creds, err := t.begin()
	if err != nil {
		return nil, err
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven // checkState has that it is given
	config.ClientCAs = creds.Roots
	config.VerifyConnection = checkState
	return t.shake(l, tls.Server(l.wire, config), creds, x509.ExtKeyUsageClientAuth)
}

func (t *TLS) shake(l *line, conn *tls.Conn, creds identity.Credentials, usage x509.ExtKeyUsage) (*trust, error) {
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	l.Conn = conn
	return &trust{
		tls:   t,
		chain: conn.ConnectionState().PeerCertificates,
		usage: usage,
		creds: creds,
	}, nil
}

var errProtocol = errors.New("TLS is for another protocol")

// checkState refuses what TLS alone does not.
func checkState(s tls.ConnectionState) error {
	switch {
	case s.NegotiatedProtocol != protocol:
		return errProtocol
	case len(s.PeerCertificates) == 0:
		return &HandshakeError{Reason: ReasonNoCertificate}
	}
	return nil
}

// A trust is why the other side of a connection is believed, for as long as it is.
type trust struct {
	tls   *TLS
	chain []*x509.Certificate  // that the other side showed
	usage x509.ExtKeyUsage     // that it must have
	creds identity.Credentials // of this side: those shown to the other, and the newest roots

	cluster string
	node    transport.NodeID            // the other side
	word    func(error) *HandshakeError // why there is no trust any more
	told    func(*HandshakeError)
}

// tell has a transport count and tell of it when the other side of conn, a node that
// this one dialled or was dialled by, is believed no more.
func (t *trust) tell(to *Transport, conn net.Conn, id transport.NodeID, dialled bool) {
	if t == nil {
		return
	}
	t.cluster, t.node = to.Cluster, id
	t.word = func(err error) *HandshakeError { return explain(err, conn, id) }
	t.told = func(e *HandshakeError) {
		to.stats.distrusted.Add(1)
		to.refused(e, dialled)
	}
}

// watch checks the other side until the connection is over. It calls renew when this
// node has got another certificate, so that a new connection is made with it; and fail
// when the other side is to be believed no more.
func (t *trust) watch(over <-chan struct{}, renew func(), fail func(error)) {
	for {
		timer := time.NewTimer(t.next(time.Now()))
		select {
		case <-timer.C:
		case <-over:
			timer.Stop()
			return
		}
		stale, err := t.check()
		if err != nil {
			e := t.word(err)
			fail(e)
			t.told(e)
			return
		}
		if stale {
			renew()
		}
	}
}

// next returns how long to wait for the next check.
func (t *trust) next(now time.Time) time.Duration {
	end := t.chain[0].NotAfter.Sub(now) + time.Millisecond
	return max(min(t.tls.recheck(), end), time.Millisecond)
}

// check says whether the other side is still believed and allowed, and whether what this
// side showed is no longer what it would show. Credentials that cannot be had change
// nothing.
func (t *trust) check() (stale bool, err error) {
	if c, err := t.tls.credentials(); err == nil {
		stale = !slices.EqualFunc(c.Certificate.Certificate, t.creds.Certificate.Certificate, bytes.Equal)
		t.creds.Roots = c.Roots
	}
	if err = t.creds.Verify(t.chain, t.usage); err == nil {
		err = t.tls.allow(t.chain[0], t.cluster, t.node)
	}
	if err != nil {
		err = fmt.Errorf("no longer believed: %w", err)
	}
	return stale, err
}
