package intercept_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/mem"
)

// callerFunc is a Caller that does as the function.
type callerFunc func(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error)

func (f callerFunc) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	return f(ctx, to, method, req)
}

func says(resp []byte, err error) transport.HandlerFunc {
	return func(context.Context, transport.NodeID, string, []byte) ([]byte, error) { return resp, err }
}

var resultsOf = []struct {
	err    error
	called intercept.Result
	served intercept.Result
}{
	{nil, intercept.OK, intercept.OK},
	{errors.New("own"), intercept.Failed, intercept.Failed},
	{fmt.Errorf("x: %w", transport.ErrDenied), intercept.Denied, intercept.Denied},
	{transport.ErrUnknownMethod, intercept.UnknownMethod, intercept.UnknownMethod},
	{&transport.TooLargeError{What: "request"}, intercept.TooLarge, intercept.TooLarge},
	{errors.Join(transport.ErrUnreachable, transport.ErrTooLarge), intercept.TooLarge, intercept.TooLarge},
	{transport.NewRemoteError("m", errors.New("own")), intercept.Failed, intercept.Failed},
	{transport.NewRemoteError("m", transport.ErrDenied), intercept.Denied, intercept.Denied},
	{transport.NewRemoteError("m", transport.ErrUnreachable), intercept.Failed, intercept.Failed},
	{transport.NewRemoteError("m", context.DeadlineExceeded), intercept.Failed, intercept.Failed},
	{context.DeadlineExceeded, intercept.Timeout, intercept.Failed},
	{context.Canceled, intercept.Cancelled, intercept.Failed},
	{transport.ErrUnreachable, intercept.Unreachable, intercept.Failed},
	{transport.ErrClosed, intercept.Closed, intercept.Failed},
}

func TestResults(t *testing.T) {
	for _, c := range resultsOf {
		require.Equal(t, c.called, intercept.CallResult(c.err), "%v", c.err)
		require.Equal(t, c.served, intercept.ServeResult(t.Context(), c.err), "%v", c.err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	require.Equal(t, intercept.Cancelled, intercept.ServeResult(over, errors.New("own")))
	require.Equal(t, intercept.Timeout, intercept.ServeResult(late, errors.New("own")))
	require.Equal(t, intercept.Denied, intercept.ServeResult(late, transport.ErrDenied))
	require.Equal(t, intercept.OK, intercept.ServeResult(late, nil), "the handler was quick enough")
}

func TestResultNames(t *testing.T) {
	var names []string
	for r := intercept.OK; r <= intercept.Closed+1; r++ {
		names = append(names, r.String())
	}
	require.Equal(t, "ok failed denied unknown_method too_large timeout cancelled unreachable closed Result(9)", strings.Join(names, " "))
}

func TestMetricsCountBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b intercept.Metrics
		var mux transport.Mux
		mux.Handle("echo", transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
			time.Sleep(time.Millisecond)
			return append(req[:len(req):len(req)], "!!"...), nil
		}))
		mux.Handle("fail", says(nil, errors.New("no")))
		net := &mem.Network{Link: mem.Link{Latency: 10 * time.Millisecond}}
		net.Node("b", b.Handler(&mux))
		caller := a.Caller(net.Node("a", a.Handler(nil)))
		for range 3 {
			resp, err := caller.Call(t.Context(), "b", "echo", []byte("hello"))
			require.NoError(t, err)
			require.Equal(t, "hello!!", string(resp))
		}
		_, err := caller.Call(t.Context(), "b", "fail", make([]byte, 100))
		require.EqualError(t, err, "transport: remote fail: no")
		_, err = caller.Call(t.Context(), "b", "made up", nil)
		require.ErrorIs(t, err, transport.ErrUnknownMethod)

		called, served := a.Stats().Called, b.Stats().Served
		require.Empty(t, a.Stats().Served)
		require.Empty(t, b.Stats().Called)
		for _, s := range [][]intercept.MethodStats{called, served} {
			require.Equal(t, []string{intercept.Other, "echo", "fail"}, methods(s))
			require.EqualValues(t, 1, s[0].Results[intercept.UnknownMethod])
			require.EqualValues(t, 3, s[1].Results[intercept.OK])
			require.EqualValues(t, 15, s[1].RequestBytes)
			require.EqualValues(t, 21, s[1].ResponseBytes)
			require.EqualValues(t, 1, s[2].Results[intercept.Failed])
			require.EqualValues(t, 100, s[2].RequestBytes)
			require.EqualValues(t, 3, s[1].Calls())
			require.EqualValues(t, 3, s[1].Latency.Count())
		}
		require.Equal(t, 63*time.Millisecond, called[1].Latency.Sum)
		require.Equal(t, 3*time.Millisecond, served[1].Latency.Sum)
		require.Equal(t, 32768*time.Microsecond, called[1].Latency.Quantile(0.99))
	})
}

