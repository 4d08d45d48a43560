package quorum

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
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
	time.Sleep(DefaultTimeout + DefaultTimeout/16)
	synctest.Wait()
}

func TestWriteReachesAllAndAnswersAtItsLevel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.delay["c"] = 10 * time.Millisecond
		f.replicas["a"].hang = 500 * time.Millisecond
		start := time.Now()
		delta := set(1, 2)
		res, err := c.Write(t.Context(), "k", delta, WriteOptions{Level: Majority})
		require.NoError(t, err)
		assert.Equal(t, WriteResult{Answered: 2, Owners: 3}, res)
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
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: Majority})
		require.NoError(t, err)
		assert.Zero(t, time.Since(start))
		assert.ErrorIs(t, <-ended, context.DeadlineExceeded)
		assert.Equal(t, time.Second+time.Second/16, time.Since(start))
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
				_, err := c.Write(ctx, "k", set(1), WriteOptions{Level: Majority})
				assert.Equal(t, ctx.Err(), err)
				assert.Equal(t, 50*time.Millisecond, time.Since(start))

				_, err = c.Read(ctx, "k", ReadOptions{Level: One}) // its context is over before it starts
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
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: Majority})
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
		start = time.Now()
		_, err = c.Read(t.Context(), "k", ReadOptions{Level: Majority})
		e, ok = errors.AsType[*TimeoutError](err)
		require.True(t, ok)
		assert.Equal(t, OpRead, e.Op)
		assert.Equal(t, []transport.NodeID{"b"}, names(e.Failures))
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// A message that time ended is no answer of its node.
func TestMessagesEndedByTimeAreNoFailures(t *testing.T) {
	op := writing(t, WriteConfig{Placement: Placement{Owners: nodes(1)}, Options: WriteOptions{Level: One}})
	x := &call{op: op, done: make(chan struct{}, 1)}
	x.step(&outcome{send: &op.Start()[0], err: errLate{context.DeadlineExceeded}})
	<-x.done
	_, err := op.Result()
	var e *TimeoutError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, nodes(1), e.Silent)
}

func TestUnavailableIsSaidAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.down["b"], f.down["c"] = transport.ErrUnreachable, transport.ErrUnreachable
		start := time.Now()
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: Majority})
		assert.Zero(t, time.Since(start))
		e, ok := errors.AsType[*UnavailableError](err)
		require.True(t, ok)
		assert.Equal(t, "k", e.Key)
		assert.Equal(t, Majority, e.Level)
		assert.ErrorIs(t, err, transport.ErrUnreachable)

		settle()
		_, err = c.Read(t.Context(), "k", ReadOptions{Level: Majority})
		assert.ErrorAs(t, err, &e)
		res, err := c.Read(t.Context(), "k", ReadOptions{Level: One})
		require.NoError(t, err)
		assert.Equal(t, set(1), res.State)
	})
}

func TestLocalReplicaCountsLikeAnyOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		drift := errors.New("clock is an hour ahead")
		f.replicas["a"].refuse = drift
		res, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: Majority})
		require.NoError(t, err)
		assert.Equal(t, 2, res.Answered)
		settle()
		_, err = c.Write(t.Context(), "k", set(2), WriteOptions{Level: All})
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
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: All})
		require.NoError(t, err)
		res, err := c.Read(t.Context(), "k", ReadOptions{Level: All})
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
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: Majority})
		require.NoError(t, err)
		assert.Zero(t, time.Since(start))
		_, err = c.Read(t.Context(), "k", ReadOptions{Level: Majority})
		require.NoError(t, err)
		assert.Equal(t, minHedge, time.Since(start))
	})
}

// Others that fail at once do not outrun the answer of the replica that is at hand.
func TestRefusalCountsTheLocalReplica(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T) {
			c, f := cluster(3)
			f.down["b"], f.down["c"] = errDown, errDown
			f.replicas["a"].hang = time.Millisecond
			_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: Majority})
			unavailable, ok := errors.AsType[*UnavailableError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, 1, unavailable.Answered)
			_, err = c.Read(t.Context(), "k", ReadOptions{Level: Majority})
			unavailable, ok = errors.AsType[*UnavailableError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, 1, unavailable.Answered)
		})
	}
}

