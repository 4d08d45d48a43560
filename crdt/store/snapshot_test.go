package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// A picture is what a store held, as its methods said at the time.
type picture struct {
	shown  []string
	states map[string][]byte
}

func pictureOf(t tester, s *store.Store) picture {
	p := picture{shown: slices.Collect(s.Keys("")), states: map[string][]byte{}}
	for key := range s.Index().All() {
		p.states[key] = load(t, s, key)
	}
	return p
}

// requirePicture checks a snapshot against what the store said when it was taken.
func requirePicture(t tester, want picture, p *store.Snapshot) {
	t.Helper()
	require.Equal(t, want.shown, slices.Collect(p.Keys("")))
	held := map[string][]byte{}
	for key := range p.All("") {
		state, err := p.Load(t.Context(), key)
		require.NoError(t, err)
		held[key] = state
	}
	require.Equal(t, want.states, held)
	for _, key := range keySet {
		state, err := p.Load(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, want.states[key], state)
	}
}

var keySet = []string{"a", "a/1", "a/2", "b", "c"}

// A subject is a store that is written to at random.
type subject struct {
	*store.Store
	n               int
	proposal, reply []byte
}

// step does anything that changes a store.
func (s *subject) step(t *rapid.T) {
	key, other := rapid.SampledFrom(keySet).Draw(t, "key"), rapid.SampledFrom(keySet).Draw(t, "other")
	s.n++
	switch rapid.IntRange(0, 10).Draw(t, "step") {
	case 0, 1:
		add(t, s.Store, key, 1)
	case 2:
		insert(t, s.Store, key, strconv.Itoa(s.n), "x")
	case 3:
		erase(t, s.Store, key, "x")
	case 4, 5:
		remove(t, s.Store, key)
	case 6:
		var b store.Batch
		counting(&b, key, 1)
		inserting(&b, other, "x")
		_, err := s.Apply(&b)
		require.NoError(t, err)
	case 7:
		other := named(fmt.Sprint("other", s.n))
		_, err := other.Adopt(t.Context(), s.Generation())
		require.NoError(t, err)
		merge(t, s.Store, key, insert(t, other, key, "y"))
	case 8:
		s.settle(t)
	case 9:
		other := named(fmt.Sprint("other", s.n))
		_, err := other.Adopt(t.Context(), s.Generation())
		require.NoError(t, err)
		var b store.Batch
		counting(&b, key, 1)
		inserting(&b, "c", "y")
		delta, err := sent(other.Apply(&b))
		require.NoError(t, err)
		merge(t, s.Store, key, delta)
	case 10:
		generation := fmt.Sprintf("%08d%08d", s.n, s.n)
		for range s.adopt(t, generation) {
		}
	}
}

// settle forgets what was deleted: it prepares a proposal, or concludes it.
func (s *subject) settle(t tester) {
	_, err := s.Adopt(t.Context(), "")
	require.NoError(t, err)
	if s.proposal == nil {
		if s.proposal = s.Propose(1<<20, 0); s.proposal != nil {
			s.reply, err = s.Prepare(t.Context(), s.proposal)
			require.NoError(t, err)
		}
		return
	}
	_, err = s.Conclude(t.Context(), s.proposal, [][]byte{s.reply})
	if stale := new(store.StaleError); !errors.As(err, &stale) { // emptied meanwhile
		require.NoError(t, err)
	}
	s.proposal = nil
}

func (s *subject) adopt(t tester, generation string) (keys []string) {
	aside, err := s.Adopt(t.Context(), generation)
	require.NoError(t, err)
	for key := range aside {
		keys = append(keys, key)
	}
	return keys
}

