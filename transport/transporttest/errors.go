package transporttest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func failing(err error) transport.HandlerFunc {
	return func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		return []byte("a response beside an error is not sent"), err
	}
}

func remote(t *testing.T, err error) *transport.RemoteError {
	t.Helper()
	var e *transport.RemoteError
	require.ErrorAs(t, err, &e)
	return e
}

func testRemoteError(t *testing.T, n Network) {
	n.Start("b", methods{
		"plain":  failing(errors.New("no such luck")),
		"method": failing(fmt.Errorf("inside: %w", transport.ErrUnknownMethod)),
		"large":  failing(&transport.TooLargeError{What: "request", Limit: 1, Size: 2}),
		"denied": failing(fmt.Errorf("not you: %w", transport.ErrDenied)),
		"echo":   echo,
	}.mux())
	a := n.Start("a", nil)
	err := fails(t, a, "b", "plain", nil)
	require.Equal(t, &transport.RemoteError{Method: "plain", Message: "no such luck"}, remote(t, err))
	err = fails(t, a, "b", "method", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
	require.NotErrorIs(t, err, transport.ErrTooLarge)
	require.Equal(t, "inside: transport: unknown method", remote(t, err).Message)
	err = fails(t, a, "b", "large", nil)
	require.ErrorIs(t, err, transport.ErrTooLarge)
	require.NotErrorIs(t, err, transport.ErrUnknownMethod)
	err = fails(t, a, "b", "denied", nil)
	require.ErrorIs(t, err, transport.ErrDenied)
	require.NotErrorIs(t, err, transport.ErrTooLarge)
	call(t, a, "b", "echo", nil)
}

// What a handler says of its own calls and contexts is not said of this call.
func testRemoteErrorIsNotLocal(t *testing.T, n Network) {
	foreign := []error{transport.ErrUnreachable, transport.ErrClosed, context.Canceled, context.DeadlineExceeded}
	handlers := methods{}
	for i, err := range foreign {
		handlers[fmt.Sprint(i)] = failing(err)
	}
	n.Start("b", handlers.mux())
	a := n.Start("a", nil)
	for i, foreign := range foreign {
		err := fails(t, a, "b", fmt.Sprint(i), nil)
		require.NotErrorIs(t, err, foreign)
		require.Equal(t, foreign.Error(), remote(t, err).Message)
	}
}

func testRemoteErrorIsBounded(t *testing.T, n Network) {
	n.Start("b", methods{
		"long":    failing(errors.New(strings.Repeat("long ", 1<<20))),
		"invalid": failing(errors.New("in\xffvalid")),
		"empty":   failing(errors.New("")),
	}.mux())
	a := n.Start("a", nil)
	long := remote(t, fails(t, a, "b", "long", nil)).Message
	require.Greater(t, len(long), 100)
	require.LessOrEqual(t, len(long), transport.MaxErrorText)
	require.True(t, utf8.ValidString(remote(t, fails(t, a, "b", "invalid", nil)).Message))
	require.Empty(t, remote(t, fails(t, a, "b", "empty", nil)).Message)
}

// The text of an error arrives as it is.
func testRemoteErrorIsVerbatim(t *testing.T, n Network) {
	texts := []string{"two\nlines\r\n", " spaces ", "100% %41", "\x00\x7f", "日本語 ✓", "\"quoted\\\"", strings.Repeat("é", transport.MaxErrorText/2)}
	handlers := methods{}
	for i, text := range texts {
		handlers[fmt.Sprint(i)] = failing(errors.New(text))
	}
	n.Start("b", handlers.mux())
	a := n.Start("a", nil)
	for i, text := range texts {
		require.Equal(t, text, remote(t, fails(t, a, "b", fmt.Sprint(i), nil)).Message)
	}
}

func testUnknownMethod(t *testing.T, n Network) {
	n.Start("b", methods{"echo": echo}.mux())
	a := n.Start("a", nil)
	err := fails(t, a, "b", "nothing/here", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
	remote(t, err)
	require.ErrorIs(t, fails(t, a, "a", "x", nil), transport.ErrUnknownMethod) // a nil handler answers nothing
}

// A panic fails the call that caused it, and no other.
func testPanic(t *testing.T, n Network) {
	started, release := make(chan struct{}), make(chan struct{})
	n.Start("b", methods{
		"panic": func(context.Context, transport.NodeID, string, []byte) ([]byte, error) { panic("ouch") },
		"wait": func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
			close(started)
			<-release
			return []byte("unharmed"), nil
		},
	}.mux())
	a := n.Start("a", nil)
	other := make(chan string, 1)
	go func() {
		resp, err := a.Call(bounded(t), "b", "wait", nil)
		other <- fmt.Sprint(string(resp), err)
	}()
	receive(t, started)
	require.Contains(t, remote(t, fails(t, a, "b", "panic", nil)).Message, "ouch")
	close(release)
	require.Equal(t, "unharmed<nil>", receive(t, other))
}

func testHandlerEndsGoroutine(t *testing.T, n Network) {
	n.Start("b", methods{"exit": func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		runtime.Goexit()
		return nil, nil
	}}.mux())
	a := n.Start("a", nil)
	remote(t, fails(t, a, "b", "exit", nil))
}
