package store_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// cluster returns stores that have met.
func cluster(t *testing.T, retain int, names ...string) (all []*store.Store) {
	return clusterOf(t, store.Config{Retain: retain}, names...)
}

// clusterOf is cluster, of stores that are alike in other respects.
func clusterOf(t *testing.T, cfg store.Config, names ...string) (all []*store.Store) {
	for _, name := range names {
		cfg.Replica = vclock.Named(name)
		s := store.New(cfg)
		_, err := s.Adopt(t.Context(), "")
		require.NoError(t, err)
		all = append(all, s)
	}
	return all
}

// spread merges what the first store has of a key into the others.
func spread(t *testing.T, key string, from *store.Store, to ...*store.Store) {
	for _, s := range to {
		merge(t, s, key, load(t, from, key))
	}
}

// collect collects what the stores have deleted; the first one proposes.
func collect(t *testing.T, stores ...*store.Store) (record []byte) {
	proposal := stores[0].Propose(1<<20, 0)
	require.NotNil(t, proposal)
	record = agree(t, proposal, stores...)
	require.NotNil(t, record)
	return record
}

// agree has stores agree on what the first one proposes. The record is nil if nothing is left of it.
func agree(t *testing.T, proposal []byte, stores ...*store.Store) (record []byte) {
	var replies [][]byte
	for _, s := range stores {
		reply, err := s.Prepare(t.Context(), proposal)
		require.NoError(t, err)
		replies = append(replies, reply)
	}
	record, err := stores[0].Conclude(t.Context(), proposal, replies)
	require.NoError(t, err)
	for _, s := range stores[1:] {
		if record == nil {
			break
		}
		require.NoError(t, s.Settle(t.Context(), record))
	}
	return record
}

func TestWhatIsCollectedCostsNothing(t *testing.T) {
	all := cluster(t, 0, "a", "b")
	a, b := all[0], all[1]
	insert(t, a, "x", "1", "2")
	assign(t, a, "y", "kept")
	spread(t, "x", a, b)
	spread(t, "y", a, b)
	remove(t, a, "x")
	require.Equal(t, 2, a.Index().Len())
	before := a.Generation()

	collect(t, a, b)
	for _, s := range all {
		require.Equal(t, 1, s.Index().Len())
		require.Nil(t, load(t, s, "x"))
		require.Greater(t, s.Generation(), before)
	}
	require.Equal(t, a.Generation(), b.Generation())
	require.Nil(t, a.Propose(1<<20, 0))
}

// A deletion is on two owners and a fallback; it is collected; the key is made again; the fallback hands off what it
// had kept: the new key survives. (riak_kv #1094)
func TestTrap15_Doomstone(t *testing.T) {
	all := cluster(t, 0, "a", "b", "fallback")
	a, b, fallback := all[0], all[1], all[2]
	insert(t, a, "k", "old")
	spread(t, "k", a, b, fallback)
	tombstone := remove(t, a, "k")
	for _, s := range all[1:] {
		merge(t, s, "k", tombstone)
	}
	hint := load(t, fallback, "k")

	collect(t, a, b, fallback)
	writer := a.Replica()
	insert(t, a, "k", "new")
	spread(t, "k", a, b)
	for _, s := range all {
		merge(t, s, "k", hint)
		merge(t, s, "k", tombstone)
	}
	spread(t, "k", a, fallback)
	for _, s := range all {
		require.Equal(t, []string{"new"}, members(t, s, "k"))
	}
	require.NotEqual(t, vclock.Named("a"), writer)
}

