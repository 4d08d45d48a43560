package carry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// What is left is rounded up, so that the side that serves never ends first, and is
// what the other side's context has.
func TestTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Zero(t, Left(t.Context()))
		for _, d := range []time.Duration{-time.Hour, 0, 1, time.Microsecond, 1001, time.Second, 100 * 365 * 24 * time.Hour} {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			left := Left(ctx)
			require.Equal(t, uint64(max(1, (d+999)/1000)), left)
			far, cancel := WithLeft(t.Context(), left)
			defer cancel()
			theirs, ok := far.Deadline()
			require.True(t, ok)
			ours, _ := ctx.Deadline()
			require.False(t, theirs.Before(ours))
		}
		for _, none := range []uint64{0, math.MaxUint64, math.MaxInt64/1000 + 1} {
			far, cancel := WithLeft(t.Context(), none)
			defer cancel()
			_, ok := far.Deadline()
			require.False(t, ok)
		}
	})
}

func TestUnreachableHidesWhatIsNotOfTheCall(t *testing.T) {
	remote := &transport.RemoteError{Code: transport.CodeUnknownMethod}
	for _, hidden := range []error{context.Canceled, context.DeadlineExceeded, transport.ErrClosed, transport.ErrTooLarge, transport.ErrUnknownMethod} {
		require.NotErrorIs(t, Unreachable("b", fmt.Errorf("x: %w", hidden)), hidden)
	}
	err := Unreachable("b", errors.Join(remote, io.ErrUnexpectedEOF))
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotErrorIs(t, err, transport.ErrUnknownMethod)
	_, found := errors.AsType[*transport.RemoteError](err)
	require.False(t, found)
}

func TestServeReturnsInAnyCase(t *testing.T) {
	_, err := Serve(t.Context(), nil, "a", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
	for _, h := range []func(){func() { panic("ouch") }, runtime.Goexit} {
		_, err := Serve(t.Context(), transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
			h()
			return nil, nil
		}), "a", "m", nil)
		require.Error(t, err)
	}
}

// A call that was under way may have run, so it is not what a call after Close is. What
// was answered is what it was answered.
func TestCloseEndsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &transport.RemoteError{Method: "m"}
		for _, late := range []error{nil, remote} {
			var c Calls
			ended := make(chan error, 1)
			go func() {
				_, err := c.Do(t.Context(), func(ctx context.Context) ([]byte, error) {
					<-ctx.Done()
					return nil, cmp.Or(late, ctx.Err())
				})
				ended <- err
			}()
			synctest.Wait()
			c.Close()
			require.Equal(t, cmp.Or(late, errCut), <-ended)
			require.NotErrorIs(t, errCut, transport.ErrClosed)
			_, err := c.Do(t.Context(), nil)
			require.Equal(t, transport.ErrClosed, err)
			c.Close()
		}
	})
}
