package intercept

import (
	"context"
	"errors"
	"strconv"

	"github.com/eventual-go/eventual/transport"
)

// A Result is how a call ended. The numbers and names do not change.
type Result uint8

// The results. The last two are of calls made alone: a handler cannot tell of them.
const (
	OK            Result = 0
	Failed        Result = 1 // the handler returned an error of its own, or panicked
	Denied        Result = 2 // transport.ErrDenied
	UnknownMethod Result = 3 // transport.ErrUnknownMethod
	TooLarge      Result = 4 // transport.ErrTooLarge: a message, or a name
	Timeout       Result = 5 // the deadline had passed
	Cancelled     Result = 6 // the context had ended otherwise: the caller was not waiting any more
	Unreachable   Result = 7 // transport.ErrUnreachable
	Closed        Result = 8 // transport.ErrClosed
)

const results = 9

var resultNames = [results]string{
	"ok", "failed", "denied", "unknown_method", "too_large", "timeout", "cancelled", "unreachable", "closed",
}

// String returns the name of r, in lower case and with underscores, as labels of
// metrics have it.
func (r Result) String() string {
	if r < results {
		return resultNames[r]
	}
	return "Result(" + strconv.Itoa(int(r)) + ")"
}

// CallResult says how a call ended that returned err to the one who made it.
func CallResult(err error) Result {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Cancelled
	}
	if r := told(err); r != Failed {
		return r
	}
	switch {
	case errors.Is(err, transport.ErrUnreachable):
		return Unreachable
	case errors.Is(err, transport.ErrClosed):
		return Closed
	}
	return Failed
}

// ServeResult says how a call ended that was served with ctx, by a handler that
// returned err. What the handler says of contexts and calls of its own does not count,
// as it does not to the caller.
func ServeResult(ctx context.Context, err error) Result {
	if err == nil {
		return OK
	}
	if r := told(err); r != Failed {
		return r
	}
	switch ctx.Err() {
	case nil:
		return Failed
	case context.DeadlineExceeded:
		return Timeout
	}
	return Cancelled
}

// told is the result that an error is on the wire.
func told(err error) Result {
	switch {
	case errors.Is(err, transport.ErrUnknownMethod):
		return UnknownMethod
	case errors.Is(err, transport.ErrTooLarge):
		return TooLarge
	case errors.Is(err, transport.ErrDenied):
		return Denied
	}
	return Failed
}
