package placed

import (
	"errors"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/session"
)

// A client has a session, which lives at the node that it is at. When it goes elsewhere, or its node crashes, it takes
// along the token that it was last given, as bytes.
type client struct {
	index   int
	busy    bool
	node    *node
	life    int // of the node
	session *session.Session
	token   []byte
	reads   []view // by key: what it had read when it was given the token,
	writes  []view // and written
}

// newClient is somebody who has seen nothing.
func (r *run) newClient(i int) *client {
	return &client{index: i, reads: make([]view, len(r.keys)), writes: make([]view, len(r.keys))}
}

// sessionTurn has a client do something.
func (r *run) sessionTurn() {
	s := r.sessions
	i := s.IntN(len(r.roaming))
	c := r.roaming[i]
	switch {
	case c.busy:
		return
	case s.chance(0.03):
		c = r.newClient(i)
		r.roaming[i] = c
	case s.chance(0.1):
		r.outsider()
		return
	case s.chance(0.08):
		r.pair(c, one(s, r.roaming...))
	case s.chance(0.2):
		c.node = nil
	}
	if c.node == nil || !c.node.serves(r.now) || c.life != c.node.life {
		if r.move(c); c.node == nil {
			return
		}
	}
	if k := r.sessionKey(); k.use == forClient && len(k.writes) < maxWrites && s.chance(0.4) {
		r.sessionWrites(c, k)
	} else {
		r.sessionReads(c, k)
	}
}

// outsider has somebody without a session read a majority of what sessions write.
func (r *run) outsider() {
	if n := one(r.sessions, r.nodes...); n.serves(r.now) {
		r.begin(&operation{node: n, key: r.sessionKey(), reads: quorum.ReadOptions{
			Level: quorum.Majority, Fallbacks: quorum.FallbacksNone, Repair: quorum.RepairBlocking, NotFound: quorum.NotFoundCounts,
		}})
	}
}

// sessionKey is mostly one of the few that sessions write.
func (r *run) sessionKey() *key {
	k := one(r.sessions, r.keys...)
	for range 3 {
		if k.use != forClient {
			k = one(r.sessions, r.keys...)
		}
	}
	return k
}

// pair has a client go on from what another had seen, too: two devices of one user.
func (r *run) pair(c, other *client) {
	if c == other || len(other.token) == 0 {
		return
	}
	r.did("a token joined")
	t := r.tokenOf(c)
	t.Join(r.tokenOf(other))
	c.token = r.encoded(&t)
	for i, k := range r.keys {
		c.reads[i], c.writes[i] = k.join(c.reads[i], other.reads[i]), k.join(c.writes[i], other.writes[i])
	}
	c.node = nil
}

// move has a client go on at some node, if that serves.
func (r *run) move(c *client) {
	r.tell(c.node != nil && c.life != c.node.life && len(c.token) > 0, "a session that fails over")
	c.node = nil
	if n := one(r.sessions, r.nodes...); n.serves(r.now) {
		r.tell(len(c.token) > 0, "a session that goes on elsewhere")
		r.settleAt(c, n)
	}
}

// settleAt has a client go on at a node, by its token.
func (r *run) settleAt(c *client, n *node) {
	c.node, c.life = n, n.life
	c.session = &session.Session{Guarantees: r.plan.guarantees, Max: r.plan.tokenKeys, AtOnce: 1}
	c.session.Resume(r.tokenOf(c))
}

func (r *run) tokenOf(c *client) (t session.Token) {
	if len(c.token) > 0 {
		if err := t.UnmarshalBinary(c.token); err != nil {
			r.fail(unexplained, "", "token: %v", err)
		}
	}
	return t
}

func (r *run) encoded(t *session.Token) []byte {
	b, err := t.AppendBinary(nil)
	if err != nil {
		r.fail(unexplained, "", "token: %v", err)
	}
	return b
}

