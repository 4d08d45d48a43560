package identity

import (
	"crypto/tls"
	"crypto/x509"
)

// Server returns a config for servers, of net/http or credentials.NewTLS of gRPC, whose
// clients are nodes of a cluster: it shows the certificate of the moment, and demands one
// that is of some node of the cluster, by the authorities of that moment. [Peer] says
// which node it is. Credentials is called for each handshake, from many goroutines; its
// error ends that handshake. What it returned must not be changed.
//
// HTTP/1.1 and HTTP/2 are offered; a server that has one of them disabled must have
// NextProtos be the other before it serves. An httptest.Server adds a certificate of its
// own, which is not shown.
func Server(cluster string, credentials func() (Credentials, error)) *tls.Config {
	outer := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2", "http/1.1"},
		SessionTicketsDisabled: true,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              x509.NewCertPool(), // nobody, but for what follows
	}
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := now(credentials)
		if err != nil {
			return nil, err
		}
		config := outer.Clone()
		config.GetConfigForClient = nil
		config.Certificates = []tls.Certificate{*c.Certificate}
		config.ClientCAs = c.Roots
		config.VerifyConnection = func(s tls.ConnectionState) error { return member(s, cluster) }
		return config, nil
	}
	return outer
}

// Client returns a config for clients, TLSClientConfig of an http.Transport or
// credentials.NewTLS of gRPC, whose servers are nodes of a cluster: it shows the
// certificate of the moment, and believes only certificates that are of some node of the
// cluster, by the authorities of that moment. Names of hosts are not asked: any node of
// the cluster may serve at any address, and [Check] says whether it is a given one, of
// the first of PeerCertificates. Credentials is called as by [Server], twice for each
// handshake.
func Client(cluster string, credentials func() (Credentials, error)) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := now(credentials)
			return c.Certificate, err // whomever the server believes: it is to say so
		},
		InsecureSkipVerify: true, // of names of hosts: what follows verifies all else
		VerifyConnection: func(s tls.ConnectionState) error {
			c, err := now(credentials)
			if err != nil {
				return err
			}
			if err := c.Verify(s.PeerCertificates, x509.ExtKeyUsageServerAuth); err != nil {
				return err
			}
			return member(s, cluster)
		},
	}
}

// now returns what is to be used now.
func now(credentials func() (Credentials, error)) (Credentials, error) {
	c, err := credentials()
	if err == nil {
		err = c.Valid()
	}
	if err != nil {
		return Credentials{}, err
	}
	return c, nil
}

// member says whether the other side is of a cluster.
func member(s tls.ConnectionState, cluster string) error {
	if leaf := s.PeerCertificates[0]; len(Nodes(leaf, cluster)) == 0 {
		return anyOf(leaf, cluster)
	}
	return nil
}