func methods(all []intercept.MethodStats) (names []string) {
	for _, s := range all {
		names = append(names, s.Method)
	}
	return names
}

func TestMetricsCountCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m intercept.Metrics
		release := make(chan struct{})
		h := m.Handler(transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
			<-release
			return nil, nil
		}))
		inFlight := func() map[string]int {
			all := make(map[string]int)
			for _, s := range m.Stats().Served {
				all[s.Method] = s.InFlight
			}
			return all
		}
		ask := func(method string) { go h.ServeCall(t.Context(), "a", method, nil) }
		ask("x")
		synctest.Wait()
		require.Equal(t, map[string]int{intercept.Other: 1}, inFlight(), "nobody knows yet that there is such a method")
		release <- struct{}{}
		synctest.Wait()
		require.Equal(t, map[string]int{"x": 0}, inFlight())
		ask("x")
		ask("x")
		synctest.Wait()
		require.Equal(t, map[string]int{"x": 2}, inFlight())
		close(release)
		synctest.Wait()
		require.Equal(t, map[string]int{"x": 0}, inFlight())
	})
}

// However many names a peer makes up, or nodes call, rows are few.
func TestMetricsAreBounded(t *testing.T) {
	m := intercept.Metrics{MaxMethods: 5}
	outcome := transport.ErrUnknownMethod
	h := m.Handler(transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) { return nil, outcome }))
	for i := range 1000 {
		outcome = []error{transport.ErrUnknownMethod, transport.ErrDenied}[i%2]
		h.ServeCall(t.Context(), "a", fmt.Sprint("made-up/", i), nil)
	}
	served := m.Stats().Served
	require.Equal(t, []string{intercept.Other}, methods(served))
	require.EqualValues(t, 1000, served[0].Calls())

	outcome = nil
	for i := range 1000 {
		h.ServeCall(t.Context(), "a", fmt.Sprint("real/", i%100), nil)
	}
	served = m.Stats().Served
	require.Equal(t, []string{intercept.Other, "real/0", "real/1", "real/2", "real/3", "real/4"}, methods(served))
	require.EqualValues(t, 950, served[0].Results[intercept.OK])
	require.EqualValues(t, 10, served[5].Results[intercept.OK])

	caller := m.Caller(callerFunc(says(nil, nil)))
	caller.Call(t.Context(), "b", strings.Repeat("x", transport.MaxName+1), nil)
	caller.Call(t.Context(), "b", intercept.Other, nil)
	require.Equal(t, []string{intercept.Other}, methods(m.Stats().Called), "one row of a name")
}

// A peer that calls all names that a careless handler serves takes the rows that are left,
// and none from the methods that have one by right.
func TestMetricsOfMethodsThatAreNamedAreNotCrowdedOut(t *testing.T) {
	for _, most := range []int{0, 5, -1} {
		m := intercept.Metrics{Methods: []string{"real/late", "real/never", intercept.Other}, MaxMethods: most}
		h := m.Handler(says(nil, nil))
		for i := range 10000 {
			h.ServeCall(t.Context(), "a", fmt.Sprint("made-up/", i), nil)
		}
		h.ServeCall(t.Context(), "a", "real/late", nil)
		served := m.Stats().Served
		rows := map[int]int{0: 100, 5: 5, -1: 0}[most] + 2
		require.Len(t, served, rows)
		last := served[len(served)-1]
		require.Equal(t, "real/late", last.Method)
		require.EqualValues(t, 1, last.Calls())
		require.Equal(t, intercept.Other, served[0].Method)
		require.EqualValues(t, 10000-(rows-2), served[0].Calls())
	}
}

