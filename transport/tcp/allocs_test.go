package tcp_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport/tcp"
)

// What a call costs both sides together: the caller's response, and the context of the
// handler. Each record that TLS reads costs it one of its own.
func TestCallsCostFewAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget what they hold, to find more")
	}
	for _, c := range []struct {
		secure bool
		bytes  int
		most   float64
	}{{false, 100, 2}, {false, 64 << 10, 2}, {true, 100, 4}} {
		t.Run(fmt.Sprintf("TLS=%v/%d bytes", c.secure, c.bytes), func(t *testing.T) {
			a, _ := pair(t, echoer, func(a, b *tcp.Transport) {
				if c.secure {
					ca := tcp.NewAuthority(t)
					a.Plain, a.TLS = false, ca.TLS("", "a")
					b.Plain, b.TLS = false, ca.TLS("", "b")
				}
			})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			req := make([]byte, c.bytes)
			n := testing.AllocsPerRun(1_000, func() {
				_, err := a.Call(ctx, "b", "m", req)
				require.NoError(t, err)
			})
			require.LessOrEqual(t, n, c.most)
			require.Positive(t, n)
		})
	}
}
