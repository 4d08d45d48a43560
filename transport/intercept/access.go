package intercept

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/eventual-go/eventual/transport"
)

// Access lets nodes call the methods that they may, and no others: what no rule
// allows is refused. A refused call reaches no handler, and arrives as
// transport.ErrDenied. It is as good as the transport's word for who calls: use one
// that proves it, as transport/tcp does with TLS.
//
// Access stands next to the handler, inside of whatever else there is, see the package's
// Order. It holds elsewhere too: a call that carries a trace, see [TracedPrefix], needs
// to be allowed by the name that it has and by that of the method that it is of.
//
// The fields are set before Handler is called and not changed afterwards. Access is
// then safe for concurrent use; it must not be copied. A call costs O(rules) and no
// memory.
type Access struct {
	// Rules say who may call which methods, by prefix. Of several prefixes that a method
	// has, the longest alone counts, as in transport.Mux; the empty one is of all methods.
	// A rule that is nil, like none, allows nobody.
	Rules map[string]Rule

	// OnDenied is told of each call that was refused, by the goroutine that serves it and
	// with no lock held. If nil, they are only counted. Calls come as often as peers like:
	// who writes them down should not write down all.
	OnDenied func(from transport.NodeID, method string)

	denied atomic.Uint64
}

// TracedPrefix begins the names of calls that carry a trace; what follows is the method
// that they are of. Package transport/otel makes them, and takes the prefix off again.
// Most users will not need it.
const TracedPrefix = "traced/"

// A Rule says whether a node may call a method. It is called for each call, by many
// goroutines at once, and may change its mind: a cluster's members come and go. Outside
// of transport/otel it is asked of a call that carries a trace twice, by both names.
type Rule func(from transport.NodeID, method string) bool

// Anyone is a [Rule] that allows every node.
func Anyone(transport.NodeID, string) bool { return true }

// Nodes returns a [Rule] that allows the nodes named, and no other.
func Nodes(ids ...transport.NodeID) Rule {
	ids = slices.Clone(ids)
	return func(from transport.NodeID, _ string) bool { return slices.Contains(ids, from) }
}

// Denied is how many calls were refused so far.
func (a *Access) Denied() uint64 { return a.denied.Load() }

// Handler has next serve the calls that the rules allow. A nil next answers no method.
func (a *Access) Handler(next transport.Handler) transport.Handler {
	g := &guard{access: a, next: orNone(next)}
	for prefix, rule := range a.Rules {
		g.rules = append(g.rules, prefixed{prefix, rule})
	}
	slices.SortFunc(g.rules, func(a, b prefixed) int {
		return cmp.Or(len(b.prefix)-len(a.prefix), strings.Compare(a.prefix, b.prefix))
	})
	return g
}

type guard struct {
	access *Access
	next   transport.Handler
	rules  []prefixed // longest prefix first
}

type prefixed struct {
	prefix string
	rule   Rule
}

// ServeCall has next serve the call, if it is allowed.
func (g *guard) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	if !g.allows(from, method) {
		return nil, g.access.refuse(from, method)
	}
	return g.next.ServeCall(ctx, from, method, req)
}

// allows says whether a node may call a method, and all that are in it: what takes the
// prefix off may stand behind.
func (g *guard) allows(from transport.NodeID, method string) bool {
	for g.allowsOne(from, method) {
		inner, carries := strings.CutPrefix(method, TracedPrefix)
		if !carries || inner == "" {
			return true
		}
		method = inner
	}
	return false
}

func (g *guard) allowsOne(from transport.NodeID, method string) bool {
	for _, r := range g.rules {
		if strings.HasPrefix(method, r.prefix) {
			return r.rule != nil && r.rule(from, method)
		}
	}
	return false
}

func (a *Access) refuse(from transport.NodeID, method string) error {
	a.denied.Add(1)
	if a.OnDenied != nil {
		a.OnDenied(from, method)
	}
	return fmt.Errorf("%w: node %q may not call %q", transport.ErrDenied, from, method)
}

func orNone(h transport.Handler) transport.Handler {
	if h == nil {
		return new(transport.Mux)
	}
	return h
}