// talk has a client make a call. What came of it is noted unless the answer is lost: with its node, or on the way.
func (r *run) talk(c *client, call func(v *conversation) error, note func()) {
	c.busy = true
	r.open++
	r.converse(c.node, func(v *conversation) {
		s := c.session
		s.Quorum = v
		err := call(v)
		c.busy = false
		r.open--
		switch {
		case v.gone:
			return
		case r.sessions.chance(0.05) && !r.calm:
			r.did("an answer that a client does not get")
			c.node = nil
			return
		case err == nil:
			note()
		default:
			r.refused(c, s, err)
		}
		t := s.Token()
		c.token = r.encoded(&t)
	})
}

func (r *run) sessionWrites(c *client, k *key) {
	s := r.sessions
	w := r.newWrite(k)
	w.follows = r.follows(c)
	opts := quorum.WriteOptions{
		Level:     one(s, quorum.One, quorum.One, quorum.Two, quorum.Majority, quorum.Majority, quorum.Any),
		Fallbacks: one(s, quorum.FallbacksNone, quorum.FallbacksNone, r.fallbacks()),
	}
	if r.plan.careless && s.chance(0.8) {
		opts.Level = quorum.One
	}
	r.talk(c, func(v *conversation) error {
		v.write = w
		_, err := c.session.Write(r.ctx, k.name, w.delta, opts)
		return err
	}, func() {
		r.did("a session's write at level " + opts.Level.String())
		c.writes[k.index] = k.join(c.writes[k.index], w.view)
	})
}

func (r *run) sessionReads(c *client, k *key) {
	s := r.sessions
	opts := quorum.ReadOptions{
		Level:     one(s, quorum.One, quorum.One, quorum.One, quorum.Two, quorum.Majority),
		Repair:    one(s, quorum.RepairBlocking, quorum.RepairBlocking, quorum.RepairWriteBack, quorum.RepairAsync, quorum.RepairOff),
		Fallbacks: one(s, quorum.FallbacksNone, quorum.FallbacksNone, r.fallbacks()),
		NotFound:  one(s, quorum.NotFoundCounts, quorum.NotFoundCounts, quorum.NotFoundByAll),
		Least:     one(s, 0, 0, 0, quorum.One),
	}
	var res quorum.ReadResult
	r.talk(c, func(v *conversation) (err error) {
		res, err = c.session.Read(r.ctx, k.name, opts)
		return err
	}, func() {
		r.did("a session's read at level " + opts.Level.String())
		got := r.meaning(k, res.State)
		r.checkSession(c, k, got)
		c.reads[k.index] = k.join(c.reads[k.index], got)
	})
}

func (r *run) fallbacks() quorum.Fallbacks {
	if r.sessions.chance(r.plan.sloppy) {
		return quorum.FallbacksCount
	}
	return quorum.FallbacksNone
}

// refused has a client give up what is with nobody any more who is an owner.
func (r *run) refused(c *client, s *session.Session, err error) {
	gone, unavailable := errors.AsType[*quorum.UnavailableError](err)
	_, timeout := errors.AsType[*quorum.TimeoutError](err)
	_, level := errors.AsType[*quorum.LevelError](err)
	if !level && !(unavailable && gone.Condition == holdersGone && len(gone.Failures) == 0) {
		r.mustAnswer("", err)
	}
	switch {
	case level:
		r.did("a session's call at a level that cannot be asked")
	case timeout:
		r.did("a session's call that is too late")
	case !unavailable:
		r.fail(unexplained, "", "session: %v", err)
	case gone.Condition != holdersGone:
		r.did("a session's call that is refused")
	default:
		r.did("a session's call that is refused for want of who has what was seen")
		if len(gone.Failures) == 0 && r.sessions.chance(0.5) {
			r.did("a key that a session forgets")
			k := r.byName[gone.Key]
			s.Forget(k.name)
			c.reads[k.index], c.writes[k.index] = 0, 0
		}
	}
}

// holdersGone is what is lacking where nobody who has what was seen has answered.
const holdersGone = "owners that have what was seen"
