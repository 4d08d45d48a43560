package antientropy_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// A town is loops with stores that can forget, in a bubble: members and guests, which
// stop, lose everything and come back.
type town struct {
	t      *testing.T
	net    *mem.Network
	all    []transport.NodeID
	retain int

	mu     sync.Mutex
	epoch  antientropy.Epoch
	aside  []antientropy.SetAside
	told   []antientropy.Collected
	change func(id transport.NodeID, l *antientropy.Loop)

	store map[transport.NodeID]*store.Store
	loop  map[transport.NodeID]*antientropy.Loop
	stop  map[transport.NodeID]func()
}

func newTown(t *testing.T, link mem.Link, members []transport.NodeID, guests ...transport.NodeID) *town {
	w := &town{
		t: t, net: &mem.Network{Link: link}, all: slices.Concat(members, guests), retain: 1 << 20,
		epoch: antientropy.Epoch{Number: 1, Members: members},
		store: map[transport.NodeID]*store.Store{}, loop: map[transport.NodeID]*antientropy.Loop{}, stop: map[transport.NodeID]func(){},
	}
	t.Cleanup(func() {
		for _, id := range w.all {
			w.halt(id)
		}
	})
	return w
}

func (w *town) now() antientropy.Epoch {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.epoch
}

func (w *town) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// start runs a node, with an empty store if it has none.
func (w *town) start(ids ...transport.NodeID) {
	for _, id := range ids {
		if w.store[id] == nil {
			w.store[id] = store.New(store.Config{Retain: w.retain})
		}
		l := &antientropy.Loop{
			Store: w.store[id],
			Peers: antientropy.Static(slices.DeleteFunc(slices.Clone(w.all), func(o transport.NodeID) bool { return o == id })...),
			Self:  id, Epoch: w.now,
			Pace: antientropy.Pace{CollectEvery: time.Second, Quiet: time.Second},
		}
		l.Events = antientropy.Events{
			OnSetAside:  func(s antientropy.SetAside) { w.set(func() { w.aside = append(w.aside, s) }) },
			OnCollected: func(c antientropy.Collected) { w.set(func() { w.told = append(w.told, c) }) },
		}
		if w.change != nil {
			w.change(id, l)
		}
		l.Caller = w.net.Node(id, l.Handler())
		w.net.Up(id)
		w.loop[id] = l
		ctx, cancel := context.WithCancel(w.t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := l.Run(ctx); !errors.Is(err, context.Canceled) {
				w.t.Errorf("Run: %v", err)
			}
		}()
		w.stop[id] = func() { cancel(); <-done }
	}
}

// halt stops a node, which keeps its store.
func (w *town) halt(id transport.NodeID) {
	if stop := w.stop[id]; stop != nil {
		w.net.Down(id)
		stop()
		delete(w.stop, id)
	}
}

// lose has a node lose everything, and start again.
func (w *town) lose(id transport.NodeID) {
	w.halt(id)
	delete(w.store, id)
	w.start(id)
}

func (w *town) add(id transport.NodeID, key string, elements ...string) {
	w.t.Helper()
	_, err := store.Update(w.store[id], key, func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return s.Add(by.Replica, elements...)
	})
	require.NoError(w.t, err)
}

func (w *town) delete(id transport.NodeID, keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		_, err := w.store[id].Delete(key)
		require.NoError(w.t, err)
	}
}

// settled waits until nodes agree, hold so many keys that show something, and remember
// no others.
func (w *town) settled(within time.Duration, live int, ids ...transport.NodeID) {
	w.t.Helper()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		state := ""
		for _, id := range ids {
			s := w.store[id]
			if s.Len() != live || s.Index().Len() != live || s.Index().Root() != w.store[ids[0]].Index().Root() || s.Generation() != w.store[ids[0]].Generation() {
				state += fmt.Sprintf("%s shows %d keys of %d at %x; ", id, s.Len(), s.Index().Len(), s.Generation())
			}
		}
		if state == "" {
			return
		}
		require.LessOrEqual(w.t, time.Since(start), within, state)
	}
}

func (w *town) collection(id transport.NodeID) antientropy.CollectionStats {
	return w.loop[id].Stats().Collection
}

var abc = []transport.NodeID{"a", "b", "c"}

func TestRunForgetsWhatWasDeletedEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mem.Link{Latency: time.Millisecond}, abc, "phone")
		w.start(w.all...)
		for i := range 20 {
			w.add(w.all[i%4], fmt.Sprint(i), "x")
		}
		time.Sleep(time.Second)
		for i := range 15 {
			w.delete(w.all[(i+1)%4], fmt.Sprint(i))
		}
		w.settled(10*time.Second, 5, w.all...)
		time.Sleep(time.Second) // until the collection has ended, which is when it is counted
		a, b, phone := w.collection("a"), w.collection("b"), w.collection("phone")
		require.True(t, a.Proposes && !b.Proposes && !phone.Proposes)
		require.Equal(t, []uint64{1, 1, 0}, []uint64{a.Epoch, b.Epoch, phone.Epoch})
		require.Positive(t, a.Records)
		require.Equal(t, a.Last, a.Complete)
		require.Empty(t, a.HeldUp)
		require.Equal(t, w.store["a"].Generation(), a.Generation)
		require.GreaterOrEqual(t, phone.Moves, a.Records)
		require.Zero(t, b.Records, "it leads none")
		_, err := w.loop["b"].Collect(t.Context())
		require.ErrorIs(t, err, antientropy.ErrNotProposing)
		w.add("phone", "0", "again")
		w.settled(10*time.Second, 6, w.all...)
		require.Empty(t, w.aside)
	})
}