// A replica that was away while the others went on beyond what they keep of records is no source: not for what it
// holds, nor for what it sent before. It is emptied, and what it held is handed to its program.
func TestTrap26_TooLongAwayIsNoSource(t *testing.T) {
	all := cluster(t, 1, "a", "b", "away")
	a, b, away := all[0], all[1], all[2]
	insert(t, a, "k", "doomed")
	spread(t, "k", a, b, away)
	remove(t, a, "k")
	spread(t, "k", a, b)
	late := load(t, away, "k")
	insert(t, away, "own", "written offline")
	collect(t, a, b)
	merge(t, a, "k", late) // one record is kept, so this is known to be nothing new
	require.Nil(t, load(t, a, "k"))

	insert(t, a, "other", "x")
	remove(t, a, "other")
	collect(t, a, b)
	_, err := a.Merge(t.Context(), "k", late)
	var stale *store.StaleError
	require.ErrorAs(t, err, &stale)
	require.Equal(t, a.Generation(), stale.Have)
	require.Equal(t, away.Generation(), stale.Got)
	_, err = a.Join(late, nil)
	require.ErrorAs(t, err, new(*store.StaleError))
	_, known := a.Since(away.Generation(), 1<<20)
	require.False(t, known)

	aside, err := away.Adopt(t.Context(), a.Generation())
	require.NoError(t, err)
	kept := maps.Collect(aside)
	require.Len(t, kept, 2)
	v, err := crdt.Standard().Decode(kept["own"])
	require.NoError(t, err)
	require.False(t, v.Empty())
	require.Zero(t, away.Len())
	require.Zero(t, away.Index().Len())
	require.Equal(t, a.Generation(), away.Generation())
	insert(t, away, "own", "again")
	spread(t, "own", away, a)
}

// A replica that was away for no longer than that loses nothing that it wrote, and brings nothing back.
func TestTrap26_AwayForAWhileComesBackWithItsWrites(t *testing.T) {
	all := cluster(t, 1<<20, "a", "b", "phone")
	a, b, phone := all[0], all[1], all[2]
	insert(t, a, "k", "doomed")
	spread(t, "k", a, b, phone)
	erase(t, a, "k", "doomed")
	spread(t, "k", a, b)
	collect(t, a, b)
	insert(t, phone, "k", "written offline")

	records, ok := a.Since(phone.Generation(), 0)
	require.True(t, ok)
	require.Len(t, records, 1)
	require.NoError(t, phone.Settle(t.Context(), records[0]))
	require.NoError(t, phone.Settle(t.Context(), records[0]), "settled once")
	spread(t, "k", phone, a, b)
	for _, s := range all {
		require.Equal(t, []string{"written offline"}, members(t, s, "k"))
	}
	require.Equal(t, a.Index().Root(), phone.Index().Root())
}

// Deltas that were written before and after a store was emptied are not sent as one: what
// peers refuse of the first they would take with the second.
func TestTrap26_DeltasOfTwoLivesAreNotJoined(t *testing.T) {
	all := cluster(t, 0, "other", "peer", "strayed")
	other, peer, strayed := all[0], all[1], all[2]
	for range 2 { // it has gone another way, further than the others
		insert(t, strayed, "k", "x")
		remove(t, strayed, "k")
		collect(t, strayed)
	}
	insert(t, other, "k", "y")
	remove(t, other, "k")
	require.NoError(t, peer.Settle(t.Context(), collect(t, other)))
	updates := strayed.Updates(t.Context())
	insert(t, strayed, "k", "of the former life")
	_, err := strayed.Adopt(t.Context(), other.Generation())
	require.NoError(t, err)
	insert(t, strayed, "k", "new")
	for key, delta := range updates {
		if delta == nil {
			delta = load(t, strayed, key)
		}
		merge(t, peer, key, delta)
		break
	}
	require.Equal(t, []string{"new"}, members(t, peer, "k"))
}

func TestNewStoresKeepWhatTheyHaveWhenTheyMeet(t *testing.T) {
	all := cluster(t, 1, "a")
	a := all[0]
	for range 3 {
		insert(t, a, "k", "x")
		remove(t, a, "k")
		collect(t, a)
	}
	fresh := store.New(store.Config{Replica: vclock.Named("fresh")})
	insert(t, fresh, "own", "written before")
	require.Empty(t, fresh.Generation())
	_, err := a.Merge(t.Context(), "own", load(t, fresh, "own"))
	require.ErrorAs(t, err, new(*store.StaleError))

	aside, err := fresh.Adopt(t.Context(), a.Generation())
	require.NoError(t, err)
	require.Empty(t, maps.Collect(aside))
	spread(t, "own", fresh, a)
	require.Equal(t, a.Index().Root(), fresh.Index().Root())
}

