package store_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/disk"
)

// onDisk is under which key of a backend something of a key is.
func onDisk(space byte, tenure uint32, key string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{space}, tenure), key...)
}

// meddle changes what is on a disk that nobody has.
func meddle(t tester, d *disk.Disk, ops ...store.Op) {
	t.Helper()
	c, err := d.Mount().Apply(ops, true)
	require.NoError(t, err)
	require.NoError(t, c.Wait())
}

// settled waits until the index of a store has so many keys: its rows are made again in a goroutine.
func settled(t tester, s *store.Store, keys int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.Index().Len() == keys }, eventually, tick)
}

// A value that is not there any more was numbered all the same: what is written in its place has other names.
func TestTrap13_AValueThatIsLostIsNotNumberedAnew(t *testing.T) {
	for name, ops := range map[string][]store.Op{
		"value":         {{Kind: store.OpDelete, Key: onDisk('v', 0, "k")}},
		"value and row": {{Kind: store.OpDelete, Key: onDisk('v', 0, "k")}, {Kind: store.OpDelete, Key: onDisk('f', 0, "k")}},
		"empty":         {{Kind: store.OpSet, Key: onDisk('v', 0, "k"), Value: []byte{}}},
		"an empty pile": {{Kind: store.OpSet, Key: onDisk('v', 0, "k"), Value: []byte{0xc1, 0xc1}}},
		"a broken pile": {{Kind: store.OpSet, Key: onDisk('v', 0, "k"), Value: []byte{0xc1, 0xc1, 9, 9}}},
		"garbage":       {{Kind: store.OpSet, Key: onDisk('v', 0, "k"), Value: []byte("garbage")}},
	} {
		t.Run(name, func(t *testing.T) {
			m, peer := newHost("a"), named("peer")
			s := m.open(t)
			insert(t, s, "k", "one", "two")
			merge(t, peer, "k", load(t, s, "k"))
			require.NoError(t, s.Close())
			meddle(t, m.disk, ops...)

			s = m.open(t)
			insert(t, s, "k", "three", "four")
			exchange(t, s, peer)
			for _, st := range []*store.Store{s, peer} {
				require.ElementsMatch(t, []string{"one", "two", "three", "four"}, members(t, st, "k"))
			}
			require.Eventually(t, func() bool { return len(m.damages())+len(m.rotations()) > 0 }, eventually, tick, "it is reported")
			require.Equal(t, peer.Index().Root(), s.Index().Root())
			require.NoError(t, s.Close())
			s = m.open(t)
			settled(t, s, 1) // if it was closed before its rows were made again
			require.Equal(t, peer.Index().Root(), s.Index().Root())
		})
	}
}

// What can be read is there, whatever became of the rows.
func TestARowIsMadeAgainFromItsValue(t *testing.T) {
	for name, op := range map[string]store.Op{
		"gone":    {Kind: store.OpDelete, Key: onDisk('f', 0, "k")},
		"garbage": {Kind: store.OpSet, Key: onDisk('f', 0, "k"), Value: []byte("garbage")},
		"another": {Kind: store.OpSet, Key: onDisk('f', 0, "k"), Value: make([]byte, 17)},
		"summary": {Kind: store.OpDelete, Key: []byte{'s'}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newHost("a")
			s := m.open(t)
			insert(t, s, "k", "one")
			add(t, s, "n", 1)
			remove(t, s, "n")
			root := s.Index().Root()
			require.NoError(t, s.Close())
			meddle(t, m.disk, op)

			s = m.open(t)
			require.Equal(t, []string{"one"}, members(t, s, "k"))
			settled(t, s, 2)
			require.Equal(t, root, s.Index().Root())
			require.Equal(t, 1, s.Len())
			require.NoError(t, s.Close())
			m.disk.Damage([]byte{'s'})
			s = m.open(t)
			settled(t, s, 2)
			require.Equal(t, root, s.Index().Root())
			require.Empty(t, m.damages())
		})
	}
}

