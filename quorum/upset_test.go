package quorum

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// One node stands in for one owner, also where it is all that is left.
func TestTrap17_OneStandsInForOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, fallbacks := range [][]transport.NodeID{ids("a"), ids("a", "x", "y"), ids("x", "a", "x"), ids("z", "z", "z")} {
			c, f := cluster(4)
			f.handlers["z"] = (&Coordinator{Local: new(memory), Hints: make(kept)}).Handler()
			c.Hints = make(kept)
			c.Ring = fixedRing{Owners: ids("b", "c", "d"), Fallbacks: fallbacks}
			for _, id := range ids("b", "c", "d", "x", "y") {
				f.down[id] = errDown
			}
			_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: Two, Fallbacks: FallbacksCount})
			var e *UnavailableError
			require.ErrorAs(t, err, &e)
			assert.Equal(t, 1, e.Answered, "by %v", fallbacks)
			res, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: One, Fallbacks: FallbacksCount})
			require.NoError(t, err)
			assert.Equal(t, 1, res.StoodIn)
			_, err = c.Read(t.Context(), "k", ReadOptions{Level: Two, Fallbacks: FallbacksCount})
			require.ErrorAs(t, err, &e)
			assert.Equal(t, 1, e.Answered, "by %v", fallbacks)
		}
	})
}

// learner is a ring that learns from some nodes.
type learner struct {
	renewed
	from map[transport.NodeID]Placement
}

func (l *learner) Refresh(_ context.Context, from transport.NodeID) error {
	l.asked = from
	p, ok := l.from[from]
	if !ok {
		return errDown
	}
	l.Placement = p
	return nil
}

// A node that has no ring yet refuses everything, and hides nobody who knows better.
func TestWhoHasNoRingIsNotLearnedFrom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		newer := Placement{Owners: nodes(3), Version: 3}
		f.handlers["b"] = (&Coordinator{Local: f.replicas["b"], Ring: fixedRing{Version: math.MaxUint64}}).Handler()
		f.handlers["c"] = (&Coordinator{Local: f.replicas["c"], Ring: fixedRing(newer)}).Handler()
		for range 10 {
			l := &learner{from: map[transport.NodeID]Placement{"c": newer}}
			l.Placement = Placement{Owners: nodes(3), Version: 1}
			c.Ring = l
			_, err := c.Write(t.Context(), "k", set(1), WriteOptions{})
			require.NoError(t, err)
			l.Placement.Version = 1
			_, err = c.Read(t.Context(), "k", ReadOptions{})
			require.NoError(t, err)
			assert.EqualValues(t, "c", l.asked)
		}
	})
}

// A repair that is refused for an old ring is no less a reason to learn of it.
func TestARefusedRepairRenewsTheRing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		c.Self, c.Local = "z", nil
		newer := Placement{Owners: nodes(3), Version: 3}
		for i, id := range nodes(3) {
			f.replicas[id].put("k", byte(i+1))
			f.handlers[id] = transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, m string, req []byte) ([]byte, error) {
				all, err := parseRequest(req)
				require.NoError(t, err)
				version := uint64(1)
				if all[0].kind == taskMerge {
					version = 3
				}
				return (&Coordinator{Local: f.replicas[id], Ring: fixedRing{Version: version}}).Handler().ServeCall(ctx, from, m, req)
			})
		}
		l := &learner{from: map[transport.NodeID]Placement{"a": newer, "b": newer, "c": newer}}
		l.Placement = Placement{Owners: nodes(3), Version: 1}
		c.Ring = l
		res, err := c.Read(t.Context(), "k", ReadOptions{Level: All})
		require.NoError(t, err)
		assert.Equal(t, set(1, 2, 3), res.State)
		assert.NotEmpty(t, l.asked)
	})
}

// All that a call does when the ring has changed is within its time.
func TestTimeoutBoundsACallAndWhatItLearns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		c.Self, c.Local, c.Timeout = "z", nil, time.Second
		first := true
		f.handlers["a"] = transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, m string, req []byte) ([]byte, error) {
			if first {
				first = false
				return (&Coordinator{Local: f.replicas["a"], Ring: fixedRing{Version: 3}}).Handler().ServeCall(ctx, from, m, req)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		f.delay["b"], f.delay["c"] = time.Minute, time.Minute
		l := &slow{learner{from: map[transport.NodeID]Placement{"a": {Owners: nodes(3), Version: 3}}}}
		l.Placement = Placement{Owners: nodes(3), Version: 1}
		c.Ring = l
		start := time.Now()
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: All})
		require.Error(t, err)
		assert.LessOrEqual(t, time.Since(start), c.Timeout)
	})
}

// slow takes most of a second to learn.
type slow struct{ learner }

func (s *slow) Refresh(ctx context.Context, from transport.NodeID) error {
	if err := pause(ctx, 900*time.Millisecond); err != nil {
		return err
	}
	return s.learner.Refresh(ctx, from)
}

// What is decided is looked at while late answers come: by a node that knows of a later ring, too.
func TestLateRefusalsAreNoRace(t *testing.T) {
	for range 20 {
		f := transport.HandlerFunc((&Coordinator{Local: new(memory), Ring: fixedRing{Version: 9}}).serve)
		c := &Coordinator{Self: "z", Ring: fixedRing{Owners: nodes(3), Version: 1}, Join: union, Timeout: time.Second,
			Caller: callerFunc(func(ctx context.Context, to transport.NodeID, m string, req []byte) ([]byte, error) {
				if to != "c" {
					return nil, errDown
				}
				return f.ServeCall(ctx, "z", m, req)
			})}
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{})
		require.Error(t, err)
		_, err = c.Read(t.Context(), "k", ReadOptions{})
		require.Error(t, err)
	}
}

