package placed

// An obligation is something that reads must contain from some moment on, if they share a node
// with those who held it then.
type obligation struct {
	what  string
	view  view
	epoch uint64 // of the ring by which it was acknowledged
	rule  rule   // who held it
	start moment // of the attempt
	done  moment
	read  bool // it is what a read returned
}

// oblige has later reads contain a view.
func (r *run) oblige(k *key, o *obligation) {
	o.done = r.moment()
	k.obligations = append(k.obligations, o)
}

// owed reports whether a read by a rule and the ring of an epoch must contain what an obligation
// says: however few held that, and whichever nodes answered, somebody is among both. It follows
// the holders from ring to ring by what package ring promises of a change.
func (r *run) owed(k *key, o *obligation, by rule, epoch uint64) bool {
	if owners, moved := r.refusing(k, epoch, o.epoch); moved {
		return majorities(by, owners)
	}
	all := by.universe()
	return subsets(o.rule.universe(), func(held set) bool {
		if !o.rule.met(held) {
			return true
		}
		held = r.carried(k, o, held, epoch)
		return !by.met(all &^ held)
	})
}

// carried returns who has at least what some nodes held, by the ring of another epoch.
func (r *run) carried(k *key, o *obligation, held set, epoch uint64) set {
	held = r.kept(held, o.start)
	for e := o.epoch + 1; e <= epoch; e++ {
		g, before := r.rings[e], r.rings[e-1]
		part := g.Partition(k.pos)
		owners, next := r.setOf(before.At(part).Owners), r.setOf(before.At(part).Next)
		switch {
		case g.Changing() || next == 0:
		case r.setOf(g.At(part).Owners) != next: // aborted
			held &= owners
		case o.epoch < e-1 && 2*(held&owners).size() > owners.size():
			held = r.kept(next, o.start) // each of them has met a majority of the owners
		default:
			held &= next
		}
	}
	return held
}

// kept leaves out who has lost its memory since a moment.
func (r *run) kept(held set, since moment) set {
	for _, n := range r.nodes {
		if n.lost(since) {
			held &^= n.bit()
		}
	}
	return held
}

// refusing returns the owners of whom a majority refuses what is asked by the ring of an epoch, once that
// of another one is in use: for that a change was settled which began after it.
func (r *run) refusing(k *key, epoch, upto uint64) (owners set, moved bool) {
	for e := epoch + 2; e <= upto; e++ {
		g, before := r.rings[e], r.rings[e-1]
		part := g.Partition(k.pos)
		if next := r.setOf(before.At(part).Next); next != 0 && r.setOf(g.At(part).Owners) == next {
			return r.setOf(before.At(part).Owners), true
		}
	}
	return 0, false
}

// majorities reports whether whoever satisfies a rule has a majority of some owners.
func majorities(by rule, owners set) bool {
	return subsets(owners, func(s set) bool {
		return 2*s.size() > owners.size() || !by.met(s|by.universe()&^owners)
	})
}

// checkRead checks that what a read returned has all that it has to.
func (r *run) checkRead(o *operation, by rule, got view) {
	k := o.key
	strict := false
	for i := len(k.obligations) - 1; i >= 0; i-- {
		b := k.obligations[i]
		missing := !k.covers(got, b.view)
		if b.done >= o.start || strict && !missing {
			continue
		}
		owed := r.owed(k, b, by, o.epoch)
		if !strict && owed {
			strict = true
			r.did("a read that is strict")
			if b.epoch != o.epoch {
				r.did("a read that is strict across rings")
			}
		}
		if missing && owed {
			name := readMissed
			if b.read {
				name = wentBack
			}
			r.fail(name, k.name, "%s by ring %d returned %x; %s by ring %d: %x", o, o.epoch, got, b.what, b.epoch, b.view)
			return
		}
	}
}
