package transportotel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// A counter is a handler that counts how often it has run, by method, and fails.
type counter struct {
	mu  sync.Mutex
	ran map[string]int
	err error
}

func counting(err error) *counter { return &counter{ran: make(map[string]int), err: err} }

func (c *counter) ServeCall(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran[method]++
	return nil, c.err
}

func (c *counter) times(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ran[method]
}

// rewording is a handler that puts words before what another says went wrong.
func rewording(next transport.Handler) transport.Handler {
	return transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
		resp, err := next.ServeCall(ctx, from, method, req)
		if err != nil {
			err = fmt.Errorf("node b: %w", err)
		}
		return resp, err
	})
}

// Whoever puts words before an error, at either end: the call is made once, and its
// error is what it is without tracing.
func TestWrappedErrorsAreOfOneCall(t *testing.T) {
	all := []error{transport.ErrUnknownMethod, transport.ErrDenied, transport.ErrTooLarge}
	for name, over := range transports {
		t.Run(name, func(t *testing.T) {
			for _, f := range failures {
				for _, end := range []string{"handler", "caller", "both"} {
					h := counting(f.err)
					wrap := func(inner transport.Handler) transport.Caller {
						if end != "caller" {
							inner = rewording(inner)
						}
						c := over(t, inner)
						if end != "handler" {
							c = blaming{c}
						}
						return c
					}
					a, _ := recorded()
					b, record := recorded()
					_, want := wrap(h).Call(t.Context(), "b", "m", nil)
					_, got := a.Caller(wrap(b.Handler(h))).Call(t.Context(), "b", "m", nil)
					require.Equal(t, 2, h.times("m"), "once plainly, and once traced")
					require.Len(t, record.Ended(), 1, "%v at the %s", f.err, end)
					if len(want.Error()) < transport.MaxErrorText {
						require.Equal(t, want.Error(), got.Error())
					}
					for _, e := range all {
						require.Equal(t, errors.Is(want, e), errors.Is(got, e), "%v is %v", f.err, e)
					}
					var e *transport.RemoteError
					require.ErrorAs(t, got, &e)
					require.Equal(t, "m", e.Method)
				}
			}
		})
	}
}

// blaming is a Caller that says whose error it is.
type blaming struct{ next transport.Caller }

func (b blaming) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	resp, err := b.next.Call(ctx, to, method, req)
	if err != nil {
		err = fmt.Errorf("%s failed: %w", to, err)
	}
	return resp, err
}

// What stands before Tracing at a node may say that there is no such method when it has
// run: then too it runs once.
func TestWhatSaysUnknownAfterwardsRunsOnce(t *testing.T) {
	for _, said := range []error{transport.ErrUnknownMethod, transport.ErrDenied} {
		h := counting(errors.New("no luck"))
		b, _ := recorded()
		inner := b.Handler(h)
		fallback := transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
			resp, err := inner.ServeCall(ctx, from, method, req)
			if err != nil {
				err = said
			}
			return resp, err
		})
		a, _ := recorded()
		caller := a.Caller(overMem(t, fallback))
		for i := range 3 {
			_, err := caller.Call(t.Context(), "b", "m", nil)
			require.ErrorIs(t, err, said)
			require.Equal(t, i+1, h.times("m"))
		}
	}
}

// again is a Caller whose connection is lost when a call has run, and that tries a second
// time: it tells of both.
type again struct{ next transport.Caller }

func (a again) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	resp, err := a.next.Call(ctx, to, method, req)
	if method == Prefix {
		return resp, err
	}
	return nil, errors.Join(transport.ErrUnreachable, &transport.TooLargeError{What: "request", Limit: 1, Size: 2})
}

// An error that is of something too large among other things is not of a call that was
// never sent.
func TestJoinedErrorsAreOfOneCall(t *testing.T) {
	h := counting(errors.New("no luck"))
	b, _ := recorded()
	a, _ := recorded()
	_, err := a.Caller(again{overMem(t, b.Handler(h))}).Call(t.Context(), "b", "m", make([]byte, 10))
	require.ErrorIs(t, err, transport.ErrTooLarge)
	require.Equal(t, 1, h.times("m"))
}

