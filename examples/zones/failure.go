package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/membership"
)

// A failure is what a client gets in place of an answer.
type failure struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Message   string `json:"error"`
	Condition string `json:"condition,omitempty"` // of a quorum that was not reached: what was counted
	Needed    int    `json:"needed,omitempty"`    // so many of it
	Answered  int    `json:"answered,omitempty"`  // so many answered
}

func (f *failure) Error() string { return f.Message }

func badRequest(format string, args ...any) error {
	return &failure{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf(format, args...)}
}

var errNotFound = &failure{Status: http.StatusNotFound, Code: "not_found", Message: "there is no cart under this key"}

// errMoved says that a node was asked for a change that it cannot make: it does not hold the key.
var errMoved = &failure{Status: http.StatusServiceUnavailable, Code: "moved", Message: "this node does not hold the key"}

// An unknownError says that an owner was to make a change that expects a revision, and that it is not known what came of it:
// its answer was lost, or too few others have confirmed it.
type unknownError struct {
	by  transport.NodeID
	err error
}

func (e *unknownError) Error() string {
	return fmt.Sprintf("it is not known whether %s has made the change: %v", e.by, e.err)
}

func (e *unknownError) Unwrap() error { return e.err }

// failureOf says which of the API's codes an error is. What is not known has one code, whatever kept it from being known.
func failureOf(err error) failure {
	f := causeOf(err)
	if _, unknown := errors.AsType[*unknownError](err); unknown {
		f.Status, f.Code = max(f.Status, http.StatusServiceUnavailable), "unknown"
	}
	return f
}

func causeOf(err error) failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return *f
	}
	if _, ok := errors.AsType[*revision.ConflictError](err); ok {
		return failure{Status: http.StatusPreconditionFailed, Code: "precondition_failed", Message: err.Error()}
	}
	if e, ok := errors.AsType[*quorum.UnavailableError](err); ok {
		return refused(http.StatusServiceUnavailable, "unavailable", err, &e.Refusal)
	}
	if e, ok := errors.AsType[*quorum.TimeoutError](err); ok {
		return refused(http.StatusGatewayTimeout, "timeout", err, &e.Refusal)
	}
	_, level := errors.AsType[*quorum.LevelError](err)
	_, members := errors.AsType[*ring.ConfigError](err)
	if level || members {
		return failure{Status: http.StatusBadRequest, Code: "bad_request", Message: err.Error()}
	}
	f := failure{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: fmt.Sprint(err)}
	switch _, conflict := errors.AsType[*ring.ConflictError](err); {
	case errors.Is(err, transport.ErrUnreachable):
		f.Code = "unreachable"
	case errors.Is(err, context.DeadlineExceeded):
		f.Status, f.Code = http.StatusGatewayTimeout, "timeout"
	case conflict, errors.Is(err, ring.ErrChanging), errors.Is(err, ring.ErrSettled), errors.Is(err, ring.ErrTooLate),
		errors.Is(err, membership.ErrNotDeciding), errors.Is(err, membership.ErrOvertaken):
		f.Status, f.Code = http.StatusConflict, "conflict"
	}
	return f
}

func refused(status int, code string, err error, r *quorum.Refusal) failure {
	return failure{Status: status, Code: code, Message: err.Error(), Condition: r.Condition, Needed: r.Needed, Answered: r.Answered}
}

// answer wraps an endpoint: what it returns is the reply, as JSON.
func answer(f func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		v, err := f(r)
		if err != nil {
			fail := failureOf(err)
			status, v = fail.Status, fail
		}
		if t, ok := v.(interface{ tag() string }); ok && t.tag() != "" {
			tag := `"` + t.tag() + `"`
			w.Header().Set("ETag", tag)
			if (r.Method == http.MethodGet || r.Method == http.MethodHead) && has(r, tag) {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // the client may be gone
	}
}
