package quorum

// repaired takes the answer of an owner to a repair.
func (o *ReadOp) repaired(e *sent, err error) {
	c := &o.copies[e.member]
	c.busy = false
	if err != nil {
		c.broken = true
		o.holders.fail(e.member, err)
		o.superseded(e.to, err)
		return
	}
	c.answered, c.sum = true, e.digest
	if o.holders.answer(e.member, false) {
		o.mended++
	}
}

// recruit asks owners that were not asked yet, as many as are needed in the place of
// those that could not be repaired, or all.
func (o *ReadOp) recruit(all bool) (sends []Send) {
	expected := func(i int) bool { return o.copies[i].asked && !o.copies[i].broken }
	for _, i := range o.order {
		if c := &o.copies[i]; !c.asked && (all || o.holders.useful(i, expected)) {
			c.asked = true
			sends = append(sends, o.load(i, taskUnless))
		}
	}
	return sends
}

// spread counts who holds the latest state, and sends it to those that answered
// with less. Of those that did not answer, nobody knows what they lack: they are
// sent it if it has to be written back to them.
func (o *ReadOp) spread() (sends []Send) {
	if o.cfg.Options.Repair == RepairOff {
		return nil
	}
	back := o.cfg.Options.Repair == RepairWriteBack && !o.done && len(o.latest) > 0
	for i := range o.copies {
		c := &o.copies[i]
		switch {
		case c.busy || c.broken:
		case c.answered && c.sum == o.sum:
			o.holders.answer(i, false)
		case c.answered || back && !o.holders.Reached() && !c.away:
			c.busy, c.asked = true, true
			s := Send{To: o.loads.members[i].node, role: roleRepair, task: task{
				kind: taskMerge, key: o.cfg.Key, version: o.cfg.Placement.Version, state: o.latest,
			}}
			sends = append(sends, o.ledger.add(s, i, o.sum))
		}
	}
	return sends
}
