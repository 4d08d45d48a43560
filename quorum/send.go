package quorum

import (
	"context"

	"github.com/eventual-go/eventual/transport"
)

// A Send is one call that an operation wants made: call Method of the node To with
// Request, and hand the outcome back to the operation, together with the Send. The
// Request is shared by the Sends of one operation and must not be changed.
type Send struct {
	To      transport.NodeID
	Method  string
	Request []byte
	// ID tells the Sends of one operation apart. It says nothing to others.
	ID int

	key    string
	state  []byte
	repair bool
}

// direct asks a replica in this process, without the codec in between.
func (s *Send) direct(ctx context.Context, local Replica) (state []byte, err error) {
	if local == nil {
		return nil, errNoLocal
	}
	if s.Method == MethodLoad {
		return local.Load(ctx, s.key)
	}
	_, err = local.Merge(ctx, s.key, s.state)
	return nil, err
}

// remote asks the replica of another node.
func (s *Send) remote(ctx context.Context, caller transport.Caller) (state []byte, err error) {
	if caller == nil {
		return nil, errNoCaller
	}
	resp, err := caller.Call(ctx, s.To, s.Method, s.Request)
	if err != nil {
		return nil, err
	}
	return parseResponse(s.Method, resp)
}

// sends is the same request to every member of a Tally; the position is the ID.
func (t *Tally) sends(method, key string, state []byte) []Send {
	request := appendRequest(nil, key, state)
	state = request[len(request)-len(state):] // our own copy: the caller's is its own again
	all := make([]Send, len(t.members))
	for i, m := range t.members {
		all[i] = Send{To: m.node, Method: method, Request: request, ID: i, key: key, state: state}
	}
	return all
}