// Snapshots stay what the store was when they were taken, whatever happens to it: in memory, on disk, and on disk where
// no value stays in memory.
func TestSnapshotsStayWhatTheStoreWas(t *testing.T) {
	stores := map[string]func(t tester) *store.Store{
		"memory": func(tester) *store.Store { return named("s") },
		"disk":   func(t tester) *store.Store { return newHost("s").open(t) },
		"cold": func(t tester) *store.Store {
			m := newHost("s")
			m.cfg.Cache = 1
			return m.open(t)
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := &subject{Store: open(t)}
				snapshots := map[*store.Snapshot]picture{}
				for range rapid.IntRange(1, 30).Draw(t, "steps") {
					switch rapid.IntRange(0, 4).Draw(t, "what") {
					case 0:
						p := s.Snapshot()
						snapshots[p] = pictureOf(t, s.Store)
					case 1:
						for p := range snapshots { // any
							p.Close()
							delete(snapshots, p)
							break
						}
					default:
						s.step(t)
					}
					for p, want := range snapshots {
						requirePicture(t, want, p)
					}
				}
				require.Equal(t, len(snapshots), s.Stats().Snapshots)
				require.NoError(t, s.Close())
			})
		})
	}
}

// A snapshot that is taken while many write has no part of a batch, and nothing without what came before it.
func TestSnapshotsAreConsistentWhileManyWrite(t *testing.T) {
	const writers, writes, looks = 4, 150, 60
	s := named("s")
	var working sync.WaitGroup
	for w := range writers {
		first, second := fmt.Sprint("first ", w), fmt.Sprint("second ", w)
		working.Go(func() {
			for range writes {
				var b store.Batch
				counting(&b, "left", 1)
				counting(&b, "right", 1)
				_, err := s.Apply(&b)
				require.NoError(aside{t}, err)
				add(aside{t}, s, first, 1)
				add(aside{t}, s, second, 1)
			}
		})
	}
	working.Go(func() {
		for range looks {
			p := s.Snapshot()
			for range 2 { // it keeps still, too
				require.Equal(aside{t}, totalAt(aside{t}, p, "left"), totalAt(aside{t}, p, "right"))
				var all int64
				for w := range writers {
					one, two := totalAt(aside{t}, p, fmt.Sprint("first ", w)), totalAt(aside{t}, p, fmt.Sprint("second ", w))
					require.True(aside{t}, one == two || one == two+1, "%d, %d", one, two)
					all += one
				}
				left := totalAt(aside{t}, p, "left")
				require.True(aside{t}, left >= all && left <= all+writers, "%d batches, %d after them", left, all)
			}
			p.Close()
		}
	})
	working.Wait()
	require.EqualValues(t, writers*writes, total(t, s, "left"))
	require.Zero(t, s.Stats().Snapshots)
}

func totalAt(t tester, p *store.Snapshot, key string) (n int64) {
	t.Helper()
	_, err := store.ViewAt(p, key, func(c *crdt.PNCounter) { n = c.Value() })
	require.NoError(t, err)
	return n
}

// What began before a snapshot was taken and ends after it belongs to it: who reads waits until that is done.
func TestSnapshotWaitsForWhatHasBegun(t *testing.T) {
	s := named("s")
	begun, snapped := make(chan struct{}), make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		_, err := store.Update(s, "n", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
			close(begun)
			<-snapped
			return c.Add(by.Replica, 1)
		})
		require.NoError(aside{t}, err)
	})
	<-begun
	p := s.Snapshot()
	close(snapped)
	require.EqualValues(t, 1, totalAt(t, p, "n"))
	working.Wait()
	add(t, s, "n", 1)
	require.EqualValues(t, 1, totalAt(t, p, "n"))
	p.Close()
}

// A sly value has something done while it is encoded.
type sly struct{ max crdt.MaxRegister[uint64] }

var whileEncoded = func() {}

func (s *sly) Clone() *sly                    { return &sly{*s.max.Clone()} }
func (s *sly) Merge(o *sly) bool              { return s.max.Merge(&o.max) }
func (s *sly) UnmarshalBinary(b []byte) error { return s.max.UnmarshalBinary(b) }
func (s *sly) AppendBinary(b []byte) ([]byte, error) {
	whileEncoded()
	return s.max.AppendBinary(b)
}

