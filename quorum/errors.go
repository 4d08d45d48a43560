package quorum

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/eventual-go/eventual/transport"
)

// ErrVersion says that a peer speaks a version of the messages that this program
// does not know: it is newer, and its bytes are not damaged.
var ErrVersion = errors.New("quorum: unknown message version")

// errors of a Coordinator that was not given what a call turned out to need.
var (
	errNoRing    = errors.New("quorum: Coordinator.Ring is nil")
	errNoJoin    = errors.New("quorum: Coordinator.Join is nil")
	errNoLocal   = errors.New("quorum: Coordinator.Local is nil")
	errNoCaller  = errors.New("quorum: Coordinator.Caller is nil")
	errNoReplica = errors.New("quorum: this node holds no keys")
)

// A Failure is one owner's refusal, or why it could not be asked.
type Failure struct {
	Node transport.NodeID
	Err  error
}

// What an owner was asked for, as errors and events name it.
const (
	OpRead   = "read"   // load what you hold
	OpWrite  = "write"  // merge this delta
	OpRepair = "repair" // merge what this read found, before it is answered
)

// An UnavailableError says that a read or a write cannot reach its level any more:
// too many owners failed. A write that is unavailable may still have been merged by
// some owners, and then spreads; repeating it is harmless.
//
// It unwraps to the errors of the owners.
type UnavailableError struct {
	Op       string // OpRead, OpWrite or OpRepair
	Key      string
	Level    Level
	Needed   int       // owners that had to answer
	Answered int       // owners that did
	Owners   int       // distinct nodes that hold the key
	Failures []Failure // the owners that failed, in order of preference
}

// Error says how many owners answered of how many needed, and what the others said.
func (e *UnavailableError) Error() string {
	return describe((*refusal)(e), nil)
}

// Unwrap returns the errors of the owners that failed.
func (e *UnavailableError) Unwrap() []error { return causes(e.Failures) }

// A TimeoutError says that a read or a write did not reach its level within the
// Coordinator's Timeout: too many owners kept silent. As for an
// [*UnavailableError], a write may have been merged by some owners.
//
// It is [context.DeadlineExceeded] to [errors.Is], and unwraps to the errors of the
// owners that failed.
type TimeoutError struct {
	Op       string // OpRead, OpWrite or OpRepair
	Key      string
	Level    Level
	Needed   int                // owners that had to answer
	Answered int                // owners that did
	Owners   int                // distinct nodes that hold the key
	Failures []Failure          // the owners that failed, in order of preference
	Silent   []transport.NodeID // the owners that said nothing, in order of preference
}

// Error says how many owners answered of how many needed, and who kept silent.
func (e *TimeoutError) Error() string {
	return describe(&refusal{e.Op, e.Key, e.Level, e.Needed, e.Answered, e.Owners, e.Failures}, e.Silent)
}

// Timeout is true, as package net has it.
func (e *TimeoutError) Timeout() bool { return true }

// Unwrap returns [context.DeadlineExceeded] and the errors of the owners that failed.
func (e *TimeoutError) Unwrap() []error {
	return append(causes(e.Failures), context.DeadlineExceeded)
}

// A MessageError says that a peer's message was refused: damaged, hostile, or not
// of this protocol.
type MessageError struct {
	Method string // MethodLoad or MethodMerge
	Offset int    // bytes from the start of the message
	Reason string
}

// Error says which method's message was refused, where and why.
func (e *MessageError) Error() string {
	return fmt.Sprintf("quorum: bad message of %s: %s at offset %d", e.Method, e.Reason, e.Offset)
}

// refusal is what both kinds of refusal say.
type refusal UnavailableError

func describe(r *refusal, silent []transport.NodeID) string {
	op, did := r.Op, "answered"
	if op == OpRepair {
		op, did = OpRead, "hold the merged answer"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "quorum: %s %q: %d of %d needed replicas %s (level %v, %s)",
		op, r.Key, r.Answered, r.Needed, did, r.Level, owners(r.Owners))
	sep := ": "
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "%s%s: %v", sep, f.Node, f.Err)
		sep = "; "
	}
	for _, n := range silent {
		fmt.Fprintf(&b, "%s%s: no answer in time", sep, n)
		sep = "; "
	}
	return b.String()
}

func causes(failures []Failure) []error {
	errs := make([]error, 0, len(failures)+1)
	for _, f := range failures {
		errs = append(errs, f.Err)
	}
	return errs
}

func owners(n int) string {
	if n == 1 {
		return "1 owner"
	}
	return fmt.Sprintf("%d owners", n)
}
