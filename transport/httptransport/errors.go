package httptransport

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/eventual-go/eventual/transport"
)

// A StatusError is an answer that is not that of the call: a proxy's, a
// middleware's, or the refusal of the node. It is transport.ErrUnreachable to
// errors.Is, and with status 413 transport.ErrTooLarge too. Whether the call has run
// depends on who answered: a call that the node refused has not, unless the status is
// 507, when it has and there was no room for its response; one for which a proxy gave up
// waiting may have.
type StatusError struct {
	Status  int    // of HTTP, such as 502
	Refused bool   // whether the node said it itself
	Text    string // the first 512 bytes of what was said, without what cannot be printed
}

// Error says who answered with which status, and what.
func (e *StatusError) Error() string {
	who := "answered"
	if e.Refused {
		who = "refused by the node"
	}
	return strings.TrimSuffix(fmt.Sprintf("%s with status %d %s: %s", who, e.Status, http.StatusText(e.Status), e.Text), ": ")
}

// Is says whether target is what the error stands for.
func (e *StatusError) Is(target error) bool {
	return target == transport.ErrUnreachable || target == transport.ErrTooLarge && e.Status == http.StatusRequestEntityTooLarge
}

const maxExcerpt = 512

// excerpt returns the beginning of what somebody else answered, fit to be printed.
func excerpt(body io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(body, maxExcerpt))
	text := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, string(b))
	return strings.TrimSpace(text)
}
