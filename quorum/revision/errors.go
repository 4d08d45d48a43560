package revision

import (
	"errors"
	"fmt"
)

// errors of a Writer that was not given what it needs.
var (
	errNoQuorum = errors.New("revision: Writer.Quorum is nil")
	errNoJoin   = errors.New("revision: Writer.Join is nil")
)

// A ConflictError says that a key was not what was expected. Nothing was written.
type ConflictError struct {
	Key               string
	Expected, Current Revision
	State             []byte // what it held instead, when it was read; not to be changed
}

// Error says which revisions differ.
func (e *ConflictError) Error() string {
	name := func(r Revision) string {
		if r.IsZero() {
			return "nothing"
		}
		return r.String()
	}
	return fmt.Sprintf("revision: %q holds %s, not %s", e.Key, name(e.Current), name(e.Expected))
}

// An UnknownError says that a delta was sent, and that it is not known to how many it came: it may be read by now, or
// later, or never. To be sure that it is there, write the same delta again, without a condition; see the package.
type UnknownError struct {
	Key      string
	Delta    []byte
	Revision Revision // what the key has if the delta is there, and nothing else since it was read
	// Err is that of the Quorum: a *quorum.TimeoutError, a *quorum.UnavailableError, or that of the caller's ctx.
	Err error
}

// Error says what kept it from being known.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("revision: it is not known whether %q was written: %v", e.Key, e.Err)
}

// Unwrap returns Err.
func (e *UnknownError) Unwrap() error { return e.Err }
