package session

import (
	"context"
	"testing"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// A stuck replica is a disk that does not answer.
type stuck struct{ quorum.Replica }

func (stuck) Load(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A node whose own replica is stuck answers by others: when the Quorum does not wait any longer, or after a quarter of the time that
// there is.
func TestBoundDoesNotWaitForItsOwnReplica(t *testing.T) {
	for name, limit := range map[string]time.Duration{"without a deadline": 0, "with one": time.Second} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				_, all, at := group()
				_, err := all["b"].Write(t.Context(), "k", []byte{1}, writes(quorum.All))
				require.NoError(t, err)
				all["a"].Local = stuck{at["a"]}
				b := &Bound{Quorum: all["a"], Self: "a", Age: func(string) (time.Duration, bool) { return 0, true }}
				ctx, own := t.Context(), quorum.DefaultTimeout
				if limit > 0 {
					with, stop := context.WithTimeout(ctx, limit)
					defer stop()
					ctx, own = with, limit/4
				}
				start := time.Now()
				res, err := b.Read(ctx, "k")
				require.NoError(t, err)
				require.Equal(t, []byte{1}, res.State)
				require.GreaterOrEqual(t, time.Since(start), own)
				require.NoError(t, ctx.Err())
			})
		})
	}
}

// Nobody else is asked for who does not wait any longer.
func TestBoundEndsWithItsCaller(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	q := &asked{read: func(quorum.ReadOptions) (quorum.ReadResult, error) {
		stop()
		return quorum.ReadResult{}, &quorum.TimeoutError{}
	}}
	b := &Bound{Quorum: q, Self: "a", Age: func(string) (time.Duration, bool) { return 0, true }}
	_, err := b.Read(ctx, "k")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Len(t, q.reads, 1)
}
