package httptransport

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// answer reads what came back for a request.
func (c *Client) answer(resp *http.Response, q *head) ([]byte, error) {
	r := carry.Fields{Of: resp.Header}
	status := r.One(headerStatus)
	if r.Err != nil || r.One(headerVersion) != version {
		return nil, other(resp, q.to, &StatusError{Text: excerpt(resp.Body)})
	}
	switch (said{resp.StatusCode, status}) {
	case said{http.StatusOK, statusOK}:
		return c.response(resp, q)
	case said{http.StatusOK, statusFailed}:
		return nil, failure(resp, q)
	case said{http.StatusRequestEntityTooLarge, statusRequestTooLarge}:
		return nil, tooLarge(&r, q, "request", q.length)
	case said{http.StatusOK, statusResponseTooLarge}:
		return nil, tooLarge(&r, q, "response", r.Number(headerSize))
	}
	return nil, other(resp, q.to, &StatusError{Refused: status == statusRefused, Text: excerpt(resp.Body)})
}

// said is what an answer is, by HTTP and by the node: where they differ, somebody in
// between has changed it.
type said struct {
	code   int
	status string
}

// other returns an answer that is not that of the call.
func other(resp *http.Response, to transport.NodeID, e *StatusError) error {
	e.Status = resp.StatusCode
	return fmt.Errorf("%w: %q: %w", transport.ErrUnreachable, to, e)
}

// response reads the body of an answer that is a response.
func (c *Client) response(resp *http.Response, q *head) ([]byte, error) {
	r := carry.Fields{Of: resp.Header}
	length := r.Number(headerLength)
	switch encoding := resp.Header.Get("Content-Encoding"); {
	case r.Err != nil:
		return nil, carry.Unreachable(q.to, r.Err)
	case encoding != "" && encoding != "identity":
		return nil, carry.Unreachable(q.to, fmt.Errorf("answer was encoded as %q on its way", clip(encoding, 32)))
	case length > q.accepts:
		return nil, &transport.TooLargeError{What: "response", Limit: q.accepts, Size: length}
	}
	body, err := readExactly(resp.Body, length, nil, func(int) bool { return true })
	if err != nil {
		return nil, carry.Unreachable(q.to, err)
	}
	return body, nil
}

// failure reads the body of an answer that is an error of the handler.
func failure(resp *http.Response, q *head) error {
	r := carry.Fields{Of: resp.Header}
	code, length := r.Uint(headerCode, 8), r.Number(headerLength)
	switch {
	case r.Err != nil:
		return carry.Unreachable(q.to, r.Err)
	case length > transport.MaxErrorText:
		return carry.Unreachable(q.to, errLength)
	}
	text, err := readExactly(resp.Body, length, nil, func(int) bool { return true })
	if err != nil {
		return carry.Unreachable(q.to, err)
	}
	e := transport.NewRemoteError(q.method, errors.New(string(text))) // which makes the text fit
	e.Code = transport.Code(code)
	return e
}

func tooLarge(r *carry.Fields, q *head, what string, size int) error {
	limit := r.Number(headerLimit)
	if r.Err != nil {
		return carry.Unreachable(q.to, r.Err)
	}
	return &transport.TooLargeError{What: what, Limit: limit, Size: size}
}