type callerFunc func(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error)

func (f callerFunc) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	return f(ctx, to, method, req)
}

// A peer that always puts off is refused, and not asked for ever.
func TestAPeerThatPutsEverythingOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		calls := 0
		c := &Coordinator{Self: "z", Ring: fixedRing{Owners: ids("a")}, Join: union, Timeout: time.Second,
			Caller: callerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
				all, err := parseRequest(req)
				require.NoError(t, err)
				calls++
				w := newResponse(len(all), 0)
				for range all {
					w.add(statusAgain, nil)
				}
				return w.w.Done(), nil
			})}
		_, err := c.Read(t.Context(), "k", ReadOptions{})
		var e *UnavailableError
		require.ErrorAs(t, err, &e)
		var bad *MessageError
		require.True(t, errors.As(e.Failures[0].Err, &bad), "%v", e)
		synctest.Wait()
		assert.LessOrEqual(t, calls, 2)
	})
}

// Of a hint that goes to the next holder when one does not take it, nothing is said.
func TestHintErrorsAreThoseOfTheLastResort(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		c.Ring = fixedRing{Owners: ids("b"), Fallbacks: ids("c")}
		f.down["b"], f.down["c"] = errDown, errDown
		hints := make(kept)
		c.Hints = hints
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: Any, Fallbacks: FallbacksCount})
		require.NoError(t, err)
		settle()
		s := c.Stats()
		assert.EqualValues(t, 1, s.Hints)
		assert.Zero(t, s.HintErrors)
		c.Hints = full{hints}
		_, err = c.Write(t.Context(), "k", set(2), WriteOptions{Level: Any, Fallbacks: FallbacksCount})
		require.Error(t, err)
		settle()
		assert.EqualValues(t, 1, c.Stats().HintErrors)
	})
}

type full struct{ kept }

func (full) Keep(context.Context, transport.NodeID, string, []byte) error { return errDown }

// Where a lower level will do, a later ring is learned of all the same: by that the level may be reached.
func TestLeastDoesNotHideALaterRing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(5)
		c.Self, c.Local = "z", nil
		newer := Placement{Owners: ids("c", "d", "e"), Version: 3}
		for _, id := range ids("b", "c", "d", "e") {
			f.replicas[id].put("k", 7)
			f.handlers[id] = (&Coordinator{Local: f.replicas[id], Ring: fixedRing(newer)}).Handler()
		}
		l := &learner{from: map[transport.NodeID]Placement{"b": newer, "c": newer}}
		l.Placement = Placement{Owners: nodes(3), Version: 1}
		c.Ring = l
		res, err := c.Read(t.Context(), "k", ReadOptions{Level: Majority, Least: One})
		require.NoError(t, err)
		assert.False(t, res.Stale)
		assert.Equal(t, set(7), res.State)

		l.Placement, l.from = Placement{Owners: nodes(3), Version: 1}, nil // nobody tells
		res, err = c.Read(t.Context(), "k", ReadOptions{Level: Majority, Least: One})
		require.NoError(t, err)
		assert.True(t, res.Stale)
	})
}

// Who waits for all where nothing is found does not wait where something is.
func TestNotFoundByAllWaitsForNobodyWhereItIsFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.replicas["a"].put("k", 7)
		f.delay["c"] = time.Hour
		start := time.Now()
		res, err := c.Read(t.Context(), "k", ReadOptions{Level: Majority, NotFound: NotFoundByAll, Repair: RepairOff})
		require.NoError(t, err)
		assert.Equal(t, set(7), res.State)
		assert.Zero(t, time.Since(start))
	})
}

// Who has refused a call is asked for the ring, and not one that is only said to know it, and is away.
func TestWhoRefusesIsAskedForTheRing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(4)
		old, later := Placement{Owners: ids("b", "c", "d"), Version: 1}, Placement{Owners: ids("b", "c", "d"), Version: 5}
		f.down["b"] = transport.ErrUnreachable
		for _, id := range ids("c", "d") {
			f.handlers[id] = (&Coordinator{Local: f.replicas[id], Ring: fixedRing(later)}).Handler()
		}
		l := &learner{from: map[transport.NodeID]Placement{"c": later, "d": later}}
		l.Placement = old
		c.Ring = l
		_, err := c.Read(t.Context(), "k", ReadOptions{Level: One, After: []Holders{{Version: 5, Nodes: ids("e"), Majority: true}}})
		require.NoError(t, err)
		require.Contains(t, ids("c", "d"), l.asked)
	})
}

// A level that cannot be asked of the owners that there are by now says nothing of what was sent to those before.
func TestALevelErrorSaysThatNothingWasSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		later := Placement{Owners: nodes(2), Version: 5}
		for _, id := range ids("b", "c") {
			f.handlers[id] = (&Coordinator{Local: f.replicas[id], Ring: fixedRing(later)}).Handler()
		}
		l := &learner{from: map[transport.NodeID]Placement{"b": later, "c": later}}
		l.Placement = Placement{Owners: nodes(3), Version: 1}
		c.Ring = l
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Durable: Three})
		_, unavailable := errors.AsType[*UnavailableError](err)
		require.True(t, unavailable, "%v", err)
		require.Equal(t, 1, f.holders("k", set(1)))
		l.Placement = later
		_, err = c.Write(t.Context(), "k", set(2), WriteOptions{Durable: Three})
		_, level := errors.AsType[*LevelError](err)
		require.True(t, level, "%v", err)
		require.Zero(t, f.holders("k", set(2)))
	})
}
