package placed

import (
	"github.com/eventual-go/eventual/quorum"
)

// rules of an operation: what it is to be answered by, and what must hold what a read returns. With
// others standing in for owners, that owners have answered is known only where Primary asks for it.

func (r *run) levels(o *operation, level, primary, durable quorum.Level, fallbacks quorum.Fallbacks) (u rule, can bool) {
	a, canA := r.rule(&o.place, o.node, level, everybody)
	b, canB := r.rule(&o.place, o.node, primary, everybody)
	c, canC := r.rule(&o.place, o.node, durable, r.durable())
	if fallbacks == quorum.FallbacksCount {
		a, c = nil, nil
	}
	return rules(a, b, c), canA && canB && canC
}

func (r *run) durable() (s set) {
	for _, n := range r.nodes {
		if !n.volatile {
			s |= n.bit()
		}
	}
	return s
}

// can reports whether what an operation asks for can be asked at all.
func (r *run) can(o *operation) bool {
	if o.write != nil {
		_, can := r.levels(o, o.asks.Level, o.asks.Primary, o.asks.Durable, 0)
		return can && o.asks.Primary != quorum.Any && o.asks.Durable != quorum.Any
	}
	_, can := r.levels(o, o.reads.Level, o.reads.Primary, 0, 0)
	_, least := r.levels(o, o.reads.Least, 0, 0, 0)
	back := true
	if o.reads.Repair == quorum.RepairWriteBack {
		_, back = r.levels(o, o.back.Level, o.back.Primary, 0, 0)
	}
	return can && least && back
}

// holding is who has ever merged all of a view.
func (r *run) holding(k *key, v view) (s set) {
	for _, n := range r.nodes {
		if k.covers(n.ever[k.index], v) {
			s |= n.bit()
		}
	}
	return s
}

// members are the owners and the next ones.
func (r *run) members(o *operation) set { return r.setOf(o.place.Owners) | r.setOf(o.place.Next) }

// wrote checks the outcome of a write.
func (r *run) wrote(o *operation, op *quorum.WriteOp) error {
	res, err := op.Result()
	w := o.write
	r.say(o.node, "%v: %+v, %v", w, res, err)
	answered := o.acks & r.members(o)
	if res.Answered != answered.size() || res.StoodIn != (o.stood&^answered).size() || res.Hinted != o.kept {
		r.fail(resultWrong, o.key.name, "%v: %+v, and it was answered by %b, stood in for %b, %d hints kept",
			o, res, answered, o.stood, o.kept)
	}
	if err != nil {
		r.explain(o, err)
		r.did("a write that failed")
		return err
	}
	r.did("a write at level " + o.asks.Level.String())
	r.tell(o.asks.Primary != 0, "a write that asks for owners")
	r.tell(o.asks.Durable != 0, "a write that asks for disks")
	r.tell(res.StoodIn > 0, "a write that others stand in for")
	r.tell(res.Answered == 0, "a write that only hints have")
	r.tell(len(o.place.Next) > 0, "a write while its partition changes")
	by, _ := r.levels(o, o.asks.Level, o.asks.Primary, o.asks.Durable, o.asks.Fallbacks)
	held := r.holding(o.key, w.view)
	if !by.met(held) || o.asks.Level == quorum.Any && res.Answered+res.Hinted == 0 {
		r.fail(ackedByFew, o.key.name, "%v: %+v, and %b have it, of %v", o, res, held, o.place)
	}
	w.acked = true
	r.oblige(o.key, &obligation{what: o.String(), view: w.view, epoch: o.epoch, rule: by, start: o.start})
	return nil
}

// read checks the outcome of a read.
func (r *run) read(o *operation, op *quorum.ReadOp) error {
	res, err := op.Result()
	answered := o.acks & r.members(o)
	r.say(o.node, "read %s: %x, stale: %v, %v", o.key.name, r.meaning(o.key, res.State), res.Stale, err)
	if res.Answered > (answered|o.mended).size() || res.StoodIn > o.stood.size() {
		r.fail(resultWrong, o.key.name, "%v: %+v, and it was answered by %b, stood in for %b", o, res, answered, o.stood)
	}
	if err != nil {
		r.explain(o, err)
		r.did("a read that failed")
		return err
	}
	r.countRead(o, &res)
	got := r.meaning(o.key, res.State)
	r.checkFound(o, &res, got)
	by, _ := r.levels(o, o.reads.Level, o.reads.Primary, 0, o.reads.Fallbacks)
	if res.Stale {
		by, _ = r.levels(o, o.reads.Least, 0, 0, o.reads.Fallbacks)
	}
	if !by.met(answered) || res.Stale && o.reads.Least == 0 {
		r.fail(resultWrong, o.key.name, "%v: %+v, and it was answered by %b", o, res, answered)
	}
	r.checkRead(o, by, got)
	if !res.Stale {
		r.returned(o, got, by)
	}
	r.checkOrder(o, &res, got)
	return nil
}

// checkFound checks that a read says that a key is not there only if it may.
func (r *run) checkFound(o *operation, res *quorum.ReadResult, got view) {
	if res.Found != (got != 0) || !res.Found && o.data {
		r.fail(notFoundWrong, o.key.name, "%v: %+v", o, *res)
	}
	byAll := o.reads.NotFound == quorum.NotFoundByAll && o.reads.Fallbacks == quorum.FallbacksNone && !res.Stale
	if silent := r.members(o) &^ o.spoke; byAll && !res.Found && silent != 0 {
		r.fail(notFoundWrong, o.key.name, "%v: %b have not been heard of", o, silent)
	}
}

// returned has later reads contain what a read returned, if it made sure of that.
func (r *run) returned(o *operation, got view, by rule) {
	repair := o.reads.Repair
	lazy := repair == quorum.RepairAsync || repair == quorum.RepairOff
	if got == 0 || lazy && !r.options.TrustLazyReads {
		return
	}
	if repair == quorum.RepairWriteBack {
		by, _ = r.levels(o, o.back.Level, o.back.Primary, 0, o.reads.Fallbacks)
	}
	if held := r.holding(o.key, got); !lazy && !by.met(held) {
		r.fail(heldByFew, o.key.name, "%v returned %x, and %b have it, of %v", o, got, held, o.place)
	}
	r.oblige(o.key, &obligation{what: o.String(), view: got, epoch: o.epoch, rule: by, start: o.start, read: true})
}

func (r *run) countRead(o *operation, res *quorum.ReadResult) {
	r.did("a read at level " + o.reads.Level.String())
	r.did([...]string{"", "a read that waits for repairs", "a read that repairs later", "a read that repairs nothing",
		"a read that writes back"}[o.reads.Repair])
	r.tell(!res.Found, "a read that finds nothing")
	r.tell(res.Stale, "a read that is stale")
	r.tell(res.Concurrent, "a read of what nobody had whole")
	r.tell(res.StoodIn > 0, "a read that others stand in for")
	r.tell(res.Repaired > 0, "a read that repairs")
	r.tell(o.reads.Primary != 0, "a read that asks for owners")
	r.tell(o.reads.NotFound == quorum.NotFoundByAll && !res.Found, "a read that all say nothing to")
	r.tell(len(o.place.Next) > 0, "a read while its partition changes")
	r.tell(o.key.max, "a read of a maximum")
}
