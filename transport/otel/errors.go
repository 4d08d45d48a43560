package transportotel

import (
	"errors"
	"fmt"
	"strings"

	"github.com/eventual-go/eventual/transport"
)

// That a node does not know a method, or does not let it be called, says of a call that
// carries a context that nobody has taken the context off. Where a handler behind this
// package says so, it is hidden: the error has the code of any failure, and its own in
// the text, behind a mark, from where the caller's end takes it out.
const mark = "traced/error "

// hide returns err, or what stands for it on the wire.
func hide(err error) error {
	e := transport.NewRemoteError("", err)
	if e.Code != transport.CodeUnknownMethod && e.Code != transport.CodeDenied && !strings.Contains(e.Message, mark) {
		return err
	}
	return fmt.Errorf("%s%d: %s", mark, e.Code, e.Message)
}

// shown takes the code out of the text of an error that was hidden, whatever was put
// before it on its way.
func shown(e *transport.RemoteError, method string) *transport.RemoteError {
	meant := &transport.RemoteError{Method: method, Message: e.Message, Code: e.Code}
	before, after, hidden := strings.Cut(e.Message, mark)
	if hidden && len(after) >= 3 && after[0] >= '0' && after[0] <= '9' && after[1:3] == ": " {
		meant.Message, meant.Code = before+after[3:], transport.Code(after[0]-'0')
	}
	return meant
}

// plain is the error as it is without a context.
func plain(err error, method string) error {
	e, ok := remote(err)
	if !ok || e.Method != Prefix+method {
		return err
	}
	meant := shown(e, method)
	if err == error(e) {
		return meant
	}
	return &wrapped{err, e, meant}
}

// A wrapped error is one of a caller in between, about a handler's.
type wrapped struct {
	error
	was, meant *transport.RemoteError
}

// Error is what the caller in between says, of the call that was meant.
func (w *wrapped) Error() string {
	return strings.ReplaceAll(w.error.Error(), w.was.Error(), w.meant.Error())
}

// Unwrap is what was meant, and then all that the error is besides.
func (w *wrapped) Unwrap() []error { return []error{w.meant, w.error} }

// remote is the error of a handler, if err is one.
func remote(err error) (*transport.RemoteError, bool) {
	return errors.AsType[*transport.RemoteError](err)
}
