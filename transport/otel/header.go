package transportotel

import (
	"encoding/binary"
	"errors"

	"go.opentelemetry.io/otel/trace"
)

const (
	version    = 1
	headerSize = 1 + 16 + 8 + 1 + 2
	maxState   = 512 // bytes of a tracestate, as W3C Trace Context asks to be carried
)

var errHeader = errors.New("transportotel: malformed trace context")

// appendContext appends a span's context to b, in the form that doc.go describes.
func appendContext(b []byte, of trace.SpanContext) []byte {
	id, span, state := of.TraceID(), of.SpanID(), bounded(of.TraceState())
	b = append(b, version)
	b = append(b, id[:]...)
	b = append(b, span[:]...)
	b = append(b, byte(of.TraceFlags()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(state)))
	return append(b, state...)
}

// bounded is the beginning of a tracestate, in whole entries; the last ones go first.
func bounded(state trace.TraceState) string {
	s := state.String()
	if len(s) <= maxState {
		return s
	}
	end := 0
	for i := 0; i <= maxState; i++ {
		if s[i] == ',' {
			end = i
		}
	}
	return s[:end]
}

// parseContext takes a span's context off the front of a request. A tracestate that
// is none is dropped, as W3C Trace Context says; all else must be as it should.
func parseContext(b []byte) (of trace.SpanContext, req []byte, err error) {
	if len(b) < headerSize || b[0] != version {
		return of, nil, errHeader
	}
	n := int(binary.BigEndian.Uint16(b[headerSize-2:]))
	if n > maxState || n > len(b)-headerSize {
		return of, nil, errHeader
	}
	c := trace.SpanContextConfig{
		TraceID:    trace.TraceID(b[1:17]),
		SpanID:     trace.SpanID(b[17:25]),
		TraceFlags: trace.TraceFlags(b[25]),
		Remote:     true,
	}
	c.TraceState, _ = trace.ParseTraceState(string(b[headerSize : headerSize+n]))
	if of = trace.NewSpanContext(c); !of.IsValid() {
		return trace.SpanContext{}, nil, errHeader
	}
	return of, b[headerSize+n:], nil
}
