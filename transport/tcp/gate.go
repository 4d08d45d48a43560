package tcp

// A gate admits calls to a connection: no more at a time than the other side takes,
// and no more bytes of requests. A call is in the gate until its reply has arrived,
// also if its caller waits no longer, so both sides count alike. Calls that wait are
// admitted in the order in which they came. A gate is guarded by its owner's mutex.
type gate struct {
	calls, bytes int // what may still come in
	waiting      []*ticket
}

// A ticket is the place of a call that waits.
type ticket struct {
	bytes int
	ready chan struct{} // closed when admitted
}

// enter admits a call with a request of so many bytes, or returns its ticket.
func (g *gate) enter(bytes int) *ticket {
	if len(g.waiting) == 0 && g.fits(bytes) {
		g.take(bytes)
		return nil
	}
	t := &ticket{bytes: bytes, ready: make(chan struct{})}
	g.waiting = append(g.waiting, t)
	return t
}

// leave is called once for each call that was admitted.
func (g *gate) leave(bytes int) {
	g.calls++
	g.bytes += bytes
	g.admit()
}

// abandon gives a ticket back, whether it was admitted meanwhile or not.
func (g *gate) abandon(t *ticket) {
	for i, other := range g.waiting {
		if other == t {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.admit()
			return
		}
	}
	g.leave(t.bytes)
}

func (g *gate) admit() {
	for len(g.waiting) > 0 && g.fits(g.waiting[0].bytes) {
		t := g.waiting[0]
		g.waiting[0], g.waiting = nil, g.waiting[1:]
		g.take(t.bytes)
		close(t.ready)
	}
}

func (g *gate) fits(bytes int) bool { return g.calls > 0 && bytes <= g.bytes }

func (g *gate) take(bytes int) {
	g.calls--
	g.bytes -= bytes
}
