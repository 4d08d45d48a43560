package handoff

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

func full(t *testing.T, err error) *FullError {
	t.Helper()
	require.Error(t, err)
	f, ok := err.(*FullError)
	require.True(t, ok, "%v", err)
	return f
}

func TestTrap27_BytesAndCountAreBounded(t *testing.T) {
	b := &Buffer{Join: union, Limits: Limits{MaxBytes: 4000, MaxTargetBytes: 2000, MaxTargetHints: 5, MaxMessage: 1024}}
	b.Tick(epoch)
	for i := range 5 {
		mustKeep(t, b, "b", fmt.Sprint(i), "x")
	}
	f := full(t, b.Keep("b", "5", []byte("x")))
	require.Equal(t, FullError{Target: "b", Key: "5", Size: 1, Reason: TooMany, Limit: 5}, *f)
	mustKeep(t, b, "b", "4", "y") // no other key
	mustKeep(t, b, "c", "5", "x") // another target
	b.check(t, nil)

	other := *b
	b = &Buffer{Join: func(_, s []byte) ([]byte, error) { return s, nil }, Limits: other.Limits}
	b.Tick(epoch)
	b.MaxTargetHints = 0
	large := []byte(strings.Repeat("x", 700))
	for _, to := range []transport.NodeID{"b", "c"} {
		require.NoError(t, b.Keep(to, "1", large))
		require.NoError(t, b.Keep(to, "2", large))
		require.Equal(t, 2000, full(t, b.Keep(to, "3", large)).Limit)
	}
	require.NoError(t, b.Keep("d", "1", []byte("x")))
	require.Equal(t, 4000, full(t, b.Keep("d", "2", large)).Limit)
	require.NoError(t, b.Keep("b", "2", []byte("x")), "that makes room")
	require.Equal(t, TooLarge, full(t, b.Keep("d", "2", make([]byte, 1024))).Reason)
	b.check(t, nil)

	s := b.Stats()
	require.EqualValues(t, 3, s.Dropped[TooMany])
	require.EqualValues(t, 1, s.Dropped[TooLarge])
	require.LessOrEqual(t, s.Bytes, 4000)
	told := b.Changes().Dropped
	require.Len(t, told, 3, "each target once")
	for i, ts := range s.Targets {
		require.True(t, ts.Incomplete)
		require.Equal(t, ts.Target, told[i].Target)
	}
}

func TestTrap27_AgeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Refuse: true}
		log := new(rows)
		a := join(net, "a", func(h *Handoff) { h.Log = log })
		defer a.run(t)()
		a.keep(t, "b", "old", "x")
		time.Sleep(2 * time.Hour)
		a.keep(t, "b", "new", "x")
		a.keep(t, "b", "old", "y") // is as old as its oldest delta
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []Dropped{{Target: "b", Hints: 1, Bytes: hintOverhead + 5, Reason: TooOld}}, a.told())
		require.Equal(t, TooOld, full(t, a.Keep(t.Context(), "b", "newer", []byte("x"))).Reason)
		s := a.Stats()
		require.Equal(t, 1, s.Hints)
		require.True(t, s.Targets[0].Incomplete && s.Targets[0].Overdue)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Zero(t, a.Stats().Hints)
		require.Len(t, a.told(), 2)

		before := a.calls.Load()
		time.Sleep(time.Hour)
		require.InDelta(t, 80, a.calls.Load()-before, 20, "it is asked for rarely: nothing is held for it")
		b := join(net, "b", nil) // comes at last
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Empty(t, a.Stats().Targets)
		require.Empty(t, log.rows)
		require.Empty(t, b.replica.content())
		a.keep(t, "b", "newer", "x")
		synctest.Wait()
		require.Equal(t, map[string]string{"newer": "x"}, b.replica.content())
	})
}

