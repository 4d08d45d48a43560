package store_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A departed member's entries are handed over, on every replica alike, while the others go on writing; states from
// before are handed over when they arrive. (four separate Riak bugs come of pruning clocks instead)
func TestTrap16_EntriesOfTheDepartedPassToAnHeir(t *testing.T) {
	all := cluster(t, 1<<20, "a", "b")
	a, b := all[0], all[1]
	var gone []vclock.ReplicaID
	var late [][]byte
	for i := range 5 { // one node that was restarted so often
		s := store.New(store.Config{Replica: vclock.Named(fmt.Sprint("life", i))})
		gone = append(gone, s.Replica())
		late = append(late, add(t, s, "likes", 10), insert(t, s, "tags", fmt.Sprint(i)))
		spread(t, "likes", s, a, b)
		spread(t, "tags", s, a, b)
	}
	old := load(t, a, "likes")
	before := len(old)
	a.Retire(gone...)
	a.Retire(a.Replica(), vclock.ReplicaID{}) // oneself has not departed, and nobody is nobody
	add(t, b, "likes", 1)                     // the cut does not have it
	collect(t, a, b)
	add(t, a, "likes", 1)
	for i, delta := range late {
		merge(t, b, []string{"likes", "tags"}[i%2], delta)
	}
	merge(t, b, "likes", old)
	spread(t, "likes", b, a)
	spread(t, "likes", a, b)
	for _, s := range all {
		require.Equal(t, int64(52), total(t, s, "likes"))
		require.Len(t, members(t, s, "tags"), 5)
		for _, key := range []string{"likes", "tags"} {
			v, err := s.Decode(load(t, s, key))
			require.NoError(t, err)
			for _, seen := range v.Contexts().All() {
				for _, id := range gone {
					require.Zero(t, seen.Max(id), "%v is still in %s", id, key)
				}
			}
		}
	}
	require.Equal(t, a.Index().Root(), b.Index().Root())
	v, err := a.Decode(load(t, a, "likes"))
	require.NoError(t, err)
	require.Less(t, len(encoded(t, v)), before)

	require.Nil(t, a.Propose(1<<20, 0), "nothing is left of them")
}

