package quorum

import (
	"cmp"
	"slices"
)

// arrange puts the members in the order in which they are asked.
func (o *ReadOp) arrange() {
	o.order = o.orderRoom[:0]
	var room [8]int
	ranks := append(room[:0], make([]int, len(o.copies))...)
	for i := range o.copies {
		node := o.loads.members[i].node
		switch {
		case node == o.cfg.Self:
			ranks[i] = -1
		case o.cfg.Prefer != nil:
			ranks[i] = o.cfg.Prefer(node)
			if o.copies[i].away = ranks[i] < 0; o.copies[i].away {
				ranks[i] = int(^uint(0) >> 1)
			}
		}
		o.order = append(o.order, i)
	}
	slices.SortStableFunc(o.order, func(a, b int) int { return cmp.Compare(ranks[a], ranks[b]) })
}

// Start returns the first sends: loads, to as many owners as are needed.
func (o *ReadOp) Start() []Send {
	first := o.order[0]
	own := o.loads.members[first].node == o.cfg.Self
	o.waiting = own
	return o.extend()
}

// extend asks as many more owners as are needed for what is not expected to be met,
// and others in the place of those that failed.
func (o *ReadOp) extend() (sends []Send) {
	expected := func(i int) bool { return o.copies[i].asked && !o.withheld(i) }
	for _, i := range o.order {
		if !o.copies[i].asked && o.loads.members[i].verdict == silent && o.loads.useful(i, expected) {
			sends = append(sends, o.ask(i)...)
		}
	}
	if len(sends) == 0 && o.cfg.Options.NotFound == NotFoundByAll && len(o.latest) == 0 && !o.underway(roleLoad) {
		sends = o.askRest() // that those have nothing whom the level does without, counts as well
	}
	if o.cfg.Options.Fallbacks == FallbacksCount && len(sends) == 0 && o.loads.Impossible() {
		sends = o.askFallbacks()
	}
	return sends
}

// withheld reports whether it does not count yet that an owner has nothing.
func (o *ReadOp) withheld(i int) bool {
	c := &o.copies[i]
	return c.answered && !c.counted && c.sum == digest{}
}

// ask asks one owner: the first one for its state, the others whether they have the
// same. Where the node asks itself, the others are asked when that is known.
func (o *ReadOp) ask(i int) []Send {
	c := &o.copies[i]
	own := o.loads.members[i].node == o.cfg.Self
	c.asked = true
	switch {
	case own:
		c.whole = true
		return []Send{o.load(i, taskLoad)}
	case o.waiting:
		return nil // until the own state is known
	case o.sum != digest{} || o.ownKnown():
		return []Send{o.load(i, taskUnless)}
	case o.wholeAsked():
		return []Send{o.load(i, taskDigest)}
	}
	c.whole = true
	return []Send{o.load(i, taskLoad)}
}

func (o *ReadOp) ownKnown() bool {
	i := o.loads.index(o.cfg.Self)
	return i >= 0 && o.copies[i].answered
}

// wholeAsked reports whether some owner is asked for its state and may answer.
func (o *ReadOp) wholeAsked() bool {
	for i := range o.copies {
		if o.copies[i].whole && o.loads.members[i].verdict != failed {
			return true
		}
	}
	return false
}

func (o *ReadOp) load(i int, kind uint8) Send {
	s := Send{To: o.loads.members[i].node, role: roleLoad, task: task{
		kind: kind, key: o.cfg.Key, version: o.cfg.Placement.Version,
	}}
	var about digest
	if kind == taskUnless {
		about = o.sum
		s.task.state = slices.Clone(about[:])
	}
	return o.ledger.add(s, i, about)
}

// release asks those who waited for the node's own answer.
func (o *ReadOp) release() (sends []Send) {
	if !o.waiting {
		return nil
	}
	o.waiting = false
	for _, i := range o.order {
		if c := &o.copies[i]; c.asked && !c.answered && !o.ledger.has(i, roleLoad) {
			sends = append(sends, o.ask(i)...)
		}
	}
	return sends
}

// Hedge says that some of those asked take longer than they should. It returns loads
// to all that were not asked yet. (Dean, Barroso: The Tail at Scale, CACM 2013.)
func (o *ReadOp) Hedge() (sends []Send) {
	switch {
	case o.done || o.expired:
		return nil
	case o.settled:
		return o.recruit(true)
	}
	sends = append(o.release(), o.askRest()...)
	for i := range o.copies { // the state that digests wait for may not come
		if c := &o.copies[i]; o.open(i) && !c.whole && c.sum != (digest{}) {
			sends = append(sends, o.fetch(i))
		}
	}
	return sends
}

// askRest asks all that were not asked yet for their states.
func (o *ReadOp) askRest() (sends []Send) {
	for _, i := range o.order {
		if c := &o.copies[i]; !c.asked {
			c.asked, c.whole = true, true
			sends = append(sends, o.load(i, taskLoad))
		}
	}
	return sends
}

// fetch asks for the state of an owner of which the digest is known.
func (o *ReadOp) fetch(i int) Send {
	o.copies[i].whole = true
	return o.load(i, taskLoad)
}
