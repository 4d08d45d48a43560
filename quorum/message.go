package quorum

import (
	"errors"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
)

// The methods that a [Coordinator] calls and its Handler serves. A
// [transport.Mux] takes them all by the prefix "quorum/".
const (
	MethodLoad  = "quorum/load"  // request: a key; response: its state
	MethodMerge = "quorum/merge" // request: a key and a state; response: empty
)

// version is the version of all messages. Requests are [version, key, state],
// responses are [version, state]; a state that says nothing is empty.
const version = 1

// messageOverhead is more than the bytes that a message has besides its key and state.
const messageOverhead = 16

// appendRequest is laid out so that the state is the last bytes of the request.
func appendRequest(dst []byte, key string, state []byte) []byte {
	w := wire.NewWriter(slices.Grow(dst, messageOverhead+len(key)+len(state)))
	w.Array(3)
	w.Uint(version)
	w.String(key)
	w.Bytes(state)
	return w.Done()
}

func appendResponse(dst []byte, state []byte) []byte {
	w := wire.NewWriter(slices.Grow(dst, messageOverhead+len(state)))
	w.Array(2)
	w.Uint(version)
	w.Bytes(state)
	return w.Done()
}

// parseRequest returns a state that aliases b.
func parseRequest(method string, b []byte) (key string, state []byte, err error) {
	r, err := open(b, 3)
	if err == nil {
		key, state, err = r.String(), r.Bytes(), r.Close()
	}
	if err != nil {
		return "", nil, refused(method, err)
	}
	return key, state, nil
}

// parseResponse returns a state that aliases b.
func parseResponse(method string, b []byte) (state []byte, err error) {
	r, err := open(b, 2)
	if err == nil {
		state, err = r.Bytes(), r.Close()
	}
	if err != nil {
		return nil, refused(method, err)
	}
	return state, nil
}

// open reads the head of a message with so many fields, the version included. The
// version is looked at first: a newer message may have another length.
func open(b []byte, fields int) (*wire.Reader, error) {
	r, err := wire.NewReader(b)
	if err != nil {
		return nil, err
	}
	n := r.Array()
	v := r.Uint()
	switch {
	case r.Err() != nil:
	case v > version:
		return nil, ErrVersion
	case v != version || n != fields:
		r.Fail("not a message of this version")
	}
	return r, r.Err()
}

func refused(method string, err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &MessageError{Method: method, Offset: e.Offset, Reason: e.Reason}
	}
	return err
}