// A target that comes and goes, and gets a little of what is held each time, has been
// away since the oldest delta that it did not get; and restarts of the holder change
// nothing. (CASSANDRA-14309)
func TestTrap27_TheWindowSurvivesRestartsAndFlapping(t *testing.T) {
	log, target := new(rows), new(sets)
	now := epoch
	open := func() *Buffer {
		b := &Buffer{Join: union, Limits: Limits{MaxMessage: 1024}}
		b.Tick(now)
		require.NoError(t, b.Load(log.All()))
		return b
	}
	apply := func(b *Buffer) []Dropped {
		c := b.Changes()
		log.put(c.Rows)
		b.check(t, log)
		return c.Dropped
	}
	b := open()
	refused := 0
	for i := range 19 { // every ten minutes
		// The target refuses the first key, which so is never delivered.
		target.refuse = func(key string) error {
			if key == "first" {
				return errBad
			}
			return nil
		}
		if i == 0 {
			mustKeep(t, b, "b", "first", "x")
		} else if err := b.Keep("b", fmt.Sprint(i), []byte("x")); err != nil {
			require.Equal(t, TooOld, full(t, err).Reason)
			refused++
		}
		apply(b)
		if i%3 == 1 { // up for a moment, for one batch
			b.Kick("b")
			batch, ok := b.Batch("b")
			require.True(t, ok)
			_, err := b.Acked("b", batch.ID, serveAll(t, target, batch))
			require.NoError(t, err)
			apply(b)
		}
		b = open()
		now = now.Add(10 * time.Minute)
		b.Tick(now)
		d := apply(b)
		if now.Sub(epoch) == 3*time.Hour {
			require.Len(t, d, 1, "first")
			require.Equal(t, 1, d[0].Hints)
		} else {
			require.Empty(t, d)
		}
		require.Equal(t, now.Sub(epoch) >= 3*time.Hour, b.Stats().Targets[0].Overdue)
	}
	require.Equal(t, 1, refused, "after three hours")
	// Once it has got all that is held, the window is over.
	b.Kick("b")
	batch, _ := b.Batch("b")
	_, err := b.Acked("b", batch.ID, serveAll(t, target, batch))
	require.NoError(t, err)
	mustKeep(t, b, "b", "after", "x")
	apply(b)
}

// However many send to it, a node merges no more than its rate, in any second, but for what
// may be used up ahead; and it uses the rate, and all get their turn.
func TestTrap27_TheReceiverBoundsTheRate(t *testing.T) {
	const rate, message, hints, size = 64 << 10, 8 << 10, 400, 1000
	for _, k := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := &mem.Network{Refuse: true, Seed: 5, Link: mem.Link{Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}}
				r := join(net, "r", func(h *Handoff) { h.Rate, h.MaxMessage = rate, message })
				net.Down("r")
				var stops []func()
				var senders []*node
				for i := range k {
					s := join(net, transport.NodeID(fmt.Sprint("s", i)), func(h *Handoff) {
						h.MaxMessage, h.Seed = message, uint64(i+1)
						h.Join = func(_, s []byte) ([]byte, error) { return s, nil }
					})
					senders = append(senders, s)
					for j := range hints {
						s.keep(t, "r", fmt.Sprint(i, " ", j), strings.Repeat("x", size))
					}
					stops = append(stops, s.run(t))
				}
				time.Sleep(20 * time.Second) // all at their longest pause
				net.Up("r")
				total, last, seconds, behind := 0, 0, 0, 0
				for total < k*hints*size && seconds < 1000 {
					time.Sleep(time.Second)
					seconds++
					s := r.Stats()
					total = int(s.ReceivedBytes)
					require.LessOrEqual(t, total-last, rate+rate/4+message, "second %d", seconds)
					require.LessOrEqual(t, total, seconds*rate+rate/4+message)
					last = total
					if total*2 < k*hints*size {
						behind = spread(senders)
					}
				}
				require.Equal(t, k*hints, int(r.Stats().Received))
				require.LessOrEqual(t, behind, hints/2, "they take turns")
				least := k * hints * size / rate
				require.LessOrEqual(t, seconds, least+least/4+10, "the rate is used")
				t.Logf("%d senders: %d bytes in %d s, %d%% of the rate", k, total, seconds, 100*total/seconds/rate)
				for _, stop := range stops {
					stop()
				}
			})
		})
	}
}

