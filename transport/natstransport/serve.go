package natstransport

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// Serve answers calls of this node with h, until ctx ends or the transport is closed.
// Then it takes no more calls, gives those that are running Drain to finish, ends the
// contexts of the others, and returns nil when the last handler has returned. It
// returns transport.ErrClosed after Close, and an error of nats.go if it cannot
// subscribe or if Conn is closed meanwhile. A nil h answers no method. One Serve may
// run at a time; after it another one may.
func (t *Transport) Serve(ctx context.Context, h transport.Handler) error {
	if err := t.check(); err != nil {
		return err
	}
	ctx, done, err := t.enlist(ctx)
	if err != nil {
		return err
	}
	defer done()
	closed := t.Conn.StatusChanged(nats.CLOSED)
	defer t.Conn.RemoveStatusListener(closed)
	s := &server{t: t, handler: h, calls: make(map[callName]*served)}
	if s.sub, err = t.Conn.Subscribe(t.subject(token(string(t.Self)), "*"), s.receive); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-closed:
		err = nats.ErrConnectionClosed
	}
	s.leave()
	return err
}

// enlist has Close end a Serve and wait for it.
func (t *Transport) enlist(ctx context.Context) (context.Context, func(), error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return nil, nil, transport.ErrClosed
	case t.serving:
		return nil, nil, errServing
	}
	ctx, stop := context.WithCancel(ctx)
	served := make(chan struct{})
	t.serving, t.stop, t.served = true, stop, served
	return ctx, func() {
		stop()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.serving, t.stop = false, nil
		close(served)
	}, nil
}

// A server is one run of Serve.
type server struct {
	t       *Transport
	handler transport.Handler
	sub     *nats.Subscription
	running sync.WaitGroup // handlers

	mu      sync.Mutex
	calls   map[callName]*served
	leaving bool
}

// A callName says which call is meant: a node speaks of its own ones alone.
type callName struct {
	from  transport.NodeID
	inbox string
}

// served is one call being served.
type served struct {
	name   callName
	ctx    context.Context
	end    context.CancelFunc
	patrol *time.Timer // ends the call when the caller has not asked for long
	every  time.Duration
	took   int
	away   bool // its caller has been told that it is not served any longer
}

// receive is called with each message, one after the other.
func (s *server) receive(m *nats.Msg) {
	from, ok := sender(m.Subject)
	if !ok || m.Reply == "" {
		return // nobody can be told
	}
	n := callName{from, m.Reply}
	switch kind := kindOf(m.Data); kind {
	case kindRequest:
		s.request(n, m.Data)
	case kindCancel:
		s.cancel(n)
	case kindAsk:
		s.asked(n)
	default:
		s.t.answer(n, refused("malformed message, or of a version other than 1"))
	}
}

// kindOf returns 0 if there is none.
func kindOf(b []byte) byte {
	if len(b) < 2 || b[0] != version {
		return 0
	}
	return b[1]
}

func (t *Transport) answer(n callName, message []byte) {
	_ = t.Conn.Publish(n.inbox, message) // who gets no answer asks
}

// request starts the handler of a call, or refuses it.
func (s *server) request(n callName, data []byte) {
	q, err := parseRequest(data[2:])
	switch limit := s.t.maxMessage(); {
	case err != nil:
		s.t.answer(n, refused(err.Error()))
		return
	case len(q.payload) > limit:
		s.t.answer(n, tooLarge(statusRequestTooLarge, limit, len(q.payload)))
		return
	case !s.t.room.calls.Take(n.from, 1, 1, s.t.maxCalls()):
		s.t.answer(n, refused("too many calls at a time"))
		return
	case !s.t.room.bytes.Take(n.from, len(data), limit+overhead, s.t.maxBytes()):
		s.t.room.calls.Give(n.from, 1)
		s.t.answer(n, refused("too many bytes of requests at a time"))
		return
	}
	k := &served{name: n, every: interval(q.every), took: len(data)}
	if !s.enter(k, q.left) {
		s.release(k)
		s.t.answer(n, []byte{version, statusAway})
		return
	}
	go s.serve(k, &q)
}

// enter registers a call, unless this side is leaving or the call is there already.
func (s *server) enter(k *served, left uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving || s.calls[k.name] != nil {
		return false
	}
	k.ctx, k.end = carry.WithLeft(context.Background(), left)
	k.patrol = time.AfterFunc(3*k.every, k.end)
	s.calls[k.name] = k
	s.running.Add(1)
	return true
}

func (s *server) release(k *served) {
	s.t.room.bytes.Give(k.name.from, k.took)
	s.t.room.calls.Give(k.name.from, 1)
}

// serve runs the handler of one call and answers.
func (s *server) serve(k *served, q *request) {
	defer s.running.Done()
	resp, err := carry.Serve(k.ctx, s.handler, k.name.from, q.method, q.payload)
	s.release(k) // before the answer: who has it may make the next call
	limit := min(s.t.limit(), q.accepts)
	switch {
	case !s.finish(k):
	case err != nil:
		s.t.answer(k.name, failed(transport.NewRemoteError(q.method, err)))
	case len(resp) > limit:
		s.t.answer(k.name, tooLarge(statusResponseTooLarge, limit, len(resp)))
	default:
		_ = s.t.publish(k.name.inbox, "", func(b []byte) []byte {
			return append(append(b, version, statusOK), resp...)
		})
	}
}

// finish takes a call off the list. It returns false if there is nothing to answer.
func (s *server) finish(k *served) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, k.name)
	k.patrol.Stop()
	k.end()
	return !k.away
}

func (s *server) cancel(n callName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.calls[n]; k != nil {
		k.end()
	}
}

// asked says whether a call is being served.
func (s *server) asked(n callName) {
	if s.prolong(n) {
		s.t.answer(n, []byte{version, statusServing})
	} else {
		s.t.answer(n, []byte{version, statusNone})
	}
}

func (s *server) prolong(n callName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.calls[n]
	if k == nil {
		return false
	}
	k.patrol.Reset(3 * k.every)
	return true
}

// leave returns when the last handler has returned. Callers of those that take too
// long are told so before.
func (s *server) leave() {
	s.mu.Lock()
	s.leaving = true
	s.mu.Unlock()
	force := time.AfterFunc(s.t.drain(), s.abandon)
	defer force.Stop()
	s.running.Wait()
	if s.sub.Drain() == nil { // what is here already is answered yet
		_ = s.t.Conn.FlushTimeout(time.Second) // from now on, NATS says that nobody serves the node
	}
}

// abandon ends the calls that are still being served.
func (s *server) abandon() {
	for _, n := range s.forsake() {
		s.t.answer(n, []byte{version, statusAway})
	}
}

func (s *server) forsake() (names []callName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, k := range s.calls {
		k.away = true
		k.end()
		names = append(names, n)
	}
	return names
}
