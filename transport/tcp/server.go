package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A server is the answering end of a connection that this node accepted.
type server struct {
	conn    net.Conn
	w       *writer
	peer    transport.NodeID
	own     limits
	accepts int // bytes of a response that the peer takes
	ping    time.Duration
	handler transport.Handler
	stats   *counters
	dead    chan struct{}
	running sync.WaitGroup // handlers
	names   names          // of the methods; read's alone

	mu     sync.Mutex
	gate   gate
	calls  map[uint64]*served
	away   bool
	failed bool
}

// served is one call being served. It is used again for another call when it has
// been answered; its context is not, because handlers may hand that on.
type served struct {
	server *server
	ctx    *callContext
	id     uint64
	method string
	req    []byte
	body   []byte // what req is a part of
	run    func() // serve, made once
}

var (
	serving    sync.Pool // of *served
	errNoReply = errors.New("handler ended without a reply")
)

func newServed() *served {
	if k, ok := serving.Get().(*served); ok {
		return k
	}
	k := new(served)
	k.run = k.serve
	return k
}

const keepBody = 2 * chunk // a larger request is not kept

func newServer(conn net.Conn, peer transport.NodeID, own, other limits, h transport.Handler, stats *counters) *server {
	s := &server{
		conn:    conn,
		peer:    peer,
		own:     own,
		accepts: min(own.message, other.message),
		ping:    pingEvery(own.ping, other.ping),
		handler: h,
		stats:   stats,
		dead:    make(chan struct{}),
		gate:    gate{calls: own.calls, bytes: own.window},
		calls:   make(map[uint64]*served),
	}
	s.w = newWriter(conn, 3*s.ping, s.dead)
	return s
}

// run serves the connection until it is lost and the last handler has returned.
func (s *server) run() {
	var group sync.WaitGroup
	group.Go(func() {
		s.w.run(nil, nil)
		s.fail()
	})
	if err := s.read(); errors.Is(err, errFrame) {
		s.stats.violations.Add(1)
	}
	s.fail()
	group.Wait()
	s.running.Wait()
}

// fail gives the connection up: whoever called over it is gone.
func (s *server) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		return
	}
	s.failed = true
	close(s.dead)
	s.conn.Close()
	for _, k := range s.calls {
		k.ctx.end(context.Canceled)
	}
}

// leave asks the peer to send no more calls, and to close the connection when the
// last one is answered.
func (s *server) leave() {
	s.mu.Lock()
	s.away = true
	s.mu.Unlock()
	s.w.force(&frame{kind: kindAway})
}

// read takes in what the peer sends, until the connection is lost.
func (s *server) read() error {
	r := newFrameReader(s.conn, requestSlack+s.own.message, 3*s.ping)
	r.pong = s.w.pong
	for {
		h, err := r.next()
		if err != nil {
			return err
		}
		switch h.kind {
		case kindRequest:
			err = s.request(r, h)
		case kindCancel:
			s.cancel(h.id)
		case kindPing: // the reader has seen to it
		case kindPong:
			s.w.taken.Store(true)
		default:
			err = fmt.Errorf("%w: kind %d from the dialling side", errFrame, h.kind)
		}
		if err != nil {
			return err
		}
	}
}

// request reads one request and starts its handler.
func (s *server) request(r *frameReader, h header) error {
	k := newServed()
	k.server, k.id = s, h.id
	var err error
	if k.body, err = r.read(k.body, h.size); err != nil {
		return err
	}
	q, err := parseRequest(k.body, s.own.message)
	if err != nil {
		return err
	}
	if k.method, err = s.names.take(q); err != nil {
		return err
	}
	k.req, k.ctx = q.payload, &callContext{deadline: deadline(q.timeout, time.Now())}
	refused, err := s.enter(k)
	switch {
	case err != nil:
		return err
	case refused:
		s.w.put(&frame{kind: kindResponse, id: k.id, status: statusAway}, nil)
	default:
		go k.run()
	}
	return nil
}

// enter registers a call, unless this side is leaving. A peer that sends more than
// it was told it may, or an id that is in use, breaks the protocol.
func (s *server) enter(k *served) (refused bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed:
		return false, errGone
	case s.away:
		return true, nil
	case !s.gate.fits(len(k.req)):
		return false, fmt.Errorf("%w: more calls or bytes at a time than allowed", errFrame)
	case s.calls[k.id] != nil:
		return false, fmt.Errorf("%w: id %d is in use", errFrame, k.id)
	}
	s.gate.take(len(k.req))
	s.calls[k.id] = k
	s.running.Add(1)
	return false, nil
}

func (s *server) cancel(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.calls[id]; k != nil {
		k.ctx.end(context.Canceled)
	}
}

// serve runs the handler of one call and answers. The answer is sent even if the
// handler ends its goroutine.
func (k *served) serve() {
	s := k.server
	defer s.running.Done()
	var resp []byte
	err := errNoReply
	defer func() { s.reply(k, resp, err) }()
	resp, err = transport.Invoke(k.ctx, s.handler, s.peer, k.method, k.req)
}

// reply answers a call, cancelled or not, and takes it off the list first: a peer
// that has the answer may send another call.
func (s *server) reply(k *served, resp []byte, err error) {
	s.leaveCall(k)
	f := frame{kind: kindResponse, id: k.id, payload: resp}
	switch {
	case err != nil:
		e := transport.NewRemoteError(k.method, err)
		f.status, f.code, f.payload = statusFailed, byte(e.Code), []byte(e.Message)
	case len(resp) > s.accepts:
		f.status, f.payload = statusTooLarge, tooLarge(s.accepts, len(resp))
	}
	s.w.put(&f, nil)
	k.recycle()
}

func (s *server) leaveCall(k *served) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, k.id)
	s.gate.leave(len(k.req))
	k.ctx.end(context.Canceled)
}

// recycle lets another call use the place and the bytes of this one.
func (k *served) recycle() {
	k.server, k.ctx, k.req = nil, nil, nil
	if k.body = k.body[:0]; cap(k.body) > keepBody {
		k.body = nil
	}
	serving.Put(k)
}
