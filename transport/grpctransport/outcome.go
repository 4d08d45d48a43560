package grpctransport

import (
	"errors"
	"regexp"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// outcome returns what the error of a call stands for. The trailer says whose it is.
func outcome(err error, trailer metadata.MD, q *head, size int) error {
	r := carry.Fields{Of: trailer}
	said := status.Convert(err)
	switch r.One(keyStatus) {
	case statusFailed:
		return failure(&r, err, said, q)
	case statusRequestTooLarge:
		return tooLargeError(&r, q, "request", size)
	case statusResponseTooLarge:
		return tooLargeError(&r, q, "response", r.Number(keySize))
	}
	if limit, over := overOwnLimit(said); over && len(trailer[keyStatus]) == 0 {
		return &transport.TooLargeError{What: "request", Limit: limit, Size: size}
	}
	return carry.Unreachable(q.to, err)
}

func failure(r *carry.Fields, err error, said *status.Status, q *head) error {
	code := r.Uint(keyCode, 8)
	if r.Err != nil {
		return carry.Unreachable(q.to, err)
	}
	e := transport.NewRemoteError(q.method, errors.New(said.Message())) // which makes the text fit
	e.Code = transport.Code(code)
	return e
}

func tooLargeError(r *carry.Fields, q *head, what string, size int) error {
	limit := r.Number(keyLimit)
	if r.Err != nil {
		return carry.Unreachable(q.to, r.Err)
	}
	return &transport.TooLargeError{What: what, Limit: limit, Size: size}
}

// larger is what gRPC says of a message over grpc.MaxRecvMsgSize, by text alone.
var larger = regexp.MustCompile(`^grpc: received message larger than max \(\d+ vs\. (\d+)\)$`)

// overOwnLimit says whether the gRPC server refused a request for its size, and what
// it would take.
func overOwnLimit(said *status.Status) (limit int, over bool) {
	if said.Code() != codes.ResourceExhausted {
		return 0, false
	}
	m := larger.FindStringSubmatch(said.Message())
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return max(n-envelope, 0), err == nil
}
