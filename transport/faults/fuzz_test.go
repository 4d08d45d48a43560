package faults_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
)

// FuzzMiddleware has any call served through the middleware: what it does not refuse
// arrives as it is, and so does what is said of it.
func FuzzMiddleware(f *testing.F) {
	f.Add("a", "m", []byte("request"), "", false)
	f.Add("", "", []byte{}, "no luck", false)
	f.Add("\xff\"", "m", []byte("x"), "faults: call not taken in", true)
	f.Fuzz(func(t *testing.T, from, method string, req []byte, said string, cut bool) {
		before, ran := bytes.Clone(req), 0
		faulty := &faults.Network{Refuse: true, Trace: new(faults.Trace)}
		if cut {
			faulty.Cut(transport.NodeID(from), "b")
		}
		h := faulty.Handler("b", transport.HandlerFunc(func(_ context.Context, by transport.NodeID, m string, b []byte) ([]byte, error) {
			ran++
			require.Equal(t, []string{from, method}, []string{string(by), m})
			if said != "" {
				return nil, errors.New(said)
			}
			return b, nil
		}))
		resp, err := h.ServeCall(t.Context(), transport.NodeID(from), method, req)
		require.Equal(t, before, bytes.Clone(req))
		switch {
		case cut:
			require.ErrorIs(t, err, transport.ErrUnreachable)
			require.Zero(t, ran)
		case said != "":
			require.EqualError(t, err, said)
		default:
			require.NoError(t, err)
			require.Equal(t, before, bytes.Clone(resp))
			require.Equal(t, 1, ran)
		}
	})
}
