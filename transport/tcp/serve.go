package tcp

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
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
	a := &acceptor{t: t, handler: h, conns: make(map[net.Conn]*server)}
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

	mu      sync.Mutex
	leaving bool
	conns   map[net.Conn]*server // nil: still in the handshake
}

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

// take serves a connection, unless there are too many.
func (a *acceptor) take(conn net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving || len(a.conns) >= a.t.maxConns() {
		a.t.stats.refused.Add(1)
		conn.Close()
		return
	}
	a.conns[conn] = nil
	a.group.Go(func() { a.serve(conn) })
}

func (a *acceptor) serve(conn net.Conn) {
	defer a.drop(conn)
	own := a.t.hello("")
	other, err := welcome(conn, own, a.t.handshakeTimeout())
	if err != nil {
		a.t.stats.refused.Add(1)
		return
	}
	s := newServer(conn, other.self, own.limits, other.limits, a.handler, &a.t.stats)
	if !a.keep(conn, s) {
		return
	}
	a.t.stats.accepted.Add(1)
	s.run()
}

func (a *acceptor) keep(conn net.Conn, s *server) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving {
		return false
	}
	a.conns[conn] = s
	return true
}

func (a *acceptor) drop(conn net.Conn) {
	conn.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.conns, conn)
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
	for conn, s := range a.conns {
		if s == nil {
			conn.Close()
		} else {
			servers = append(servers, s)
		}
	}
	return servers
}
