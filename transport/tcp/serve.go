package tcp

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/crowd"
)

// Serve answers the calls that arrive at ln with h, until ctx ends or the transport
// is closed. Then it takes no more calls, gives those that are running Drain to
// finish, ends the contexts of the others, closes ln and all connections, and
// returns nil when the last handler has returned. It returns net.ErrClosed if ln is
// closed by someone else, transport.ErrClosed after Close; other errors of ln, such
// as too many open files, it waits out. A nil h answers no method. Several Serves
// may run at a time.
func (t *Transport) Serve(ctx context.Context, ln net.Listener, h transport.Handler) error {
	if h == nil {
		h = new(transport.Mux)
	}
	base, err := t.enlist()
	if err != nil {
		ln.Close()
		return err
	}
	defer t.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(base, cancel)()
	a := newAcceptor(t, h)
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	err = a.accept(ctx, ln)
	ln.Close()
	a.leave()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// enlist has Close wait for a Serve.
func (t *Transport) enlist() (context.Context, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.start(); err != nil {
		return nil, err
	}
	t.running.Add(1)
	return t.base, nil
}

// An acceptor holds the connections of one Serve.
type acceptor struct {
	t       *Transport
	handler transport.Handler
	group   sync.WaitGroup

	mu       sync.Mutex
	leaving  bool
	arriving crowd.Crowd[string, *guest]           // in the handshake, by where they come from
	seated   crowd.Crowd[transport.NodeID, *guest] // with a name
}

// A guest is a connection that was accepted.
type guest struct {
	conn    net.Conn
	from    string
	node    transport.NodeID // guarded by acceptor.mu, as what follows
	server  *server          // when the handshake is over
	crowded bool             // has to leave for others
}

func newAcceptor(t *Transport, h transport.Handler) *acceptor {
	a := &acceptor{t: t, handler: h}
	a.arriving.Limit = max(t.maxConns(), leastArriving)
	a.seated.Limit, a.seated.Each, a.seated.Loyal = t.maxConns(), maxOfNode, true
	return a
}

const (
	leastArriving = 16 // so many handshakes at a time may be under way
	maxOfNode     = 8  // connections; it needs one, and a second while they are renewed
)

// accept takes connections until the listener is closed or ctx ends.
func (a *acceptor) accept(ctx context.Context, ln net.Listener) error {
	pause := time.Duration(0)
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			a.take(conn)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return err
		default: // out of files, or a connection that was gone before it was taken
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	}
}

// take serves a connection. If there are too many handshakes under way, another one has
// to leave: the oldest from the place that most of them come from.
func (a *acceptor) take(conn net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving {
		conn.Close()
		return
	}
	g := &guest{conn: conn, from: crowd.Origin(conn.RemoteAddr())}
	if out, full := a.arriving.Enter(g.from, g); full {
		a.turnOut(out)
	}
	a.group.Go(func() { a.serve(g) })
}

// seat gives a guest a place among those with a name, if there is one. If there are too
// many, a node that has most of them loses its oldest, unless each has but one.
func (a *acceptor) seat(g *guest, node transport.NodeID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g.crowded || a.leaving {
		return false
	}
	out, full := a.seated.Enter(node, g)
	if full && out == g {
		return false
	}
	a.arriving.Leave(g.from, g)
	if g.node = node; full {
		a.turnOut(out)
	}
	return true
}

// turnOut needs a.mu.
func (a *acceptor) turnOut(g *guest) {
	g.crowded = true
	g.conn.Close()
	a.t.stats.crowded.Add(1)
}

func (a *acceptor) serve(g *guest) {
	defer a.drop(g)
	met, err := a.t.welcome(g.conn, func(node transport.NodeID) bool { return a.seat(g, node) })
	if err != nil {
		a.refused(g, met, err)
		return
	}
	s := newServer(met.line, met.other.self, met.own.limits, met.other.limits, a.handler, &a.t.stats)
	s.trust = met.trust
	s.trust.tell(a.t, g.conn, met.other.self, false)
	s.gaveUp = func(err error) { a.t.gaveUp(err, g.conn, met.other.self, false) }
	if !a.keep(g, s) {
		return
	}
	a.t.stats.accepted.Add(1)
	s.run()
}

// refused counts and tells why a guest was not served, unless that is because this side
// is leaving.
func (a *acceptor) refused(g *guest, met greeting, err error) {
	crowded, leaving := a.state(g)
	if leaving {
		return
	}
	a.t.stats.refused.Add(1)
	e := explain(err, g.conn, met.other.self)
	if crowded {
		e.Reason = ReasonBusy
	}
	a.t.refused(e, false)
	if e.Reason != ReasonTimeout {
		linger(g.conn, time.Second)
	}
}

func (a *acceptor) state(g *guest) (crowded, leaving bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return g.crowded, a.leaving
}

func (a *acceptor) keep(g *guest, s *server) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving || g.crowded {
		return false
	}
	g.server = s
	return true
}

func (a *acceptor) drop(g *guest) {
	g.conn.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arriving.Leave(g.from, g)
	a.seated.Leave(g.node, g)
}

// leave ends all connections and returns when the last handler has returned. Peers
// close their connections themselves when they have their answers.
func (a *acceptor) leave() {
	servers := a.shut()
	for _, s := range servers {
		s.leave()
	}
	force := time.AfterFunc(a.t.drain(), func() {
		for _, s := range servers {
			s.fail()
		}
	})
	defer force.Stop()
	a.group.Wait()
}

// shut closes the connections in the handshake and returns the others.
func (a *acceptor) shut() (servers []*server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leaving = true
	for g := range a.arriving.All() {
		g.conn.Close()
	}
	for g := range a.seated.All() {
		if g.server == nil {
			g.conn.Close()
		} else {
			servers = append(servers, g.server)
		}
	}
	return servers
}
