package natstransport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

var (
	errMissing = errors.New("nobody serves the node")
	errLost    = errors.New("call was lost: the node serves no such call")
	errSilent  = errors.New("no sign of life")
	errAway    = errors.New("node is stopping")
)

// buffers are for messages that are being made: nats.go copies what is published.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const keepBuffer = 64 << 10

// Call calls method of another node, or of this one. See [transport.Caller]. It fails
// with transport.ErrUnreachable at once while Conn is not connected.
func (t *Transport) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	return t.calls.Do(ctx, func(ctx context.Context) ([]byte, error) {
		if err := t.check(); err != nil {
			return nil, err
		}
		if !t.Conn.IsConnected() {
			return nil, errDown
		}
		if err := transport.CheckCall(to, method, req, t.limit()); err != nil {
			return nil, err
		}
		return t.call(ctx, to, method, req)
	})
}

func (t *Transport) call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	w := waiting{method: method, to: to, accepts: t.limit()}
	if err := t.inbox.enter(t.Conn, &w); err != nil {
		return nil, carry.Unreachable(to, err)
	}
	defer t.inbox.take(w.subject)
	q := request{carry.Left(ctx), t.keepAlive(), w.accepts, method, req}
	err := t.publish(t.subject(token(string(to)), token(string(t.Self))), w.subject, q.append)
	switch {
	case errors.Is(err, nats.ErrMaxPayload): // another server, which takes less, since limit was asked
		return nil, &transport.TooLargeError{What: "request", Limit: t.limit(), Size: len(req)}
	case err != nil:
		return nil, carry.Unreachable(to, err)
	}
	a := t.wait(ctx, &w)
	return a.resp, a.err
}

// publish sends a message that is made in a buffer. Without a reply, it is an answer.
func (t *Transport) publish(subject, reply string, message func(b []byte) []byte) error {
	buf := buffers.Get().(*[]byte)
	*buf = message((*buf)[:0])
	err := t.Conn.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: *buf})
	if cap(*buf) <= keepBuffer {
		buffers.Put(buf)
	}
	return err
}

// wait returns what comes of a call that was sent. Whoever waits no longer tells the
// node so.
func (t *Transport) wait(ctx context.Context, w *waiting) answer {
	tick := time.NewTicker(t.keepAlive())
	defer tick.Stop()
	for silent := 0; ; {
		select {
		case a := <-w.answer:
			return a
		case <-w.alive:
			silent = 0
		case <-tick.C:
			if silent++; silent > 3 || t.Conn.IsClosed() {
				t.tell(w, kindCancel)
				return answer{err: carry.Unreachable(w.to, errSilent)}
			}
			t.tell(w, kindAsk)
		case <-ctx.Done():
			t.tell(w, kindCancel)
			return answer{err: ctx.Err()}
		}
	}
}

// tell sends what need not arrive: who hears nothing draws its own conclusions.
func (t *Transport) tell(w *waiting, kind byte) {
	_ = t.Conn.PublishRequest(t.subject(token(string(w.to)), token(string(t.Self))), w.subject, []byte{version, kind})
}

// read returns what a message says of the call, and whether that is the end of it.
func (w *waiting) read(m *nats.Msg) (a answer, final bool) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" { // no responders, as NATS says it
		return w.unreachable(errMissing)
	}
	p := parser{b: m.Data}
	if v := p.byte(); v != version {
		return w.unreachable(errMalformed)
	}
	switch status := p.byte(); {
	case p.err != nil:
		return w.unreachable(p.err)
	case status == statusServing:
		return answer{}, false
	case status == statusOK:
		return w.response(p.b)
	case status == statusFailed:
		return w.failure(&p)
	case status == statusResponseTooLarge:
		return w.tooLarge("response", &p)
	case status == statusRequestTooLarge:
		return w.tooLarge("request", &p)
	case status == statusAway:
		return w.unreachable(errAway)
	case status == statusNone:
		return w.unreachable(errLost)
	case status == statusRefused:
		return w.unreachable(fmt.Errorf("refused by the node: %.512q", p.b))
	}
	return w.unreachable(errMalformed)
}

func (w *waiting) unreachable(err error) (answer, bool) {
	return answer{err: carry.Unreachable(w.to, err)}, true
}

func (w *waiting) response(b []byte) (answer, bool) {
	if len(b) > w.accepts {
		return answer{err: &transport.TooLargeError{What: "response", Limit: w.accepts, Size: len(b)}}, true
	}
	return answer{resp: b}, true
}

func (w *waiting) failure(p *parser) (answer, bool) {
	code := p.byte()
	if p.err != nil {
		return w.unreachable(p.err)
	}
	e := transport.NewRemoteError(w.method, errors.New(string(p.b))) // which makes the text fit
	e.Code = transport.Code(code)
	return answer{err: e}, true
}

func (w *waiting) tooLarge(what string, p *parser) (answer, bool) {
	limit, size := p.uvarint(carry.MaxNumber), p.uvarint(1<<62)
	if p.err != nil {
		return w.unreachable(p.err)
	}
	return answer{err: &transport.TooLargeError{What: what, Limit: int(limit), Size: int(size)}}, true
}