// A batch looks once whether there are snapshots: one that is taken while it prepares has all of it.
func TestSnapshotsHaveAllOfABatchOrNothing(t *testing.T) {
	kinds, err := crdt.Standard().With(crdt.NewKind[sly](102, "sly"))
	require.NoError(t, err)
	s := store.New(store.Config{Kinds: kinds})
	_, err = store.Update(s, "a", func(v *sly, _ store.Writer) *sly { return &sly{*v.max.Set(1)} })
	require.NoError(t, err)
	add(t, s, "b", 1)

	defer s.Snapshot().Close() // so that it encodes "a" before it looks at "b"
	var p *store.Snapshot
	whileEncoded = func() {
		if p == nil {
			p = s.Snapshot()
		}
	}
	defer func() { whileEncoded = func() {} }()
	var b store.Batch
	store.Put(&b, "a", func(v *sly, _ store.Writer) *sly { return &sly{*v.max.Set(2)} })
	counting(&b, "b", 1)
	_, err = s.Apply(&b)
	require.NoError(t, err)
	defer p.Close()
	var n uint64
	_, err = store.ViewAt(p, "a", func(v *sly) { n, _ = v.max.Value() })
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.EqualValues(t, 2, totalAt(t, p, "b"))
}

func TestViewAtFindsWhatViewFound(t *testing.T) {
	s := named("s")
	insert(t, s, "set", "x")
	insert(t, s, "gone", "x")
	remove(t, s, "gone")
	p := s.Snapshot()
	erase(t, s, "set", "x")
	add(t, s, "new", 1)

	var set []string
	found, err := store.ViewAt(p, "set", func(v *crdt.ORSet[string]) { set = slices.Collect(v.All()) })
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, []string{"x"}, set)
	for _, key := range []string{"gone", "new", "none"} {
		found, err := store.ViewAt(p, key, func(*crdt.ORSet[string]) { t.Error("nothing to show") })
		require.NoError(t, err)
		require.False(t, found)
	}
	found, err = store.ViewAt(p, "set", func(*crdt.GCounter) { t.Error("not of this type") })
	require.NoError(t, err)
	require.False(t, found)
	for _, key := range []string{"set", "none"} {
		_, err = store.ViewAt(p, key, func(*probe) {})
		var unknown *crdt.UnknownKindError
		require.ErrorAs(t, err, &unknown)
	}
	p.Close()
}

func TestClosedSnapshotsKeepNothing(t *testing.T) {
	m := newHost("s")
	s := m.open(t)
	insert(t, s, "k", "x")
	p, q := s.Snapshot(), s.Snapshot()
	insert(t, s, "k", "y")
	require.Equal(t, 2, s.Stats().Snapshots)
	require.Positive(t, s.Stats().SnapshotBytes)
	p.Close()
	p.Close()
	_, err := p.Load(t.Context(), "k")
	require.ErrorIs(t, err, store.ErrClosed)
	require.Empty(t, slices.Collect(p.Keys("")))
	insert(t, s, "l", "x")

	require.NoError(t, s.Close())
	_, err = q.Load(t.Context(), "k")
	require.ErrorIs(t, err, store.ErrClosed, "of a store that is closed")
	_, err = store.ViewAt(q, "k", func(*crdt.ORSet[string]) {})
	require.ErrorIs(t, err, store.ErrClosed)
	q.Close()
	require.Zero(t, s.Stats().SnapshotBytes)
}

// What is damaged on disk is read as the store itself reads it, and reported.
func TestSnapshotsOfWhatIsDamaged(t *testing.T) {
	m := newHost("s")
	s := m.open(t)
	insert(t, s, "k", "x")
	insert(t, s, "l", "x")
	require.NoError(t, s.Close())
	s = m.open(t)
	m.disk.Damage([]byte("v\x00\x00\x00\x00k"))
	p := s.Snapshot()
	defer p.Close()
	state, err := p.Load(t.Context(), "k")
	require.NoError(t, err)
	require.Empty(t, state)
	require.Equal(t, []string{"k"}, m.damages())
	m.disk.Crash(0)
	_, err = p.Load(t.Context(), "l")
	require.Error(t, err)
}

// While nobody takes a snapshot a write pays nothing for them.
func BenchmarkUpdateWithSnapshots(b *testing.B) {
	for _, open := range []int{0, 1} {
		b.Run(fmt.Sprint(open), func(b *testing.B) {
			s := store.New(store.Config{Now: func() time.Time { return time.Unix(1, 0) }})
			for range open {
				defer s.Snapshot().Close()
			}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = store.Update(s, "n", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
					return c.Add(by.Replica, 1)
				})
			}
		})
	}
}
