package httptransport

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// A Client is a [transport.Caller] over HTTP. Its fields must not be changed after
// the first use, and it must not be copied. It is safe for concurrent use.
type Client struct {
	// Self is the name of this node. It must be set.
	Self transport.NodeID

	// Cluster is the name of the cluster, as nodes of another one are refused. The
	// empty name is a name like any other.
	Cluster string

	// Peers holds the URLs at which the Handlers of nodes are mounted, such as
	// "https://b.example:8443/eventual".
	Peers map[transport.NodeID]string

	// Resolve returns the URL of a node, for each call. If nil, Peers is used;
	// otherwise Peers is not. Its error is kept within that of the call, which is
	// transport.ErrUnreachable too.
	Resolve func(ctx context.Context, id transport.NodeID) (url string, err error)

	// HTTP makes the requests: with its certificates, its proxies, its limits. Its
	// redirects are not followed. Over HTTP/1.1 each call under way has a connection:
	// see that its transport keeps as many idle ones (MaxIdleConnsPerHost, which is 2
	// if not set). If nil, one that uses no proxy, has at most 256 connections to a host,
	// keeps them for 90 seconds, and over HTTP/2 notices within 20 that nobody is there.
	HTTP *http.Client

	// Check says whether who is connected to is the node that is called, by what TLS has
	// proved, which is nil without TLS. It is asked for each call, before its request is
	// sent; the headers may be on their way. Its error is kept within that of the call,
	// which is transport.ErrUnreachable. If nil, whoever TLS lets answer at the URL is
	// taken for the node.
	Check func(to transport.NodeID, state *tls.ConnectionState) error

	// MaxMessage is the most bytes that a request or a response may have, at most 1
	// GiB. If zero, 4 MiB. Between Client and Handler the smaller limit holds.
	MaxMessage int

	calls  carry.Calls
	once   sync.Once
	client *http.Client
	own    *http.Transport // nil if HTTP was given
}

var (
	errSelf = errors.New("httptransport: Self must have 1 to 255 bytes, and Cluster no more")
	errURL  = errors.New("its URL is malformed or names no host") // and is not told: there may be a password in it
)

// Call calls method of another node, or of this one. See [transport.Caller].
func (c *Client) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	return c.calls.Do(ctx, func(ctx context.Context) ([]byte, error) {
		if c.Self == "" || len(c.Self) > transport.MaxName || len(c.Cluster) > transport.MaxName {
			return nil, errSelf
		}
		if err := transport.CheckCall(to, method, req, c.maxMessage()); err != nil {
			return nil, err
		}
		return c.call(ctx, to, method, req)
	})
}

// Close ends the calls under way, which may have run, with transport.ErrUnreachable,
// has all later ones fail with transport.ErrClosed, and returns when the last has
// returned. Idle connections of a given HTTP stay. It returns nil, also when called
// again.
func (c *Client) Close() error {
	c.calls.Close()
	c.once.Do(c.start)
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
	return nil
}

func (c *Client) call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	at, err := c.resolve(ctx, to)
	if err != nil {
		return nil, err
	}
	body := &payload{data: req}
	defer body.end()
	ctx, proof := c.prove(ctx, to, body)
	r := c.request(ctx, at, body)
	q := head{c.Cluster, c.Self, to, method, carry.Left(ctx), len(req), c.maxMessage()}
	q.write(r.Header)
	c.once.Do(c.start)
	resp, err := c.client.Do(r)
	if err == nil {
		defer resp.Body.Close()
	}
	if failed := proof.failed(resp); failed != nil {
		return nil, carry.Unreachable(to, failed)
	}
	if err != nil {
		return nil, carry.Unreachable(to, err)
	}
	return c.answer(resp, &q)
}

func (c *Client) resolve(ctx context.Context, to transport.NodeID) (*url.URL, error) {
	at, known := c.Peers[to]
	if c.Resolve != nil {
		var err error
		if at, err = c.Resolve(ctx, to); err != nil {
			return nil, carry.Unreachable(to, err)
		}
	} else if !known {
		return nil, fmt.Errorf("%w: no URL of %q", transport.ErrUnreachable, to)
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" {
		return nil, carry.Unreachable(to, errURL)
	}
	return u, nil
}

func (c *Client) request(ctx context.Context, at *url.URL, body *payload) *http.Request {
	r := &http.Request{
		Method: http.MethodPost,
		URL:    at,
		Host:   at.Host,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        make(http.Header, 12),
		ContentLength: int64(len(body.data)),
		GetBody:       body.reader,
	}
	r.Body, _ = body.reader()
	if len(body.data) == 0 {
		r.Body, r.GetBody = http.NoBody, nil
	}
	set(r.Header, "Content-Type", "application/octet-stream")
	set(r.Header, "Accept-Encoding", "identity")
	return r.WithContext(ctx)
}

// start makes ready what makes the requests.
func (c *Client) start() {
	given := c.HTTP
	if given == nil {
		c.own = ownTransport()
		given = &http.Client{Transport: c.own}
	}
	client := *given
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.client = &client
}

// ownTransport is for those who gave none.
func ownTransport() *http.Transport {
	const patience = 10 * time.Second
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: patience}).DialContext,
		TLSHandshakeTimeout: patience,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: patience, PingTimeout: patience},
		MaxConnsPerHost:     256,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     9 * patience,

		MaxResponseHeaderBytes: 64 << 10,
	}
}

func (c *Client) maxMessage() int { return maxMessageOf(c.MaxMessage) }

func maxMessageOf(n int) int { return min(cmp.Or(max(n, 0), 4<<20), carry.MaxNumber) }