// spread is how many hints the first sender is ahead of the last.
func spread(all []*node) int {
	least, most := 1<<30, 0
	for _, n := range all {
		d := int(n.Stats().Replayed)
		least, most = min(least, d), max(most, d)
	}
	return most - least
}

// Senders that do not heed what they are told get nothing by it.
func TestTrap27_WhoSendsTooEarlyIsNotMerged(t *testing.T) {
	const rate = 64 << 10
	i := Intake{Rate: rate, MaxMessage: 8 << 10}
	rng := rand.New(rand.NewPCG(1, 1))
	now, merged := epoch, 0
	for range 100_000 {
		now = now.Add(time.Duration(rng.IntN(200)) * time.Microsecond)
		q := replay{hints: []entry{{"k", make([]byte, rng.IntN(8000))}}, least: 8000, want: 8000}
		req := q.encode()
		_, err := i.Serve(now, transport.NodeID(fmt.Sprint(rng.IntN(200))), req, func([]string, [][]byte) []error {
			merged += len(req)
			return []error{nil}
		})
		require.NoError(t, err)
		elapsed := now.Sub(epoch).Seconds()
		require.LessOrEqual(t, float64(merged), rate*(elapsed+0.25)+(8<<10))
	}
	require.Greater(t, merged, 300_000)
	require.LessOrEqual(t, len(i.turns), 200)
}

func TestTrap27_ReplayInAnyOrderIsANoOp(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 50 {
		b, target := &Buffer{Join: union, Limits: Limits{MaxMessage: 1024}}, new(sets)
		b.Tick(epoch)
		want := map[string]string{}
		var sent []Batch
		for len(sent) < 30 {
			key, delta := fmt.Sprint(rng.IntN(20)), string(rune('a'+rng.IntN(26)))
			mustKeep(t, b, "b", key, delta)
			u, _ := union([]byte(want[key]), []byte(delta))
			want[key] = string(u)
			if rng.IntN(5) == 0 {
				b.Kick("b")
				batch, ok := b.Batch("b")
				require.True(t, ok)
				sent = append(sent, batch)
				if rng.IntN(2) == 0 {
					b.Failed("b", batch.ID, transport.ErrUnreachable)
				} else {
					_, err := b.Acked("b", batch.ID, serveAll(t, target, batch))
					require.NoError(t, err)
				}
			}
		}
		for len(b.targets) > 0 {
			b.Kick("b")
			batch, _ := b.Batch("b")
			_, err := b.Acked("b", batch.ID, serveAll(t, target, batch))
			require.NoError(t, err)
		}
		require.Equal(t, want, target.content())
		for _, i := range rng.Perm(len(sent)) {
			serveAll(t, target, sent[i])
			require.Equal(t, want, target.content())
		}
	}
}

// What is held is sent by whoever runs with the log next, though nobody keeps anything,
// calls, or says that the target is there. (riak_core #154)
func TestTrap27_ARestartStrandsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Refuse: true}
		log := new(rows)
		withLog := func(h *Handoff) { h.Log = log }
		b, c := join(net, "b", nil), join(net, "c", nil)
		net.Down("b")
		net.Down("c")
		for life := range 3 {
			a := join(net, "a", withLog)
			a.keep(t, "b", "k", string(rune('x'+life)))
			a.keep(t, "c", fmt.Sprint(life), "x")
			stop := a.run(t)
			time.Sleep(time.Minute)
			stop()
		}
		net.Up("b")
		net.Up("c")
		a := join(net, "a", withLog)
		defer a.run(t)()
		synctest.Wait()
		require.Equal(t, map[string]string{"k": "xyz"}, b.replica.content())
		require.Equal(t, map[string]string{"0": "x", "1": "x", "2": "x"}, c.replica.content())
		require.Empty(t, log.rows)
		require.Empty(t, a.told())
	})
}