// Each owner's answer is told, with the time that it took, also of those that nobody waited for.
func TestAnswersAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		told := make(chan AnswerEvent, 10)
		c.Events.OnAnswer = func(e AnswerEvent) { told <- e }
		f.delay["b"], f.delay["c"] = time.Millisecond, 5*time.Millisecond
		took := func() (all []AnswerEvent) {
			settle()
			for len(told) > 0 {
				all = append(all, <-told)
			}
			return all
		}
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: Two})
		require.NoError(t, err)
		b, late := f.delay["b"], f.delay["c"]
		assert.Equal(t, []AnswerEvent{{"a", true, 0, nil}, {"b", true, b, nil}, {"c", true, late, nil}}, took())
		_, err = c.Read(t.Context(), "k", ReadOptions{Level: Two})
		require.NoError(t, err)
		assert.Equal(t, []AnswerEvent{{"a", false, 0, nil}, {"b", false, b, nil}}, took())
		f.down["b"] = errDown
		_, err = c.Write(t.Context(), "k", set(2), WriteOptions{Level: One})
		require.NoError(t, err)
		assert.Contains(t, took(), AnswerEvent{"b", true, 0, errDown})
	})
}

func TestReadRepairs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		repairs := make(chan RepairEvent, 3)
		c.Events.OnRepair = func(e RepairEvent) { repairs <- e }
		f.delay["b"] = 400 * time.Microsecond
		f.replicas["a"].put("k", 1)

		start := time.Now()
		res, err := c.Read(t.Context(), "k", ReadOptions{Level: Majority})
		require.NoError(t, err)
		assert.Equal(t, ReadResult{State: set(1), Found: true, Answered: 2, Repaired: 1, Owners: 3}, res)
		assert.Equal(t, 800*time.Microsecond, time.Since(start), "two round trips to b")
		assert.Equal(t, set(1), f.replicas["b"].at("k"))
		assert.Empty(t, f.replicas["c"].at("k"))
		synctest.Wait()
		assert.Equal(t, RepairEvent{"k", "b", 1, nil}, <-repairs)
		s := c.Stats()
		assert.Equal(t, []uint64{1, 2, 1, 0}, []uint64{s.Reads, s.Answers, s.Repairs, s.RepairErrors})
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
		_, err := c.Read(t.Context(), "k", ReadOptions{Level: All})
		require.NoError(t, err)
		for _, r := range f.replicas {
			assert.Equal(t, []int{1, 0}, []int{r.loads, r.merges})
		}
		assert.Equal(t, 1, looks)
	})
}

// A second wave goes out when the first takes longer than it should, and who is slow
// is asked last from then on.
func TestSlowReadsAreHedged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		for _, r := range f.replicas {
			r.put("k", 1)
		}
		f.delay["b"] = time.Second
		start := time.Now()
		_, err := c.Read(t.Context(), "k", ReadOptions{})
		require.NoError(t, err)
		assert.Equal(t, minHedge, time.Since(start))
		start = time.Now()
		_, err = c.Read(t.Context(), "k", ReadOptions{})
		require.NoError(t, err)
		assert.Zero(t, time.Since(start), "c is asked first")
		assert.Equal(t, 2, f.replicas["c"].loads)
	})
}

// A node that is silent is suspected after a while, and then kept hints for at once.
func TestWhoIsSilentIsSuspected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		kept := make(kept)
		c.Hints = kept
		f.delay["c"] = time.Hour
		write := func(elem byte) {
			_, err := c.Write(t.Context(), "k", set(elem), WriteOptions{})
			require.NoError(t, err)
			synctest.Wait()
		}
		write(1)
		assert.Empty(t, kept)
		time.Sleep(defaultSuspectAfter + time.Millisecond)
		write(2) // this one is to see whether it is back
		assert.Empty(t, kept)
		write(3)
		assert.Equal(t, []byte{3}, kept["c"])
		assert.True(t, c.Stats().Nodes[1].Suspected)
		_, err := c.Write(t.Context(), "k", set(4), WriteOptions{Level: All})
		assert.ErrorIs(t, err, context.DeadlineExceeded, "it is asked where the others are too few")
		time.Sleep(2 * DefaultTimeout)
		synctest.Wait()
		assert.Subset(t, kept["c"], []byte{1, 2, 3, 4}, "and what it has missed is kept when time is over")
		f.delay["c"] = 0
		time.Sleep(probeGap)
		write(5) // to see whether it is back
		write(6)
		assert.Equal(t, set(5, 6), f.replicas["c"].at("k"))
		assert.False(t, c.Stats().Nodes[1].Suspected)
	})
}