func TestTrap30_ACollectionMayBeStartedWhereOneIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mem.Link{}, abc)
		again := make(chan error, 1)
		w.change = func(id transport.NodeID, l *antientropy.Loop) {
			l.Events.OnCollected = func(antientropy.Collected) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if len(again) == 0 {
					again <- nil
					_, err := l.Collect(ctx)
					<-again
					again <- err
				}
			}
		}
		w.start(abc...)
		time.Sleep(time.Hour)
		require.NoError(t, <-again)
	})
}

func TestTrap26_WhoIsAwayIsNamedAndWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mem.Link{Latency: time.Millisecond}, abc)
		w.start(abc...)
		w.add("a", "k", "x")
		w.add("a", "l", "x")
		time.Sleep(time.Second)
		w.halt("c")
		w.delete("a", "k")
		time.Sleep(time.Hour)
		a := w.collection("a")
		require.Len(t, a.HeldUp, 1)
		require.Equal(t, transport.NodeID("c"), a.HeldUp[0].Peer)
		require.ErrorIs(t, a.HeldUp[0].Err, transport.ErrUnreachable)
		require.Zero(t, a.Records)
		require.Less(t, a.Complete, a.Last)
		require.Equal(t, 2, w.store["b"].Index().Len(), "nothing is forgotten")
		w.start("c")
		w.settled(10*time.Second, 1, abc...)
		time.Sleep(time.Second) // what was decided may have come to all before that is over which decided it
		require.Empty(t, w.collection("a").HeldUp)

		w.halt("c")
		w.delete("b", "l")
		time.Sleep(time.Minute)
		w.set(func() { w.epoch = antientropy.Epoch{Number: 2, Members: abc[:2]} })
		w.settled(10*time.Second, 0, abc[:2]...)
		w.start("c")
		w.settled(10*time.Second, 0, abc...)
		require.Empty(t, w.aside, "it was not away for long")
	})
}

// Members that lose everything, the one that proposes among them, come back under their
// names and are filled; nothing that was deleted is.
func TestTrap26_MembersThatLoseTheirMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mem.Link{Latency: time.Millisecond}, abc)
		w.start(abc...)
		for i := range 30 {
			w.add(abc[i%3], fmt.Sprint(i), "x")
		}
		time.Sleep(time.Second)
		for i, id := range []transport.NodeID{"a", "b", "a", "c", "a"} {
			w.delete(abc[i%3], fmt.Sprint(i), fmt.Sprint(10+i))
			time.Sleep(time.Duration(i+1) * 700 * time.Millisecond)
			w.lose(id)
			w.add(id, fmt.Sprint("written at once ", i), "x")
			time.Sleep(200 * time.Millisecond)
		}
		w.settled(20*time.Second, 25, abc...)
		require.Empty(t, w.aside)
	})
}

// What cannot collect is not said to.
func TestStatsSayWhoProposes(t *testing.T) {
	for _, collects := range []bool{true, false} {
		l := &antientropy.Loop{Store: store.New(store.Config{}), Self: "a", Epoch: func() antientropy.Epoch {
			return antientropy.Epoch{Number: 1, Members: abc}
		}}
		if !collects {
			l.Store = struct {
				antientropy.Store
				antientropy.Follower
			}{l.Store, l.Store.(antientropy.Follower)}
		}
		c := l.Stats().Collection
		require.Equal(t, uint64(1), c.Epoch)
		require.Equal(t, collects, c.Proposes)
	}
}

// Removals whose deltas were dropped in a partition are everywhere after it, and so is what
// was added meanwhile; two types under one key are both there.
func TestTrap42_RemovalsLostInAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mem.Link{Latency: time.Millisecond}, abc)
		w.change = func(_ transport.NodeID, l *antientropy.Loop) { l.BufferBytes = 1 }
		w.start(abc...)
		w.add("a", "k", "x", "y", "z")
		time.Sleep(time.Second)
		w.net.Partition(abc[:1], abc[1:])
		_, err := store.Update(w.store["a"], "k", func(s *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] { return s.Remove("x") })
		require.NoError(t, err)
		w.add("b", "k", "new")
		w.counts("a", "two types", 3)
		w.add("b", "two types", "x")
		time.Sleep(time.Minute)
		w.net.Heal()
		w.settled(10*time.Second, 2, abc...)
		for _, id := range abc {
			require.ElementsMatch(t, []string{"new", "y", "z"}, w.elements(id, "k"), id)
			require.Equal(t, []string{"x"}, w.elements(id, "two types"))
			found, err := store.View(w.store[id], "two types", func(c *crdt.PNCounter) { require.Equal(t, int64(3), c.Value()) })
			require.True(t, found && err == nil)
		}
	})
}

