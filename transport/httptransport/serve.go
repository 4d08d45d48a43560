package httptransport

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// answering is one request on its way through a Handler.
type answering struct {
	h    *Handler
	w    http.ResponseWriter
	r    *http.Request
	rc   *http.ResponseController
	took int // bytes of requests
}

// admit says who calls what, or refuses.
func (a *answering) admit() (q head, ok bool) {
	// If deadlines cannot be set, those of the server are all there are. This one stands
	// until the request has arrived: for what is refused, net/http reads the rest.
	_ = a.rc.SetReadDeadline(time.Now().Add(a.h.transferTimeout()))
	if a.r.Method != http.MethodPost {
		a.w.Header().Set("Allow", http.MethodPost)
		return q, a.refuse(http.StatusMethodNotAllowed, "calls are made by POST")
	}
	q, err := readHead(a.r.Header)
	switch {
	case err != nil:
		return q, a.refuse(http.StatusBadRequest, err.Error())
	case q.from == "":
		return q, a.refuse(http.StatusBadRequest, "the node that calls has no name")
	case a.h.Self == "" || q.to != a.h.Self || q.cluster != a.h.Cluster:
		text := fmt.Sprintf("this is node %q of cluster %q, not %q of %q", a.h.Self, a.h.Cluster, q.to, q.cluster)
		return q, a.refuse(http.StatusMisdirectedRequest, text)
	case !a.proved(q.from):
		return q, a.refuse(http.StatusForbidden, "the node that calls is not who it says")
	}
	return q, true
}

func (a *answering) proved(from transport.NodeID) bool {
	if a.h.Peer == nil {
		return true
	}
	peer, err := a.h.Peer(a.r)
	return err == nil && peer == from
}

// receive reads the request, or refuses it. Either way release is to follow.
func (a *answering) receive(q *head, buf []byte) (req []byte, ok bool) {
	limit := a.h.maxMessage()
	if q.length > limit {
		return buf, a.tooLarge(limit)
	}
	req, err := readExactly(a.r.Body, q.length, buf, func(n int) bool { return a.take(q.from, n) })
	if err == nil {
		_ = a.rc.SetReadDeadline(time.Time{})
		return req, true
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return req, a.tooLarge(int(min(e.Limit, carry.MaxNumber)))
	}
	switch {
	case err == errBusy:
		return req, a.refuse(http.StatusServiceUnavailable, "too many bytes of requests at a time")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return req, a.refuse(http.StatusRequestTimeout, "request did not arrive in time")
	}
	return req, a.refuse(http.StatusBadRequest, "request did not arrive whole")
}

func (a *answering) take(from transport.NodeID, n int) bool {
	if !a.h.requests.Take(from, n, a.h.maxMessage(), a.h.maxBytes()) {
		return false
	}
	a.took += n
	return true
}

func (a *answering) release(from transport.NodeID) { a.h.requests.Give(from, a.took) }

// reply sends what came of a call.
func (a *answering) reply(q *head, resp []byte, err error) {
	header, limit := a.w.Header(), min(a.h.maxMessage(), q.accepts)
	switch {
	case err != nil:
		e := transport.NewRemoteError(q.method, err)
		set(header, headerCode, strconv.Itoa(int(e.Code)))
		a.send(http.StatusOK, statusFailed, []byte(e.Message))
	case len(resp) > limit:
		set(header, headerLimit, strconv.Itoa(limit))
		set(header, headerSize, strconv.Itoa(len(resp)))
		a.send(http.StatusOK, statusResponseTooLarge, nil)
	default:
		a.respond(q.from, resp)
	}
}

// respond sends a response, which is counted until it has been taken.
func (a *answering) respond(to transport.NodeID, resp []byte) {
	if !a.h.responses.Take(to, len(resp), a.h.maxMessage(), a.h.maxBytes()) {
		a.refuse(http.StatusInsufficientStorage, "too many bytes of responses at a time; the call has run")
		return
	}
	defer a.h.responses.Give(to, len(resp))
	a.send(http.StatusOK, statusOK, resp)
}

func (a *answering) tooLarge(limit int) bool {
	set(a.w.Header(), headerLimit, strconv.Itoa(limit))
	a.send(http.StatusRequestEntityTooLarge, statusRequestTooLarge, nil)
	return false
}

func (a *answering) refuse(status int, text string) bool {
	a.send(status, statusRefused, []byte(text))
	return false
}

// send answers. Whether it arrives is the caller's to notice.
func (a *answering) send(code int, status string, body []byte) {
	header := a.w.Header()
	length := strconv.Itoa(len(body))
	set(header, headerVersion, version)
	set(header, headerStatus, status)
	set(header, headerLength, length)
	set(header, "Content-Length", length)
	set(header, "Content-Type", "application/octet-stream")
	set(header, "Cache-Control", "no-store, no-transform")
	set(header, "X-Content-Type-Options", "nosniff")
	_ = a.rc.SetWriteDeadline(time.Now().Add(a.h.transferTimeout()))
	a.w.WriteHeader(code)
	_, _ = a.w.Write(body)
	if a.r.ProtoMajor == 1 { // where the deadline is the connection's: it is not for the next call
		_ = a.rc.Flush()
		_ = a.rc.SetWriteDeadline(time.Time{})
	}
}