func TestWhatMustBeRememberedIsNotCollected(t *testing.T) {
	all := cluster(t, 0, "a")
	a := all[0]
	_, err := store.Update(a, "orders", func(s *crdt.TwoPhaseSet[string], _ store.Writer) *crdt.TwoPhaseSet[string] {
		return s.Remove("done")
	})
	require.NoError(t, err)
	require.Nil(t, a.Propose(1<<20, 0))
}

func TestProposalsWaitAndAreBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a := store.New(store.Config{Replica: vclock.Named("a"), Now: func() time.Time { return now }})
	_, err := a.Adopt(t.Context(), "")
	require.NoError(t, err)
	for i := range 100 {
		key := string(rune('a'+i/10)) + string(rune('a'+i%10))
		insert(t, a, key, "x")
		remove(t, a, key)
	}
	require.Nil(t, a.Propose(1<<20, time.Minute))
	now = now.Add(time.Minute)
	whole := a.Propose(1<<20, time.Minute)
	require.NotNil(t, whole)
	part := a.Propose(len(whole)/2, time.Minute)
	require.NotNil(t, part)
	require.LessOrEqual(t, len(part), len(whole)/2)
	insert(t, a, "aa", "y")
	remove(t, a, "aa")
	require.Less(t, len(a.Propose(1<<20, time.Minute)), len(whole))
}

// What has no room in any proposal stays, and nothing else for its sake.
func TestAResidueTooLargeHoldsUpNoOther(t *testing.T) {
	a := cluster(t, 0, "a")[0]
	large := strings.Repeat("a", 400)
	for _, key := range []string{large, "b", large + "b", "c"} {
		insert(t, a, key, "x")
		remove(t, a, key)
	}
	for range 4 {
		proposal := a.Propose(200, 0)
		if proposal == nil {
			break
		}
		require.LessOrEqual(t, len(proposal), 200)
		reply, err := a.Prepare(t.Context(), proposal)
		require.NoError(t, err)
		_, err = a.Conclude(t.Context(), proposal, [][]byte{reply})
		require.NoError(t, err)
	}
	require.Equal(t, 2, a.Index().Len())
	require.NotNil(t, load(t, a, large))
}

func TestOnlyOneOfTwoProposalsIsConcluded(t *testing.T) {
	all := cluster(t, 0, "a", "b")
	a, b := all[0], all[1]
	insert(t, a, "k", "x")
	remove(t, a, "k")
	spread(t, "k", a, b)
	first, second := a.Propose(1<<20, 0), b.Propose(1<<20, 0)
	require.NotEqual(t, first, second)
	var replies [2][][]byte
	for _, s := range all {
		for i, p := range [][]byte{first, second} {
			reply, err := s.Prepare(t.Context(), p)
			require.NoError(t, err)
			replies[i] = append(replies[i], reply)
		}
	}
	_, err := a.Conclude(t.Context(), first, replies[0])
	require.ErrorAs(t, err, new(*store.StaleError))
	record, err := b.Conclude(t.Context(), second, replies[1])
	require.NoError(t, err)
	require.NoError(t, a.Settle(t.Context(), record))
	require.Equal(t, a.Generation(), b.Generation())
}

// A replica that is one record behind takes states from those who are not, if it has promised that record.
func TestStatesOfThePromisedGenerationAreTaken(t *testing.T) {
	all := cluster(t, 0, "a", "b")
	a, b := all[0], all[1]
	insert(t, a, "k", "x")
	remove(t, a, "k")
	spread(t, "k", a, b)
	proposal := a.Propose(1<<20, 0)
	var replies [][]byte
	for _, s := range all {
		reply, err := s.Prepare(t.Context(), proposal)
		require.NoError(t, err)
		replies = append(replies, reply)
	}
	record, err := a.Conclude(t.Context(), proposal, replies)
	require.NoError(t, err)

	merge(t, b, "k", insert(t, a, "k", "again"))
	joined, err := b.Join(load(t, a, "k"), load(t, b, "k"))
	require.NoError(t, err)
	merge(t, a, "k", joined)
	require.NoError(t, b.Settle(t.Context(), record))
	spread(t, "k", b, a)
	require.Equal(t, a.Index().Root(), b.Index().Root())
	require.Equal(t, 1, a.Len())
}

