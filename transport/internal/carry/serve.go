package carry

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/eventual-go/eventual/transport"
)

var errNoReply = errors.New("handler ended without a reply")

// Serve has h serve one call and returns when it has, in whatever way: a panic is
// an error, and so is a handler that ends its goroutine, which is why it has one of
// its own.
func Serve(ctx context.Context, h transport.Handler, from transport.NodeID, method string, req []byte) (resp []byte, err error) {
	if h == nil {
		h = new(transport.Mux)
	}
	done := make(chan struct{})
	err = errNoReply
	go func() {
		defer close(done)
		resp, err = transport.Invoke(ctx, h, from, method, req)
	}()
	<-done
	return resp, err
}

// A Room is what calls take at the side that serves them. What does not fit is to
// be refused: nothing waits, so nothing that is slow holds up another. The zero
// value is empty. It is safe for concurrent use.
type Room struct{ calls, bytes atomic.Int64 }

// Enter takes the place of one call, if there are fewer than limit.
func (r *Room) Enter(limit int) bool { return take(&r.calls, 1, limit) }

// Leave gives the place of one call back.
func (r *Room) Leave() { r.calls.Add(-1) }

// Take takes room for n bytes, if no more than limit are taken then.
func (r *Room) Take(n, limit int) bool { return take(&r.bytes, n, limit) }

// Give gives the room of n bytes back.
func (r *Room) Give(n int) { r.bytes.Add(-int64(n)) }

func take(of *atomic.Int64, n, limit int) bool {
	if of.Add(int64(n)) <= int64(limit) {
		return true
	}
	of.Add(-int64(n))
	return false
}
