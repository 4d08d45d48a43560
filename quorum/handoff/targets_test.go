package handoff

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// Names for which no hint is taken cost nothing: no memory, no row, no call.
func TestTrap27_ARefusedHintLeavesNoTargetBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, log := &mem.Network{Refuse: true}, new(rows)
		a := join(net, "a", func(h *Handoff) { h.Log, h.MaxBytes = log, 300 })
		a.keep(t, "gone", "k", "x")
		for i := range 10_000 {
			err := a.Keep(t.Context(), transport.NodeID(fmt.Sprint("n", i)), "k", make([]byte, 150))
			require.Equal(t, TooMany, full(t, err).Reason)
		}
		s := a.Stats()
		require.Len(t, s.Targets, 1)
		require.EqualValues(t, 10_000, s.Dropped[TooMany])
		require.Len(t, log.rows, 1)
		require.Equal(t, 1, log.applies)
		require.Len(t, a.told(), 1, "the first of them")
		defer a.run(t)()
		time.Sleep(10 * time.Minute)
		require.Less(t, a.calls.Load(), int64(300), "of the one")

		require.NoError(t, a.Forget(t.Context(), "gone"))
		a.keep(t, "n1", "k", "x")
		full(t, a.Keep(t.Context(), "n2", "k", make([]byte, 150)))
		full(t, a.Keep(t.Context(), "n3", "k", make([]byte, 150)))
		require.Len(t, a.told(), 3, "the departed, and once more the first")
	})
}

func TestTrap27_TargetsAreBounded(t *testing.T) {
	b := &Buffer{Join: union, Limits: Limits{MaxTargets: 2, MaxAge: time.Minute}}
	b.Tick(epoch)
	mustKeep(t, b, "b", "k", "x")
	mustKeep(t, b, "c", "k", "x")
	f := full(t, b.Keep("d", "k", []byte("x")))
	require.Equal(t, FullError{Target: "d", Key: "k", Size: 1, Reason: TooMany, Limit: 2}, *f)
	mustKeep(t, b, "c", "other", "x")
	b.Tick(epoch.Add(time.Minute))
	require.True(t, b.Stats().Targets[0].Overdue)
	full(t, b.Keep("d", "k", []byte("x"))) // those who are overdue count
	b.Forget("b")
	mustKeep(t, b, "d", "k", "x")
	b.check(t, nil)
}

// A target is known while something is held for it, or as long as it is overdue.
func TestATargetThatNothingIsHeldFor(t *testing.T) {
	log := new(rows)
	b := &Buffer{Join: union, Limits: Limits{MaxTargetHints: 1}}
	b.Tick(epoch)
	check := func(targets int) {
		t.Helper()
		log.put(b.Changes().Rows)
		b.check(t, log)
		require.Len(t, b.targets, targets)
	}
	incomplete := func() {
		t.Helper()
		mustKeep(t, b, "b", "k", "x")
		full(t, b.Keep("b", "other", []byte("x")))
		check(1)
		require.True(t, b.Stats().Targets[0].Incomplete)
	}
	incomplete()
	require.True(t, b.reclaimed(b.all()[0]))
	check(0)

	incomplete()
	for range maxRefusals {
		b.Kick("b")
		batch, ok := b.Batch("b")
		require.True(t, ok)
		b.Failed("b", batch.ID, transport.ErrTooLarge)
	}
	check(0)

	incomplete()
	b.Tick(epoch.Add(3 * time.Hour))
	check(1)
	batch, ok := b.Batch("b")
	require.True(t, ok)
	require.Zero(t, batch.Hints, "it is only asked")
	_, err := b.Acked("b", batch.ID, serveAll(t, new(sets), batch))
	require.NoError(t, err)
	check(0)
}

// Marks of targets without hints go when they are read, but for those of the overdue.
func TestMarksThatAreLeftInTheLog(t *testing.T) {
	log := new(rows)
	for id, m := range map[transport.NodeID]marks{"b": incomplete, "c": allMarks} {
		tg := newTarget(id)
		tg.marks = m
		log.put([]Row{tg.row()})
	}
	h := &Handoff{Join: union, Log: log}
	require.NoError(t, h.Keep(t.Context(), "d", "k", []byte("x")))
	h.buffer.check(t, log)
	require.Len(t, log.rows, 2)
	require.Len(t, h.Stats().Targets, 2)
	require.True(t, h.Stats().Targets[0].Overdue)
}