func (w *town) counts(id transport.NodeID, key string, n int64) {
	_, err := store.Update(w.store[id], key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return c.Add(by.Replica, n) })
	require.NoError(w.t, err)
}

// Who was away for longer than records are kept is emptied, and what it wrote meanwhile
// is told: so it can be written again.
func TestTrap26_WhatAGuestWroteTooLateIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mem.Link{Latency: time.Millisecond}, abc, "phone")
		w.retain = 1
		w.start(w.all...)
		w.add("a", "k", "x")
		w.add("a", "kept", "x")
		time.Sleep(time.Second)
		w.halt("phone")
		w.add("phone", "offline", "written")
		w.delete("a", "k")
		w.settled(10*time.Second, 1, abc...)
		w.add("b", "l", "x")
		time.Sleep(time.Second)
		w.delete("b", "l")
		w.settled(10*time.Second, 1, abc...)
		w.start("phone")
		w.settled(10*time.Second, 1, w.all...)
		require.Equal(t, uint64(1), w.collection("phone").Readmitted)
		aside := map[string]bool{}
		for _, s := range w.aside {
			aside[s.Key] = true
			v, err := crdt.Standard().Decode(s.State)
			require.NoError(t, err)
			if set, ok := crdt.Component[*crdt.ORSet[string]](crdt.Standard(), v); ok {
				w.add("phone", "again "+s.Key, slices.Collect(set.All())...)
			}
		}
		require.Equal(t, map[string]bool{"k": true, "kept": true, "offline": true}, aside)
		w.settled(10*time.Second, 4, w.all...)
	})
}

// Whatever nodes and links do: what was deleted and forgotten never shows again, what was
// not is never lost, and in the end nothing is left of it.
func TestTrap26_ForgettingInBadWeather(t *testing.T) {
	for seed := range *weathers {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { weather(t, seed) }) })
	}
}

func weather(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	link := mem.Link{Latency: 5 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.1, Duplicate: 0.1, Reorder: 0.2}
	w := newTown(t, link, abc, "phone", "tablet")
	w.change = func(id transport.NodeID, l *antientropy.Loop) {
		l.Quiet, l.Timeout, l.Seed = time.Duration(r.IntN(1000))*time.Millisecond, time.Second, seed+1
		if seed%2 == 1 {
			l.Propagation = antientropy.Lazy
		}
	}
	w.start(w.all...)
	live, n := map[string]bool{}, 0
	for range 60 {
		id := w.all[r.IntN(len(w.all))]
		switch r.IntN(12) {
		case 0:
			w.halt(id)
		case 1:
			w.net.Partition(w.all[:r.IntN(5)], []transport.NodeID{id})
		case 2:
			w.net.Heal()
		case 3:
			if w.stop[id] != nil { // what it alone has would be lost
				w.net.Heal()
				w.untilSame()
				w.lose(id)
			}
		case 4, 5, 6, 7:
			n++
			key := fmt.Sprint(n % 25)
			w.add(id, key, fmt.Sprint(n))
			live[fmt.Sprint(n)] = true
		default:
			key := fmt.Sprint(r.IntN(25))
			if w.stop[id] == nil {
				w.start(id)
			}
			w.net.Heal()
			w.untilSame()
			for _, e := range w.elements(id, key) {
				require.True(t, live[e], "%s shows %s, which was deleted", id, e)
				delete(live, e)
			}
			w.delete(id, key)
			w.untilSame()
		}
		for _, id := range w.all {
			if w.stop[id] == nil && r.IntN(3) == 0 {
				w.start(id)
			}
		}
		time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
	}
	w.net.Heal()
	for _, id := range w.all {
		if w.stop[id] == nil {
			w.start(id)
		}
	}
	keys := map[string]bool{}
	w.untilSame()
	for i := range 25 {
		for _, e := range w.elements("a", fmt.Sprint(i)) {
			require.True(t, live[e], e)
			delete(live, e)
			keys[fmt.Sprint(i)] = true
		}
	}
	require.Empty(t, live, "lost")
	w.settled(time.Minute, len(keys), w.all...)
	require.Empty(t, w.aside)
}

// untilSame waits until all that run agree.
func (w *town) untilSame() {
	w.t.Helper()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		roots := map[merkle.Fingerprint]bool{}
		for id := range w.stop {
			roots[w.store[id].Index().Root()] = true
		}
		if len(roots) <= 1 {
			return
		}
		require.LessOrEqual(w.t, time.Since(start), time.Minute)
	}
}

func (w *town) elements(id transport.NodeID, key string) (all []string) {
	_, err := store.View(w.store[id], key, func(s *crdt.ORSet[string]) { all = slices.Collect(s.All()) })
	require.NoError(w.t, err)
	return all
}

var weathers = flag.Uint64("weathers", 6, "how many seeds TestTrap26_ForgettingInBadWeather goes through")
