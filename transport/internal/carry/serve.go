package carry

import (
	"context"
	"errors"

	"github.com/eventual-go/eventual/transport"
)

// ErrNoReply is what comes of a handler that ends its goroutine.
var ErrNoReply = errors.New("handler ended without a reply")

// Serve has h serve one call and returns when it has, in whatever way: a panic is
// an error, and so is a handler that ends its goroutine, which is why it has one of
// its own.
func Serve(ctx context.Context, h transport.Handler, from transport.NodeID, method string, req []byte) (resp []byte, err error) {
	if h == nil {
		h = new(transport.Mux)
	}
	done := make(chan struct{})
	err = ErrNoReply
	go func() {
		defer close(done)
		resp, err = transport.Invoke(ctx, h, from, method, req)
	}()
	<-done
	return resp, err
}
