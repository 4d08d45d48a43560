package transport

import (
	"errors"
	"fmt"
	"strings"
)

// The errors that every transport reports alike; test for them with [errors.Is].
var (
	// ErrUnreachable says that there is no connection to the node: its address is
	// not known, it refuses, it is of another cluster, or the connection was lost, or
	// closed by this side, while the call was under way. In the last two cases the call
	// may have run.
	ErrUnreachable = errors.New("transport: unreachable")

	// ErrTooLarge says that a message is over a limit. The error that holds it at the
	// side of the caller is a [*TooLargeError], or a [*RemoteError] if a handler
	// returned one.
	ErrTooLarge = errors.New("transport: too large")

	// ErrUnknownMethod says that the node has no handler for the method.
	ErrUnknownMethod = errors.New("transport: unknown method")

	// ErrDenied says that the node does not let this one call the method, and that no
	// handler has run: see package transport/intercept.
	ErrDenied = errors.New("transport: denied")

	// ErrClosed says that this side of the transport has been closed: the call was not
	// made. Calls that are under way when it is closed end with ErrUnreachable.
	ErrClosed = errors.New("transport: closed")
)

// A TooLargeError says which message is over which limit. It is [ErrTooLarge] to
// [errors.Is]. A request over the limit is refused before anything of it is sent;
// a response over the limit is refused after the handler has run.
type TooLargeError struct {
	What  string // "request", "response", "method" or "node"
	Limit int    // the most bytes allowed
	Size  int    // the bytes that it has
}

// Error says what is too large, by how much.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("transport: %s of %d bytes is over the limit of %d", e.What, e.Size, e.Limit)
}

// Is says whether target is [ErrTooLarge].
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// MaxErrorText is the most bytes that the text of a [*RemoteError] may have on the
// wire; a longer one is cut.
const MaxErrorText = 1024

// A Code says which of this package's errors a [*RemoteError] stands for. The
// numbers are sent over the wire and do not change. Most users will not need it.
type Code uint8

// The codes. A number that is not known reads as CodeFailed.
const (
	CodeFailed        Code = 0 // an error of the handler's own
	CodeUnknownMethod Code = 1 // ErrUnknownMethod
	CodeTooLarge      Code = 2 // ErrTooLarge
	CodeDenied        Code = 3 // ErrDenied
)

// A RemoteError is an error that the handler at the other side returned, or its
// panic. The call did reach the node.
type RemoteError struct {
	Method  string // the method called
	Message string // what the handler's error said, in valid UTF-8
	Code    Code   // which error of this package it was, if any
}

// NewRemoteError returns what a caller of method sees when the handler returned
// err. It is for those who write a transport.
func NewRemoteError(method string, err error) *RemoteError {
	return &RemoteError{Method: method, Message: cut(fmt.Sprint(err)), Code: codeOf(err)}
}

// Error says which method failed and why.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("transport: remote %s: %s", e.Method, e.Message)
}

// Is says whether target is the error of this package that the handler returned:
// [ErrUnknownMethod], [ErrTooLarge] or [ErrDenied].
func (e *RemoteError) Is(target error) bool {
	switch e.Code {
	case CodeUnknownMethod:
		return target == ErrUnknownMethod
	case CodeTooLarge:
		return target == ErrTooLarge
	case CodeDenied:
		return target == ErrDenied
	}
	return false
}

func codeOf(err error) Code {
	switch {
	case errors.Is(err, ErrUnknownMethod):
		return CodeUnknownMethod
	case errors.Is(err, ErrTooLarge):
		return CodeTooLarge
	case errors.Is(err, ErrDenied):
		return CodeDenied
	}
	return CodeFailed
}

// cut makes a text fit for the wire: valid UTF-8 of at most MaxErrorText bytes.
func cut(s string) string {
	if len(s) > MaxErrorText {
		s = s[:MaxErrorText]
	}
	return strings.ToValidUTF8(s, "")
}
