package quorum

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bubble runs test in virtual time, and then lets what its calls left behind end:
// a bubble fails if a goroutine is left, and its time stops with its test.
func bubble(t *testing.T, test func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		test(t)
		settle()
	})
}

func settle() {
	time.Sleep(DefaultTimeout)
	synctest.Wait()
}

func TestWriteReachesAllAndAnswersAtItsLevel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.delay["c"] = 10 * time.Millisecond
		f.replicas["a"].hang = 500 * time.Millisecond
		start := time.Now()
		delta := set(1, 2)
		res, err := c.Write(t.Context(), "k", delta, Majority)
		require.NoError(t, err)
		assert.Equal(t, WriteResult{Needed: 2, Answered: 2, Owners: 3}, res)
		assert.Equal(t, 10*time.Millisecond, time.Since(start))
		assert.Equal(t, 2, f.holders("k", set(1, 2)))

		delta[0] = 77 // the caller's own again
		time.Sleep(490 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, set(1, 2), f.replicas["a"].at("k"))
	})
}

// What a call leaves behind ends by its Timeout, with a node that answers too late.
func TestWhatACallLeavesBehindEndsByTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		c.Timeout = time.Second
		f.delay["c"] = time.Hour
		start := time.Now()
		ended := make(chan error, 1)
		c.Caller = spy{f, func(to transport.NodeID, err error) {
			if to == "c" {
				ended <- err
			}
		}}
		_, err := c.Write(t.Context(), "k", set(1), Majority)
		require.NoError(t, err)
		assert.Zero(t, time.Since(start))
		assert.ErrorIs(t, <-ended, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// spy is a Caller that tells what each call came to.
type spy struct {
	transport.Caller
	tell func(transport.NodeID, error)
}

func (s spy) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	resp, err := s.Caller.Call(ctx, to, method, req)
	s.tell(to, err)
	return resp, err
}

func TestEndOfCallersContextPassesUntouched(t *testing.T) {
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		},
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, f := cluster(3)
				f.delay["b"], f.delay["c"] = 100*time.Millisecond, 200*time.Millisecond
				start := time.Now()
				ctx, cancel := end(t.Context())
				defer cancel()
				_, err := c.Write(ctx, "k", set(1), Majority)
				assert.Equal(t, ctx.Err(), err)
				assert.Equal(t, 50*time.Millisecond, time.Since(start))

				_, err = c.Read(ctx, "k", One) // its context is over before it starts
				assert.Equal(t, ctx.Err(), err)
				assert.Zero(t, f.replicas["a"].loads)

				time.Sleep(150 * time.Millisecond)
				synctest.Wait()
				assert.Equal(t, 3, f.holders("k", set(1)), "the write goes on")
			})
		})
	}
}

func TestSilenceIsATimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.delay["b"], f.delay["c"] = time.Hour, time.Hour
		start := time.Now()
		_, err := c.Write(t.Context(), "k", set(1), Majority)
		assert.Equal(t, DefaultTimeout, time.Since(start))
		e, ok := errors.AsType[*TimeoutError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, []int{2, 1, 3}, []int{e.Needed, e.Answered, e.Owners})
		assert.Equal(t, []transport.NodeID{"b", "c"}, e.Silent)
		assert.Empty(t, e.Failures, "a call that time ended is no failure of its node")
		assert.ErrorIs(t, err, context.DeadlineExceeded)

		settle()
		f.down["b"] = errDown
		c.Timeout = time.Second
		_, err = c.Read(t.Context(), "k", Majority)
		e, ok = errors.AsType[*TimeoutError](err)
		require.True(t, ok)
		assert.Equal(t, OpRead, e.Op)
		assert.Equal(t, []transport.NodeID{"b"}, names(e.Failures))
		assert.Equal(t, 2*DefaultTimeout+time.Second, time.Since(start))
	})
}

// Where calls end with the time of the whole before anybody else notices, it is still
// the time that is over, and not the nodes that failed.
func TestCallsEndedByTimeAreNoFailures(t *testing.T) {
	op, err := NewWriteOp("k", set(1), Placement{Owners: nodes(1)}, One)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x := &call{op: op, done: make(chan struct{}), cancel: cancel, under: 1}
	x.step(ctx, outcome{send: &op.Start()[0], err: context.DeadlineExceeded})
	<-x.done
	_, err = op.Result()
	var e *TimeoutError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, nodes(1), e.Silent)
}

func TestUnavailableIsSaidAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.down["b"], f.down["c"] = transport.ErrUnreachable, transport.ErrUnreachable
		start := time.Now()
		_, err := c.Write(t.Context(), "k", set(1), Majority)
		assert.Zero(t, time.Since(start))
		e, ok := errors.AsType[*UnavailableError](err)
		require.True(t, ok)
		assert.Equal(t, "k", e.Key)
		assert.Equal(t, Majority, e.Level)
		assert.ErrorIs(t, err, transport.ErrUnreachable)

		settle()
		_, err = c.Read(t.Context(), "k", Majority)
		assert.ErrorAs(t, err, &e)
		res, err := c.Read(t.Context(), "k", One)
		require.NoError(t, err)
		assert.Equal(t, set(1), res.State)
	})
}

func TestLocalReplicaCountsLikeAnyOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		drift := errors.New("clock is an hour ahead")
		f.replicas["a"].refuse = drift
		res, err := c.Write(t.Context(), "k", set(1), Majority)
		require.NoError(t, err)
		assert.Equal(t, 2, res.Answered)
		settle()
		_, err = c.Write(t.Context(), "k", set(2), All)
		e, ok := errors.AsType[*UnavailableError](err)
		require.True(t, ok)
		assert.Equal(t, []Failure{{"a", drift}}, e.Failures)
		assert.ErrorIs(t, err, drift)
	})
}

func TestLocalReplicaIsAskedOnlyIfItIsAnOwner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(4)
		c.Ring = Everywhere(nodes(4)[1:])
		_, err := c.Write(t.Context(), "k", set(1), All)
		require.NoError(t, err)
		res, err := c.Read(t.Context(), "k", All)
		require.NoError(t, err)
		assert.Equal(t, 3, res.Owners)
		assert.Empty(t, f.replicas["a"].at("k"))
		assert.Zero(t, f.replicas["a"].loads)
	})
}

func TestSlowLocalReplicaHoldsNobodyUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.replicas["a"].hang = time.Hour
		start := time.Now()
		_, err := c.Write(t.Context(), "k", set(1), Majority)
		require.NoError(t, err)
		_, err = c.Read(t.Context(), "k", Majority)
		require.NoError(t, err)
		assert.Zero(t, time.Since(start))
	})
}

// Others that fail at once do not outrun the answer of the replica that is at hand.
func TestRefusalCountsTheLocalReplica(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T) {
			c, f := cluster(3)
			f.down["b"], f.down["c"] = errDown, errDown
			f.replicas["a"].hang = time.Millisecond
			_, err := c.Write(t.Context(), "k", set(1), Majority)
			unavailable, ok := errors.AsType[*UnavailableError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, 1, unavailable.Answered)
			_, err = c.Read(t.Context(), "k", Majority)
			unavailable, ok = errors.AsType[*UnavailableError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, 1, unavailable.Answered)
		})
	}
}

func TestReadRepairs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		repairs := make(chan RepairEvent, 3)
		c.Events.OnRepair = func(e RepairEvent) { repairs <- e }
		f.delay["b"], f.delay["c"] = 10*time.Millisecond, 50*time.Millisecond
		f.replicas["a"].put("k", 1)
		f.replicas["c"].put("k", 2)

		start := time.Now()
		res, err := c.Read(t.Context(), "k", Majority)
		require.NoError(t, err)
		assert.Equal(t, ReadResult{State: set(1), Found: true, Needed: 2, Answered: 2, Repaired: 1, Owners: 3}, res)
		assert.Equal(t, 20*time.Millisecond, time.Since(start), "two round trips to b")
		assert.Equal(t, set(1), f.replicas["b"].at("k"))
		synctest.Wait()
		assert.Equal(t, RepairEvent{"k", "b", 1, nil}, <-repairs)

		time.Sleep(100 * time.Millisecond) // the late answer of c brings news
		synctest.Wait()
		assert.Equal(t, 3, f.holders("k", set(1, 2)))
		assert.Len(t, repairs, 3)
		assert.Equal(t, set(1), res.State)
	})
}

func TestReadOfEqualReplicasMergesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		looks := 0
		c.Join = func(a, b []byte) ([]byte, error) {
			looks++
			require.Empty(t, a, "the first answer is looked at, the others are equal to it")
			return b, nil
		}
		for _, r := range f.replicas {
			r.put("k", 1)
		}
		_, err := c.Read(t.Context(), "k", All)
		require.NoError(t, err)
		for _, r := range f.replicas {
			assert.Equal(t, []int{1, 0}, []int{r.loads, r.merges})
		}
		assert.Equal(t, 1, looks)
	})
}

func TestNotFoundThroughTheCoordinator(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		res, err := c.Read(t.Context(), "k", All)
		require.NoError(t, err)
		assert.Equal(t, ReadResult{Needed: 3, Answered: 3, Owners: 3}, res)
		settle()
		f.down["c"] = errDown
		_, err = c.Read(t.Context(), "k", All)
		assert.Error(t, err)
	})
}

func TestDefaultLevels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := cluster(5)
		res, err := c.Read(t.Context(), "k", Default)
		require.NoError(t, err)
		assert.Equal(t, 3, res.Needed)
		c.ReadLevel, c.WriteLevel = 2, All
		res, err = c.Read(t.Context(), "k", Default)
		require.NoError(t, err)
		assert.Equal(t, 2, res.Needed)
		wrote, err := c.Write(t.Context(), "k", set(1), Default)
		require.NoError(t, err)
		assert.Equal(t, 5, wrote.Needed)
		wrote, err = c.Write(t.Context(), "k", set(1), One)
		require.NoError(t, err)
		assert.Equal(t, 1, wrote.Needed)

		var e *LevelError
		_, err = c.Write(t.Context(), "k", set(1), 6)
		require.ErrorAs(t, err, &e)
		_, err = c.Read(t.Context(), "k", -5)
		require.ErrorAs(t, err, &e)
		assert.Equal(t, LevelError{-5, 5}, *e)
	})
}

func TestIncompleteCoordinatorsRefuse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, err := new(Coordinator).Read(t.Context(), "k", One)
		assert.ErrorIs(t, err, errNoRing)
		_, err = new(Coordinator).Write(t.Context(), "k", nil, One)
		assert.ErrorIs(t, err, errNoRing)
		_, err = (&Coordinator{Ring: Everywhere{"a"}}).Read(t.Context(), "k", One)
		assert.ErrorIs(t, err, errNoJoin)
		_, err = (&Coordinator{Self: "a", Ring: Everywhere{"a"}}).Write(t.Context(), "k", nil, One)
		assert.ErrorIs(t, err, errNoLocal)
		_, err = (&Coordinator{Self: "a", Ring: Everywhere{"b"}}).Write(t.Context(), "k", nil, One)
		assert.ErrorIs(t, err, errNoCaller)
		_, err = (&Coordinator{Ring: Everywhere{}, Join: union}).Read(t.Context(), "k", One)
		var e *LevelError
		assert.ErrorAs(t, err, &e)
		_, err = new(Coordinator).Handler().ServeCall(t.Context(), "b", MethodLoad, nil)
		assert.ErrorIs(t, err, errNoReplica)
	})
}

// Trap 30: callbacks run with no lock held, so they may call back.
func TestTrap30_EventsMayCallTheCoordinator(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.replicas["b"].put("k", 1)
		inner := *c
		again := func() {
			_, err := inner.Read(t.Context(), "k", All)
			assert.NoError(t, err)
		}
		var reads, writes, repairs int
		var mu sync.Mutex
		c.Events = Events{
			OnRead: func(e ReadEvent) {
				again()
				reads++
				assert.Equal(t, ReadEvent{Key: "k", Level: All, Result: e.Result}, e)
				assert.True(t, e.Result.Found)
			},
			OnWrite: func(e WriteEvent) {
				again()
				writes++
				assert.Equal(t, WriteEvent{Key: "k", Level: Majority, Bytes: 1, Result: e.Result}, e)
			},
			OnRepair: func(RepairEvent) {
				again()
				mu.Lock()
				repairs++
				mu.Unlock()
			},
		}
		_, err := c.Read(t.Context(), "k", All)
		require.NoError(t, err)
		_, err = c.Write(t.Context(), "k", set(2), 0)
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, []int{1, 1, 2}, []int{reads, writes, repairs})
	})
}

func TestConcurrentReadsAndWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.delay["b"] = time.Millisecond
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for j := range 25 {
					delta := set(byte(1 + 25*i + j))
					_, err := c.Write(t.Context(), "k", delta, Majority)
					assert.NoError(t, err)
					res, err := c.Read(t.Context(), "k", Majority)
					assert.NoError(t, err)
					assert.True(t, contains(res.State, delta), "read your write")
				}
			})
		}
		all.Wait()
		synctest.Wait()
		time.Sleep(time.Minute)
		assert.Equal(t, 3, f.holders("k", f.replicas["a"].at("k")))
		assert.Len(t, f.replicas["a"].at("k"), 200)
	})
}

func TestHandlerRefusesWhatItDoesNotKnow(t *testing.T) {
	m := new(memory)
	m.put("k", 1)
	h := (&Coordinator{Local: m}).Handler()
	_, err := h.ServeCall(t.Context(), "b", "quorum/else", nil)
	assert.ErrorIs(t, err, transport.ErrUnknownMethod)

	good := appendRequest(nil, "k", set(2))
	for i := range good {
		_, err := h.ServeCall(t.Context(), "b", MethodMerge, good[:i])
		var e *MessageError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, MethodMerge, e.Method)
	}
	newer := bytes.Clone(good)
	newer[1] = version + 1
	_, err = h.ServeCall(t.Context(), "b", MethodMerge, newer)
	assert.ErrorIs(t, err, ErrVersion)
	newer[1] = 0
	_, err = h.ServeCall(t.Context(), "b", MethodMerge, newer)
	assert.EqualError(t, err, "quorum: bad message of quorum/merge: not a message of this version at offset 2")
	assert.Equal(t, set(1), m.at("k"), "nothing of it was merged")

	resp, err := h.ServeCall(t.Context(), "b", MethodMerge, good)
	require.NoError(t, err)
	assert.Equal(t, appendResponse(nil, nil), resp)
	resp, err = h.ServeCall(t.Context(), "b", MethodLoad, appendRequest(nil, "k", nil))
	require.NoError(t, err)
	state, err := parseResponse(MethodLoad, resp)
	require.NoError(t, err)
	assert.Equal(t, set(1, 2), state)
}

// The bytes of version 1. Lines are only ever added.
func TestGoldenMessages(t *testing.T) {
	assert.Equal(t, "\x93\x01\xa4cart\xc4\x02\x01\x02", string(appendRequest(nil, "cart", set(1, 2))))
	assert.Equal(t, "\x93\x01\xa4cart\xc4\x00", string(appendRequest(nil, "cart", nil)))
	assert.Equal(t, "\x93\x01\xc4\x01\xff\xc4\x00", string(appendRequest(nil, "\xff", nil)))
	assert.Equal(t, "\x92\x01\xc4\x02\x01\x02", string(appendResponse(nil, set(1, 2))))
	assert.Equal(t, "\x92\x01\xc4\x00", string(appendResponse(nil, nil)))
}

func FuzzMessages(f *testing.F) {
	f.Add(appendRequest(nil, "cart", set(1, 2)))
	f.Add(appendResponse(nil, set(1, 2)))
	f.Add([]byte("\x93\x02\xc0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, state, err := parseRequest(MethodMerge, b); err == nil {
			assert.Equal(t, b, appendRequest(nil, key, state))
		} else {
			checkRefusal(t, err)
		}
		if state, err := parseResponse(MethodLoad, b); err == nil {
			assert.Equal(t, b, appendResponse(nil, state))
		} else {
			checkRefusal(t, err)
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	var e *MessageError
	if !errors.Is(err, ErrVersion) {
		assert.ErrorAs(t, err, &e)
	}
}