// kept are hints, by target.
type kept map[transport.NodeID][]byte

var keeping sync.Mutex // guards all of them

func (k kept) Keep(_ context.Context, to transport.NodeID, _ string, delta []byte) error {
	keeping.Lock()
	defer keeping.Unlock()
	k[to] = append(k[to], delta...)
	return nil
}

func (k kept) Held(context.Context, string) (all []byte, err error) {
	keeping.Lock()
	defer keeping.Unlock()
	for _, elems := range k {
		all = append(all, elems...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Where owners are away and others stand in for them, reads find what these keep.
func TestFallbacksKeepAndServe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(5)
		ring := fixedRing{Owners: nodes(3), Fallbacks: ids("d", "e")}
		hints := make(map[transport.NodeID]kept)
		for id, r := range f.replicas {
			hints[id] = make(kept)
			f.handlers[id] = (&Coordinator{Local: r, Ring: ring, Hints: hints[id], Join: union}).Handler()
		}
		c.Ring, c.Hints = ring, hints["a"]
		c.Buckets = []Bucket{{Prefix: "k", Read: ReadOptions{Fallbacks: FallbacksCount}, Write: WriteOptions{Fallbacks: FallbacksCount}}}
		f.down["b"], f.down["c"] = errDown, errDown
		wrote, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: All})
		require.NoError(t, err)
		assert.Equal(t, WriteResult{Answered: 1, StoodIn: 2, Hinted: 2, Owners: 3}, wrote)
		synctest.Wait()
		assert.Equal(t, []int{1, 1}, []int{len(hints["d"]), len(hints["e"])}, "one for each of b and c")

		f.replicas["a"].put("k") // as if it had been lost there
		res, err := c.Read(t.Context(), "k", ReadOptions{Level: Two})
		require.NoError(t, err)
		assert.Equal(t, set(1), res.State)
		assert.GreaterOrEqual(t, res.StoodIn, 1)
		_, err = c.Read(t.Context(), "k", ReadOptions{Level: Two, Primary: Two})
		var e *UnavailableError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, "owners themselves", e.Condition)
	})
}

type fixedRing Placement

func (r fixedRing) Place(string) Placement { return Placement(r) }

// A coordinator with an old ring is refused, and asks again when it knows better.
func TestOldRingsAreRefusedAndRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(4)
		newer := fixedRing{Owners: ids("a", "b", "d"), Version: 2}
		for id, r := range f.replicas {
			f.handlers[id] = (&Coordinator{Local: r, Ring: newer}).Handler()
		}
		old := &renewed{Placement: Placement{Owners: ids("b", "c", "d"), Version: 1}}
		c.Ring = old
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{})
		var e *RingError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, RingError{Key: "k", Mine: 2, Theirs: 1}, *e)
		assert.Zero(t, f.holders("k", set(1)), "nothing was merged")
		assert.NotEmpty(t, old.asked)

		old.next = Placement(newer)
		_, err = c.Write(t.Context(), "k", set(1), WriteOptions{Level: All})
		require.NoError(t, err)
		assert.Equal(t, 3, f.holders("k", set(1)))
		old.Placement.Version = 1
		res, err := c.Read(t.Context(), "k", ReadOptions{Level: All})
		require.NoError(t, err)
		assert.Equal(t, set(1), res.State)
	})
}

// A write that is merged while the ring changes is not acknowledged by the old one: who takes the key over may have
// asked for it just before.
func TestTrap19_AWriteThatARingOvertakesIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		c.Ring = &renewed{Placement: Placement{Owners: nodes(3), Version: 1}}
		for _, id := range ids("b", "c") {
			ring := &renewed{Placement: Placement{Owners: nodes(3), Version: 1}}
			late := overtaken{f.replicas[id], func() { ring.Placement.Version = 2 }}
			f.handlers[id] = (&Coordinator{Local: late, Ring: ring}).Handler()
		}
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{})
		var e *RingError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, RingError{Key: "k", Mine: 2, Theirs: 1}, *e)
		assert.Equal(t, 3, f.holders("k", set(1)), "merged, but not said to be")
	})
}

