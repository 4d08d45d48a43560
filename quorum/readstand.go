package quorum

import "slices"

// askFallbacks asks one more fallback for each owner that failed and has nobody yet.
func (o *ReadOp) askFallbacks() (sends []Send) {
	for i := range o.loads.members {
		if o.loads.members[i].verdict != failed || o.stoodFor(i) {
			continue
		}
		for o.used < len(o.cfg.Placement.Fallbacks) {
			node := o.cfg.Placement.Fallbacks[o.used]
			o.used++
			again := slices.Contains(o.cfg.Placement.Fallbacks[:o.used-1], node)
			if !again && o.loads.index(node) < 0 {
				s := Send{To: node, role: roleHint, task: task{
					kind: taskLoad, key: o.cfg.Key, version: o.cfg.Placement.Version, target: o.loads.members[i].node,
				}}
				sends = append(sends, o.ledger.add(s, i, digest{}))
				break
			}
		}
	}
	return sends
}

// stoodFor reports whether somebody was asked in place of an owner, and has not failed.
func (o *ReadOp) stoodFor(i int) bool {
	return o.loads.members[i].stand != nil || slices.ContainsFunc(o.ledger.sent, func(e sent) bool {
		return e.member == i && e.role == roleHint && !e.over
	})
}

// stoodIn takes the answer of one that stands in for an owner.
func (o *ReadOp) stoodIn(e *sent, a *answer, err error) []Send {
	if err == nil {
		err = o.absorb(a.state)
	}
	if err != nil {
		return nil
	}
	if o.meet(a) {
		return o.restart()
	}
	owner, zone := o.loads.members[e.member].node, o.cfg.Placement.Zones[e.to]
	o.loads.StandIn(owner, zone, false)
	o.holders.StandIn(owner, zone, false) // it hands over what it has
	return nil
}
