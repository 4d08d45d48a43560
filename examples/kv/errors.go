package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A failure is what a client gets in place of an answer.
type failure struct {
	Status   int    `json:"-"`
	Error    string `json:"error"`
	Code     string `json:"code"`
	Answered *int   `json:"answered,omitempty"` // of an unavailable quorum
	Needed   *int   `json:"needed,omitempty"`
}

// A clientError is the client's own doing: bad_request unless it says otherwise.
type clientError struct {
	status  int
	code    string
	message string
}

func (e *clientError) Error() string { return e.message }

func badRequest(format string, args ...any) error {
	return &clientError{http.StatusBadRequest, "bad_request", fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &clientError{http.StatusConflict, "conflict", fmt.Sprintf(format, args...)}
}

var errNotFound = &clientError{http.StatusNotFound, "not_found", "nothing is stored under this key"}

// failureOf says which of the API's codes an error is.
func failureOf(err error) failure {
	if e, ok := errors.AsType[*clientError](err); ok {
		return failure{Status: e.status, Error: e.message, Code: e.code}
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return failure{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
			Error: fmt.Sprintf("the body may have %d bytes", e.Limit)}
	}
	if errors.Is(err, transport.ErrTooLarge) {
		return failure{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Error: err.Error()}
	}
	if e, ok := errors.AsType[*quorum.UnavailableError](err); ok {
		return failure{Status: http.StatusServiceUnavailable, Code: "unavailable", Error: err.Error(),
			Answered: &e.Answered, Needed: &e.Needed}
	}
	if e, ok := errors.AsType[*quorum.TimeoutError](err); ok {
		return failure{Status: http.StatusGatewayTimeout, Code: "timeout", Error: err.Error(),
			Answered: &e.Answered, Needed: &e.Needed}
	}
	if _, ok := errors.AsType[*quorum.LevelError](err); ok {
		return failure{Status: http.StatusBadRequest, Code: "bad_request", Error: err.Error()}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return failure{Status: http.StatusGatewayTimeout, Code: "timeout", Error: err.Error()}
	}
	return failure{Status: http.StatusServiceUnavailable, Code: "unavailable", Error: err.Error()}
}

// answer wraps an endpoint: what it returns is the reply, as JSON.
func answer(f func(w http.ResponseWriter, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		v, err := f(w, r)
		if err != nil {
			fail := failureOf(err)
			status, v = fail.Status, fail
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // the client may be gone
	}
}
