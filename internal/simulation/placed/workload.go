package placed

import "github.com/eventual-go/eventual/quorum"

// client has a client do something, at some node that is up.
func (r *run) client() {
	c := r.clients
	n, k := r.nodes[c.IntN(len(r.nodes))], r.keys[c.IntN(len(r.keys))]
	pair := one(c, r.plan.buckets...)
	if !n.up || n.frozenUntil > r.now {
		return
	}
	o := &operation{node: n, key: k, hints: c.chance(r.plan.hinted)}
	fallbacks := quorum.FallbacksNone
	if c.chance(r.plan.sloppy) {
		fallbacks = quorum.FallbacksCount
	}
	if r.writable(k) && c.chance(r.plan.writes) {
		o.write = r.newWrite(k)
		o.asks = quorum.WriteOptions{Level: r.level(pair.write), Fallbacks: fallbacks, Applied: c.chance(0.1)}
		o.asks.Primary, o.asks.Durable = r.seldom(), r.seldom()
	} else {
		o.reads = quorum.ReadOptions{
			Level: r.level(pair.read), Fallbacks: fallbacks, Primary: r.seldom(),
			NotFound: one(c, quorum.NotFoundCounts, quorum.NotFoundByAll),
			Repair: one(c, quorum.RepairBlocking, quorum.RepairBlocking, quorum.RepairBlocking, quorum.RepairWriteBack,
				quorum.RepairAsync, quorum.RepairOff),
		}
		if c.chance(0.1) {
			o.reads.Least = quorum.One
		}
		if o.reads.Level == quorum.Any {
			o.reads.Level = quorum.One
		}
		o.back = quorum.Demand{Level: r.level(pair.write)}
		if o.back.Level == quorum.Any {
			o.back.Level = quorum.One
		}
	}
	r.begin(o)
}

// writable reports whether clients without sessions write a key.
func (r *run) writable(k *key) bool {
	switch k.use {
	case raised:
		return false
	case forClient: // most of it is for those with sessions
		return len(k.writes) < maxWrites/4
	}
	return len(k.writes) < maxWrites
}

// level is mostly the one given, and now and then any.
func (r *run) level(l quorum.Level) quorum.Level {
	if r.clients.chance(0.9) {
		return l
	}
	return one(r.clients, quorum.One, quorum.Two, quorum.Three, quorum.Majority, quorum.All, quorum.Any,
		quorum.LocalOne, quorum.LocalMajority, quorum.EachMajority)
}

// seldom is a level that is asked besides, now and then.
func (r *run) seldom() quorum.Level {
	if !r.clients.chance(0.15) {
		return 0
	}
	return one(r.clients, quorum.One, quorum.Majority, quorum.Majority, quorum.LocalOne, quorum.All)
}