// A read does not take for an answer what a node has that has handed the key over meanwhile.
func TestTrap19_AReadThatARingOvertakesIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		c.Ring = &renewed{Placement: Placement{Owners: nodes(3), Version: 1}}
		for _, id := range ids("b", "c") {
			ring := &renewed{Placement: Placement{Owners: nodes(3), Version: 1}}
			late := overtaken{f.replicas[id], func() { ring.Placement.Version = 2 }}
			f.handlers[id] = (&Coordinator{Local: late, Ring: ring}).Handler()
		}
		_, err := c.Read(t.Context(), "k", ReadOptions{})
		var e *RingError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, RingError{Key: "k", Mine: 2, Theirs: 1}, *e)
	})
}

// overtaken is a replica at which something happens during each merge, and each load.
type overtaken struct {
	*memory
	happens func()
}

func (o overtaken) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	o.happens()
	return o.memory.Merge(ctx, key, state)
}

func (o overtaken) Load(ctx context.Context, key string) ([]byte, error) {
	o.happens()
	return o.memory.Load(ctx, key)
}

type renewed struct {
	Placement
	next  Placement
	asked transport.NodeID
}

func (r *renewed) Place(string) Placement { return r.Placement }

func (r *renewed) Refresh(_ context.Context, from transport.NodeID) error {
	if r.asked = from; r.next.Version == 0 {
		return errDown
	}
	r.Placement = r.next
	return nil
}

// What several calls ask of one node at the same time goes in one message.
func TestCallsShareMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		for _, id := range ids("b", "c") {
			f.delay[id] = 100 * time.Microsecond
		}
		var messages atomic.Int64
		c.Caller = spy{f, func(transport.NodeID, error) { messages.Add(1) }}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				_, err := c.Write(t.Context(), "k", set(byte(i+1)), WriteOptions{Level: All})
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, 3, f.holders("k", f.replicas["a"].at("k")))
		assert.Len(t, f.replicas["a"].at("k"), 100)
		assert.Less(t, messages.Load(), int64(50))
	})
}

// An answer that does not fit beside the others is asked for alone.
func TestLargeAnswersGoAlone(t *testing.T) {
	big := make([]byte, 200)
	for i := range big {
		big[i] = byte(i)
	}
	m := &memory{states: map[string][]byte{"a": big, "b": big, "c": big}}
	h := (&Coordinator{Local: m, MaxMessage: 300}).Handler()
	all := []task{{key: "a"}, {key: "b"}, {key: "c"}}
	resp, err := h.ServeCall(t.Context(), "z", Method, appendRequest(nil, 3, func(i int) *task { return &all[i] }))
	require.NoError(t, err)
	var kinds []uint8
	require.NoError(t, parseResponse(resp, 3, func(_ int, a answer, err error) { kinds = append(kinds, a.kind) }))
	assert.Equal(t, []uint8{statusDone, statusAgain, statusAgain}, kinds)

	bubble(t, func(t *testing.T) {
		c, f := cluster(2)
		c.Ring, c.MaxMessage = Everywhere{"b"}, 300
		f.replicas["b"] = m
		f.handlers["b"] = h
		f.delay["b"] = 100 * time.Microsecond
		var all sync.WaitGroup
		for _, key := range []string{"a", "b", "c", "a", "b", "c"} {
			all.Go(func() {
				res, err := c.Read(t.Context(), key, ReadOptions{})
				assert.NoError(t, err)
				assert.Equal(t, big, res.State)
			})
		}
		all.Wait()
	})
}

func TestDurableAcknowledgements(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		for _, id := range ids("a", "b", "c") {
			if id != "c" {
				f.handlers[id] = (&Coordinator{Local: onDisk{f.replicas[id]}}).Handler()
			}
		}
		c.Local = onDisk{f.replicas["a"]}
		_, err := c.Write(t.Context(), "k", set(1), WriteOptions{Level: All, Durable: Two})
		require.NoError(t, err)
		_, err = c.Write(t.Context(), "k", set(1), WriteOptions{Durable: All})
		var e *UnavailableError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, "durable owners", e.Condition)
		assert.Equal(t, 3, e.Needed)
	})
}

type onDisk struct{ *memory }

func (onDisk) Durable() bool { return true }

func TestNotFoundThroughTheCoordinator(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		res, err := c.Read(t.Context(), "k", ReadOptions{Level: All})
		require.NoError(t, err)
		assert.Equal(t, ReadResult{Answered: 3, Owners: 3}, res)
		settle()
		f.down["c"] = errDown
		_, err = c.Read(t.Context(), "k", ReadOptions{Level: All})
		assert.Error(t, err)
	})
}

