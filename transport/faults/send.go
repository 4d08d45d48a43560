package faults

import (
	"time"

	"github.com/eventual-go/eventual/transport"
)

// maxHeld is how many messages wait for one frozen node.
const maxHeld = 1 << 14

// unnumbered is the N of a message that has not been sent yet, or was numbered
// elsewhere. Of what becomes of it until then nothing is recorded.
const unnumbered = ^uint64(0)

// Send puts a message on the network. It is for those who write a transport that
// needs no other to carry its messages, as transport/mem: deliver runs when the
// message arrives, which is once, twice or never; perhaps before Send has returned,
// else in another goroutine. It must not wait. No lock is held meanwhile.
func (n *Network) Send(m Message, deliver func()) {
	m.N = unnumbered
	p := &parcel{net: n, Message: m}
	p.departed, p.arrived = p.arrive, deliver
	p.depart()
}

// Signal runs deliver at once if what one node sends reaches another at all: neither
// is the link cut, nor one of the two frozen. It stands for what the machinery of a
// transport tells the other side, such as that a caller waits no longer, or that a
// node is gone. Most users will not need it.
func (n *Network) Signal(from, to transport.NodeID, deliver func()) {
	n.lock()
	passes := n.open(from, to) && n.frozen[from] == nil && n.frozen[to] == nil
	n.mu.Unlock()
	if passes {
		deliver()
	}
}

// A parcel is a message on its way. First it departs, then it arrives; a middleware
// sees one of the two.
type parcel struct {
	Message
	net               *Network
	departed, arrived func() // run for each copy; they do not wait
}

// depart has the message leave its sender.
func (p *parcel) depart() {
	if p.net.hold(p.From, p, (*parcel).depart) {
		return
	}
	f := p.net.decide(&p.Message)
	f.launch(p.departed)
}

// leaving decides about a message that leaves its sender, unless that is frozen.
func (n *Network) leaving(m *Message) (f fate, frozen bool) {
	n.lock()
	frozen = n.frozen[m.From] != nil
	n.mu.Unlock()
	if !frozen {
		f = n.decide(m)
	}
	return f, frozen
}

// leave goes on with what leaving has said.
func (p *parcel) leave(f fate, frozen bool) {
	if frozen {
		p.depart()
	} else {
		f.launch(p.departed)
	}
}

// arrive has the message arrive at the node that it is for.
func (p *parcel) arrive() {
	if by := p.net.slowness(p.To); by > 0 {
		time.AfterFunc(by, p.admit)
	} else {
		p.admit()
	}
}

// admit has the node take the message in, if the link is not cut by now.
func (p *parcel) admit() {
	switch {
	case p.net.IsCut(p.From, p.To):
		p.net.lose(p.Message, "cut")
	case p.net.hold(p.To, p, (*parcel).admit):
	default:
		p.net.arrived(p.Message)
		p.arrived()
	}
}

// A waiting parcel goes on when the node is frozen no more.
type waiting struct {
	*parcel
	on func(*parcel)
}

// hold has a message wait for a frozen node. It says whether there was one.
func (n *Network) hold(node transport.NodeID, p *parcel, on func(*parcel)) bool {
	n.lock()
	queue := n.frozen[node]
	full := queue != nil && len(*queue) >= maxHeld
	if queue != nil && !full {
		*queue = append(*queue, waiting{p, on})
		n.stats.Held++
	}
	n.mu.Unlock()
	if full {
		n.lose(p.Message, "frozen")
	}
	return queue != nil
}

func (n *Network) slowness(node transport.NodeID) time.Duration {
	n.lock()
	defer n.mu.Unlock()
	return n.slow[node]
}

// isClear says whether what arrives on a link is taken in at once.
func (n *Network) isClear(from, to transport.NodeID) bool {
	n.lock()
	defer n.mu.Unlock()
	return n.open(from, to) && n.frozen[to] == nil && n.slow[to] == 0
}

// decide says what becomes of a message that is sent now, and numbers it. The
// distribution of its link is not ours: it runs with no lock held.
func (n *Network) decide(m *Message) fate {
	n.lock()
	l := n.link(m.From, m.To)
	s := &l.streams[m.Kind]
	c, cfg := s.next(), n.now
	if l.own != nil {
		cfg = *l.own
	}
	m.N = c.n
	extra := time.Duration(0)
	if cfg.Delay != nil {
		n.mu.Unlock()
		extra = s.sample(cfg.Delay, c.n)
		n.lock()
	}
	defer n.mu.Unlock()
	f := l.decide(m.Kind, c, cfg, extra, m.Size, time.Now())
	if before, ok := n.recorded[recorded{l.pair, m.Kind, c.n}]; ok {
		f = before
	}
	return n.settle(*m, f, l)
}

// settle counts and records what was decided. It needs n.mu.
func (n *Network) settle(m Message, f fate, l *link) fate {
	n.Trace.send(m, f)
	n.stats.Sent++
	switch {
	case !n.open(m.From, m.To):
		n.stats.Lost++
		n.Trace.lose(m, "cut")
		return fate{}
	case f.copies == 0:
		n.stats.Lost++
		n.Trace.lose(m, "loss")
		return f
	case f.copies == 2:
		n.stats.Duplicated++
	}
	if f.reordered {
		n.stats.Reordered++
	}
	return f
}

// lose counts and records a message that was lost on its way.
func (n *Network) lose(m Message, why string) {
	n.lock()
	defer n.mu.Unlock()
	n.stats.Lost++
	if m.N != unnumbered {
		n.Trace.lose(m, why)
	}
}

func (n *Network) arrived(m Message) {
	if m.N != unnumbered {
		n.Trace.arrive(m)
	}
}

// launch runs then for each copy that arrives, when it does.
func (f *fate) launch(then func()) {
	for _, d := range f.list() {
		if d > 0 {
			time.AfterFunc(d, then)
		} else {
			then()
		}
	}
}

// instant says whether a message arrives as if there were no faults.
func (f *fate) instant() bool { return f.copies == 1 && f.delays[0] <= 0 }
