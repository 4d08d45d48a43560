package httptransport

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync"

	"github.com/eventual-go/eventual/transport"
)

// A proof is that of who answers a call.
type proof struct {
	check func(state *tls.ConnectionState) error
	body  *payload

	mu    sync.Mutex
	asked bool
	err   error
}

// prove has Check, if there is one, asked of the connection over which a call is made
// with the context that is returned, before its body is sent.
func (c *Client) prove(ctx context.Context, to transport.NodeID, body *payload) (context.Context, *proof) {
	if c.Check == nil {
		return ctx, nil
	}
	p := &proof{check: func(s *tls.ConnectionState) error { return c.Check(to, s) }, body: body}
	ctx, cancel := context.WithCancel(ctx) // ends with the call
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if p.ask(stateOf(info)) != nil {
			cancel()
		}
	}}), p
}

func stateOf(info httptrace.GotConnInfo) *tls.ConnectionState {
	if conn, ok := info.Conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		s := conn.ConnectionState()
		return &s
	}
	return nil
}

// ask asks of one connection. All that are used must be proved.
func (p *proof) ask(state *tls.ConnectionState) error {
	err := p.check(state)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = true
	if err != nil && p.err == nil {
		p.err = err
		p.body.end()
	}
	return err
}

// failed returns why there is no proof. A transport that did not tell its connections
// tells of the answer whose it is.
func (p *proof) failed(resp *http.Response) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	asked, err := p.asked, p.err
	p.mu.Unlock()
	if asked || resp == nil {
		return err
	}
	return p.ask(resp.TLS)
}
