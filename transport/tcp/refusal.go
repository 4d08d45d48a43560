package tcp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strconv"

	"github.com/eventual-go/eventual/transport"
)

// A HandshakeError says why two nodes do not talk to each other although there was a
// connection, or why they do no more. It is [transport.ErrUnreachable] to [errors.Is].
type HandshakeError struct {
	// Addr is that of the other side.
	Addr string

	// Node is the one that was dialled, or the one that the other side says it is.
	// Empty if it did not come to that; a mere claim unless there is TLS and Reason is
	// later than ReasonName.
	Node transport.NodeID

	// Reason is the kind of refusal.
	Reason Reason

	// Remote is set if it is the other side that refused this one, and said so.
	Remote bool

	// Err says more. It may be nil.
	Err error
}

// Error names the other side and what does not match.
func (e *HandshakeError) Error() string {
	text := "tcp: handshake with " + e.Addr
	if e.Node != "" {
		text += fmt.Sprintf(" (%q)", string(e.Node))
	}
	if e.Remote {
		text += ": refused by it"
	}
	text += ": " + e.Reason.String()
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Is says whether target is transport.ErrUnreachable.
func (e *HandshakeError) Is(target error) bool { return target == transport.ErrUnreachable }

// Unwrap returns Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// A Reason is the kind of a [HandshakeError]. Kinds may be added.
type Reason uint8

// The reasons, in the order in which a handshake comes upon them.
const (
	ReasonUnknown       Reason = iota // the other side refuses for a reason that this version does not know
	ReasonLost                        // the connection ended first, as do those that only look whether somebody listens
	ReasonTimeout                     // it took longer than HandshakeTimeout
	ReasonProtocol                    // what was sent is not this protocol
	ReasonPlain                       // one side has TLS and the other has not
	ReasonTLS                         // no TLS 1.3, or not for this protocol, or bytes were changed or repeated on their way
	ReasonCredentials                 // this node has no certificate or no authorities to show
	ReasonNoCertificate               // no certificate was shown
	ReasonUntrusted                   // the certificate is not of an authority of this cluster
	ReasonExpired                     // the certificate has expired, or is not valid yet
	ReasonCertificate                 // the certificate is refused for some other reason
	ReasonName                        // the certificate is not that of the node
	ReasonVersion                     // no version of the protocol is spoken by both
	ReasonCluster                     // another cluster
	ReasonNode                        // another node than was looked for
	ReasonBusy                        // there are too many connections, or handshakes under way
	ReasonStalled                     // after the handshake: it says that it reads, and took nothing for sixty KeepAlive intervals
	allReasons
)

var reasonTexts = [allReasons]string{
	ReasonUnknown:       "unknown reason",
	ReasonLost:          "connection ended early",
	ReasonTimeout:       "timeout",
	ReasonProtocol:      "not this protocol",
	ReasonPlain:         "one side has TLS, the other has not",
	ReasonTLS:           "TLS failed",
	ReasonCredentials:   "no credentials",
	ReasonNoCertificate: "no certificate",
	ReasonUntrusted:     "certificate of unknown authority",
	ReasonExpired:       "certificate expired or not yet valid",
	ReasonCertificate:   "certificate refused",
	ReasonName:          "certificate of another node",
	ReasonVersion:       "no common version",
	ReasonCluster:       "another cluster",
	ReasonNode:          "another node",
	ReasonBusy:          "too many connections",
	ReasonStalled:       "nothing was taken",
}

// String returns the reason in a few words.
func (r Reason) String() string {
	if r < allReasons {
		return reasonTexts[r]
	}
	return "Reason(" + strconv.Itoa(int(r)) + ")"
}

// explain turns what ended a handshake into a HandshakeError.
func explain(err error, conn net.Conn, node transport.NodeID) *HandshakeError {
	e, ok := errors.AsType[*HandshakeError](err)
	if !ok {
		e = &HandshakeError{Reason: reasonOf(err), Err: err}
		if code, op := alertOf(err); op == "remote error" {
			e.Reason, e.Remote = reasonOfAlert(code), true
		}
	}
	e.Addr = conn.RemoteAddr().String()
	if e.Node == "" {
		e.Node = node
	}
	return e
}

func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, errHello), errors.Is(err, errLong):
		return ReasonProtocol
	case errors.Is(err, errMode):
		return ReasonPlain
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ReasonTimeout
	}
	if h, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if string(h.RecordHeader[:]) == magic[:len(h.RecordHeader)] {
			return ReasonPlain
		}
		return ReasonProtocol
	}
	if r := reasonOfCertificate(err); r != ReasonUnknown {
		return r
	}
	if _, op := alertOf(err); op == "local error" || !isNetwork(err) {
		return ReasonTLS
	}
	return ReasonLost
}

// reasonOfCertificate returns ReasonUnknown for what is not about a certificate.
func reasonOfCertificate(err error) Reason {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ReasonUntrusted
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return ReasonExpired
		}
		return ReasonCertificate
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ReasonCertificate
	}
	return ReasonUnknown
}

// alertOf returns the alert of TLS that an error stands for, and whose it is. The
// type of an alert is not exported; that it is the number on the wire is.
func alertOf(err error) (code uint64, op string) {
	e, ok := errors.AsType[*net.OpError](err)
	if !ok || e.Op != "remote error" && e.Op != "local error" {
		return 0, ""
	}
	if v := reflect.ValueOf(e.Err); v.Kind() == reflect.Uint8 {
		code = v.Uint()
	}
	return code, e.Op
}

// The alerts by which the other side says why: RFC 8446, section 6.2.
func reasonOfAlert(code uint64) Reason {
	switch code {
	case 42, 43, 44, 46: // bad, unsupported, revoked, unknown certificate
		return ReasonCertificate
	case 45: // certificate_expired
		return ReasonExpired
	case 48: // unknown_ca
		return ReasonUntrusted
	case 116: // certificate_required
		return ReasonNoCertificate
	}
	return ReasonTLS
}

func isNetwork(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
