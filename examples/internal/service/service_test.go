package service

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "junk", ":7001", "host:", "host:port", "host:70000", "::1", "::1:7001", "a:1:2"} {
		require.ErrorContains(t, CheckAddr(bad), "is not host:port", "%q", bad)
	}
	for _, good := range []string{"127.0.0.1:7001", "[::1]:7001", "b.example:7001", "b:http"} {
		require.NoError(t, CheckAddr(good), "%q", good)
	}
}
