package antientropy

import (
	"bytes"
	"context"
	"fmt"
	"slices"
)

// poll asks whether all members are of one epoch and generation.
func (c *Collection) poll(ctx context.Context) error {
	own := c.m.position(c.f, c.m.Self)
	c.generation, c.rank, c.promised, c.proposal = own.generation, own.rank, own.promised, nil
	c.result.HeldUp = nil
	c.m.answers(c.f, c.generation, c.epoch)
	return c.start(ctx, polling)
}

func (c *Collection) polled(ctx context.Context, resp []byte) error {
	a, err := decodePrepared(resp)
	if err != nil {
		return c.heldUp(ctx, err)
	}
	c.pledges[c.at] = a.promised
	switch a.status {
	case statusReady:
		c.m.vouched(c.f, c.generation, a.rank, c.others[c.at])
		return c.next(ctx)
	case statusElsewhere:
		return c.bringTogether(ctx, a)
	}
	return c.heldUp(ctx, a.err(c.others[c.at], c.epoch.Number, c.generation))
}

// bringTogether has this node or the member take the records that it lacks.
func (c *Collection) bringTogether(ctx context.Context, a *prepared) error {
	peer := c.others[c.at]
	apart := a.err(peer, c.epoch.Number, c.generation)
	if c.moves++; c.moves > maxMoves {
		return c.heldUp(ctx, apart)
	}
	if a.way.from == c.generation {
		own, _, err := c.m.settle(ctx, c.f, peer, a.rank, c.promised, a.way)
		if err != nil || own.generation != c.generation {
			return c.again(ctx, err)
		}
		return c.heldUp(ctx, apart)
	}
	w, err := wayFrom(c.f, a.generation, c.limit)
	if a.generation == "" {
		w, err = c.m.fullWay(c.f, c.limit)
	}
	if err == nil && w.from == "" {
		err = apart
	}
	if err != nil {
		return c.heldUp(ctx, err)
	}
	c.stage, c.theirs = leading, a.position
	c.method, c.req = methodSettle, encodeSettle(c.rank, a.promised, w)
	return nil
}

// again asks all once more, since this node has come to another generation. What they had promised before may have been
// for that one: it is not taken back until all are there.
func (c *Collection) again(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	clear(c.pledges)
	return c.poll(ctx)
}

// told takes the answer of a member that was sent records.
func (c *Collection) told(ctx context.Context, resp []byte) error {
	p, err := decodeSettled(resp)
	switch {
	case err != nil:
		return c.heldUp(ctx, err)
	case c.stage == leading && p.generation != c.theirs.generation:
		c.stage = polling
		c.ask()
		return nil
	case c.stage == telling && p.generation == c.generation:
		c.pledges[c.at] = p.promised
		return c.next(ctx)
	}
	return c.heldUp(ctx, &GenerationError{Peer: c.others[c.at], Own: c.generation, Theirs: p.generation})
}

// together goes on if nobody is missing: now the epoch vouches for the generation.
func (c *Collection) together(ctx context.Context) error {
	if len(c.result.HeldUp) > 0 {
		c.stage = over
		return nil
	}
	if err := c.m.confirm(ctx, c.f, c.c, c.epoch, c.generation); err != nil {
		return err
	}
	c.rank = c.epoch.rank()
	return c.propose(ctx)
}

// propose has the members prepare what there is to forget, this one first.
func (c *Collection) propose(ctx context.Context) error {
	if c.stage = over; len(c.result.HeldUp) > 0 || c.result.Records >= maxCollected {
		return nil
	}
	most := c.limit - epochOverhead
	switch c.proposal = c.c.Propose(most, c.cfg.Quiet); {
	case len(c.proposal) == 0:
		return c.release(ctx)
	case len(c.proposal) > most: // nobody could be told
		return fmt.Errorf("antientropy: a proposal: %w", &TooLargeError{Size: len(c.proposal), Max: most})
	}
	reply, err := c.m.promise(ctx, c.c, c.epoch, c.proposal)
	if err != nil {
		return err
	}
	c.replies = append(c.replies[:0], reply)
	return c.start(ctx, preparing)
}

