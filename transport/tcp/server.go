package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// A server is the answering end of a connection that this node accepted.
type server struct {
	conn    *line
	w       *writer
	peer    transport.NodeID
	own     limits
	accepts int // bytes of a response that the peer takes
	ping    time.Duration
	handler transport.Handler
	stats   *counters
	dead    chan struct{}
	running sync.WaitGroup // the goroutines that handlers run in
	names   names          // of the methods; read's alone
	trust   *trust         // in the peer; nil without TLS
	gaveUp  func(error)    // tells of what ended the writer

	mu      sync.Mutex
	gate    gate
	calls   table[served]
	crew    crew
	backlog backlog
	away    bool
	failed  bool
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
}

var serving [2]sync.Pool // of *served: with small bodies, and with larger ones

const (
	smallBody = 4 << 10
	keepBody  = 2 * chunk // a larger one is not used again
)

func poolOf(bytes int) *sync.Pool {
	if bytes <= smallBody {
		return &serving[0]
	}
	return &serving[1]
}

// newServed returns a place for a call with a body of so many bytes. It holds no more
// than twice as many, or next to nothing.
func newServed(bytes int) *served {
	k, ok := poolOf(bytes).Get().(*served)
	if !ok {
		return new(served)
	}
	if cap(k.body) > max(smallBody, 2*bytes) {
		k.body = nil
	}
	return k
}

func newServer(conn net.Conn, peer transport.NodeID, own, other limits, h transport.Handler, stats *counters) *server {
	s := &server{
		conn:    newLine(conn),
		peer:    peer,
		own:     own,
		accepts: min(own.message, other.message),
		ping:    pingEvery(own.ping, other.ping),
		handler: h,
		stats:   stats,
		dead:    make(chan struct{}),
		gate:    gate{calls: own.calls, bytes: own.window},
		backlog: newBacklog(own),
		crew:    newCrew(),
		gaveUp:  func(error) {},
	}
	s.w = newWriter(s.conn, 3*s.ping, s.dead, &s.mu)
	return s
}

// run serves the connection until it is lost and the last handler has returned.
func (s *server) run() {
	var group sync.WaitGroup
	group.Go(func() {
		err := s.w.run(nil, nil)
		s.fail()
		s.gaveUp(err)
	})
	if s.trust != nil {
		group.Go(func() { s.trust.watch(s.dead, s.renew, func(error) { s.fail() }) })
	}
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
	s.calls.all(func(k *served) { k.ctx.end(context.Canceled) })
	for _, k := range append(s.crew.drop(), s.backlog.held...) { // never run
		s.calls.delete(k.id)
	}
	s.backlog.held = nil
}

// leave asks the peer to send no more calls, and to close the connection when the
// last one is answered.
func (s *server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = true
	s.w.force(&frame{kind: kindAway})
}

// renew asks the peer to make another connection. What it sends over this one until it
// has heard of that is served.
func (s *server) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	k := newServed(h.size)
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
	k.req, k.ctx = q.payload, new(callContext)
	if q.timeout > 0 {
		k.ctx.deadline = carry.Deadline(q.timeout, time.Now())
	}
	ok, err := s.enter(k)
	if err == nil && !ok {
		s.w.put(&frame{kind: kindResponse, id: k.id, status: statusAway}, nil)
	}
	return err
}

// enter registers a call and has it run, unless this side is leaving. A peer that sends
// more than it was told it may, or an id that is in use, breaks the protocol.
func (s *server) enter(k *served) (ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed:
		return false, errGone
	case s.away:
		return false, nil
	case !s.gate.fits(len(k.req)):
		return false, fmt.Errorf("%w: more calls or bytes at a time than allowed", errFrame)
	case s.calls.get(k.id) != nil:
		return false, fmt.Errorf("%w: id %d is in use", errFrame, k.id)
	}
	s.gate.take(len(k.req))
	s.calls.put(k.id, k)
	if s.backlog.full() {
		s.backlog.hold(k)
	} else {
		s.start(k)
	}
	return true, nil
}

// start has a call run. It needs s.mu.
func (s *server) start(k *served) { s.hire(s.crew.add(k)) }

// hire starts another goroutine if one is needed. It needs s.mu: none is started once
// the connection was given up.
func (s *server) hire(another bool) {
	if another {
		s.running.Go(s.work)
	}
}

// work runs calls as they come, as long as there are not too many who wait for them.
func (s *server) work() {
	for {
		for k := s.arrive(); k != nil; {
			k = k.serve()
		}
		if !s.rest() {
			return
		}
		select {
		case <-s.crew.call:
		case <-s.dead:
			return
		}
	}
}

func (s *server) arrive() *served {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, another := s.crew.arrive()
	s.hire(another)
	return k
}

func (s *server) rest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crew.rest()
}

func (s *server) cancel(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.calls.get(id); k != nil {
		k.ctx.end(context.Canceled)
	}
}

// serve runs the handler of one call, answers, and returns the next one to be run. The
// answer is sent even if the handler ends its goroutine, which then runs nothing more.
func (k *served) serve() (next *served) {
	s := k.server
	returned := false
	defer func() {
		if !returned {
			s.handOn(s.reply(k, nil, carry.ErrNoReply))
		}
	}()
	resp, err := transport.Invoke(k.ctx, s.handler, s.peer, k.method, k.req)
	returned = true
	return s.reply(k, resp, err)
}

// reply answers a call, cancelled or not. It returns the next call to be run.
func (s *server) reply(k *served, resp []byte, err error) (next *served) {
	f := frame{kind: kindResponse, id: k.id, payload: resp}
	switch {
	case err != nil:
		e := transport.NewRemoteError(k.method, err)
		f.status, f.code, f.payload = statusFailed, byte(e.Code), []byte(e.Message)
	case len(resp) > s.accepts:
		f.status, f.payload = statusTooLarge, tooLarge(s.accepts, len(resp))
	}
	k.ctx.end(context.Canceled)
	next, space := s.answer(k, &f, 0)
	if space != nil {
		next = s.answerLater(k, &f, space)
	}
	k.recycle()
	return next
}

// answer queues an answer and takes its call off the list, in one step: a peer that has
// the answer may send another call, and one that has not may not. If there is no room it
// returns what to wait for. An answer that has waited counts so many bytes.
func (s *server) answer(k *served, f *frame, waited int) (next *served, space <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if space = s.w.tryPut(f); space != nil {
		return nil, space
	}
	s.calls.delete(k.id)
	s.gate.leave(len(k.req))
	s.backlog.remove(waited)
	s.resume()
	return s.crew.next(), nil
}

// handOn has another goroutine run a call.
func (s *server) handOn(k *served) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case k != nil && s.failed:
		s.calls.delete(k.id)
	case k != nil:
		s.start(k)
	}
}

// recycle lets another call use the place and the bytes of this one.
func (k *served) recycle() {
	k.server, k.ctx, k.req = nil, nil, nil
	if k.body = k.body[:0]; cap(k.body) > keepBody {
		k.body = nil
	}
	poolOf(cap(k.body)).Put(k)
}