func TestTrap29_WhoDepartedPinsNothing(t *testing.T) {
	log := new(rows)
	n := join(new(mem.Network), "a", func(h *Handoff) { h.Log = log })
	n.keep(t, "b", "1", "x")
	n.keep(t, "b", "2", "x")
	n.keep(t, "c", "1", "x")
	require.NoError(t, n.Forget(t.Context(), "b"))
	require.NoError(t, n.Forget(t.Context(), "nobody"))
	require.Equal(t, []Dropped{{Target: "b", Hints: 2, Bytes: 2 * (hintOverhead + 2), Reason: Departed}}, n.told())
	require.Len(t, log.rows, 1)
	require.Equal(t, 1, n.Stats().Hints)
}

// Everything that is called may call back, or wait for who does.
func TestTrap30_NothingIsCalledWithALockHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Refuse: true}
		var a *node
		look := func() { a.Stats(); a.Kick("b") }
		log := &rows{before: func() error { look(); return nil }}
		a = join(net, "a", func(h *Handoff) {
			h.Log = log
			h.Join = func(x, y []byte) ([]byte, error) { look(); return union(x, y) }
			h.MaxTargetHints = 1
			again := func() {
				look()
				_ = h.Keep(t.Context(), "c", "again", []byte("x"))
				_, _ = h.Held(t.Context(), "again")
			}
			h.Events = Events{
				OnReplayed: func(Replayed) { again() },
				OnDropped:  func(Dropped) { again() },
				OnFailed:   func(error) { again() },
			}
		})
		defer a.run(t)()
		b := join(net, "b", nil)
		b.replica.refuse = func(string) error { look(); return nil }
		a.keep(t, "b", "1", "x")
		_ = a.Keep(t.Context(), "b", "2", []byte("x"))
		synctest.Wait()
		log.before = func() error { look(); return errBad }
		require.ErrorIs(t, a.Keep(t.Context(), "b", "3", []byte("x")), errBad)
		require.Equal(t, "x", b.replica.content()["1"])
	})
}

// After an error of the log nothing is kept any more, and nothing written. What was held
// is delivered nevertheless.
func TestTrap33_ErrorsOfTheLogAreFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Refuse: true}
		fails, applies := false, 0
		log := &rows{before: func() error {
			applies++
			if fails {
				return errBad
			}
			return nil
		}}
		a, b := join(net, "a", func(h *Handoff) { h.Log = log }), join(net, "b", nil)
		net.Down("b")
		a.keep(t, "b", "k", "x")
		fails = true
		err := a.Keep(t.Context(), "b", "k", []byte("y"))
		require.Equal(t, &LogError{Err: errBad}, err)
		fails = false
		require.Equal(t, err, a.Keep(t.Context(), "b", "k", []byte("z")))
		require.Equal(t, err, a.Keep(t.Context(), "b", "k", []byte("x")), "also if there is nothing to write")
		require.Equal(t, 2, applies)
		require.EqualValues(t, 1, a.lost.Load(), "told once")
		require.Len(t, log.rows, 1)
		net.Up("b")
		_, err = a.Replay(t.Context(), "b")
		require.NoError(t, err)
		require.Contains(t, b.replica.content()["k"], "x")
		require.Equal(t, 2, applies)
	})
}

func TestTrap33_ALogThatCannotBeRead(t *testing.T) {
	log := new(rows)
	log.put([]Row{{ID: "\x91\xa1b", Value: []byte{0xc1}}})
	a := join(new(mem.Network), "a", func(h *Handoff) { h.Log = log })
	err := a.Keep(t.Context(), "b", "k", []byte("x"))
	lost, ok := err.(*LogError)
	require.True(t, ok, "%v", err)
	require.IsType(t, &CorruptError{}, lost.Err)
	require.Equal(t, err, a.Run(t.Context()))
	_, held := a.Held(t.Context(), "k")
	require.Equal(t, err, held)
	require.Zero(t, log.applies)
	require.EqualValues(t, 1, a.lost.Load())
}
