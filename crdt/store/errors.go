package store

import (
	"errors"
	"fmt"
)

// An EncodeError says that the state of a key, or a change to it, has no encoding,
// which happens only to values of a type that refuses to encode something it was
// given. The change is held and visible to [View], but it cannot leave this store:
// [Store.Load] fails likewise, and the index keeps the last state that could be
// encoded, until a later write makes the state encodable again.
type EncodeError struct {
	Key string
	Err error // what the value's AppendBinary said
}

// Error implements error.
func (e *EncodeError) Error() string {
	return fmt.Sprintf("store: encode %q: %v", e.Key, e.Err)
}

// Unwrap returns e.Err.
func (e *EncodeError) Unwrap() error { return e.Err }

// ErrDamaged says that what a [Backend] holds under one key cannot be read any more.
var ErrDamaged = errors.New("store: damaged on disk")
