package quorum

import (
	"context"
	"fmt"

	"github.com/eventual-go/eventual/transport"
)

// Handler serves the calls of other coordinators from the Local replica: the
// methods MethodLoad and MethodMerge. It decodes at most what it was sent, and
// refuses with a [*MessageError], or [ErrVersion]. It needs no other field than
// Local.
func (c *Coordinator) Handler() transport.Handler {
	return transport.HandlerFunc(c.serve)
}

func (c *Coordinator) serve(ctx context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
	switch {
	case method != MethodLoad && method != MethodMerge:
		return nil, fmt.Errorf("%w %q", transport.ErrUnknownMethod, method)
	case c.Local == nil:
		return nil, errNoReplica
	}
	key, state, err := parseRequest(method, req)
	if err != nil {
		return nil, err
	}
	s := Send{Method: method, key: key, state: state}
	state, err = s.direct(ctx, c.Local)
	if err != nil {
		return nil, err
	}
	return appendResponse(nil, state), nil
}
