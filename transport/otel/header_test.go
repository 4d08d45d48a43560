package transportotel

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"pgregory.net/rapid"
)

func state(t require.TestingT, s string) trace.TraceState {
	got, err := trace.ParseTraceState(s)
	require.NoError(t, err)
	return got
}

var golden = trace.NewSpanContext(trace.SpanContextConfig{
	TraceID:    trace.TraceID{0: 0x4b, 15: 0x36},
	SpanID:     trace.SpanID{0: 0x53, 7: 0x31},
	TraceFlags: trace.FlagsSampled,
	Remote:     true,
})

// The bytes of version 1 stay.
func TestHeaderIsAsDocumented(t *testing.T) {
	plain := appendContext(nil, golden)
	require.Equal(t, "01"+"4b0000000000000000000000000000"+"36"+"53000000000000"+"31"+"01"+"0000", hex.EncodeToString(plain))
	with := appendContext([]byte("x"), golden.WithTraceState(state(t, "k=v,a@b=c")))
	require.Equal(t, "x"+string(plain[:26])+"\x00\x09k=v,a@b=c", string(with))
}

func TestHeaderThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c trace.SpanContextConfig
		copy(c.TraceID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "trace"))
		copy(c.SpanID[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "span"))
		c.TraceID[3], c.SpanID[3] = c.TraceID[3]|1, c.SpanID[3]|1
		c.TraceFlags = trace.TraceFlags(rapid.Byte().Draw(t, "flags"))
		c.TraceState = state(t, strings.Join(rapid.SliceOfNDistinct(
			rapid.StringMatching(`[a-z][a-z0-9_]{0,9}=[a-z0-9]{1,5}`), 0, 20, func(s string) string { return strings.Split(s, "=")[0] }).Draw(t, "state"), ","))
		c.Remote = true
		want, req := trace.NewSpanContext(c), rapid.SliceOf(rapid.Byte()).Draw(t, "request")
		got, rest, err := parseContext(append(appendContext(nil, want), req...))
		require.NoError(t, err)
		require.True(t, want.Equal(got), "%v %v", want, got)
		require.Equal(t, string(req), string(rest))
	})
}

// Of a long tracestate the entries at the front are carried, which are the newest.
func TestLongStatesAreCut(t *testing.T) {
	var entries []string
	for i := range 32 {
		entries = append(entries, fmt.Sprintf("k%02d=%s", i, strings.Repeat("v", 60)))
	}
	long := golden.WithTraceState(state(t, strings.Join(entries, ",")))
	b := appendContext(nil, long)
	require.LessOrEqual(t, len(b), headerSize+maxState)
	got, rest, err := parseContext(b)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, strings.Join(entries[:7], ","), got.TraceState().String())

	one := golden.WithTraceState(state(t, "k="+strings.Repeat("v", 256)+",l="+strings.Repeat("v", 251)))
	require.Len(t, appendContext(nil, one), headerSize+maxState, "as long as may be")
	more := golden.WithTraceState(state(t, one.TraceState().String()+",m=v"))
	require.Equal(t, appendContext(nil, one), appendContext(nil, more))
}

func TestMalformedHeaders(t *testing.T) {
	good := string(appendContext(nil, golden.WithTraceState(state(t, "k=v"))))
	for name, b := range map[string]string{
		"empty":            "",
		"short":            good[:headerSize-1],
		"state cut":        good[:len(good)-1],
		"version 0":        "\x00" + good[1:],
		"version 2":        "\x02" + good[1:],
		"no trace":         good[:1] + strings.Repeat("\x00", 16) + good[17:],
		"no span":          good[:17] + strings.Repeat("\x00", 8) + good[25:],
		"state over limit": good[:26] + "\x02\x01" + strings.Repeat("x", 600),
		"state claimed":    good[:26] + "\xff\xff" + good[28:],
	} {
		_, _, err := parseContext([]byte(b))
		require.Equal(t, errHeader, err, name)
	}
	got, rest, err := parseContext([]byte(good[:26] + "\x00\x03=,=rest"))
	require.NoError(t, err, "a state that is none is no reason to refuse the call")
	require.True(t, golden.Equal(got))
	require.Equal(t, "rest", string(rest))
}

func FuzzParseContext(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendContext(nil, golden))
	f.Add(append(appendContext(nil, golden.WithTraceState(state(f, "k=v,a@b=c"))), "request"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		of, rest, err := parseContext(b)
		if err != nil {
			require.Equal(t, errHeader, err)
			return
		}
		require.True(t, of.IsValid() && of.IsRemote())
		require.LessOrEqual(t, len(b)-len(rest), headerSize+maxState)
		require.Equal(t, string(b[len(b)-len(rest):]), string(rest))
		again, none, err := parseContext(appendContext(nil, of))
		require.NoError(t, err)
		require.Empty(t, none)
		require.Equal(t, of.TraceID(), again.TraceID())
		require.Equal(t, of.SpanID(), again.SpanID())
		require.Equal(t, of.TraceFlags(), again.TraceFlags())
	})
}

func FuzzHandler(f *testing.F) {
	f.Add("m", []byte("plain"))
	f.Add(Prefix, []byte{})
	f.Add(Prefix+"m", append(appendContext(nil, golden), "request"...))
	f.Fuzz(func(t *testing.T, method string, req []byte) {
		var seen []string
		h := new(Tracing).Handler(echoes(&seen))
		before := string(req)
		resp, err := h.ServeCall(t.Context(), "a", method, req)
		require.Equal(t, before, string(req), "the request is not changed")
		inner, carries := strings.CutPrefix(method, Prefix)
		switch {
		case !carries:
			require.Equal(t, []string{method}, seen)
			require.Equal(t, before, string(resp))
		case inner == "":
			require.Equal(t, greeting, string(resp))
			require.Empty(t, seen)
		case err != nil:
			require.Equal(t, errHeader, err)
			require.Empty(t, seen)
		default:
			require.Equal(t, []string{inner}, seen)
			require.True(t, strings.HasSuffix(before, string(resp)))
		}
	})
}