// The other way round: a node that takes contexts no more has not run the call, and it
// is made again, once, also if many find out at a time.
func TestCallsThatHaveNotRunAreMadeAgain(t *testing.T) {
	var network mem.Network
	b, _ := recorded()
	network.Node("b", b.Handler(says("", nil)))
	a, _ := recorded()
	caller := a.Caller(network.Node("a", nil))
	_, err := caller.Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)

	h := counting(nil)
	var older transport.Mux
	older.Handle("m", h)
	network.Node("b", &older)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_, err := caller.Call(t.Context(), "b", fmt.Sprint("m", i), nil)
			assert.NoError(t, err)
		})
	}
	all.Wait()
	for i := range 20 {
		require.Equal(t, 1, h.times(fmt.Sprint("m", i)))
	}
}

// callerFunc is a Caller that does as the function.
type callerFunc func(method string) ([]byte, error)

func (f callerFunc) Call(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
	return f(method)
}

// A node that refuses a call, and then cannot be asked whether it takes contexts, is not
// sent it again.
func TestWhoCannotBeAskedIsNotCalledAgain(t *testing.T) {
	for _, refusal := range []error{transport.ErrUnknownMethod, transport.ErrDenied} {
		var sent []string
		a, _ := recorded()
		_, err := a.Caller(callerFunc(func(method string) ([]byte, error) {
			sent = append(sent, method)
			switch {
			case len(sent) == 1:
				return []byte(greeting), nil
			case method == Prefix:
				return nil, transport.ErrUnreachable
			}
			return nil, transport.NewRemoteError(method, refusal)
		})).Call(t.Context(), "b", "m", nil)
		require.Equal(t, transport.ErrUnreachable, err)
		require.Equal(t, []string{Prefix, Prefix + "m", Prefix}, sent)
	}
}

// What may have run and was too large for something on the way is not sent again, but
// the next one of that size goes without a context.
func TestWhatWasTooLargeOnTheWayIsLearned(t *testing.T) {
	var sent []string
	a, _ := recorded()
	caller := a.Caller(callerFunc(func(method string) ([]byte, error) {
		sent = append(sent, method)
		switch method {
		case Prefix:
			return []byte(greeting), nil
		case "m":
			return nil, nil
		}
		return nil, errors.Join(transport.ErrUnreachable, transport.ErrTooLarge)
	}))
	call := func(size int) error {
		_, err := caller.Call(t.Context(), "b", "m", make([]byte, size))
		return err
	}
	require.ErrorIs(t, call(100), transport.ErrTooLarge)
	require.NoError(t, call(100))
	require.NoError(t, call(101))
	require.ErrorIs(t, call(99), transport.ErrTooLarge)
	require.NoError(t, call(99))
	require.Equal(t, []string{Prefix, Prefix + "m", "m", "m", Prefix + "m", "m"}, sent)
}

// The text that says what a hidden error was may be in any error, and changes none.
func TestErrorsWithTheMarkInThemAreUnchanged(t *testing.T) {
	h := counting(nil)
	b, _ := recorded()
	a, _ := recorded()
	traced := a.Caller(overMem(t, rewording(b.Handler(h))))
	plain := overMem(t, rewording(h))
	for _, text := range []string{mark, mark + "1: ", "x " + mark + "3: y", mark + "9: ", mark + "1", mark + mark + "1: z"} {
		for _, err := range []error{errors.New(text), fmt.Errorf("%w %s", transport.ErrUnknownMethod, text), fmt.Errorf("%s: %w", text, transport.ErrTooLarge)} {
			h.err = err
			_, want := plain.Call(t.Context(), "b", "m", nil)
			_, got := traced.Call(t.Context(), "b", "m", nil)
			require.Equal(t, want, got)
		}
	}
}
