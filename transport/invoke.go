package transport

import (
	"context"
	"fmt"
)

// Invoke has h serve one call, and turns a panic of h into an error that says
// "panic: " and its value, so that no peer can end a process by what it sends. It
// is for those who write a transport. Who wants the stack of a panic recovers it
// in a Handler around their own.
func Invoke(ctx context.Context, h Handler, from NodeID, method string, req []byte) (resp []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	return h.ServeCall(ctx, from, method, req)
}

// CheckCall refuses a call that no transport can carry: a node without a name, or
// a method or node whose name has more than [MaxName] bytes, or a request of more
// than limit bytes. It is for those who write a transport.
func CheckCall(to NodeID, method string, req []byte, limit int) error {
	switch {
	case to == "":
		return fmt.Errorf("%w: node has no name", ErrUnreachable)
	case len(to) > MaxName:
		return &TooLargeError{What: "node", Limit: MaxName, Size: len(to)}
	case len(method) > MaxName:
		return &TooLargeError{What: "method", Limit: MaxName, Size: len(method)}
	case len(req) > limit:
		return &TooLargeError{What: "request", Limit: limit, Size: len(req)}
	}
	return nil
}
