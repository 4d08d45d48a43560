package carry

import (
	"context"
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/transport"
)

// Unreachable wraps why a node was not reached. What came of the call is
// transport.ErrUnreachable alone: within err, contexts' errors and those of package
// transport are hidden, being about something else. All others are still found.
func Unreachable(to transport.NodeID, err error) error {
	return fmt.Errorf("%w: %q: %w", transport.ErrUnreachable, to, cause{err})
}

// Cause returns err as it stands within what came of a call: see Unreachable.
func Cause(err error) error { return cause{err} }

// A cause is an error within another, to which it is what it is, unless callers
// would take it for what became of their own call.
type cause struct{ err error }

func (c cause) Error() string { return c.err.Error() }

func (c cause) Is(target error) bool {
	switch target {
	case context.Canceled, context.DeadlineExceeded, transport.ErrClosed, transport.ErrTooLarge, transport.ErrUnknownMethod,
		transport.ErrDenied:
		return false
	}
	return errors.Is(c.err, target)
}

func (c cause) As(target any) bool {
	switch target.(type) {
	case **transport.RemoteError, **transport.TooLargeError:
		return false
	}
	return errors.As(c.err, target)
}
