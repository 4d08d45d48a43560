package caspaxos

import (
	"errors"
	"fmt"
	"slices"
)

// ErrVersion says that a peer speaks a version of the messages that this program does not know: it is newer, and its
// bytes are not damaged.
var ErrVersion = errors.New("caspaxos: unknown message version")

// errors of a Registers that was not given what a call turned out to need.
var (
	errNoRing    = errors.New("caspaxos: Registers.Ring is nil")
	errNoCaller  = errors.New("caspaxos: Registers.Caller is nil")
	errNoLocal   = errors.New("caspaxos: this node holds no keys")
	errNoKinds   = errors.New("caspaxos: Registers.Kinds is nil")
	errNoChange  = errors.New("caspaxos: a change is nil")
	errOutbid    = errors.New("caspaxos: promised to another ballot")
	errFar       = errors.New("caspaxos: ballot too far ahead")
	errUnmet     = errors.New("caspaxos: not as expected")
	errExhausted = errors.New("caspaxos: no ballots left for this key")
)

// A ConflictError says that a key did not have the version that was expected. Nothing was changed.
type ConflictError struct {
	Key      string
	Expected Ballot // zero for [Registers.Create]
	Current  Value  // what it held instead, at some moment during the call
}

// Error says which versions differ.
func (e *ConflictError) Error() string {
	if e.Expected.IsZero() && e.Current.Found {
		return fmt.Sprintf("caspaxos: %q exists, at version %v", e.Key, e.Current.Version)
	}
	return fmt.Sprintf("caspaxos: %q is at version %v, not %v", e.Key, e.Current.Version, e.Expected)
}

// A TooLargeError says that a value is larger than MaxValue of [Registers]. Nothing was changed.
type TooLargeError struct {
	Key         string
	Size, Limit int // bytes
}

// Error says how large it is, and may be.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("caspaxos: a value of %q has %d bytes, more than %d", e.Key, e.Size, e.Limit)
}

// An UnknownError says that a change was proposed, and that it is not known whether it was made, nor whether it still
// will be. What the key holds later may tell: see Made. To find out, have the key changed to what it holds
// ([Registers.Change] with a function that returns what it is given): what was proposed before is then made, or never
// will be. To try the change again is safe if it is one that may be made twice, or by [Registers.CompareAndSet] with the
// version that was expected before: that conflicts if it was made.
type UnknownError struct {
	Key      string
	Versions []Ballot // that show it: by which it was proposed, and changes that were proposed with it
	// Err is what kept it from being known: a [*quorum.TimeoutError], a [*quorum.UnavailableError], the error of the
	// caller's context; nil if so many changes have followed that none of them knows any more.
	Err error
}

// Error says so, and what kept it from being known.
func (e *UnknownError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("caspaxos: it is not known whether %q was changed: too much has followed", e.Key)
	}
	return fmt.Sprintf("caspaxos: it is not known whether %q was changed: %v", e.Key, e.Err)
}

// Unwrap returns Err.
func (e *UnknownError) Unwrap() error { return e.Err }

// Made reports whether what the key held later shows that the change was made. If not, it may not have been, or others
// have changed the key after it.
func (e *UnknownError) Made(later Value) bool { return slices.Contains(e.Versions, later.Version) }

// A BallotError says that a text is no version.
type BallotError struct{ Text string }

// Error says which text.
func (e *BallotError) Error() string { return fmt.Sprintf("caspaxos: %q is no version", e.Text) }

// A MessageError says that a peer's message was refused: damaged, hostile, or not of this protocol.
type MessageError struct {
	Offset int // bytes from the start of the message
	Reason string
}

// Error says why the message was refused, and where.
func (e *MessageError) Error() string {
	return fmt.Sprintf("caspaxos: bad message: %s at offset %d", e.Reason, e.Offset)
}
