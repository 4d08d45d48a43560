package intercept_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
)

// lines has a log's lines, each as its fields.
func lines(t *testing.T, b *bytes.Buffer) (all []map[string]any) {
	t.Helper()
	for d := json.NewDecoder(b); d.More(); {
		var line map[string]any
		require.NoError(t, d.Decode(&line))
		all = append(all, line)
	}
	return all
}

func TestLogOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := &intercept.Log{Logger: slog.New(slog.NewJSONHandler(&out, nil))}
		outcome := error(nil)
		slow := transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
			time.Sleep(3 * time.Millisecond)
			return nil, outcome
		})
		h, c := l.Handler(slow), l.Caller(callerFunc(slow))
		serve := func(err error) { outcome = err; h.ServeCall(t.Context(), "peer", "m/1", nil) }

		serve(nil)
		require.Empty(t, out.String())
		serve(errors.New("no luck"))
		got := lines(t, &out)
		require.Len(t, got, 1)
		delete(got[0], "time")
		require.Equal(t, map[string]any{
			"level": "WARN", "msg": "transport: served call failed", "node": "peer", "method": "m/1", "result": "failed",
			"elapsed": 3e6, "error": "no luck", "omitted": 0.0,
		}, got[0])

		for range 5 {
			serve(errors.New("again"))
		}
		require.Empty(t, out.String(), "one line a second")
		serve(transport.ErrDenied)
		require.Len(t, lines(t, &out), 1, "but one of each kind")
		c.Call(t.Context(), "b", "m/2", nil)
		require.Equal(t, "transport: call failed", lines(t, &out)[0]["msg"], "and direction")
		time.Sleep(time.Second)
		serve(errors.New("once more"))
		require.Equal(t, 5.0, lines(t, &out)[0]["omitted"])
		time.Sleep(time.Second)
		serve(errors.New("and more"))
		require.Equal(t, 0.0, lines(t, &out)[0]["omitted"])
	})
}

func TestLogLeavesOutWhatNobodyWaitsFor(t *testing.T) {
	var out bytes.Buffer
	l := &intercept.Log{Logger: slog.New(slog.NewJSONHandler(&out, nil))}
	l.Caller(callerFunc(says(nil, context.Canceled))).Call(t.Context(), "b", "m", nil)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	l.Handler(says(nil, errors.New("late"))).ServeCall(over, "a", "m", nil)
	require.Empty(t, out.String())
}

func TestLogOfPanicHasItsStack(t *testing.T) {
	var out bytes.Buffer
	l := &intercept.Log{Logger: slog.New(slog.NewJSONHandler(&out, nil)), Every: time.Hour}
	h := l.Handler(transport.HandlerFunc(burst))
	for range 3 {
		_, err := transport.Invoke(t.Context(), h, "a", "m", nil)
		require.EqualError(t, err, "panic: ouch")
	}
	got := lines(t, &out)
	require.Len(t, got, 1)
	require.Equal(t, "ERROR", got[0]["level"])
	require.Equal(t, "ouch", got[0]["panic"])
	require.Contains(t, got[0]["stack"], "intercept_test.burst")
}

func burst(context.Context, transport.NodeID, string, []byte) ([]byte, error) { panic("ouch") }

// What a peer chooses stays within its line.
func TestLogOfHostileNames(t *testing.T) {
	var out strings.Builder
	l := &intercept.Log{Logger: slog.New(slog.NewTextHandler(&out, nil))}
	_, err := l.Handler(nil).ServeCall(t.Context(), "a\nlevel=ERROR", "m\nlevel=ERROR", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
}
