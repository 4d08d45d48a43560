package membership_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/membership"
)

// A stage is some nodes with a ring of which each plans, and members as they are said to be.
type stage struct {
	net      *mem.Network
	keepers  map[transport.NodeID]*ring.Keeper
	planners map[transport.NodeID]*membership.Planner
	members  []membership.Member
}

func newStage(t *testing.T, ids ...transport.NodeID) *stage {
	s := &stage{net: &mem.Network{Refuse: true}, keepers: map[transport.NodeID]*ring.Keeper{}, planners: map[transport.NodeID]*membership.Planner{}}
	var config ring.Config
	for _, id := range ids {
		config.Members = append(config.Members, ring.Member{ID: id})
	}
	first, err := ring.New(config)
	require.NoError(t, err)
	for _, id := range append(ids, "new") {
		k := &ring.Keeper{Self: id, Hasher: merkle.NewHasher(nil)}
		k.Caller = s.net.Node(id, k.Handler())
		s.keepers[id] = k
		s.members = append(s.members, membership.Member{ID: id, Status: membership.Alive})
		s.planners[id] = &membership.Planner{Self: id, Keeper: k, Members: func() []membership.Member { return s.members }}
		if id != "new" {
			require.NoError(t, k.Adopt(first))
		}
	}
	return s
}

func join(members []ring.Member) []ring.Member { return append(members, ring.Member{ID: "new"}) }

func TestChangesByHandAreMadeInOnePlace(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	ctx := t.Context()
	err := s.planners["b"].Change(ctx, join)
	require.ErrorIs(t, err, membership.ErrNotDeciding)
	require.ErrorContains(t, err, `"a" decides`)
	err = s.planners["new"].Change(ctx, join)
	require.ErrorIs(t, err, membership.ErrNotDeciding)
	require.ErrorContains(t, err, "no ring yet")

	err = s.planners["a"].Change(ctx, func([]ring.Member) []ring.Member { return nil })
	require.ErrorAs(t, err, new(*ring.ConfigError))
	require.NoError(t, s.planners["a"].Change(ctx, join))
	require.EqualValues(t, 2, s.keepers["a"].Ring().Epoch())
	require.ErrorIs(t, s.planners["a"].Change(ctx, join), ring.ErrChanging)
}

// Who decides learns first what the others know, and needs a majority of them.
func TestWhoDecidesCatchesUp(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	next, err := s.keepers["b"].Ring().Change(join(s.keepers["b"].Ring().Members()), 0)
	require.NoError(t, err)
	require.NoError(t, s.keepers["b"].Adopt(next))
	require.ErrorIs(t, s.planners["a"].Change(t.Context(), join), ring.ErrChanging)
	require.EqualValues(t, 2, s.keepers["a"].Ring().Epoch())

	s = newStage(t, "a", "b", "c")
	s.net.Down("b")
	s.net.Down("c")
	err = s.planners["a"].Change(t.Context(), join)
	require.ErrorIs(t, err, membership.ErrNotDeciding, "it does not know yet that they are gone")
	require.ErrorIs(t, err, transport.ErrUnreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, s.planners["a"].Change(ctx, join))
}

func TestWhatWasAgreedOnIsAdopted(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	now := s.keepers["a"].Ring()
	other, err := now.Change(now.Members(), 2)
	require.NoError(t, err)
	broken := errors.New("broken")
	var answer []byte
	var failure error
	s.planners["a"].Agree = func(_ context.Context, epoch uint64, proposal []byte) ([]byte, error) {
		require.EqualValues(t, 2, epoch)
		r, err := ring.Decode(proposal)
		require.NoError(t, err)
		require.Equal(t, epoch, r.Epoch())
		return answer, failure
	}
	failure = broken
	require.ErrorIs(t, s.planners["a"].Change(t.Context(), join), broken)
	failure, answer = nil, []byte("no ring")
	require.ErrorAs(t, s.planners["a"].Change(t.Context(), join), new(*ring.CorruptError))
	require.Equal(t, now, s.keepers["a"].Ring())

	answer, err = other.AppendBinary(nil)
	require.NoError(t, err)
	require.ErrorIs(t, s.planners["a"].Change(t.Context(), join), membership.ErrOvertaken)
	require.Equal(t, other.Fingerprint(), s.keepers["a"].Ring().Fingerprint())
}

// A member of the ring that a node has never seen is dead to it since it began to look.
func TestWhoWasNeverSeenIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "a", "b", "c")
		s.members = []membership.Member{s.members[0], s.members[1], s.members[3]}
		p := s.planners["a"]
		p.Policy.ReplaceAfter, p.Policy.JoinAfter = time.Hour, time.Hour
		for i := range s.members {
			s.members[i].Since = time.Now()
		}
		p.Plan()
		time.Sleep(time.Hour - time.Second)
		require.Equal(t, "nothing to do", p.Plan().Why)
		time.Sleep(time.Second)
		require.Equal(t, []transport.NodeID{"c"}, p.Plan().Replace)

		// It is seen, and lost again.
		here := append(s.members, membership.Member{ID: "c", Status: membership.Alive})
		here, s.members = s.members, here
		require.Empty(t, p.Plan().Replace)
		s.members = here
		require.Empty(t, p.Plan().Replace)
	})
}

func TestPlannerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "a", "b", "c")
		for i := range s.members {
			s.members[i].Since = time.Now()
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		var mu sync.Mutex
		var plans []membership.Plan
		var errs []error
		for _, id := range []transport.NodeID{"a", "b"} {
			p := s.planners[id]
			p.OnPlan = func(plan membership.Plan, err error) {
				mu.Lock()
				defer mu.Unlock()
				plans, errs = append(plans, plan), append(errs, err)
			}
			go func() { done <- p.Run(ctx) }()
		}
		s.net.Down("b")
		s.net.Down("c")
		time.Sleep(62*time.Second + time.Second/2) // between two looks
		synctest.Wait()
		mu.Lock()
		require.NotEmpty(t, errs)
		require.ErrorIs(t, errs[0], membership.ErrNotDeciding)
		plans, errs = nil, nil
		mu.Unlock()
		s.net.Up("b")
		s.net.Up("c")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		cancel()
		require.Equal(t, context.Canceled, <-done)
		require.Equal(t, context.Canceled, <-done)
		require.Equal(t, []error{nil}, errs, "one node, once")
		require.Equal(t, []transport.NodeID{"new"}, plans[0].Join)
		require.EqualValues(t, 2, s.keepers["a"].Ring().Epoch())
	})
}

func TestPlannerThatLacksSomething(t *testing.T) {
	var p membership.Planner
	require.ErrorContains(t, p.Run(t.Context()), "are needed")
	require.ErrorContains(t, p.Change(t.Context(), join), "are needed")
	require.Contains(t, p.Plan().Why, "are needed")
}
