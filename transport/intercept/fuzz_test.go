package intercept_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
)

// FuzzHandler has all interceptors serve any call: what is allowed by each of its names
// arrives as it is, and nothing else arrives.
func FuzzHandler(f *testing.F) {
	f.Add("a", "admin/stop", []byte("request"))
	f.Add("b", "traced/admin/stop", []byte{})
	f.Add("b", "traced/traced/m", []byte{1})
	f.Add("", "", []byte(nil))
	f.Add("\xff", strings.Repeat("m", 300), []byte("x"))
	f.Fuzz(func(t *testing.T, from, method string, req []byte) {
		ran := 0
		access := &intercept.Access{Rules: map[string]intercept.Rule{"": intercept.Anyone, "admin/": intercept.Nodes("a")}}
		var metrics intercept.Metrics
		log := intercept.Log{Logger: quiet}
		h := log.Handler(metrics.Handler(access.Handler(transport.HandlerFunc(
			func(_ context.Context, by transport.NodeID, m string, b []byte) ([]byte, error) {
				ran++
				require.Equal(t, []string{from, method}, []string{string(by), m})
				return b, nil
			}))))
		resp, err := h.ServeCall(t.Context(), transport.NodeID(from), method, req)
		meant := method
		for strings.HasPrefix(meant, intercept.TracedPrefix) {
			meant = meant[len(intercept.TracedPrefix):]
		}
		denied := from != "a" && strings.HasPrefix(meant, "admin/")
		require.Equal(t, denied, errors.Is(err, transport.ErrDenied))
		require.Equal(t, !denied, ran == 1)
		if !denied {
			require.Equal(t, string(req), string(resp))
		}
		require.Len(t, metrics.Stats().Served, 1)
		require.EqualValues(t, 1, metrics.Stats().Served[0].Calls())
	})
}
