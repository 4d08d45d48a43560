package transportotel

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
)

// orders are the two ways in which Access and Tracing can stand around a handler.
var orders = map[string]func(*intercept.Access, *Tracing, transport.Handler) transport.Handler{
	"Access inside": func(a *intercept.Access, t *Tracing, h transport.Handler) transport.Handler {
		return t.Handler(a.Handler(h))
	},
	"Access outside": func(a *intercept.Access, t *Tracing, h transport.Handler) transport.Handler {
		return a.Handler(t.Handler(h))
	},
}

// Nobody gets by tracing what the rules do not let it call, whichever of the two stands
// outside, whatever the rules are, and whether calls are traced or not.
func TestAccessHoldsInEitherOrder(t *testing.T) {
	admin := func(from transport.NodeID, method string) bool { return method != "admin" || from == "a" }
	for name, rules := range map[string]map[string]intercept.Rule{
		"all but admin":        {"": intercept.Anyone, "admin": intercept.Nodes("a")},
		"by name":              {"admin": intercept.Nodes("a"), "stock": intercept.Anyone},
		"by a function":        {"": admin},
		"all that is traced":   {Prefix: intercept.Anyone, "admin": intercept.Nodes("a"), "stock": intercept.Anyone},
		"nothing that is":      {Prefix: nil, "": admin},
		"one of what is":       {Prefix + "admin": intercept.Anyone, "": admin},
		"what is, of one node": {Prefix: intercept.Nodes("a"), "": admin},
	} {
		for order, around := range orders {
			t.Run(order+"/"+name, func(t *testing.T) {
				for _, c := range []struct {
					from    transport.NodeID
					method  string
					allowed bool
				}{{"a", "admin", true}, {"b", "admin", false}, {"a", "stock", true}, {"b", "stock", true}} {
					h := counting(nil)
					b, _ := recorded()
					access := &intercept.Access{Rules: rules}
					served := around(access, b, h)
					a, _ := recorded()
					_, err := a.Caller(from{c.from, served}).Call(t.Context(), "b", c.method, nil)
					require.Equal(t, c.allowed, err == nil, "%s calls %s: %v", c.from, c.method, err)
					if !c.allowed {
						require.ErrorIs(t, err, transport.ErrDenied)
					}
					require.Equal(t, c.allowed, h.times(c.method) == 1)

					for _, forged := range []string{c.method, Prefix + c.method, Prefix + Prefix + c.method} { // by hand
						h := counting(nil)
						req := appendContext(appendContext(nil, golden), golden)
						around(access, b, h).ServeCall(t.Context(), c.from, forged, req)
						if !c.allowed {
							require.Empty(t, h.ran, "%s calls %s", c.from, forged)
						}
					}
				}
			})
		}
	}
}

// from is a Caller by which a node of some name calls a handler, as over a transport.
type from struct {
	id      transport.NodeID
	handler transport.Handler
}

func (f from) Call(ctx context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
	resp, err := f.handler.ServeCall(ctx, f.id, method, req)
	if err != nil {
		return nil, transport.NewRemoteError(method, err)
	}
	return resp, nil
}

// Calls are traced in the order that doc.go says, and in the other where the rules let
// nodes call what carries a trace.
func TestWhatIsTracedInEitherOrder(t *testing.T) {
	for _, c := range []struct {
		order  string
		rules  map[string]intercept.Rule
		traced bool
	}{
		{"Access inside", map[string]intercept.Rule{"stock": intercept.Nodes("a")}, true},
		{"Access outside", map[string]intercept.Rule{"stock": intercept.Nodes("a")}, false},
		{"Access outside", map[string]intercept.Rule{"stock": intercept.Nodes("a"), "": intercept.Nodes("a")}, true},
		{"Access outside", map[string]intercept.Rule{"stock": intercept.Nodes("a"), Prefix: intercept.Nodes("a")}, true},
	} {
		h := counting(nil)
		b, record := recorded()
		a, _ := recorded()
		caller := a.Caller(overMem(t, orders[c.order](&intercept.Access{Rules: c.rules}, b, h)))
		for i := range 3 {
			_, err := caller.Call(t.Context(), "b", "stock", nil)
			require.NoError(t, err)
			require.Equal(t, i+1, h.times("stock"))
		}
		require.Equal(t, c.traced, len(record.Ended()) > 0, fmt.Sprint(c.order, c.rules))
	}
}

// A method that is denied does not end the tracing of the others.
func TestDeniedCallsDoNotEndTracing(t *testing.T) {
	for order, around := range orders {
		h := counting(nil)
		b, record := recorded()
		access := &intercept.Access{Rules: map[string]intercept.Rule{"": intercept.Anyone, "admin": nil}}
		a, _ := recorded()
		caller := a.Caller(overMem(t, around(access, b, h)))
		for range 2 {
			_, err := caller.Call(t.Context(), "b", "admin", nil)
			require.ErrorIs(t, err, transport.ErrDenied)
			_, err = caller.Call(t.Context(), "b", "stock", nil)
			require.NoError(t, err)
		}
		require.Equal(t, map[string]int{"stock": 2}, h.ran)
		stock := 0
		for _, s := range record.Ended() {
			if s.Name() == "stock" {
				stock++
			}
		}
		require.Equal(t, 2, stock, order)
	}
}