// release asks all members once more if one has prepared something of which nothing came: now it knows that. It ends
// the collection.
func (c *Collection) release(ctx context.Context) error {
	if c.released || !slices.ContainsFunc(c.pledges, func(p pledge) bool { return p != 0 }) {
		return nil
	}
	c.released = true
	return c.poll(ctx)
}

func (c *Collection) prepared(ctx context.Context, resp []byte) error {
	a, err := decodePrepared(resp)
	switch {
	case err != nil:
		return c.heldUp(ctx, err)
	case a.status != statusReady:
		return c.heldUp(ctx, a.err(c.others[c.at], c.epoch.Number, c.generation))
	}
	c.pledges[c.at] = a.promised
	c.replies = append(c.replies, bytes.Clone(a.reply))
	return c.next(ctx)
}

// conclude decides, and tells the others.
func (c *Collection) conclude(ctx context.Context) (err error) {
	c.stage = over
	if c.record, err = c.m.conclude(ctx, c.f, c.c, c.epoch, c.proposal, c.replies); err != nil || c.record == nil {
		return err
	}
	c.result.Records++
	c.before, c.generation, c.proposal = c.generation, c.f.Generation(), nil
	if _, err := fitting([][]byte{c.record}, c.limit); err != nil {
		for _, peer := range c.others {
			c.result.HeldUp = append(c.result.HeldUp, HeldUp{Peer: peer, Err: err})
		}
		return nil
	}
	return c.start(ctx, telling)
}

// confirm notes that all members of an epoch are of this generation. Not before that this node takes back what it has
// prepared: it may have been for one who proposed in an earlier epoch, and has decided it.
func (m *Membership) confirm(ctx context.Context, f Follower, c Collector, e Epoch, generation string) error {
	return m.inEpoch(ctx, e, func() error {
		if now := f.Generation(); now != generation {
			return &GenerationError{Peer: m.Self, Own: generation, Theirs: now}
		}
		m.vouched(f, generation, e.rank(), m.Self)
		_, err := c.Prepare(ctx, nil)
		return err
	})
}

// promise prepares a proposal of this node's own.
func (m *Membership) promise(ctx context.Context, c Collector, e Epoch, proposal []byte) (reply []byte, err error) {
	err = m.inEpoch(ctx, e, func() (err error) {
		reply, err = c.Prepare(ctx, proposal)
		return err
	})
	return reply, err
}

// release takes back what this node has prepared.
func (m *Membership) release(ctx context.Context, c Collector, e Epoch) error {
	_, err := m.promise(ctx, c, e, nil)
	return err
}

// resign takes back what a node has prepared that is no member any more: nobody else will.
func (m *Membership) resign(ctx context.Context, s Store) {
	f, follows := s.(Follower)
	c, collects := s.(Collector)
	if !follows || !collects || !m.owes(f) {
		return
	}
	leave, err := m.enter(ctx)
	if err != nil {
		return
	}
	defer leave()
	if !m.owes(f) { // it may have become a member again, and promised something
		return
	}
	if _, err := c.Prepare(ctx, nil); err == nil {
		m.promises(f, f.Generation(), 0)
	}
}

// owes reports whether this node has promised something, and is no member.
func (m *Membership) owes(f Follower) bool {
	e := m.now()
	return !e.has(m.Self) && m.standpoint(f.Generation()).promised != 0
}

func (m *Membership) conclude(ctx context.Context, f Follower, c Collector, e Epoch, proposal []byte, replies [][]byte) (record []byte, err error) {
	err = m.inEpoch(ctx, e, func() (err error) {
		before := f.Generation()
		if record, err = c.Conclude(ctx, proposal, replies); err == nil && record != nil {
			m.moveTo(f.Generation(), e.rank(), false, before)
		}
		return err
	})
	return record, err
}
