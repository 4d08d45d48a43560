package ring

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

const (
	pollsAtOnce = 16              // nodes that are asked in one round
	pollsAnyway = 2               // of them, how many are any, so that rings spread
	callTimeout = 5 * time.Second // for one answer, which nothing else waits for
	maxPause    = 32              // intervals between two transfers with a peer that fails
	straysEvery = 16              // intervals between two looks at what there is
	maxInterval = time.Hour       // however long is asked for
)

// Run asks the others for their rings at intervals, and carries out what a change of the ring
// asks of this node: what it gets is reconciled with the owners of before; what it does not hold any more
// is handed over to those who do, and discarded. It returns the error of ctx when that ends,
// and all that it has begun has ended; or [ErrRunning], or what is wrong with the fields.
func (k *Keeper) Run(ctx context.Context) error {
	k.init()
	switch {
	case k.Caller == nil:
		return errNoCaller
	case k.Transfer == nil || k.HandOver == nil:
		return errNoTransfer
	case k.Hasher == nil:
		return errNoHasher
	case !k.runs.CompareAndSwap(false, true):
		return ErrRunning
	}
	defer k.runs.Store(false)
	r := &runner{Keeper: k, pauses: make(map[transport.NodeID]pause), asked: make(map[transport.NodeID]bool)}
	defer r.group.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for polls := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			if polls%straysEvery == 0 {
				r.strays(ctx)
			}
			polls++
			r.poll(ctx, r.whom(true))
			timer.Reset(r.jitter(r.interval()))
		case <-k.wake:
			r.poll(ctx, r.whom(false))
		}
		r.transfer(ctx)
		r.drop(ctx)
	}
}

// A runner is one Run.
type runner struct {
	*Keeper
	group sync.WaitGroup

	mu     sync.Mutex
	pauses map[transport.NodeID]pause
	asked  map[transport.NodeID]bool // and have not answered yet
}

// A pause is how long a peer is left alone with transfers after they failed.
type pause struct {
	until time.Time
	times int // how often in a row
}

func (k *Keeper) interval() time.Duration {
	return min(cmp.Or(max(k.Interval, 0), time.Second), maxInterval)
}

// jitter returns a random duration from d-d/10 to d+d/10.
func (r *runner) jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// whom returns who is to be asked now: at intervals some of those that matter and some others, in between
// only who is known to have a newer ring. Who is being asked already is not among them.
func (r *runner) whom(all bool) []transport.NodeID {
	ask := r.hinted()
	v := r.view.Load()
	if !all || v == nil {
		return ask
	}
	ask = append(ask, some(r.idle(v.ask), pollsAtOnce-pollsAnyway)...)
	var others []transport.NodeID
	for _, m := range v.ring.nodes {
		if m.ID != r.Self && !slices.Contains(ask, m.ID) {
			others = append(others, m.ID)
		}
	}
	return append(ask, some(r.idle(others), pollsAnyway)...)
}

// hinted returns who is known to have a newer ring. Who is being asked is left for later: what it
// answers may have been said before it had that ring.
func (r *runner) hinted() []transport.NodeID {
	r.Keeper.mu.Lock()
	defer r.Keeper.mu.Unlock()
	ask := r.idle(slices.Collect(maps.Keys(r.pending)))
	for _, id := range ask {
		delete(r.pending, id)
	}
	return ask
}

// idle returns those of ids that are not being asked.
func (r *runner) idle(ids []transport.NodeID) []transport.NodeID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(ids), func(id transport.NodeID) bool { return r.asked[id] })
}

// some returns n of ids, any, or all if there are not so many.
func some(ids []transport.NodeID, n int) []transport.NodeID {
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(n, len(ids))]
}

// poll asks nodes, all at once, each of which has one question at a time. It does not wait for the
// answers: what follows from them is done when they come.
func (r *runner) poll(ctx context.Context, ids []transport.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if !r.asked[id] {
			r.asked[id] = true
			r.group.Go(func() { r.ask(ctx, id) })
		}
	}
}

func (r *runner) ask(ctx context.Context, id transport.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := r.Refresh(ctx, id)
	r.count(func(s *Stats) {
		s.Asked++
		if err != nil {
			s.Unheard++
		}
	})
	r.mu.Lock()
	delete(r.asked, id)
	r.mu.Unlock()
	if r.waits() {
		r.nudge()
	}
}

// waits reports whether there is something that may go on after an answer.
func (r *runner) waits() bool {
	r.Keeper.mu.Lock()
	hinted := len(r.pending) > 0
	r.Keeper.mu.Unlock()
	v := r.view.Load()
	return hinted || v != nil && v.gets+v.gives > 0
}

// transfer begins what can be begun.
func (r *runner) transfer(ctx context.Context) {
	var tasks []Task
	_ = r.inTurn(ctx, func(t *Transition) error {
		tasks = t.Begin(max(1, cmp.Or(r.Transfers, 2))-len(t.busy), r.free)
		r.remember(t, tasks)
		return nil
	})
	for _, task := range tasks {
		r.count(func(s *Stats) { s.Transfers++ })
		r.group.Go(func() { r.reconcile(ctx, task) })
	}
}

// free reports whether there is no pause with a peer.
func (r *runner) free(peer transport.NodeID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !time.Now().Before(r.pauses[peer].until)
}

func (r *runner) reconcile(ctx context.Context, task Task) {
	move := r.Transfer
	if task.Give {
		move = r.HandOver
	}
	err := move(ctx, task.Peer, task.Ranges)
	r.rest(task.Peer, err)
	// Also when ctx has ended: the task must not stay under way for the next Run.
	saved := r.inTurn(context.WithoutCancel(ctx), func(t *Transition) error {
		t.Finish(task, err == nil)
		return t.Advance(r.save)
	})
	if err != nil || saved != nil {
		r.count(func(s *Stats) { s.Failed++ })
	}
	if err == nil {
		err = saved
		r.nudge()
	}
	r.Events.transferred(task, err)
}

// rest has a peer left alone for longer each time it fails.
func (r *runner) rest(peer transport.NodeID, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.pauses, peer)
		return
	}
	p := r.pauses[peer]
	pause := r.jitter(r.interval() * time.Duration(min(maxPause, 1<<min(p.times, 10))))
	p.times++
	p.until = time.Now().Add(pause)
	r.pauses[peer] = p
}