// A program that knows fewer types than the one that wrote takes nothing away.
func TestWhatOnlyAnotherVersionCanReadStays(t *testing.T) {
	m := newHost("a")
	m.disk = disk.New(probingKinds(), "a")
	m.cfg.Kinds = probingKinds()
	s := m.open(t)
	insert(t, s, "k", "one")
	_, err := raise(s, "k", 5)
	require.NoError(t, err)
	insert(t, s, "other", "two")
	require.NoError(t, s.Close())

	older := m.cfg
	older.Kinds = nil
	s, err = store.Open(older, m.disk.Mount())
	require.NoError(t, err)
	_, err = s.Load(t.Context(), "k")
	require.ErrorAs(t, err, new(*crdt.UnknownKindError))
	_, err = s.Delete("k")
	require.ErrorAs(t, err, new(*crdt.UnknownKindError))
	require.Equal(t, []string{"two"}, members(t, s, "other"))
	require.Empty(t, m.damages())
	require.NoError(t, s.Close())

	s = m.open(t)
	require.Equal(t, []string{"one"}, members(t, s, "k"))
	_, err = store.View(s, "k", func(p *probe) { require.EqualValues(t, 5, p.n) })
	require.NoError(t, err)
}

// A backend joins when it likes, also while the older program has it.
func TestWhatOnlyAnotherVersionCanReadIsNotJoined(t *testing.T) {
	s := probing(t, "s")
	one := insert(t, s, "k", "one")
	five, err := raise(s, "k", 5)
	require.NoError(t, err)
	two := insert(t, s, "k", "two")

	known, all := crdt.Standard(), probingKinds()
	pile := store.Joined(known, one, five)
	pile = store.Joined(known, pile, store.Joined(known, two))
	pile = store.Joined(known, one, pile)
	require.Equal(t, load(t, s, "k"), store.Joined(all, pile, one))

	m := newHost("a")
	m.cfg.Kinds, m.disk = all, disk.New(all, "a")
	other := m.open(t)
	merge(t, other, "k", load(t, s, "k"))
	require.NoError(t, other.Close())
	m.disk.Replace(onDisk('v', 0, "k"), pile)
	older := m.cfg
	older.Kinds = nil
	other, err = store.Open(older, m.disk.Mount())
	require.NoError(t, err)
	_, err = other.Load(t.Context(), "k")
	require.ErrorAs(t, err, new(*crdt.UnknownKindError))
	require.NoError(t, other.Close())
	require.Equal(t, load(t, s, "k"), load(t, m.open(t), "k"))
	require.Empty(t, m.damages())
}

// What has no encoding is lost when its store is closed, and its number must not be given to anything else.
func TestTrap13_WhatCannotBeWrittenDownIsNumberedAllTheSame(t *testing.T) {
	m := newHost("a")
	m.disk, m.cfg.Kinds = disk.New(probingKinds(), "a"), probingKinds()
	s := m.open(t)
	before := s.Replica()
	_, err := raise(s, "k", refusing)
	require.ErrorAs(t, err, new(*store.EncodeError))
	delta, err := store.Update(s, "k", func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return c.Add(by.Replica, "one")
	})
	require.ErrorAs(t, err, new(*store.EncodeError))
	state, _ := delta.Bytes()
	require.NotEmpty(t, state, "it went out all the same")
	require.NoError(t, s.Close())

	s = m.open(t)
	require.NotEqual(t, before, s.Replica())
	insert(t, s, "k", "two")
	merge(t, s, "k", state)
	require.ElementsMatch(t, []string{"one", "two"}, members(t, s, "k"))
}

// A flaky is a backend whose reads fail as long as they must.
type flaky struct {
	store.Backend
	err error
}

func (f *flaky) Get(key []byte) ([]byte, error) {
	if f.err != nil && key[0] == 'v' {
		return nil, f.err
	}
	return f.Backend.Get(key)
}

