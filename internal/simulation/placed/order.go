package placed

import (
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/session"
)

// What sessions promise, judged by what they and others have read, and by nothing that is in a token.

// A promise is that who reads a majority of a key sees a view: once somebody has seen the write that it comes before.
type promise struct {
	key    *key
	view   view
	broken string // the invariant that says so
	since  moment
	write  *write // that follows it
}

func (r *run) promises(g session.Guarantees) bool { return r.plan.guarantees&g != 0 }

// checkSession checks that what a session has read contains what it had written, and read.
func (r *run) checkSession(c *client, k *key, got view) {
	switch {
	case r.promises(session.ReadYourWrites) && !k.covers(got, c.writes[k.index]):
		r.fail(ownMissed, k.name, "client %d at %s reads %x, and had written %x", c.index, c.node.id, got, c.writes[k.index])
	case r.promises(session.MonotonicReads) && !k.covers(got, c.reads[k.index]):
		r.fail(sessionBack, k.name, "client %d at %s reads %x, and had read %x", c.index, c.node.id, got, c.reads[k.index])
	}
}

// follows is what a session has seen before it writes.
func (r *run) follows(c *client) (all []promise) {
	for _, k := range r.keys {
		if v := c.writes[k.index]; v != 0 && r.promises(session.MonotonicWrites) {
			all = append(all, promise{key: k, view: v, broken: writesReordered})
		}
		if v := c.reads[k.index]; v != 0 && r.promises(session.WritesFollowReads) {
			all = append(all, promise{key: k, view: v, broken: causeMissed})
		}
	}
	return all
}

// checkOrder checks that a read of a majority contains what comes before writes that somebody had seen when it began,
// and notes which writes it shows.
func (r *run) checkOrder(o *operation, res *quorum.ReadResult, got view) {
	k := o.key
	if o.reads.Level == quorum.Majority && o.reads.Fallbacks == quorum.FallbacksNone && !res.Stale {
		for _, p := range k.promised {
			if p.since < o.start && !k.covers(got, p.view) {
				r.fail(p.broken, k.name, "%v returned %x; before %v of a session, that was seen, came %x", o, got, p.write, p.view)
			}
			r.tell(p.since < o.start, "a read of what comes before a session's write")
		}
	}
	for _, w := range k.writes {
		if w.follows != nil && !w.shown && got&w.view != 0 {
			r.shows(w)
		}
	}
}

// shows has who reads a majority from now on see what comes before a write.
func (r *run) shows(w *write) {
	w.shown = true
	for _, p := range w.follows {
		p.since, p.write = r.moment(), w
		p.key.promised = append(p.key.promised, p)
	}
}
