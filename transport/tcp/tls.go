package tcp

import (
	"cmp"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
)

// TLS has a [Transport] talk TLS 1.3 with nodes that show a certificate, and believe
// of a node what its certificate says. Both sides check the other: that the
// certificate was issued by one of the cluster's authorities, that it is valid now,
// that it is for the side that shows it (client, server or both; a node that calls and
// serves needs both), and that it is the node's.
type TLS struct {
	// Credentials returns what this node shows and whom it believes. It must be set; the
	// method of [identity.Files] will do. It is called for each handshake, and every Recheck for
	// each connection, from many goroutines: so what it returns may change, and it
	// should be quick. What it returned must not be changed.
	Credentials func() (identity.Credentials, error)

	// Allow says whether a certificate, which was issued by the cluster's authorities and
	// is valid, is that of a node. If nil, [identity.Check] does: one of its URI names must
	// be [identity.NodeURI](cluster, id). With authorities that serve one cluster alone, names of
	// hosts do too: return leaf.VerifyHostname(string(id)). It is asked in the handshake, and
	// every Recheck for each connection.
	Allow func(leaf *x509.Certificate, cluster string, id transport.NodeID) error

	// Recheck is how often the other side of a connection is checked again, against the
	// clock, the credentials and Allow of that time. If zero, one minute; a certificate's own
	// end is not waited out. See the package's documentation.
	Recheck time.Duration
}

const protocol = "eventual/1" // to which TLS is bound (ALPN)

var (
	errClusterName = errors.New("tcp: with TLS the name of a cluster consists of letters, digits, '-', '_' and '.', unless TLS.Allow is set")
	errCredentials = errors.New("tcp: TLS.Credentials must be set")
)

// valid says whether TLS is set up so that it can work.
func (t *TLS) valid(cluster string) error {
	switch {
	case t.Credentials == nil:
		return errCredentials
	case t.Allow == nil && !canBeHost(cluster):
		return errClusterName
	}
	return nil
}

// canBeHost says whether a cluster's name can be the host of a URI in a certificate,
// where authorities may be restricted to it. One that cannot would make the
// certificate unreadable.
func canBeHost(cluster string) bool {
	if cluster == "" {
		return true
	}
	for label := range strings.SplitSeq(cluster, ".") {
		if label == "" || strings.ContainsFunc(label, notInHost) {
			return false
		}
	}
	return true
}

func notInHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

func (t *TLS) recheck() time.Duration { return cmp.Or(max(t.Recheck, 0), time.Minute) }

// credentials returns what is to be used now.
func (t *TLS) credentials() (identity.Credentials, error) {
	c, err := t.Credentials()
	if err == nil {
		err = c.Valid()
	}
	if err != nil {
		return identity.Credentials{}, &HandshakeError{Reason: ReasonCredentials, Err: err}
	}
	return c, nil
}

// allow says whether a certificate is a node's.
func (t *TLS) allow(leaf *x509.Certificate, cluster string, id transport.NodeID) error {
	check := t.Allow
	if check == nil {
		check = identity.Check
	}
	err := check(leaf, cluster, id)
	if err == nil {
		return nil
	}
	reason := ReasonName
	if e, ok := errors.AsType[*identity.NameError](err); ok && e.Elsewhere {
		reason = ReasonCluster
	}
	return &HandshakeError{Node: id, Reason: reason, Err: err}
}
