package placed

import (
	"cmp"
	"time"
)

// misfortune has something break, and heal later.
func (r *run) misfortune() {
	f := r.faults
	n := r.nodes[f.IntN(len(r.nodes))]
	heal := f.between(50*time.Millisecond, 2*time.Second)
	switch f.IntN(7) {
	case 0, 1:
		r.fell(n, false, heal)
	case 2:
		if r.plan.lostDisks > 0 && n.up && n.replica != nil {
			if !r.plan.renames {
				r.plan.lostDisks--
				r.fell(n, true, heal)
				return
			}
			if r.spared(n) {
				r.plan.lostDisks--
				r.depart(n, heal)
				return
			}
		}
		r.freeze(n, heal)
	case 3:
		r.freeze(n, heal)
	case 4:
		zone := n.zone
		r.part("a zone cut off", heal, func(m *node) bool { return m.zone == zone })
	case 5:
		r.part("a node cut off", heal, func(m *node) bool { return m == n })
	case 6:
		among := set(f.Uint64())
		r.part("a partition", heal, func(m *node) bool { return among&m.bit() != 0 })
	}
}

func (r *run) fell(n *node, disk bool, heal time.Duration) {
	if !n.up {
		return
	}
	r.crash(n, disk)
	r.at(r.now+heal, fault, func() {
		if !n.up {
			r.start(n)
		}
	})
}

// stumble has an acceptor crash right after it has answered, now and then, and come back at once.
func (r *run) stumble(n *node) {
	if !r.calm && n.up && r.faults.chance(r.plan.stumbles) {
		r.did("an acceptor that crashes once it has answered")
		r.fell(n, false, r.faults.between(0, 10*time.Millisecond))
	}
}

// freeze has a node do nothing for a while, and then all that it would have done.
func (r *run) freeze(n *node, heal time.Duration) {
	r.did("a node frozen")
	n.frozenUntil = r.now + heal
}

// part cuts the links between some nodes and the others, one way now and then.
func (r *run) part(what string, heal time.Duration, in func(*node) bool) {
	r.did(what)
	oneWay := r.faults.chance(0.2)
	set := func(cut bool) {
		r.network.each(func(from, to int, l *link) {
			if a, b := in(r.nodes[from]), in(r.nodes[to]); a != b && (a || !oneWay) {
				l.cut = cut
			}
		})
	}
	set(true)
	r.at(r.now+heal, fault, func() { set(false) })
}

// weather sets how the links fare.
func (r *run) weather() {
	r.network.each(func(_, _ int, l *link) {
		l.loss, l.copy = r.plan.loss, r.plan.copies
		l.wide = cmp.Or(r.plan.wide, l.wide)
		if r.faults.chance(0.1) {
			l.wide = 50 * time.Millisecond
		}
	})
}
