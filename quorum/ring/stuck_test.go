package ring

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// Of 256 partitions that a node gets two cannot be transferred, by anybody. All others
// are, within as many tasks as it takes to halve them, and the two wait in turn.
func TestPartitionsThatFailWaitByThemselves(t *testing.T) {
	r := newRing(t, 256, 1, fleet(1, 1))
	joint := change(t, r, fleet(2, 1)[1:], 0)
	keep := func([]byte) error { return nil }
	tr := &Transition{Self: "n0001"}
	require.NoError(t, tr.Adopt(r, keep))
	require.NoError(t, tr.Adopt(joint, keep))
	require.NoError(t, tr.Heard("n0000", State{Epoch: 2, Fingerprint: joint.print}, nil, keep))

	bad := map[int]int{77: 0, 200: 0}
	task := func() int {
		tasks := tr.Begin(2, func(transport.NodeID) bool { return true })
		require.Len(t, tasks, 1, "one peer")
		ok := true
		for _, p := range tasks[0].parts {
			if _, fails := bad[p]; fails {
				bad[p]++
				ok = false
			}
		}
		tr.Finish(tasks[0], ok)
		require.NoError(t, tr.Advance(keep))
		return len(tasks[0].parts)
	}
	n := 0
	for left := 256; left > len(bad); left, _ = tr.Left() {
		require.Less(t, n, 40)
		n++
		task()
	}
	t.Logf("%d tasks until all but two are done", n)
	for range 10 { // until both are alone, then in turn
		task()
	}
	before := bad[77]
	for range 10 {
		require.Equal(t, 1, task())
	}
	require.Equal(t, before+5, bad[77])
	require.ErrorIs(t, tr.Adopt(settle(t, joint), keep), ErrEarly)

	clear(bad)
	task()
	task()
	require.True(t, tr.State().Done || tr.Ring().Epoch() == 3)
}

// Who fails at first with everything is not held to it: by a ring that follows, and after a success.
func TestFailuresAreForgotten(t *testing.T) {
	keep := func([]byte) error { return nil }
	r := newRing(t, 64, 1, fleet(1, 1))
	joint := change(t, r, fleet(2, 1)[1:], 0)
	tr := &Transition{Self: "n0001"}
	require.NoError(t, tr.Heard("n0000", State{Epoch: 2, Fingerprint: joint.print}, joint, keep))
	free := func(transport.NodeID) bool { return true }
	tr.Finish(tr.Begin(1, free)[0], false)
	half := tr.Begin(1, free)[0]
	require.Len(t, half.parts, 32)
	tr.Finish(half, true)
	require.Len(t, tr.failed, 32)
	abort, err := joint.Abort()
	require.NoError(t, err)
	require.NoError(t, tr.Adopt(abort, keep))
	require.Empty(t, tr.failed)
}

// One key that no message carries holds back its partition, and nothing else, and the event says which.
func TestAKeyThatCannotBeTransferred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{net: mem.Network{Refuse: true}}
		r := newRing(t, 256, 3, c.ids(0, 3))
		last := make(map[transport.NodeID]TransferEvent)
		c.begin(t, c.ids(0, 4), r, func(k *Keeper) {
			k.Events.OnTransfer = func(e TransferEvent) { c.locked(func() { last[k.Self] = e }) }
		})
		c.fill(r, 300)
		next := change(t, r, c.ids(1, 4), 0)
		c.locked(func() { c.stuck = []merkle.Range{{From: r.Range(100).From + 5, To: r.Range(100).From + 5}} })
		require.NoError(t, c.nodes["n01"].Adopt(next))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		joins := c.nodes["n03"]
		require.Equal(t, 1, joins.Stats().Gets)
		c.locked(func() {
			e := last["n03"]
			require.Equal(t, []int{100}, e.Partitions)
			require.Equal(t, []merkle.Range{r.Range(100)}, e.Ranges)
			require.ErrorIs(t, e.Err, errFails)
		})
		abort, err := next.Abort()
		require.NoError(t, err)
		require.ErrorIs(t, c.nodes["n00"].Adopt(abort), ErrTooLate, "it gets nothing")

		c.locked(func() { c.stuck = nil })
		c.requireHeld(t, c.settled(t, 3), 300, true)

		c.locked(func() { c.stuck = []merkle.Range{r.Range(7)} })
		c.locked(func() { // in all partitions
			for i := range 5000 {
				c.nodes["n00"].keys[fmt.Sprint("stray", i)] = true
			}
		})
		time.Sleep(10 * straysEvery * time.Second)
		require.Equal(t, 1, c.nodes["n00"].Stats().Gives)
		c.locked(func() { require.True(t, last["n00"].Give); require.Equal(t, []int{7}, last["n00"].Partitions) })
		c.close()
	})
}
