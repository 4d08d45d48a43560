package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/eventual-go/eventual/transport"
)

const scheme = "eventual"

// NodeURI returns the name by which a certificate says that its owner is a node of a
// cluster: "eventual://cluster/node". One certificate may have several, those of other
// clusters too.
func NodeURI(cluster string, id transport.NodeID) *url.URL {
	return &url.URL{Scheme: scheme, Host: cluster, Path: "/" + string(id)}
}

// Nodes returns the nodes of a cluster that a certificate names, each once, in its
// order. Whether the certificate is to be believed it does not say.
func Nodes(leaf *x509.Certificate, cluster string) []transport.NodeID {
	if leaf == nil {
		return nil
	}
	var all []transport.NodeID
	for _, u := range leaf.URIs {
		if of, id, ok := parse(u); ok && of == cluster && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// parse is the inverse of NodeURI. A URI with anything else in it is not taken.
func parse(u *url.URL) (cluster string, id transport.NodeID, ok bool) {
	plain := url.URL{Scheme: scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	name, ok := strings.CutPrefix(u.Path, "/")
	if !ok || plain != *u || name == "" || len(name) > transport.MaxName {
		return "", "", false
	}
	return u.Host, transport.NodeID(name), true
}

// Check says whether a certificate is that of a node: it returns nil or a [*NameError].
// Whether the certificate is to be believed it does not say.
func Check(leaf *x509.Certificate, cluster string, id transport.NodeID) error {
	if slices.Contains(Nodes(leaf, cluster), id) {
		return nil
	}
	if leaf == nil {
		leaf = new(x509.Certificate) // of nobody
	}
	e := &NameError{Cluster: cluster, Node: id, Found: owners(leaf)}
	for _, u := range leaf.URIs {
		_, other, ok := parse(u)
		e.Elsewhere = e.Elsewhere || ok && other == id
	}
	return e
}

// one returns the only node of a cluster that a certificate names.
func one(leaf *x509.Certificate, cluster string) (transport.NodeID, error) {
	if all := Nodes(leaf, cluster); len(all) == 1 {
		return all[0], nil
	}
	return "", anyOf(leaf, cluster)
}

// anyOf returns the error of a certificate that should name some node of a cluster.
func anyOf(leaf *x509.Certificate, cluster string) *NameError {
	return &NameError{Cluster: cluster, Found: owners(leaf), Elsewhere: len(Nodes(leaf, cluster)) == 0 && slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool {
		_, _, ok := parse(u)
		return ok
	})}
}

// ErrUnverified says that a connection proves nobody: it is without TLS, or its server
// did not ask for a certificate, or did not verify what it was shown.
var ErrUnverified = errors.New("identity: no verified certificate")

// Peer returns the one node of a cluster that the other side of a connection has proved
// to be. It is for the side that accepted the connection, over [Server] or a config that
// verifies certificates by itself (tls.RequireAndVerifyClientCert). It returns
// [ErrUnverified] if nothing is proved, and a [*NameError] if the certificate names no
// node of the cluster, or several.
//
// The side that dialled by [Client] knows already that it talks to some node of the
// cluster; for one of them it asks [Check].
func Peer(state *tls.ConnectionState, cluster string) (transport.NodeID, error) {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return "", ErrUnverified
	}
	return one(state.PeerCertificates[0], cluster)
}

// A NameError says that a certificate is not of the node that was asked for.
type NameError struct {
	Cluster   string           // that was asked for
	Node      transport.NodeID // that was asked for; empty: the only one that it is of, or any one
	Elsewhere bool             // it would be, but for the name of the cluster
	Found     string           // whose the certificate says that it is, of at most transport.MaxErrorText bytes
}

// Error says whose the certificate is, and whose it should be.
func (e *NameError) Error() string {
	if e.Node == "" {
		return fmt.Sprintf("identity: the certificate is of %s, not of one node of cluster %q", e.Found, e.Cluster)
	}
	return fmt.Sprintf("identity: the certificate is of %s, not of %s", e.Found, NodeURI(e.Cluster, e.Node))
}

// owners lists whose a certificate says that it is.
func owners(leaf *x509.Certificate) string {
	all := slices.Clone(leaf.DNSNames)
	for _, u := range leaf.URIs {
		all = append(all, u.String())
	}
	if len(all) == 0 {
		return "nobody"
	}
	text := strings.Join(all, ", ")
	return strings.ToValidUTF8(text[:min(len(text), transport.MaxErrorText)], "")
}