func TestBuckets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := cluster(5)
		var reads []ReadOptions
		var writes []WriteOptions
		c.Events.OnRead = func(e ReadEvent) { reads = append(reads, e.Options) }
		c.Events.OnWrite = func(e WriteEvent) { writes = append(writes, e.Options) }
		c.Buckets = []Bucket{
			{Prefix: "k", Read: ReadOptions{Level: 2, Repair: RepairAsync}},
			{Prefix: "key", Read: ReadOptions{Level: One}, Write: WriteOptions{Level: All}},
			{Write: WriteOptions{Level: 4}},
		}
		for _, key := range []string{"k", "key/1", "x"} {
			_, err := c.Read(t.Context(), key, ReadOptions{})
			require.NoError(t, err)
			_, err = c.Write(t.Context(), key, set(1), WriteOptions{})
			require.NoError(t, err)
		}
		_, err := c.Read(t.Context(), "key", ReadOptions{Level: 3})
		require.NoError(t, err)
		both := func(l Level, r Repair) ReadOptions {
			return ReadOptions{Level: l, Repair: r, Fallbacks: FallbacksNone, NotFound: NotFoundCounts}
		}
		assert.Equal(t, []ReadOptions{both(2, RepairAsync), both(One, RepairBlocking), both(Majority, RepairBlocking), both(3, RepairBlocking)}, reads)
		assert.Equal(t, []Level{Majority, All, 4}, []Level{writes[0].Level, writes[1].Level, writes[2].Level})

		var e *LevelError
		_, err = c.Write(t.Context(), "k", set(1), WriteOptions{Level: 6})
		require.ErrorAs(t, err, &e)
		_, err = c.Read(t.Context(), "k", ReadOptions{Level: -9})
		require.ErrorAs(t, err, &e)
		assert.Equal(t, LevelError{Level: -9, Owners: 5}, *e)
	})
}

func TestIncompleteCoordinatorsRefuse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, err := new(Coordinator).Read(t.Context(), "k", ReadOptions{Level: One})
		assert.ErrorIs(t, err, errNoRing)
		_, err = new(Coordinator).Write(t.Context(), "k", nil, WriteOptions{Level: One})
		assert.ErrorIs(t, err, errNoRing)
		_, err = (&Coordinator{Ring: Everywhere{"a"}}).Read(t.Context(), "k", ReadOptions{Level: One})
		assert.ErrorIs(t, err, errNoJoin)
		_, err = (&Coordinator{Self: "a", Ring: Everywhere{"a"}}).Write(t.Context(), "k", nil, WriteOptions{Level: One})
		assert.ErrorIs(t, err, errNoLocal)
		_, err = (&Coordinator{Self: "a", Ring: Everywhere{"b"}}).Write(t.Context(), "k", nil, WriteOptions{Level: One})
		assert.ErrorIs(t, err, errNoCaller)
		_, err = (&Coordinator{Ring: Everywhere{}, Join: union}).Read(t.Context(), "k", ReadOptions{Level: One})
		var e *LevelError
		assert.ErrorAs(t, err, &e)
		_, err = new(Coordinator).Handler().ServeCall(t.Context(), "b", Method, nil)
		assert.ErrorIs(t, err, errNoReplica)
	})
}