// A record that would have something forgotten that shows is refused, as is one that is not the next.
func TestForgedRecords(t *testing.T) {
	all := cluster(t, 0, "a", "b")
	a, b := all[0], all[1]
	insert(t, a, "k", "x")
	remove(t, a, "k")
	record := collect(t, a)
	require.NoError(t, b.Settle(t.Context(), record))

	for i := range record {
		for _, bit := range []byte{1, 0x80} {
			forged := slices.Clone(record)
			forged[i] ^= bit
			c := cluster(t, 0, "c")[0]
			insert(t, c, "k", "mine")
			_ = c.Settle(t.Context(), forged)
			_, _ = c.Prepare(t.Context(), forged)
			require.Equal(t, 1, c.Len(), "what is there is not forgotten")
			require.Error(t, c.Settle(t.Context(), record[:i]))
		}
	}
	_, err := a.Adopt(t.Context(), "nonsense")
	require.Error(t, err)
	require.ErrorAs(t, a.Settle(t.Context(), nil), new(*crdt.CorruptError))
	_, err = a.Prepare(t.Context(), record)
	require.ErrorAs(t, err, new(*store.StaleError))
}

// Those who follow a store hear of a key that goes with a record.
func TestWatchersHearOfKeysThatARecordTakes(t *testing.T) {
	all := cluster(t, 0, "a", "guest")
	a, guest := all[0], all[1]
	insert(t, a, "k", "x")
	spread(t, "k", a, guest)
	remove(t, a, "k")
	record := collect(t, a)

	watch := guest.Watch(t.Context(), "")
	require.NoError(t, guest.Settle(t.Context(), record))
	for key := range watch {
		require.Equal(t, "k", key)
		break
	}
	require.Zero(t, guest.Len())
	require.Zero(t, guest.Index().Len())
}

// Collections go on while everything is written, merged and read.
func TestCollectingWhileWriting(t *testing.T) {
	all := cluster(t, 1<<20, "a", "b", "c")
	keys := []string{"k", "l", "m", "n"}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i, s := range all {
		wg.Go(func() {
			at := aside{t}
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				key := keys[n%len(keys)]
				delta := insert(at, s, key, "x")
				other := all[(i+1+n%2)%len(all)]
				_, _ = other.Merge(t.Context(), key, delta)
				if n%3 == 0 {
					_, _ = s.Delete(key)
				}
				_, _ = other.Merge(t.Context(), key, load(at, s, key))
				s.Index()
			}
		})
	}
	for range 200 {
		proposal := all[0].Propose(1<<20, 0)
		if proposal == nil {
			continue
		}
		var replies [][]byte
		for _, s := range all {
			reply, err := s.Prepare(t.Context(), proposal)
			require.NoError(t, err)
			replies = append(replies, reply)
		}
		record, err := all[0].Conclude(t.Context(), proposal, replies)
		require.NoError(t, err)
		for _, s := range all[1:] {
			require.NoError(t, s.Settle(t.Context(), record))
		}
	}
	close(stop)
	wg.Wait()
	for range 2 {
		for i, s := range all {
			for _, key := range keys {
				merge(t, all[(i+1)%len(all)], key, load(t, s, key))
			}
		}
	}
	for _, s := range all {
		require.Equal(t, all[0].Index().Root(), s.Index().Root())
		for _, key := range keys {
			require.Equal(t, load(t, all[0], key), load(t, s, key))
		}
	}
}

// Records are as long as messages when much is deleted at once. Who misses some of those has
// not been away for long.
func TestAFewLargeRecordsAreRemembered(t *testing.T) {
	all := cluster(t, 0, "a", "guest")
	a, guest := all[0], all[1]
	for i := range 5 {
		for j := range 6 {
			key := strings.Repeat(string(rune('a'+i)), 100<<10) + string(rune('a'+j))
			insert(t, a, key, "x")
			remove(t, a, key)
		}
		require.Greater(t, len(collect(t, a)), 500<<10)
	}
	records, ok := a.Since(guest.Generation(), 1<<30)
	require.True(t, ok)
	require.Len(t, records, 5)
}