func encoded(t *testing.T, v *crdt.Value) []byte {
	b, err := v.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// Another departure later takes the heir of the one before with it.
func TestTrap16_HeirsDoNotPileUp(t *testing.T) {
	a := cluster(t, 1<<20, "a")[0]
	for i := range 4 {
		s := store.New(store.Config{Replica: vclock.Named(fmt.Sprint("life", i))})
		_, err := s.Adopt(t.Context(), a.Generation())
		require.NoError(t, err)
		add(t, s, "likes", 10)
		spread(t, "likes", s, a)
		a.Retire(s.Replica())
		collect(t, a)
		require.Nil(t, a.Propose(1<<20, 0))
	}
	require.Equal(t, int64(40), total(t, a, "likes"))
	v, err := a.Decode(load(t, a, "likes"))
	require.NoError(t, err)
	for _, seen := range v.Contexts().All() {
		replicas := map[vclock.ReplicaID]bool{}
		for span := range seen.All() {
			replicas[span.Replica] = true
		}
		require.Len(t, replicas, 1)
	}
}

// Between the promise and the record nothing is taken that would contradict the cut.
func TestWhatContradictsAPromisedCutIsRefused(t *testing.T) {
	all := cluster(t, 1<<20, "a", "b", "gone")
	a, b, gone := all[0], all[1], all[2]
	add(t, gone, "likes", 10)
	spread(t, "likes", gone, a, b)
	a.Retire(gone.Replica())
	more := add(t, gone, "likes", 1) // it was not gone after all
	proposal := a.Propose(1<<20, 0)
	reply, err := b.Prepare(t.Context(), proposal)
	require.NoError(t, err)
	_, err = b.Merge(t.Context(), "likes", more)
	require.ErrorAs(t, err, new(*crdt.HandoverError))

	merge(t, a, "likes", more)
	own, err := a.Prepare(t.Context(), proposal)
	require.NoError(t, err)
	record, err := a.Conclude(t.Context(), proposal, [][]byte{reply, own})
	require.NoError(t, err)
	require.Nil(t, record, "the only key of it was refused")
	merge(t, b, "other", insert(t, a, "other", "x"))
	collect(t, a, b)
	require.Equal(t, int64(11), total(t, b, "likes"))
}

// What comes of a departure that one replica knew more about does not depend on it: the others hear of that.
func TestAPromiseEndsWithItsProposal(t *testing.T) {
	setUp := func() (a, b *store.Store, more, proposal []byte) {
		all := cluster(t, 1<<20, "a", "b", "gone")
		add(t, all[2], "likes", 10)
		spread(t, "likes", all[2], all[0], all[1])
		all[0].Retire(all[2].Replica())
		return all[0], all[1], add(t, all[2], "likes", 1), all[0].Propose(1<<20, 0)
	}
	prepare := func(s *store.Store, proposal []byte) []byte {
		reply, err := s.Prepare(t.Context(), proposal)
		require.NoError(t, err)
		return reply
	}

	a, b, more, proposal := setUp()
	merge(t, b, "likes", more)
	own := prepare(a, proposal)
	refusal := prepare(b, proposal)
	require.NotEqual(t, own, refusal)
	merge(t, b, "likes", add(t, a, "likes", 1)) // it is not in the cut, and need not be
	_, err := a.Merge(t.Context(), "likes", more)
	require.ErrorAs(t, err, new(*crdt.HandoverError))
	record, err := a.Conclude(t.Context(), proposal, [][]byte{own, refusal})
	require.NoError(t, err)
	require.Nil(t, record)
	merge(t, a, "likes", more)
	collect(t, a, b)
	require.Equal(t, int64(12), total(t, a, "likes"))
	require.Equal(t, int64(12), total(t, b, "likes"))

	a, b, more, proposal = setUp()
	own = prepare(a, proposal)
	_, err = a.Merge(t.Context(), "likes", more)
	require.ErrorAs(t, err, new(*crdt.HandoverError))
	require.Empty(t, prepare(a, nil), "it is taken back")
	_, err = a.Conclude(t.Context(), proposal, [][]byte{own, prepare(b, proposal)})
	require.ErrorAs(t, err, new(*store.StaleError))
	merge(t, a, "likes", more)
}

// A member that is said to have departed knows better: it would number its events anew.
func TestTrap14_WhoWritesHasNotDeparted(t *testing.T) {
	all := cluster(t, 1<<20, "a", "b")
	a, b := all[0], all[1]
	add(t, b, "likes", 10)
	insert(t, b, "tags", "x")
	spread(t, "likes", b, a)
	spread(t, "tags", b, a)
	a.Retire(b.Replica())
	proposal := a.Propose(1<<20, 0)
	reply, err := b.Prepare(t.Context(), proposal)
	require.NoError(t, err)
	own, err := a.Prepare(t.Context(), proposal)
	require.NoError(t, err)
	record, err := a.Conclude(t.Context(), proposal, [][]byte{reply, own})
	require.NoError(t, err)
	require.Nil(t, record)

	_, err = a.Prepare(t.Context(), proposal)
	require.NoError(t, err)
	forced, err := a.Conclude(t.Context(), proposal, [][]byte{own})
	require.NoError(t, err)
	err = b.Settle(t.Context(), forced)
	require.ErrorAs(t, err, new(*crdt.HandoverError))
	merge(t, a, "other", insert(t, a, "other", "y"))
	require.NotEqual(t, a.Generation(), b.Generation())
}

// A witness is a type that tells when it is handed over.
type witness struct {
	crdt.GSet[string]
}

var handedOver func() (changed bool)

// witnesses are the usual kinds and that one.
func witnesses(t *testing.T) *crdt.Kinds {
	kinds, err := crdt.Standard().With(crdt.NewKind[witness](100, "witness"))
	require.NoError(t, err)
	return kinds
}

func testify(w *witness, _ store.Writer) *witness {
	w.Add("x")
	return w.Clone()
}

func (w *witness) Merge(o *witness) bool { return w.GSet.Merge(&o.GSet) }
func (w *witness) Clone() *witness       { return &witness{GSet: *w.GSet.Clone()} }
func (w *witness) Handover(*witness, vclock.ReplicaID, ...vclock.ReplicaID) (bool, error) {
	return handedOver == nil || handedOver(), nil
}

// While a record is looked at that a store has not promised, nothing is taken that would contradict it: the key would have to
// be dropped for it, with what is nowhere else.
func TestWhatContradictsARecordIsRefusedFromWhenItIsLookedAt(t *testing.T) {
	all := clusterOf(t, store.Config{Kinds: witnesses(t)}, "a", "b", "gone")
	a, b, gone := all[0], all[1], all[2]
	add(t, gone, "likes", 10)
	spread(t, "likes", gone, a, b)
	change(t, a, "witness", testify)
	spread(t, "witness", a, b)
	add(t, b, "likes", 5) // nobody else has it
	more := add(t, gone, "likes", 1)
	a.Retire(gone.Replica())
	record := collect(t, a)

	var refusal error
	handedOver = func() (changed bool) { _, refusal = b.Merge(t.Context(), "likes", more); return true }
	err := b.Settle(t.Context(), record)
	handedOver = nil
	require.NoError(t, err)
	require.Equal(t, int64(15), total(t, b, "likes"))
	require.ErrorAs(t, refusal, new(*crdt.HandoverError))
}
