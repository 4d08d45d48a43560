package crdt

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/eventual-go/eventual/internal/wire"
)

// ErrVersion says that bytes were written by a newer version of this package. They are not corrupt: keep
// them. The error at hand is a [*VersionError].
var ErrVersion = errors.New("crdt: newer format version")

// ErrGrowOnly says that a type has no way to forget, so it cannot be reset.
var ErrGrowOnly = errors.New("crdt: kind only grows and cannot be reset")

// A CorruptError says that bytes are not the canonical form of any state.
type CorruptError struct {
	Kind   string // what was being decoded: "gcounter", "orset", "value", ...
	Offset int    // bytes from the start of the input to where it was noticed
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("crdt: corrupt %s at byte %d: %s", e.Kind, e.Offset, e.Reason)
}

// A VersionError is an [ErrVersion] with data.
type VersionError struct {
	Kind      string
	Version   uint64 // of the bytes
	Supported uint64 // the newest that this package reads
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("crdt: %s has format version %d, newer than %d", e.Kind, e.Version, e.Supported)
}

// Unwrap returns [ErrVersion].
func (e *VersionError) Unwrap() error { return ErrVersion }

// A MismatchError says that bytes hold a state of another type.
type MismatchError struct {
	Kind string // what was asked for
	Tag  uint64 // the type tag found
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("crdt: not a %s: the type tag is %d", e.Kind, e.Tag)
}

// A TypeError says that a Go type cannot be written as an element or a value, or that one of its values
// cannot. See the package documentation for the types that can.
type TypeError struct {
	Type   reflect.Type
	Reason string
}

func (e *TypeError) Error() string { return fmt.Sprintf("crdt: type %v: %s", e.Type, e.Reason) }

// An UnknownKindError says that a [Kinds] table lacks a kind: the tag that was met in bytes, or the Go type
// that was asked for.
type UnknownKindError struct {
	Tag  uint64       // 0 if it was asked for by type
	Type reflect.Type // nil if it was met in bytes
}

func (e *UnknownKindError) Error() string {
	if e.Type != nil {
		return fmt.Sprintf("crdt: no kind for type %v", e.Type)
	}
	return fmt.Sprintf("crdt: no kind with tag %d", e.Tag)
}

// corrupt turns a failure of the wire into a CorruptError. Nil stays nil.
func corrupt(kind string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &CorruptError{Kind: kind, Offset: e.Offset, Reason: e.Reason}
	}
	return &CorruptError{Kind: kind, Reason: err.Error()}
}
