// Package ports finds ports for the tests of the examples, whose programs are told where to listen.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Free returns the first of n ports in a row that were free a moment ago, below those that the system gives to
// connections.
func Free(t testing.TB, n int) int {
	t.Helper()
	for range 100 {
		if first := 20_000 + rand.IntN(10_000); free(first, n) {
			return first
		}
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

func free(first, n int) bool {
	for port := first; port < first+n; port++ {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		_ = ln.Close()
	}
	return true
}
