package identity

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/authority"
)

func named(uris ...*url.URL) *x509.Certificate { return &x509.Certificate{URIs: uris} }

// The rule by which certificates name nodes.
func TestNodeURI(t *testing.T) {
	ca := authority.New(t)
	type of struct {
		cluster string
		id      transport.NodeID
	}
	all := []of{{"blue", "a"}, {"", "a"}, {"blue", "a/b"}, {"blue", "b"}, {"a.b", "a"}, {"blue", "ä?#%2f\xff @:"}, {"Blue", "a"}, {"blue", "a "}}
	for _, shown := range all {
		leaf := ca.Issue(shown.cluster, shown.id).Leaf
		require.Equal(t, []transport.NodeID{shown.id}, Nodes(leaf, shown.cluster))
		for _, asked := range all {
			err := Check(leaf, asked.cluster, asked.id)
			require.Equal(t, shown == asked, err == nil, "%q %q: %v", shown, asked, err)
			if err != nil {
				e, ok := err.(*NameError)
				require.True(t, ok)
				require.Equal(t, shown.id == asked.id, e.Elsewhere)
			}
		}
	}
	require.Equal(t, "eventual://blue/a", NodeURI("blue", "a").String())
	for _, odd := range []string{"eventual://blue/a?", "eventual://blue/a?x", "eventual://blue/a#x", "eventual://u@blue/a", "http://blue/a", "eventual:blue/a",
		"eventual://blue:1/a", "eventual:///a", "eventual:/a", "eventual://blue//a", "eventual://blue/", "eventual://blue", "eventual://blue/" + strings.Repeat("a", 256)} {
		u, err := url.Parse(odd)
		require.NoError(t, err)
		require.Error(t, Check(named(u), "blue", "a"), odd)
		require.NotContains(t, Nodes(named(u), "blue"), transport.NodeID("a"), odd)
		require.NotContains(t, Nodes(named(u), "blue"), transport.NodeID(""), odd)
	}
}

func TestCertificatesOfSeveralNodes(t *testing.T) {
	leaf := named(NodeURI("blue", "a"), NodeURI("green", "c"), NodeURI("blue", "b"), NodeURI("blue", "a"))
	require.Equal(t, []transport.NodeID{"a", "b"}, Nodes(leaf, "blue"))
	require.NoError(t, Check(leaf, "blue", "a"))
	require.NoError(t, Check(leaf, "blue", "b"))
	require.ErrorContains(t, Check(leaf, "blue", "c"), "eventual://green/c")
	require.Empty(t, Nodes(leaf, "red"))
}

// Whatever a certificate names, it names nodes as NodeURI does, or none.
func FuzzNodes(f *testing.F) {
	for _, seed := range []string{"eventual://blue/a", "eventual:///a", "eventual://blue/a%2Fb", "eventual://blue/%61", "eventual://[::1]:1/a",
		"eventual://blue/a?x#y", "eventual://u@blue/a", "eventual:blue/a", "http://blue/a", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		u, err := url.Parse(name)
		if err != nil {
			return
		}
		leaf := named(u)
		for _, id := range Nodes(leaf, u.Host) {
			require.NoError(t, Check(leaf, u.Host, id))
			require.NoError(t, Check(named(NodeURI(u.Host, id)), u.Host, id))
			require.Error(t, Check(leaf, u.Host+"x", id))
			written, err := url.Parse(NodeURI(u.Host, id).String())
			require.NoError(t, err)
			require.Equal(t, []transport.NodeID{id}, Nodes(named(written), u.Host))
		}
		require.LessOrEqual(t, len(Nodes(leaf, u.Host)), 1)
	})
}

// What an error says is bounded, and text, whatever a certificate holds.
func TestNameErrorIsBounded(t *testing.T) {
	leaf := &x509.Certificate{DNSNames: []string{strings.Repeat("\xff€", 1<<16)}}
	e := Check(leaf, "blue", "a").(*NameError)
	require.LessOrEqual(t, len(e.Found), transport.MaxErrorText)
	require.Equal(t, e.Found, strings.ToValidUTF8(e.Found, ""))
	require.Equal(t, "nobody", Check(new(x509.Certificate), "blue", "a").(*NameError).Found)
	require.Equal(t, "nobody", Check(nil, "blue", "a").(*NameError).Found)
	require.Empty(t, Nodes(nil, "blue"))
}

// The other side of a connection is one node, and proved.
func TestPeer(t *testing.T) {
	verified := func(leaf *x509.Certificate) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
	}
	id, err := Peer(verified(named(NodeURI("blue", "a"), NodeURI("green", "b"))), "blue")
	require.NoError(t, err)
	require.Equal(t, transport.NodeID("a"), id)

	_, err = Peer(nil, "blue")
	require.ErrorIs(t, err, ErrUnverified)
	_, err = Peer(&tls.ConnectionState{}, "blue")
	require.ErrorIs(t, err, ErrUnverified)
	_, err = Peer(&tls.ConnectionState{PeerCertificates: verified(named(NodeURI("blue", "a"))).PeerCertificates}, "blue")
	require.ErrorIs(t, err, ErrUnverified)

	for name, c := range map[string]struct {
		leaf      *x509.Certificate
		elsewhere bool
	}{
		"nobody's":          {named(), false},
		"of two":            {named(NodeURI("blue", "a"), NodeURI("blue", "b")), false},
		"another cluster's": {named(NodeURI("green", "a")), true},
	} {
		_, err := Peer(verified(c.leaf), "blue")
		e, ok := err.(*NameError)
		require.True(t, ok, name)
		require.Equal(t, c.elsewhere, e.Elsewhere, name)
		require.NotEmpty(t, e.Error())
	}
}
