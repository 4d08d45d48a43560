package httptransport

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// The headers, in the form in which net/http keeps them.
const (
	headerVersion = "Eventual-Version"
	headerCluster = "Eventual-Cluster"
	headerFrom    = "Eventual-From"
	headerTo      = "Eventual-To"
	headerMethod  = "Eventual-Method"
	headerTimeout = "Eventual-Timeout" // µs left
	headerLength  = "Eventual-Length"  // bytes of the body, which others may forget or change
	headerLimit   = "Eventual-Limit"
	headerSize    = "Eventual-Size"
	headerStatus  = "Eventual-Status"
	headerCode    = "Eventual-Code"
)

const version = "1"

// What Eventual-Status may be.
const (
	statusOK               = "ok"
	statusFailed           = "failed"
	statusRefused          = "refused"
	statusRequestTooLarge  = "request-too-large"
	statusResponseTooLarge = "response-too-large"
)

// A head is what a request says beside its body.
type head struct {
	cluster  string
	from, to transport.NodeID
	method   string
	timeout  uint64 // µs left; 0: no deadline
	length   int    // bytes of the body
	accepts  int    // bytes of a response
}

func (q *head) write(h http.Header) {
	set(h, headerVersion, version)
	set(h, headerCluster, carry.Escape(q.cluster))
	set(h, headerFrom, carry.Escape(string(q.from)))
	set(h, headerTo, carry.Escape(string(q.to)))
	set(h, headerMethod, carry.Escape(q.method))
	set(h, headerLength, strconv.Itoa(q.length))
	set(h, headerLimit, strconv.Itoa(q.accepts))
	if q.timeout > 0 {
		set(h, headerTimeout, strconv.FormatUint(q.timeout, 10))
	}
}

func set(h http.Header, key, value string) { h[key] = []string{value} }

// readHead returns what is said in headers, or what is wrong with them.
func readHead(h http.Header) (q head, err error) {
	r := carry.Fields{Of: h}
	if v := r.One(headerVersion); r.Err == nil && v != version {
		return q, fmt.Errorf("version %s is spoken here, not %q", version, clip(v, 16))
	}
	q.cluster = r.Name(headerCluster)
	q.from = transport.NodeID(r.Name(headerFrom))
	q.to = transport.NodeID(r.Name(headerTo))
	q.method = r.Name(headerMethod)
	q.length = r.Number(headerLength)
	q.accepts = r.Number(headerLimit)
	if _, has := h[headerTimeout]; has {
		q.timeout = r.Uint(headerTimeout, 64)
	}
	return q, r.Err
}

func clip(s string, limit int) string { return s[:min(len(s), limit)] }
