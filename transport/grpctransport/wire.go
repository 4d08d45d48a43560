package grpctransport

import (
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

const (
	service    = "eventual.transport.v1.Node"
	callMethod = "Call"
	fullMethod = "/" + service + "/" + callMethod
	version    = "1"
)

// The keys of metadata.
const (
	keyVersion = "eventual-version"
	keyCluster = "eventual-cluster"
	keyFrom    = "eventual-from"
	keyTo      = "eventual-to"
	keyMethod  = "eventual-method"
	keyLimit   = "eventual-limit"
	keySize    = "eventual-size"
	keyStatus  = "eventual-status"
	keyCode    = "eventual-code"
)

// What eventual-status may be.
const (
	statusFailed           = "failed"
	statusRefused          = "refused"
	statusRequestTooLarge  = "request-too-large"
	statusResponseTooLarge = "response-too-large"
)

// envelope is what a message takes in its BytesValue at most, beside itself.
const envelope = 16

// A head is what a request says beside its message.
type head struct {
	cluster  string
	from, to transport.NodeID
	method   string
	accepts  int // bytes of a response
}

// pairs returns the head as keys and values in turn.
func (q *head) pairs() []string {
	return []string{
		keyVersion, version,
		keyCluster, carry.Escape(q.cluster),
		keyFrom, carry.Escape(string(q.from)),
		keyTo, carry.Escape(string(q.to)),
		keyMethod, carry.Escape(q.method),
		keyLimit, strconv.Itoa(q.accepts),
	}
}

// readHead returns what is said in metadata, or what is wrong with it.
func readHead(md metadata.MD) (q head, err error) {
	r := carry.Fields{Of: md}
	if v := r.One(keyVersion); r.Err == nil && v != version {
		return q, fmt.Errorf("version %s is spoken here, not %q", version, v[:min(len(v), 16)])
	}
	q.cluster = r.Name(keyCluster)
	q.from = transport.NodeID(r.Name(keyFrom))
	q.to = transport.NodeID(r.Name(keyTo))
	q.method = r.Name(keyMethod)
	q.accepts = r.Number(keyLimit)
	return q, r.Err
}

// codeOf returns the code of gRPC that comes nearest to what a handler returned. It
// is for those who look at calls in between.
func codeOf(c transport.Code) codes.Code {
	switch c {
	case transport.CodeUnknownMethod:
		return codes.Unimplemented
	case transport.CodeTooLarge:
		return codes.ResourceExhausted
	case transport.CodeDenied:
		return codes.PermissionDenied
	}
	return codes.Unknown
}
