package intercept_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/tcp"
)

func TestAccess(t *testing.T) {
	but := func(id transport.NodeID) intercept.Rule {
		return func(from transport.NodeID, _ string) bool { return from != id }
	}
	a := intercept.Access{Rules: map[string]intercept.Rule{
		"quorum/":      intercept.Nodes("a", "b"),
		"quorum/admin": intercept.Nodes("a"),
		"public/":      intercept.Anyone,
		"public/not-c": but("c"),
		"closed/":      nil,
	}}
	ran := 0
	h := a.Handler(transport.HandlerFunc(says([]byte("ran"), nil)))
	for _, c := range []struct {
		from    transport.NodeID
		method  string
		allowed bool
	}{
		{"a", "quorum/2", true},
		{"b", "quorum/2", true},
		{"c", "quorum/2", false},
		{"a", "quorum/admin", true},
		{"b", "quorum/admin", false}, // the longest prefix alone counts
		{"b", "quorum/administer", false},
		{"b", "quorum/adm", true},
		{"a", "quorum", false}, // shorter than the prefix
		{"c", "public/x", true},
		{"c", "public/not-c", false},
		{"d", "public/not-c", true},
		{"a", "closed/x", false},
		{"a", "", false},
		{"", "quorum/2", false},
		{"A", "quorum/2", false},
		{"a\x00", "quorum/2", false},
		{"a", "QUORUM/2", false},
		{"a", "/quorum/2", false},
	} {
		resp, err := h.ServeCall(t.Context(), c.from, c.method, nil)
		if c.allowed {
			ran++
			require.NoError(t, err)
			require.Equal(t, "ran", string(resp))
			continue
		}
		require.ErrorIs(t, err, transport.ErrDenied, "%q %q", c.from, c.method)
		require.Nil(t, resp)
	}
	require.EqualValues(t, 18-ran, a.Denied())
}

func TestAccessWithoutRulesDeniesAll(t *testing.T) {
	var a intercept.Access
	_, err := a.Handler(says(nil, nil)).ServeCall(t.Context(), "a", "m", nil)
	require.ErrorIs(t, err, transport.ErrDenied)
	all := intercept.Access{Rules: map[string]intercept.Rule{"": intercept.Anyone}}
	_, err = all.Handler(nil).ServeCall(t.Context(), "a", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
}

// Whatever the rules, it is the longest prefix's that counts.
func TestAccessIsAsTheLongestPrefixSays(t *testing.T) {
	names := rapid.StringMatching(`(traced/){0,2}[ab/]{0,4}`)
	rapid.Check(t, func(t *rapid.T) {
		allow := rapid.MapOf(names, rapid.Bool()).Draw(t, "rules")
		rules := make(map[string]intercept.Rule)
		for prefix, ok := range allow {
			rules[prefix] = intercept.Nodes()
			if ok {
				rules[prefix] = intercept.Nodes("x", "a")
			}
		}
		a := intercept.Access{Rules: rules}
		h := a.Handler(says(nil, nil))
		method := names.Draw(t, "method")
		want := longest(allow, method)
		for inner := method; strings.HasPrefix(inner, "traced/") && inner != "traced/"; {
			inner = inner[len("traced/"):]
			want = want && longest(allow, inner)
		}
		_, err := h.ServeCall(t.Context(), "a", method, nil)
		require.Equal(t, want, err == nil)
	})
}

// longest is what the longest prefix of a method says.
func longest(allow map[string]bool, method string) (ok bool) {
	best := -1
	for prefix, yes := range allow {
		if strings.HasPrefix(method, prefix) && len(prefix) > best {
			ok, best = yes, len(prefix)
		}
	}
	return ok
}

// A call that carries a trace is of two methods, and needs both: what it says that it is,
// and what it is.
func TestAccessLooksIntoCallsThatCarryATrace(t *testing.T) {
	a := intercept.Access{Rules: map[string]intercept.Rule{
		"":                   intercept.Nodes("a", "b"),
		"admin/":             intercept.Nodes("a"),
		"traced/secret":      intercept.Nodes("a", "b"),
		"secret":             intercept.Nodes("a"),
		"traced/untraceable": nil,
	}}
	h := a.Handler(says(nil, nil))
	for _, c := range []struct {
		method string
		a, b   bool
	}{
		{"traced/", true, true},
		{"traced/m", true, true},
		{"traced/admin", true, true},
		{"traced/admin/", true, false},
		{"traced/admin/stop", true, false},
		{"traced/traced/admin/stop", true, false},
		{strings.Repeat("traced/", 30) + "admin/stop", true, false},
		{strings.Repeat("traced/", 30), true, true},
		{"traced/secret", true, false},
		{"traced/untraceable", false, false},
		{"untraceable", true, true},
		{"Traced/admin/", true, true}, // another name
		{"traced", true, true},
	} {
		for from, want := range map[transport.NodeID]bool{"a": c.a, "b": c.b, "c": false} {
			_, err := h.ServeCall(t.Context(), from, c.method, nil)
			require.Equal(t, want, err == nil, "%s calls %s", from, c.method)
		}
	}
}

// At the other side of a wire, a refusal is told from any other failure.
func TestDeniedAcrossTransports(t *testing.T) {
	var told []string
	access := &intercept.Access{
		Rules: map[string]intercept.Rule{"": intercept.Nodes("b")},
		OnDenied: func(from transport.NodeID, method string) {
			told = append(told, fmt.Sprint(from, " ", method))
		},
	}
	h := access.Handler(transport.HandlerFunc(says(nil, nil)))

	var memory mem.Network
	memory.Node("b", h)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &tcp.Transport{Self: "b", Plain: true}
	t.Cleanup(func() { b.Close() })
	go b.Serve(t.Context(), ln, h)
	a := &tcp.Transport{Self: "a", Plain: true, Peers: map[transport.NodeID]string{"b": ln.Addr().String()}}
	t.Cleanup(func() { a.Close() })

	for i, c := range []transport.Caller{memory.Node("a", nil), a} {
		_, err := c.Call(t.Context(), "b", "m", nil)
		require.ErrorIs(t, err, transport.ErrDenied)
		require.NotErrorIs(t, err, transport.ErrUnknownMethod)
		require.EqualError(t, err, `transport: remote m: transport: denied: node "a" may not call "m"`)
		require.EqualValues(t, i+1, access.Denied())
		require.Len(t, told, i+1)
	}
	require.Equal(t, []string{"a m", "a m"}, told)
}
