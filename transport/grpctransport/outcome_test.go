package grpctransport

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/eventual-go/eventual/transport"
)

// A trailer in which something is said twice says nothing: of two, others may have seen
// the other.
func TestRepeatedTrailers(t *testing.T) {
	q := head{to: "b", method: "m", accepts: 100}
	err := status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)")
	for say, keys := range map[string][]string{
		statusFailed:           {keyStatus, keyCode},
		statusRequestTooLarge:  {keyStatus, keyLimit},
		statusResponseTooLarge: {keyStatus, keyLimit, keySize},
	} {
		whole := metadata.Pairs(keyStatus, say, keyCode, "2", keyLimit, "100", keySize, "101")
		require.ErrorIs(t, outcome(err, whole, &q, 7), transport.ErrTooLarge)
		for _, key := range keys {
			twice := whole.Copy()
			twice[key] = slices.Repeat(twice[key], 2)
			got := outcome(err, twice, &q, 7)
			require.ErrorIs(t, got, transport.ErrUnreachable, "%s, %s twice", say, key)
			require.NotErrorIs(t, got, transport.ErrTooLarge)
		}
	}
	require.ErrorIs(t, outcome(err, nil, &q, 7), transport.ErrTooLarge, "which gRPC itself says by text alone")
}