// Trap 30: callbacks run with no lock held, so they may call back.
func TestTrap30_EventsMayCallTheCoordinator(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, f := cluster(3)
		f.replicas["b"].put("k", 1)
		inner, _ := cluster(3)
		again := func() {
			_, err := inner.Read(t.Context(), "k", ReadOptions{Level: All})
			assert.NoError(t, err)
		}
		var reads, writes, repairs int
		var mu sync.Mutex
		c.Events = Events{
			OnRead: func(e ReadEvent) {
				again()
				reads++
				assert.Equal(t, All, e.Options.Level)
				assert.True(t, e.Result.Found)
			},
			OnWrite: func(e WriteEvent) {
				again()
				writes++
				assert.Equal(t, []any{"k", Majority, 1}, []any{e.Key, e.Options.Level, e.Bytes})
			},
			OnRepair: func(RepairEvent) {
				again()
				mu.Lock()
				repairs++
				mu.Unlock()
			},
		}
		_, err := c.Read(t.Context(), "k", ReadOptions{Level: All})
		require.NoError(t, err)
		_, err = c.Write(t.Context(), "k", set(2), WriteOptions{Level: 0})
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
					_, err := c.Write(t.Context(), "k", delta, WriteOptions{Level: Majority})
					assert.NoError(t, err)
					res, err := c.Read(t.Context(), "k", ReadOptions{Level: Majority})
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

	good := requestOf(task{kind: taskMerge, key: "k", state: set(2)})
	for i := range good {
		_, err := h.ServeCall(t.Context(), "b", Method, good[:i])
		var e *MessageError
		require.ErrorAs(t, err, &e)
	}
	newer := bytes.Clone(good)
	newer[1] = version + 1
	_, err = h.ServeCall(t.Context(), "b", Method, newer)
	assert.ErrorIs(t, err, ErrVersion)
	newer[1] = 0
	_, err = h.ServeCall(t.Context(), "b", Method, newer)
	assert.EqualError(t, err, "quorum: bad message: not a message of this version at offset 2")
	for _, bad := range []task{{kind: tasks}, {kind: taskUnless, key: "k", state: set(1)}} {
		_, err = h.ServeCall(t.Context(), "b", Method, requestOf(bad))
		assert.Error(t, err)
	}
	assert.Equal(t, set(1), m.at("k"), "nothing of it was merged")

	resp, err := h.ServeCall(t.Context(), "b", Method, good)
	require.NoError(t, err)
	assert.Equal(t, reply(), resp)
	resp, err = h.ServeCall(t.Context(), "b", Method, requestOf(task{key: "k"}))
	require.NoError(t, err)
	assert.Equal(t, reply(1, 2), resp)
	resp, err = h.ServeCall(t.Context(), "b", Method, requestOf(task{kind: taskHint, key: "k", target: "c"}))
	require.NoError(t, err)
	assert.Equal(t, replyOf(statusFailed, []byte(errNoHints.Error())), resp)
}

func requestOf(t task) []byte { return appendRequest(nil, 1, func(int) *task { return &t }) }

// The bytes of version 2. Lines are only ever added.
func TestGoldenMessages(t *testing.T) {
	d := digestOf(set(1))
	assert.Equal(t, "\x96\x02\x00\xc4\x04cart\x00\xc4\x00\xc4\x00", string(requestOf(task{key: "cart"})))
	assert.Equal(t, "\x96\x02\x03\xc4\x04cart\x07\xc4\x00\xc4\x02\x01\x02", string(requestOf(task{kind: taskMerge, key: "cart", version: 7, state: set(1, 2)})))
	assert.Equal(t, "\x96\x02\x04\xc4\x01k\x00\xc4\x01b\xc4\x01\x01", string(requestOf(task{kind: taskHint, key: "k", target: "b", state: set(1)})))
	assert.Equal(t, "\x96\x02\x01\xc4\x01k\x00\xc4\x00\xc4\x10"+string(d[:]), string(requestOf(task{kind: taskUnless, key: "k", state: d[:]})))
	assert.Equal(t, "4bf5122f344554c53bde2ebb8cd2b7e3", hex.EncodeToString(d[:]))
	assert.Equal(t, "\x93\x02\x00\xc4\x02\x01\x02", string(reply(1, 2)))
	assert.Equal(t, "\x93\x02\x05\xc4\x08\x00\x00\x00\x00\x00\x00\x00\x09", string(replyOf(statusMoved, []byte{0, 0, 0, 0, 0, 0, 0, 9})))
}

func FuzzMessages(f *testing.F) {
	f.Add(requestOf(task{kind: taskMerge, key: "cart", state: set(1, 2)}))
	f.Add(requestOf(task{kind: taskHint, key: "cart", version: 300, target: "b", state: set(1, 2)}))
	f.Add(reply(1, 2))
	f.Add([]byte("\x93\x03\xc0"))
	m := new(memory)
	h := (&Coordinator{Local: m, Hints: make(kept), Join: union}).Handler()
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := parseRequest(b); err == nil {
			assert.Equal(t, b, appendRequest(nil, len(all), func(i int) *task { return &all[i] }))
			resp, err := h.ServeCall(t.Context(), "z", Method, b)
			require.NoError(t, err)
			require.NoError(t, parseResponse(resp, len(all), func(int, answer, error) {}))
		} else {
			checkRefusal(t, err)
		}
		for n := range 3 {
			if err := parseResponse(b, n, func(int, answer, error) {}); err != nil {
				checkRefusal(t, err)
			}
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	var e *MessageError
	if !errors.Is(err, ErrVersion) {
		assert.ErrorAs(t, err, &e)
	}
}
