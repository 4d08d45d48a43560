package grpctransport

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// FuzzServer sends anything to a Server: a call is served only if its head is whole,
// which is then written with the same meaning.
func FuzzServer(f *testing.F) {
	f.Add("1", "", "a", "b", "m", "100", []byte("abc"))
	f.Add("2", "%zz", "", "%62", "%00", "18446744073709551615", []byte{})
	f.Fuzz(func(t *testing.T, v, cluster, from, to, method, limit string, req []byte) {
		md := metadata.MD{keyVersion: {v}, keyCluster: {cluster}, keyFrom: {from}, keyTo: {to}, keyMethod: {method}, keyLimit: {limit}}
		if q, err := readHead(md); err == nil {
			require.True(t, q.accepts >= 0 && q.accepts <= carry.MaxNumber)
			require.LessOrEqual(t, max(len(q.cluster), len(q.from), len(q.to), len(q.method)), transport.MaxName)
			again, err := readHead(metadata.Pairs(q.pairs()...))
			require.NoError(t, err)
			require.Equal(t, q, again)
		}
		served := false
		s := &Server{Self: "b", MaxMessage: 100, Handler: transport.HandlerFunc(func(_ context.Context, from transport.NodeID, _ string, req []byte) ([]byte, error) {
			served = true
			require.NotEmpty(t, from)
			return req, nil
		})}
		out, err := s.call(metadata.NewIncomingContext(context.Background(), md), &wrapperspb.BytesValue{Value: req})
		if err == nil {
			require.True(t, served)
			require.Equal(t, string(req), string(out.Value))
		}
		require.True(t, s.calls.Take("c", 1, 1, 1))
	})
}

// FuzzOutcome reads anything as what came of a call.
func FuzzOutcome(f *testing.F) {
	f.Add(uint32(2), "no", statusFailed, "1", "5")
	f.Add(uint32(8), "grpc: received message larger than max (5 vs. 4)", "", "", "")
	f.Add(uint32(8), "grpc: received message larger than max (5 vs. 99999999999999999999)", "", "", "")
	f.Fuzz(func(t *testing.T, code uint32, text, say, number, size string) {
		md := metadata.MD{keyStatus: {say}, keyCode: {number}, keyLimit: {number}, keySize: {size}}
		err := outcome(status.Error(codes.Code(max(code, 1)), text), md, &head{to: "b", method: "m", accepts: 100}, 7)
		require.Error(t, err)
	})
}
