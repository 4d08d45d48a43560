package quorum

import (
	"context"
	"fmt"
	"strings"

	"github.com/eventual-go/eventual/transport"
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

// A Refusal says what a call lacked, and who said what. Of several conditions it is
// the first that cannot be met, or was not.
type Refusal struct {
	Op        string // OpRead, OpWrite or OpRepair
	Key       string
	Level     Level
	Condition string // what was counted, such as: owners, or: next owners in zone "b"
	Needed    int    // so many of them had to answer
	Answered  int    // so many did
	Owners    int    // distinct nodes that hold the key

	Answers  []transport.NodeID // the owners that answered, in order of preference
	Failures []Failure          // the owners that failed, in order of preference
	Silent   []transport.NodeID // the owners that said nothing, in order of preference
}

// An UnavailableError says that a read or a write cannot reach its level any more:
// too many owners failed. A write that is unavailable may still have been merged by
// some owners, and then spreads; repeating it is harmless.
//
// It unwraps to the errors of the owners.
type UnavailableError struct{ Refusal }

// Error says how many owners answered of how many needed, and what the others said.
func (e *UnavailableError) Error() string { return e.describe(false) }

// Unwrap returns the errors of the owners that failed.
func (e *UnavailableError) Unwrap() []error { return e.causes() }

// A TimeoutError says that a read or a write did not reach its level within the
// Coordinator's Timeout: too many owners kept silent. As for an
// [*UnavailableError], a write may have been merged by some owners.
//
// It is [context.DeadlineExceeded] to [errors.Is], and unwraps to the errors of the
// owners that failed.
type TimeoutError struct{ Refusal }

// Error says how many owners answered of how many needed, and who kept silent.
func (e *TimeoutError) Error() string { return e.describe(true) }

// Timeout is true, as package net has it.
func (e *TimeoutError) Timeout() bool { return true }

// Unwrap returns [context.DeadlineExceeded] and the errors of the owners that failed.
func (e *TimeoutError) Unwrap() []error { return append(e.causes(), context.DeadlineExceeded) }

func (r *Refusal) describe(late bool) string {
	op, did := r.Op, "answered"
	if op == OpRepair {
		op, did = OpRead, "hold the merged answer"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "quorum: %s %q: %d of %d needed %s %s (level %v, %s)",
		op, r.Key, r.Answered, r.Needed, r.Condition, did, r.Level, owners(r.Owners))
	sep := ": "
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "%s%s: %v", sep, f.Node, f.Err)
		sep = "; "
	}
	for _, n := range r.Silent {
		if !late {
			break
		}
		fmt.Fprintf(&b, "%s%s: no answer in time", sep, n)
		sep = "; "
	}
	return b.String()
}

func (r *Refusal) causes() []error {
	errs := make([]error, 0, len(r.Failures)+1)
	for _, f := range r.Failures {
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

// Unavailable returns the refusal that stands for this Tally. It names what was
// asked (OpRead, OpWrite or OpRepair) and of which key.
func (t *Tally) Unavailable(op, key string) *UnavailableError {
	return &UnavailableError{t.refusal(op, key)}
}

// Timeout returns the refusal for owners that took too long.
func (t *Tally) Timeout(op, key string) *TimeoutError { return &TimeoutError{t.refusal(op, key)} }

func (t *Tally) refusal(op, key string) Refusal {
	c := t.open()
	got, _ := t.got(c)
	r := Refusal{
		Op: op, Key: key, Level: t.level, Condition: c.String(),
		Needed: c.needed, Answered: got, Owners: t.owners,
	}
	for i := range t.members {
		switch m := &t.members[i]; m.verdict {
		case answered:
			r.Answers = append(r.Answers, m.node)
		case failed:
			r.Failures = append(r.Failures, Failure{Node: m.node, Err: m.err})
		case silent:
			r.Silent = append(r.Silent, m.node)
		}
	}
	return r
}

// String is what a condition counts.
func (c *condition) String() string {
	s := [...]string{anyone: "owners", primary: "owners themselves", durable: "durable owners", hinted: "owners or hints", seen: "owners that have what was seen"}[c.kind]
	if c.group == coming {
		s = "next " + s
	}
	if c.local {
		s += fmt.Sprintf(" in zone %q", c.zone)
	}
	return s
}
