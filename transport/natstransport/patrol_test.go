package natstransport

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// However seldom a caller says that it will ask, a handler whose caller does not ask for
// three minutes is stopped; and however often, it has 30 ms.
func TestHandlersAreNotKeptForLong(t *testing.T) {
	for says, is := range map[time.Duration]time.Duration{
		0:                     30 * time.Millisecond,
		time.Millisecond:      30 * time.Millisecond,
		time.Second:           3 * time.Second,
		time.Hour:             3 * time.Minute,
		1_000_000 * time.Hour: 3 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			took := make(chan time.Duration, 1)
			began := time.Now()
			s := &server{t: &Transport{Conn: new(nats.Conn), Self: "b"}, calls: make(map[callName]*served), handler: transport.HandlerFunc(
				func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
					<-ctx.Done()
					took <- time.Since(began)
					return nil, ctx.Err()
				})}
			q := request{every: says}
			s.receive(&nats.Msg{Subject: "eventual.=.b.a", Reply: "inbox", Data: q.append(nil)})
			require.Equal(t, is, <-took)
			s.running.Wait()
		})
		require.Equal(t, is/3, (&Transport{KeepAlive: max(says, 1)}).keepAlive(), "and nobody asks more seldom")
	}
}
