package placed

import (
	"fmt"
	"time"
)

// relent ends the faults and the clients. From then on everything has to come to rest.
func (r *run) relent() {
	r.say(nil, "the faults end")
	r.calm = true
	r.network.restore()
	for _, n := range r.nodes {
		n.frozenUntil = 0
		if !n.up && !n.out {
			r.start(n)
		}
	}
	r.quietBy = r.now + 3*time.Minute
	r.at(r.now+time.Second, fault, r.look)
}

// look looks whether everything has come to rest, and if so, whether it is as it has to be.
func (r *run) look() {
	why := r.unquiet()
	switch {
	case why == "" && !r.asked:
		r.asked = true
		r.askOnce()
		r.at(r.now+500*time.Millisecond, fault, r.look)
	case why == "":
		r.final()
		r.judge()
		r.finished = true
	case r.now > r.quietBy:
		r.fail(neverQuiet, "", "%s", why)
	default:
		r.retire()
		for _, n := range r.present() {
			for _, m := range r.nodes {
				n.hints.buffer.Kick(m.id)
			}
		}
		r.at(r.now+500*time.Millisecond, fault, r.look)
	}
}

// unquiet says what has not come to rest.
func (r *run) unquiet() string {
	g := r.rings[r.latest]
	if r.open > 0 {
		return fmt.Sprintf("%d operations are under way", r.open)
	}
	for _, n := range r.present() {
		gets, gives := n.ring.Left()
		switch own := n.ring.Ring(); {
		case g.Changing():
			return fmt.Sprintf("ring %d is changing; at %s %d are to get, %d to give, %v to be asked",
				r.latest, n.id, gets, gives, n.ring.Ask())
		case own != nil && own.Fingerprint() != g.Fingerprint():
			return fmt.Sprintf("%s has ring %d, and there is %d", n.id, own.Epoch(), r.latest)
		case gets+gives > 0:
			return fmt.Sprintf("%s has %d partitions to get and %d to give", n.id, gets, gives)
		case len(n.hints.rows) > 0:
			return fmt.Sprintf("%s holds hints: %v", n.id, n.hints.rows)
		}
	}
	for _, k := range r.keys {
		if why := r.uneven(k); why != "" {
			return why
		}
	}
	for _, g := range r.registers {
		if why := r.unevenRegister(g); why != "" {
			return why
		}
	}
	return ""
}

// uneven says how a key is not with its owners alone, all of them alike.
func (r *run) uneven(k *key) string {
	g := r.rings[r.latest]
	owners := r.setOf(g.Place(k.pos).Owners)
	var all view
	for _, n := range r.nodes {
		all = k.join(all, n.replica.has[k.index])
	}
	for _, n := range r.nodes {
		switch has := n.replica.has[k.index]; {
		case owners&n.bit() == 0 && has != 0:
			return fmt.Sprintf("%s has %x of %s, and is no owner", n.id, has, k.name)
		case owners&n.bit() != 0 && has != all:
			return fmt.Sprintf("%s has %x of %s, of %x", n.id, has, k.name, all)
		}
	}
	return ""
}

// final checks that everything acknowledged is with all owners, and that stores hold what they should.
func (r *run) final() {
	for _, k := range r.keys {
		owner := r.node(r.rings[r.latest].Place(k.pos).Owners[0])
		for _, w := range k.writes {
			r.tell(w.acked, "an acknowledged write")
			r.tell(w.unsure && w.acked, "a write whose copies were all lost with memories")
			if w.acked && !w.unsure && !k.covers(owner.replica.has[k.index], w.view) {
				r.fail(ackedLost, k.name, "%v: %x, and owners have %x", w, w.view, owner.replica.has[k.index])
			}
		}
		for _, n := range r.nodes {
			if got := r.content(n.replica.store, k); got != n.replica.has[k.index] {
				r.fail(contentWrong, k.name, "%s holds %x, and should %x", n.id, got, n.replica.has[k.index])
			}
		}
	}
	for _, n := range r.present() {
		n.hints.check()
	}
}
