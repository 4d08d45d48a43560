package pbs

import (
	"errors"
	"fmt"
)

// A ParameterError says that something was asked for which has no answer: a level of more
// replicas than there are, a distribution without a mean to draw from. All faults of one
// call are reported at once, joined.
type ParameterError struct {
	Name   string // the field, as in "Replicas[1].Write.Shape"
	Reason string
}

// Error says which parameter it is, and what is wrong with it.
func (e *ParameterError) Error() string { return fmt.Sprintf("pbs: %s %s", e.Name, e.Reason) }

// faults collects what is wrong.
type faults []error

func (f *faults) unless(ok bool, name, format string, args ...any) {
	if !ok {
		*f = append(*f, &ParameterError{Name: name, Reason: fmt.Sprintf(format, args...)})
	}
}

func (f faults) err() error { return errors.Join(f...) }
