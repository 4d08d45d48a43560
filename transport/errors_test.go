package transport_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func TestTooLargeError(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &transport.TooLargeError{What: "request", Limit: 10, Size: 11})
	require.ErrorIs(t, err, transport.ErrTooLarge)
	require.NotErrorIs(t, err, transport.ErrUnreachable)
	require.EqualError(t, err, "wrapped: transport: request of 11 bytes is over the limit of 10")
}

func TestRemoteError(t *testing.T) {
	all := []error{transport.ErrUnreachable, transport.ErrTooLarge, transport.ErrUnknownMethod, transport.ErrDenied, transport.ErrClosed}
	for _, c := range []struct {
		err  error
		code transport.Code
		is   error
	}{
		{errors.New("own"), transport.CodeFailed, nil},
		{fmt.Errorf("x: %w", transport.ErrUnknownMethod), transport.CodeUnknownMethod, transport.ErrUnknownMethod},
		{&transport.TooLargeError{}, transport.CodeTooLarge, transport.ErrTooLarge},
		{&transport.RemoteError{Code: transport.CodeTooLarge}, transport.CodeTooLarge, transport.ErrTooLarge},
		{fmt.Errorf("x: %w", transport.ErrDenied), transport.CodeDenied, transport.ErrDenied},
		{&transport.RemoteError{Code: transport.CodeDenied}, transport.CodeDenied, transport.ErrDenied},
		{transport.ErrUnreachable, transport.CodeFailed, nil},
	} {
		e := transport.NewRemoteError("m", c.err)
		require.Equal(t, c.code, e.Code)
		require.Equal(t, c.err.Error(), e.Message)
		for _, target := range all {
			require.Equal(t, target == c.is, errors.Is(e, target), "%v is %v", c.err, target)
		}
	}
}

// A later version may send numbers that are not known here: they are failures.
func TestRemoteErrorOfUnknownCode(t *testing.T) {
	all := []error{transport.ErrUnreachable, transport.ErrTooLarge, transport.ErrUnknownMethod, transport.ErrDenied, transport.ErrClosed}
	for code := int(transport.CodeDenied) + 1; code <= 255; code++ {
		e := &transport.RemoteError{Method: "m", Message: "new", Code: transport.Code(code)}
		for _, target := range all {
			require.NotErrorIs(t, e, target)
		}
		require.Equal(t, transport.CodeFailed, transport.NewRemoteError("m", e).Code, "and are handed on as such")
	}
}

func TestRemoteErrorTextFitsTheWire(t *testing.T) {
	e := transport.NewRemoteError("m", errors.New(strings.Repeat("ü", transport.MaxErrorText)))
	require.LessOrEqual(t, len(e.Message), transport.MaxErrorText)
	require.True(t, utf8.ValidString(e.Message))
}

type broken struct{ text *string }

func (b *broken) Error() string { return *b.text }

func TestRemoteErrorOfErrorThatPanics(t *testing.T) {
	require.NotPanics(t, func() { transport.NewRemoteError("m", (*broken)(nil)) })
	require.NotPanics(t, func() { transport.NewRemoteError("m", &broken{}) })
}

func TestInvokeTurnsPanicIntoError(t *testing.T) {
	h := transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		var none []byte
		return none[:len(method)], nil
	})
	resp, err := transport.Invoke(t.Context(), h, "a", "m", nil)
	require.Nil(t, resp)
	require.ErrorContains(t, err, "panic: ")
}

func TestCheckCall(t *testing.T) {
	long := strings.Repeat("x", transport.MaxName)
	require.NoError(t, transport.CheckCall(transport.NodeID(long), long, make([]byte, 5), 5))
	require.ErrorIs(t, transport.CheckCall("", "m", nil, 5), transport.ErrUnreachable)
	require.ErrorIs(t, transport.CheckCall("b", long+"x", nil, 5), transport.ErrTooLarge)
	require.ErrorIs(t, transport.CheckCall("b", "m", make([]byte, 6), 5), transport.ErrTooLarge)
}