// A record that could be applied to some of its keys only ends the store, and is applied to the others by the next one.
func TestTrap26_ARecordIsAppliedToAllOfItsKeys(t *testing.T) {
	m := newHost("a")
	m.cfg.Cache = 1
	s := m.open(t)
	_, err := s.Adopt(t.Context(), "")
	require.NoError(t, err)
	for _, key := range []string{"x", "y"} {
		insert(t, s, key, "one")
		remove(t, s, key)
	}
	proposal := s.Propose(1<<20, 0)
	reply, err := s.Prepare(t.Context(), proposal)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	f := &flaky{Backend: m.disk.Mount()}
	s, err = store.Open(m.cfg, f)
	require.NoError(t, err)
	f.err = errors.New("a read fails")
	_, err = s.Conclude(t.Context(), proposal, [][]byte{reply})
	require.ErrorAs(t, err, new(*store.FailedError))
	require.ErrorIs(t, err, f.err)
	require.ErrorIs(t, m.failure(), f.err)
	require.ErrorIs(t, s.Close(), f.err)

	s = m.open(t)
	require.NotEmpty(t, s.Generation())
	require.Zero(t, s.Index().Len(), "both are forgotten")
}

// Who says that something was there already says that it is durable.
func TestTrap34_NothingIsAcknowledgedThatWaitsForTheDisk(t *testing.T) {
	m := newHost("a")
	g := &gate{Backend: m.disk.Mount(), waits: make(chan func())}
	go func() { (<-g.waits)() }() // of Open
	s, err := store.Open(m.cfg, g)
	require.NoError(t, err)
	state := insert(t, named("b"), "k", "one")
	delta := make(chan error)
	for range 2 {
		go func() {
			_, err := s.Merge(t.Context(), "k", state)
			delta <- err
		}()
	}
	first := <-g.waits // it meets others for the first time
	first()
	one, two := <-g.waits, <-g.waits
	m.disk.Crash(0)
	one()
	two()
	require.ErrorIs(t, <-delta, disk.ErrPulled)
	require.ErrorIs(t, <-delta, disk.ErrPulled, "nobody was told that it is there")
}

// A gate hands over whoever waits for the disk, to be let go.
type gate struct {
	store.Backend
	waits chan func()
}

type gated struct {
	store.Commit
	gate *gate
}

func (g *gate) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	c, err := g.Backend.Apply(ops, sync)
	if c != nil {
		c = &gated{c, g}
	}
	return c, err
}

func (c *gated) Wait() error {
	held := make(chan struct{})
	c.gate.waits <- func() { close(held) }
	<-held
	return c.Commit.Wait()
}

// What is told that something is wrong may close the store at once, wherever it is called from.
func TestAReportMayCloseTheStore(t *testing.T) {
	for _, what := range []string{"rebuilding", "preparing", "reading"} {
		t.Run(what, func(t *testing.T) {
			m := newHost("a")
			s := m.open(t)
			insert(t, s, "k", "one")
			_, err := s.Adopt(t.Context(), "")
			require.NoError(t, err)
			require.NoError(t, s.Close())
			other := named("other")
			_, err = other.Adopt(t.Context(), "")
			require.NoError(t, err)
			insert(t, other, "old", "one")
			remove(t, other, "old")
			proposal := other.Propose(1<<20, 0)
			m.disk.Damage(onDisk('v', 0, "k"))

			closed := make(chan error, 1)
			opened := make(chan *store.Store, 1)
			m.cfg.Events.Damaged = func(string, error) { closed <- (<-opened).Close() }
			m.cfg.Events.Failed = func(error) { closed <- (<-opened).Close() }
			if what == "rebuilding" {
				m.cfg.Secret = []byte("another")
			}
			s, err = store.Open(m.cfg, m.disk.Mount())
			require.NoError(t, err)
			opened <- s
			switch what {
			case "preparing":
				m.disk.Fail(1, disk.ErrFailed)
				_, err = s.Prepare(t.Context(), proposal)
				require.Error(t, err)
			case "reading":
				require.Empty(t, members(t, s, "k"))
			}
			err = <-closed
			require.Equal(t, what == "preparing", err != nil, err)
		})
	}
}
