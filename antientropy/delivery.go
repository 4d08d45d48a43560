package antientropy

import (
	"context"

	"github.com/eventual-go/eventual/transport"
)

// lanes is how many runs may be merged at once. Those of one origin share a lane.
const lanes = 16

// A delivery is a batch of a peer's Broadcast on its way into the Store, a lot at a time.
// Meanwhile it has the lanes of all origins of which there is something in the lot.
type delivery struct {
	*Loop
	in   *Receipt
	from transport.NodeID
	news *news
	lot  *lot
	held [lanes]bool
	run  bool // one has begun, of which more may come
}

// serveTree answers a batch of a peer's Broadcast.
func (l *Loop) serveTree(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	var n news
	defer func() { n.tell(&l.Events) }()
	in, err := l.receive(&n, from, req)
	if err != nil {
		return nil, err
	}
	defer l.received(&n, from, in)
	d := &delivery{Loop: l, in: in, from: from, news: &n, lot: newLot(l.Store)}
	defer d.leave()
	for {
		if err := d.gather(ctx); err != nil {
			return nil, err
		}
		if d.lot.len() == 0 {
			return in.Response(), nil
		}
		if err := d.merge(ctx); err != nil {
			return nil, err
		}
	}
}

func (l *Loop) receive(n *news, from transport.NodeID, req []byte) (*Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tick(n)
	return l.tree.Receive(from, req)
}

// gather fills the lot: from the run that has begun, and from those after it. It is empty when
// there are none left.
func (d *delivery) gather(ctx context.Context) error {
	d.lot.reset()
	for !d.lot.full() {
		if d.run = d.run || d.nextRun(); !d.run {
			return nil
		}
		if entered, err := d.enter(ctx); !entered {
			return err
		}
		key, state, more := d.next()
		if more {
			d.lot.add(key, state)
		}
		d.run = more
	}
	return nil
}

// enter takes the lane of the run. While there is something in the lot, and so other lanes are
// held, it does not wait for it: two might wait for one another.
func (d *delivery) enter(ctx context.Context) (entered bool, err error) {
	lane := d.in.Origin() % lanes
	if d.held[lane] {
		return true, nil
	}
	if d.lot.len() > 0 {
		select {
		case d.lanes[lane] <- struct{}{}:
			d.held[lane] = true
		default:
		}
		return d.held[lane], nil
	}
	d.leave()
	select {
	case d.lanes[lane] <- struct{}{}:
		d.held[lane] = true
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// leave gives back the lanes.
func (d *delivery) leave() {
	for lane := range d.held {
		d.leaveLane(uint64(lane))
	}
}

func (d *delivery) leaveLane(lane uint64) {
	if d.held[lane] {
		d.held[lane] = false
		<-d.lanes[lane]
	}
}

func (d *delivery) nextRun() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.in.Run()
}

func (d *delivery) next() (key string, state []byte, more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.in.Next()
}

// merge merges the lot, and gives back the lanes but that of a run that goes on.
func (d *delivery) merge(ctx context.Context) error {
	d.lot.merge(ctx)
	if err := d.merged(ctx); err != nil {
		return err
	}
	for lane := range d.held {
		if !d.run || uint64(lane) != d.in.Origin()%lanes {
			d.leaveLane(uint64(lane))
		}
	}
	return nil
}

// merged takes what came of the lot. Where ctx has kept the last of it from being merged, that
// is given up.
func (d *delivery) merged(ctx context.Context) error {
	novel, errs, ended := d.lot.novel, d.lot.errs, ctx.Err()
	n := len(errs)
	for ended != nil && n > 0 && errs[n-1] != nil {
		n--
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, err := range errs[:n] {
		switch {
		case err != nil:
			d.refusedLocked(d.news, Refused{Peer: d.from, Key: d.lot.keys[i], Err: err})
		case len(novel[i]) > 0:
			d.delays.add(d.in.age())
		}
		d.in.Merged(novel[i], err)
	}
	if n < len(errs) {
		return ended
	}
	return nil
}

// received passes on what came, and sees to what the peer asked for.
func (l *Loop) received(n *news, from transport.NodeID, in *Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.overdue(n, in.Dropped())
	for _, p := range l.peers {
		signal(p.pending)
	}
	if p := l.peers[from]; p != nil && p.leave != nil && l.out.Closed(from) {
		signal(p.due)
	}
}