// A peer's made-up names are one row, whatever it takes to find out that they are none:
// also those whose call is over before.
func TestMetricsOfMadeUpNamesAreOneRow(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	for name, h := range map[string]transport.Handler{
		"an empty Mux": nil,
		"Access":       new(intercept.Access).Handler(says(nil, nil)),
		"a failure":    says(nil, fmt.Errorf("%w, it seems", transport.ErrUnknownMethod)),
	} {
		t.Run(name, func(t *testing.T) {
			var m intercept.Metrics
			counted := m.Handler(h)
			for i := range 3000 {
				ctx := []context.Context{t.Context(), over, late}[i%3]
				counted.ServeCall(ctx, "a", fmt.Sprint("made-up/", i), nil)
			}
			require.Equal(t, []string{intercept.Other}, methods(m.Stats().Served))
			require.EqualValues(t, 3000, m.Stats().Served[0].Calls())
		})
	}
}

func TestMetricsOfHandlersThatDoNotReturn(t *testing.T) {
	var m intercept.Metrics
	h := m.Handler(transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		if method == "exit" {
			runtime.Goexit()
		}
		panic("ouch")
	}))
	_, err := transport.Invoke(t.Context(), h, "a", "panic", nil)
	require.EqualError(t, err, "panic: ouch")
	var gone sync.WaitGroup
	gone.Go(func() { h.ServeCall(t.Context(), "a", "exit", nil) })
	gone.Wait()
	for _, s := range m.Stats().Served {
		require.EqualValues(t, 1, s.Results[intercept.Failed], s.Method)
		require.Zero(t, s.InFlight)
	}
	require.Len(t, m.Stats().Served, 2)
}

func TestMetricsAtOnce(t *testing.T) {
	m := intercept.Metrics{MaxMethods: 10}
	h := m.Handler(says([]byte("x"), nil))
	c := m.Caller(callerFunc(says([]byte("x"), nil)))
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 200 {
				method := fmt.Sprint((g + i) % 20)
				h.ServeCall(t.Context(), "a", method, []byte("ab"))
				c.Call(t.Context(), "a", method, []byte("ab"))
				m.Stats()
			}
		})
	}
	all.Wait()
	for _, rows := range [][]intercept.MethodStats{m.Stats().Called, m.Stats().Served} {
		require.Len(t, rows, 11)
		var calls, bytes uint64
		for _, s := range rows {
			calls, bytes = calls+s.Calls(), bytes+s.RequestBytes+s.ResponseBytes
			require.Equal(t, s.Calls(), s.Latency.Count())
			require.Zero(t, s.InFlight)
		}
		require.EqualValues(t, 1600, calls)
		require.EqualValues(t, 4800, bytes)
	}
}

func TestLatencyQuantiles(t *testing.T) {
	var l intercept.Latency
	require.Zero(t, l.Quantile(0.5))
	l.Counts[0], l.Counts[3], l.Counts[23] = 98, 1, 1
	require.EqualValues(t, 100, l.Count())
	require.Equal(t, 16*time.Microsecond, l.Quantile(-1))
	require.Equal(t, 16*time.Microsecond, l.Quantile(0.5))
	require.Equal(t, 128*time.Microsecond, l.Quantile(0.99))
	require.Equal(t, intercept.LatencyBound(23), l.Quantile(1))
	require.Equal(t, intercept.LatencyBound(23), l.Quantile(7))
}

// Durations are in the bucket that their bounds say.
func TestLatencyBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i := range 23 {
			var m intercept.Metrics
			var took time.Duration
			h := m.Handler(transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
				time.Sleep(took)
				return nil, nil
			}))
			took = intercept.LatencyBound(i) - 1
			h.ServeCall(t.Context(), "a", "m", nil)
			took++
			h.ServeCall(t.Context(), "a", "m", nil)
			s := m.Stats().Served[0].Latency
			require.EqualValues(t, 1, s.Counts[i])
			require.EqualValues(t, 1, s.Counts[i+1])
		}
	})
}
