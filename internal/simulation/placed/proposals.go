package placed

import (
	"slices"
	"strings"
	"time"

	"github.com/eventual-go/eventual/quorum/caspaxos"
)

// A proposal is one call on a register under way, at the node that makes it.
type proposal struct {
	run      *run
	node     *node
	user     *user
	register *register
	kind     string
	act      *act
	op       *caspaxos.Op
	version  uint64 // of the placement by which the last round began
	changing bool   // it was one of a change
	conflict bool
	waits    bool // for a rival, or to learn of the ring
	over     bool
}

// patience is how long a rival is given to end, about.
const patience = 20 * time.Millisecond

// propose has a node be ready for registers: what it has promised is in its store.
func (r *run) propose(n *node) {
	n.registers = &caspaxos.Registers{Self: n.id, Local: slow{n.replica}, Kinds: kinds, Ring: places{n}, Ahead: r.plan.ahead}
	n.acceptor, n.deciding, n.proposals = n.registers.Handler(), false, nil
	n.proposer = r.agreeing.Uint64() | 1
}

func (p *proposal) begin(known caspaxos.Value, mark string) {
	r := p.run
	p.op = caspaxos.NewOp(caspaxos.OpConfig{
		Registers: p.node.registers, Key: strings.TrimPrefix(p.register.name, caspaxos.Prefix),
		Change: p.specify(known, mark), Proposer: p.node.proposer,
	})
	p.user.busy = true
	r.open++
	p.node.proposals = append(p.node.proposals, p)
	p.enter()
	p.send(p.op.Start())
	r.after(r.plan.operationTimeout*2, p.node, timeout, func() {
		p.op.Timeout()
		p.look()
	})
}

// enter notes by which placement a round begins.
func (p *proposal) enter() {
	place := places{p.node}.Place(p.register.name)
	p.version = place.Version
	p.changing = p.changing || len(place.Next) > 0
}

func (p *proposal) send(sends []caspaxos.Send) {
	for _, s := range sends {
		m := &message{from: p.node, to: p.run.node(s.To), method: caspaxos.Method, body: s.Request()}
		if m.to == p.node {
			p.own(s, m)
			continue
		}
		p.run.call(p.node, m, &call{done: func(a *message, err error) {
			if err != nil {
				a = new(message)
			}
			p.answer(s, a.body, err)
		}})
	}
	p.look()
}

// own has the node itself do what is asked of it, when it is done with what others ask.
func (p *proposal) own(s caspaxos.Send, m *message) {
	r, n := p.run, p.node
	r.after(time.Millisecond/4, n, deliver, func() {
		if n.deciding {
			p.own(s, m)
			return
		}
		a, life := new(message), n.life
		r.handle(n, m, m.body, a)
		if n.up && n.life == life {
			p.answer(s, slices.Clone(a.body), a.err)
		}
	})
}

func (p *proposal) answer(s caspaxos.Send, resp []byte, err error) {
	if !p.over {
		p.send(p.op.Answer(s, resp, err))
	}
}

// look looks how far it is: over, or in need of another round.
func (p *proposal) look() {
	if p.over {
		return
	}
	if p.op.Done() {
		p.end()
		return
	}
	by, blocked := p.op.Blocked()
	if !blocked || p.waits {
		return
	}
	p.waits = true
	r := p.run
	if by == "" {
		r.did("a register's rival")
		r.after(r.agreeing.around(patience), p.node, timeout, p.retry)
		return
	}
	r.did("a register's call that is placed anew")
	if p.newer() {
		p.retry()
		return
	}
	r.poll(p.node, r.node(by), func() {
		if p.newer() {
			p.retry()
			return
		}
		p.op.Timeout()
		p.look()
	})
}

func (p *proposal) newer() bool { return places{p.node}.Place(p.register.name).Version > p.version }

// retry begins another round, if there is need of one still.
func (p *proposal) retry() {
	p.waits = false
	switch by, blocked := p.op.Blocked(); {
	case p.over || !blocked:
	case by != "" && !p.newer():
		p.look()
	default:
		p.enter()
		p.send(p.op.Retry())
	}
}

func (p *proposal) end() {
	p.over = true
	p.leave()
	v, err := p.op.Result()
	p.run.agreed(p, v, err)
}

func (p *proposal) leave() {
	p.run.open--
	p.user.busy = false
	p.node.proposals = slices.DeleteFunc(p.node.proposals, func(q *proposal) bool { return p == q })
}

// abandon forgets a call whose node crashes. What it has proposed may be made nevertheless.
func (p *proposal) abandon() {
	p.op.Timeout()
	p.over = true
	p.run.open--
	p.user.busy = false
	p.run.did("a register's proposer crashes")
	if _, err := p.op.Result(); err != nil {
		p.run.agreed(p, caspaxos.Value{}, err)
	}
}
