package membership

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

// A Planner has the ring of a cluster follow its members, by a [Policy]. It runs at each node; one of
// them decides. The fields are set before the first use and not changed afterwards; Self, Members and Keeper are
// needed. It must not be copied. It is safe for concurrent use.
type Planner struct {
	// Self is the name of this node.
	Self transport.NodeID
	// Members returns what this node knows of the members, itself included: usually [Members.All].
	Members func() []Member
	// Keeper is the ring of this node.
	Keeper *ring.Keeper
	// Policy says when the ring follows.
	Policy Policy
	// Interval is the time from one look at the members to the next. If zero, one second.
	Interval time.Duration
	// Timeout bounds the time in which the other members must say which ring they have. If zero,
	// two seconds.
	Timeout time.Duration
	// Agree has the nodes agree on the ring of an epoch, and returns what they have agreed on: the proposal, or what
	// was proposed before it: usually a function that calls Create of a caspaxos.Registers. With it there are never
	// two rings of one epoch, as long as nobody adopts changes otherwise. If nil nobody is asked: see the package
	// documentation for what is possible then.
	Agree func(ctx context.Context, epoch uint64, proposal []byte) ([]byte, error)
	// OnPlan is called by Run after each attempt to change the ring, with no lock held; a nil one is not.
	OnPlan func(Plan, error)

	once sync.Once
	turn chan struct{} // holds a token: who has it may change the ring

	mu     sync.Mutex
	absent map[transport.NodeID]time.Time // members of the ring that are not among the members: since when
}

var (
	// ErrNotDeciding says that it is not for this node to change the ring now. The error that holds
	// it says why, and which node decides.
	ErrNotDeciding = errors.New("membership: this node does not decide")

	// ErrOvertaken says that the ring or its members have changed since the change was planned, or that
	// another one was agreed on, which is under way then.
	ErrOvertaken = errors.New("membership: something else has changed meanwhile")

	errNoPlanner = errors.New("membership: Planner.Self, Members and Keeper are needed")
)

func (p *Planner) init() error {
	p.once.Do(func() { p.turn = make(chan struct{}, 1) })
	if p.Self == "" || p.Members == nil || p.Keeper == nil {
		return errNoPlanner
	}
	return nil
}

// Run looks at the members at intervals, and changes the ring where the policy says so and this node decides.
// It returns the error of ctx when that ends.
func (p *Planner) Run(ctx context.Context) error {
	if err := p.init(); err != nil {
		return err
	}
	ticker := time.NewTicker(positive(p.Interval, time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			p.step(ctx)
		}
	}
}

func (p *Planner) step(ctx context.Context) {
	if p.Plan().Ring == nil {
		return
	}
	plan, err := p.follow(ctx)
	if ctx.Err() == nil && p.OnPlan != nil {
		p.OnPlan(plan, err)
	}
}

// Plan returns what the policy says now, which Run would do.
func (p *Planner) Plan() Plan {
	if p.init() != nil {
		return Plan{Why: errNoPlanner.Error()}
	}
	now := time.Now()
	r := p.Keeper.Ring()
	return p.Policy.Plan(p.Self, now, p.seen(now, r), r)
}

// seen returns what is known of the members, and since when nothing is known of those of the ring that are not
// among them.
func (p *Planner) seen(now time.Time, r *ring.Ring) []Member {
	members := p.Members()
	if r == nil {
		return members
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	absent := make(map[transport.NodeID]time.Time)
	for _, m := range r.Members() {
		if slices.ContainsFunc(members, func(o Member) bool { return o.ID == m.ID }) {
			continue
		}
		since, ok := p.absent[m.ID]
		if !ok {
			since = now
		}
		absent[m.ID] = since
		members = append(members, Member{ID: m.ID, Status: Dead, Since: since})
	}
	p.absent = absent
	return members
}

// follow makes the change that the policy says, if it says the same after this node has caught up.
func (p *Planner) follow(ctx context.Context) (Plan, error) {
	if err := p.take(ctx); err != nil {
		return Plan{}, err
	}
	defer p.give()
	if err := p.catchUp(ctx); err != nil {
		return Plan{}, err
	}
	plan := p.Plan()
	if plan.Ring == nil {
		return plan, ErrOvertaken
	}
	return plan, p.adopt(ctx, plan.Ring)
}

// adopt goes on with a ring, or with the one that was agreed on in its place.
func (p *Planner) adopt(ctx context.Context, next *ring.Ring) error {
	if p.Agree == nil {
		return p.Keeper.Adopt(next)
	}
	proposal, err := next.AppendBinary(nil)
	if err != nil {
		return err
	}
	agreed, err := p.Agree(ctx, next.Epoch(), proposal)
	if err != nil {
		return err
	}
	r, err := ring.Decode(agreed)
	if err != nil {
		return err
	}
	if err := p.Keeper.Adopt(r); err != nil {
		return err
	}
	if r.Fingerprint() != next.Fingerprint() {
		return ErrOvertaken
	}
	return nil
}

// Change changes the ring to what edit makes of its members, whatever the delays and bounds of the policy: so members
// are taken in, taken out and replaced by hand. To have all changes decided in one place it does so at the node that
// decides; at others, and where no majority of the ring's members is here, the error is [ErrNotDeciding], and tells
// whom to ask. It is also [ring.ErrChanging] while a change is under way, that of ctx, a [*ring.ConfigError], that of
// Agree, or that of [ring.Keeper.Adopt]. It returns when the change has been decided; Keeper.Stats tells when it is
// over. edit is given a copy.
func (p *Planner) Change(ctx context.Context, edit func([]ring.Member) []ring.Member) error {
	if err := p.init(); err != nil {
		return err
	}
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	if err := p.catchUp(ctx); err != nil {
		return err
	}
	r := p.Keeper.Ring()
	if r == nil {
		return fmt.Errorf("%w: there is no ring yet", ErrNotDeciding)
	}
	if r.Changing() {
		return ring.ErrChanging
	}
	now := time.Now()
	if why := p.Policy.waits(newView(p.Self, now, p.seen(now, r), r)); why != "" {
		return fmt.Errorf("%w: %s", ErrNotDeciding, why)
	}
	next, err := r.Change(edit(r.Members()), 0)
	if err != nil {
		return err
	}
	return p.adopt(ctx, next)
}

func (p *Planner) take(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Planner) give() { <-p.turn }

// catchUp learns the newest ring that a majority of the ring's members knows of: a change of an older one would be in
// conflict with what has followed it.
func (p *Planner) catchUp(ctx context.Context) error {
	r := p.Keeper.Ring()
	if r == nil {
		return nil
	}
	inner, cancel := context.WithTimeout(ctx, positive(p.Timeout, 2*time.Second))
	defer cancel()
	all := r.Members()
	answers, first := p.refresh(inner, all)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if answers <= len(all)/2 {
		return fmt.Errorf("%w: %d of %d members of the ring say which one they have, which is no majority: %w",
			ErrNotDeciding, answers, len(all), first)
	}
	return nil
}

// refresh asks members for their rings, all at once, and returns how many have answered, this node among them, and
// the first error of the others.
func (p *Planner) refresh(ctx context.Context, all []ring.Member) (answers int, first error) {
	heard := make(chan error, len(all))
	for _, m := range all {
		if m.ID == p.Self {
			heard <- nil
			continue
		}
		go func() { heard <- p.Keeper.Refresh(ctx, m.ID) }()
	}
	for range all {
		err := <-heard
		if err == nil {
			answers++
		}
		first = cmp.Or(first, err)
	}
	return answers, first
}
