package membership

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/eventual-go/eventual/transport"
)

// Join finds the members of a cluster by the addresses of the gossip of some of them, "host:port"; of a name all
// addresses are tried. It waits for Run to begin, until ctx ends if that fails, and returns nil as soon as one seed
// has answered and is of this cluster; also if all of them are this node itself, which may be named like the others.
// Otherwise the errors, which it joins, are a [*SeedError] for each seed, or that of ctx. In any case Run tries seeds
// that are no members again, now and then, and more often while this node is alone. So an error need not be acted
// upon; nor does nil prove that a member is there: who has no key and is where a seed should be has it returned by what
// others exchanged, which it has recorded, or by what this node says. Without seeds it waits for Run to begin, and no
// more.
func (m *Members) Join(ctx context.Context, seeds ...string) error {
	m.mu.Lock()
	for _, seed := range seeds {
		if !slices.Contains(m.seeds, seed) {
			m.seeds = append(m.seeds, seed)
		}
	}
	m.mu.Unlock()
	s, err := m.running(ctx)
	if err != nil {
		return err
	}
	return s.join(ctx, seeds)
}

// join tries all seeds at once. Those that are slower than the first may go on after it has returned.
func (s *session) join(ctx context.Context, seeds []string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !s.enter() {
		return errOver
	}
	defer s.group.Done()
	answers := make(chan error, len(seeds))
	for _, seed := range seeds {
		s.group.Go(func() { answers <- s.joinOne(ctx, seed) })
	}
	var errs []error
	for range seeds {
		err := <-answers
		if err == nil {
			return nil
		}
		if !errors.Is(err, errItself) {
			errs = append(errs, err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(errs...)
}

var (
	errItself = errors.New("membership: the seed is this node")
	errOver   = fmt.Errorf("%w: membership: Run has ended", transport.ErrClosed)
)

func (s *session) joinOne(ctx context.Context, seed string) error {
	all, err := lookup(ctx, seed)
	if err != nil {
		return seedError(seed, err)
	}
	all = slices.DeleteFunc(all, func(at netip.AddrPort) bool { return at == s.sockets.advertise })
	if len(all) == 0 {
		return errItself
	}
	for _, at := range all {
		if err = s.meet(ctx, at); err == nil {
			return nil
		}
	}
	return seedError(seed, err)
}
