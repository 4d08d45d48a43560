package placed

import "slices"

// Once all is at rest everything is asked once more: what was lost on the way is then missed.

// askOnce has everything asked that promises more than other keys do.
func (r *run) askOnce() {
	for _, g := range r.registers {
		r.agree(r.users[0], g, r.anyServing(), "read")
		r.users[0] = &user{known: r.users[0].known}
	}
	for _, k := range r.keys {
		if k.use == raised {
			a := &act{called: r.moment(), what: "the last read"}
			a.step = func(text string) (string, bool) { return text, text == a.out }
			k.past = append(k.past, a)
			r.readRaised(r.anyServing(), k, a)
		}
	}
	for _, c := range r.roaming {
		for _, k := range r.keys {
			if c.reads[k.index]|c.writes[k.index] != 0 {
				r.settleAt(c, r.anyServing())
				r.sessionReads(c, k)
				break
			}
		}
	}
}

// anyServing is some node that has a ring.
func (r *run) anyServing() *node {
	return one(r.agreeing, slices.DeleteFunc(r.present(), func(n *node) bool { return !n.serves(r.now) })...)
}

// mustAnswer says that a call has failed that was made when nothing was in its way.
func (r *run) mustAnswer(key string, err error) {
	if r.asked {
		r.fail(neverQuiet, key, "the last read: %v", err)
	}
}

// judge checks what is to be linearizable.
func (r *run) judge() {
	for _, g := range r.registers {
		r.checkRegister(g)
	}
	for _, k := range r.keys {
		if k.use == raised {
			r.checkRaised(k)
		}
	}
}
