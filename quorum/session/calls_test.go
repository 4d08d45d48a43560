package session

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// answering is a Quorum of which reads and writes are held by some nodes, and at a majority by three.
func answering(nodes ...nodeID) *asked {
	by := func(l quorum.Level) *quorum.Holders {
		h := quorum.Holders{Nodes: nodes}
		if l == quorum.Majority {
			h = quorum.Holders{Nodes: []nodeID{"x", "y", "z"}, Majority: true}
		}
		return &h
	}
	return &asked{
		read: func(o quorum.ReadOptions) (quorum.ReadResult, error) {
			return quorum.ReadResult{State: []byte{1}, Found: true, Holders: by(o.Level)}, nil
		},
		write: func(o quorum.WriteOptions) (quorum.WriteResult, error) {
			return quorum.WriteResult{Holders: by(o.Level)}, nil
		},
	}
}

var one = quorum.ReadOptions{Level: quorum.One}

func writes(l quorum.Level) quorum.WriteOptions { return quorum.WriteOptions{Level: l} }

func TestReadComesAfterWhatWasWritten(t *testing.T) {
	q := answering("b", "a", "a")
	s := &Session{Quorum: q}
	_, err := s.Read(t.Context(), "k", one)
	require.NoError(t, err)
	require.Empty(t, q.reads[0].After, "nothing was seen")
	for key, n := range map[string]int{"k": 1, "other": 0} {
		_, err = s.Read(t.Context(), key, quorum.ReadOptions{After: []quorum.Holders{{Majority: true}}})
		require.NoError(t, err)
		after := q.reads[len(q.reads)-1].After
		require.Len(t, after, 1+n)
		require.True(t, after[0].Majority, "what the caller asks for stays")
		if n > 0 {
			require.Equal(t, quorum.Holders{Nodes: []nodeID{"a", "b"}}, after[1])
		}
	}
}

// Writes bring what they follow to a majority: of all keys, once, and only what the guarantees
// speak of.
func TestWriteBringsWhatItFollowsToAMajority(t *testing.T) {
	for _, c := range []struct {
		g    Guarantees
		keys []string
	}{
		{Everything, []string{"r", "w", "new"}},
		{WritesFollowReads, []string{"r", "new"}},
		{MonotonicWrites, []string{"w", "new"}},
		{ReadYourWrites | MonotonicReads, []string{"new"}},
	} {
		q := answering("a")
		s := &Session{Quorum: q, Guarantees: c.g, AtOnce: 1}
		noted(&s.token, "r", read, held(0, false, "a"))
		noted(&s.token, "w", wrote, held(0, false, "a"))
		noted(&s.token, "most", wrote|read, held(0, true, "a", "b"))
		_, err := s.Write(t.Context(), "new", nil, writes(quorum.Majority))
		require.NoError(t, err)
		require.Equal(t, c.keys, q.keys)
		q.keys = nil
		_, err = s.Write(t.Context(), "new", nil, writes(quorum.Majority))
		require.NoError(t, err)
		require.Equal(t, []string{"new"}, q.keys, "there is nothing left to bring")
	}
}

func TestWriteIsNotSentBeforeWhatItFollows(t *testing.T) {
	q := answering("a")
	s := &Session{Quorum: q}
	_, err := s.Write(t.Context(), "k", nil, writes(quorum.One))
	require.NoError(t, err)
	q.read = func(quorum.ReadOptions) (quorum.ReadResult, error) {
		return quorum.ReadResult{}, &quorum.TimeoutError{}
	}
	q.writes = nil
	_, err = s.Write(t.Context(), "l", nil, writes(quorum.One))
	var late *quorum.TimeoutError
	require.ErrorAs(t, err, &late)
	require.Empty(t, q.writes)
}

// What is in hints alone, or is held by nobody as a whole, is written to an owner.
func TestSomeOwnerHoldsWhatWasSeen(t *testing.T) {
	q := answering("a")
	write := q.write
	q.write = func(o quorum.WriteOptions) (quorum.WriteResult, error) {
		if o.Level == quorum.Any {
			return quorum.WriteResult{Hinted: 1, Holders: new(quorum.Holders)}, nil
		}
		return write(o)
	}
	s := &Session{Quorum: q}
	res, err := s.Write(t.Context(), "k", nil, writes(quorum.Any))
	require.NoError(t, err)
	require.Equal(t, 1, res.Hinted)
	require.Equal(t, []quorum.Level{quorum.Any, quorum.One}, []quorum.Level{q.writes[0].Level, q.writes[1].Level})
	require.Equal(t, []nodeID{"a"}, s.token.keys[0].seen[0].held.Nodes)

	q.read = func(quorum.ReadOptions) (quorum.ReadResult, error) {
		return quorum.ReadResult{State: []byte{1}, Found: true, Holders: new(quorum.Holders)}, nil
	}
	q.writes = nil
	_, err = s.Read(t.Context(), "k", one)
	require.NoError(t, err)
	require.Equal(t, quorum.One, q.writes[0].Level)
	q.write = func(quorum.WriteOptions) (quorum.WriteResult, error) {
		return quorum.WriteResult{}, &quorum.UnavailableError{}
	}
	_, err = s.Read(t.Context(), "k", one)
	var gone *quorum.UnavailableError
	require.ErrorAs(t, err, &gone, "it would not be known by whom to read it again")
}

// Without a Quorum all calls fail, and none panics.
func TestWithoutAQuorum(t *testing.T) {
	s, v := new(Session), new(VersionBound)
	noted(&s.token, "k", wrote|read, held(0, false, "a"))
	_, read := s.Read(t.Context(), "k", one)
	_, written := s.Write(t.Context(), "k", nil, writes(quorum.One))
	_, waited := s.Wait(t.Context(), "k", quorum.All)
	_, bound := new(Bound).Read(t.Context(), "k")
	_, passed := v.Read(t.Context(), "k", one)
	_, bounded := v.Write(t.Context(), "k", nil, writes(quorum.One))
	for _, err := range []error{read, written, waited, bound, passed, bounded} {
		require.ErrorIs(t, err, errNoQuorum)
	}
}

// Who stands in for an owner holds nothing for a session, whatever the bucket of a key says: what is brought to owners is
// brought to them.
func TestNobodyStandsInForHolders(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		net, all, _ := group()
		c := all["a"]
		c.Ring, c.Hints = standing{}, keepsAll{}
		c.Buckets = []quorum.Bucket{{Read: quorum.ReadOptions{Fallbacks: quorum.FallbacksCount}, Write: quorum.WriteOptions{Fallbacks: quorum.FallbacksCount}}}
		net.set(net.gone, true, "b", "c")
		all["d"].Hints, all["e"].Hints = keepsAll{}, keepsAll{}
		res, err := c.Write(t.Context(), "k", []byte{1}, quorum.WriteOptions{Level: quorum.Majority, Holders: true})
		require.NoError(t, err, "for who does not ask for holders")
		require.Equal(t, []nodeID{"a"}, res.Holders.Nodes)

		_, err = hold(t.Context(), c, "k", []byte{1}, quorum.Majority)
		_, refused := errors.AsType[*quorum.UnavailableError](err)
		require.True(t, refused, "%v", err)
		_, _, err = bring(t.Context(), c, "k", quorum.Majority, nil)
		_, refused = errors.AsType[*quorum.UnavailableError](err)
		require.True(t, refused, "%v", err)
	})
}

// standing is a ring of three owners, and two who stand in for them.
type standing struct{}

func (standing) Place(string) quorum.Placement {
	return quorum.Placement{Owners: []nodeID{"a", "b", "c"}, Fallbacks: []nodeID{"d", "e"}}
}

// keepsAll is hints that are kept and forgotten.
type keepsAll struct{ quorum.Hints }

func (keepsAll) Keep(context.Context, nodeID, string, []byte) error     { return nil }
func (keepsAll) Held(context.Context, string) (state []byte, err error) { return nil, nil }

// What was seen and is found no more, since it was removed and that is forgotten, is with majorities if these have nothing;
// who says nothing of it is not believed.
func TestWhatIsFoundNoMore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, all, _ := group()
		s := &Session{Quorum: all["a"]}
		noted(&s.token, "k", wrote|read, held(0, false, "b"))
		n, err := s.Wait(t.Context(), "k", quorum.Two)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.False(t, s.token.of(hashOf("k"))[0].held.Majority, "two of five are none")
		_, err = s.Write(t.Context(), "l", []byte{1}, writes(quorum.Majority))
		require.NoError(t, err)
		require.True(t, s.token.of(hashOf("k"))[0].held.Majority)
	})
	q := answering("a")
	for _, by := range []*quorum.Holders{{}, {Nodes: []nodeID{"a"}}} { // a majority was asked for
		s := &Session{Quorum: q}
		noted(&s.token, "k", wrote|read, held(0, false, "b"))
		q.read = func(quorum.ReadOptions) (quorum.ReadResult, error) { return quorum.ReadResult{Holders: by}, nil }
		_, err := s.Write(t.Context(), "l", nil, writes(quorum.Majority))
		require.ErrorIs(t, err, ErrUntold)
		_, err = s.Wait(t.Context(), "k", quorum.Two)
		require.ErrorIs(t, err, ErrUntold)
		var got Token
		require.NoError(t, got.UnmarshalBinary(bytesOf(t, s.Token())))
	}
}

// What is supposed of nodes, and what comes of it where it is not so: one that forgets is believed to have what it had. Reads at a
// majority make up for it if all owners had it.
func TestWhoForgetsIsBelieved(t *testing.T) {
	for level, found := range map[quorum.Level]bool{quorum.One: false, quorum.Majority: true} {
		inBubble(t, func(t *testing.T) {
			_, all, at := group()
			s := &Session{Quorum: all["a"]}
			_, err := s.Write(t.Context(), "k", []byte{1}, writes(quorum.All))
			require.NoError(t, err)
			at["a"].forget()
			res, err := s.Read(t.Context(), "k", quorum.ReadOptions{Level: level})
			require.NoError(t, err)
			require.Equal(t, found, res.Found)
		})
	}
}

func TestQuorumsThatSayNothing(t *testing.T) {
	q := &asked{
		read:  func(quorum.ReadOptions) (quorum.ReadResult, error) { return quorum.ReadResult{Found: true}, nil },
		write: func(quorum.WriteOptions) (quorum.WriteResult, error) { return quorum.WriteResult{}, nil },
	}
	s := &Session{Quorum: q}
	_, err := s.Read(t.Context(), "k", one)
	require.ErrorIs(t, err, ErrUntold)
	_, err = s.Write(t.Context(), "k", nil, writes(quorum.One))
	require.ErrorIs(t, err, ErrUntold)
}

// A token has no more keys than Max, whatever is used; and after that all other keys are read at a
// majority. Where no majority has what was seen, that is brought there first.
func TestSessionIsBounded(t *testing.T) {
	for _, level := range []quorum.Level{quorum.One, quorum.Majority} {
		q := answering("a")
		s := &Session{Quorum: q, Max: 4, AtOnce: 1}
		for i := range 20 {
			_, err := s.Write(t.Context(), fmt.Sprint(i), nil, writes(level))
			require.NoError(t, err)
			require.LessOrEqual(t, len(s.token.keys), 4)
			_, err = s.Read(t.Context(), fmt.Sprint(i/2), quorum.ReadOptions{Level: level})
			require.NoError(t, err)
			require.LessOrEqual(t, len(s.token.keys), 4)
		}
		for _, key := range []string{"0", "never used"} {
			_, err := s.Read(t.Context(), key, one)
			require.NoError(t, err)
			require.Equal(t, []quorum.Holders{{Majority: true}}, q.reads[len(q.reads)-1].After)
		}
	}
}

// What sessions without a majority have seen is joined to many pieces, and made one again.
func TestManyPiecesAreMadeOne(t *testing.T) {
	q := answering("a")
	s := &Session{Quorum: q, Max: 1}
	for i := range uint64(40) {
		var t Token
		noted(&t, "k", wrote|read, held(i, false, nodeID(fmt.Sprint(i))))
		noted(&t, fmt.Sprint(i), wrote|read, held(i, false, "a"))
		s.Resume(t)
	}
	require.Len(t, s.token.of(hashOf("k")), 40)
	_, err := s.Read(t.Context(), "k", one)
	require.NoError(t, err)
	require.Len(t, s.token.keys, 1)
	require.Len(t, s.token.of(hashOf("k")), 1)
	for _, o := range q.reads {
		require.LessOrEqual(t, len(o.After), maxPieces)
	}
}

// What majorities hold of the session's writes is still so when it has read, by one owner, what others
// wrote: only what it has read is to be brought to a majority, if anything is to follow that.
func TestWritesStayWithTheirMajority(t *testing.T) {
	q := answering("a")
	s := &Session{Quorum: q, Guarantees: ReadYourWrites | MonotonicReads | MonotonicWrites, AtOnce: 1}
	_, err := s.Write(t.Context(), "k", nil, writes(quorum.Majority))
	require.NoError(t, err)
	_, err = s.Read(t.Context(), "k", one)
	require.NoError(t, err)
	q.keys, q.reads = nil, nil
	_, err = s.Write(t.Context(), "l", nil, writes(quorum.Majority))
	require.NoError(t, err)
	require.Equal(t, []string{"l"}, q.keys)
	s.Guarantees = Everything
	_, err = s.Write(t.Context(), "m", nil, writes(quorum.Majority))
	require.NoError(t, err)
	require.Equal(t, []string{"l", "k", "m"}, q.keys)
}

// A read at a majority may be answered although it has not brought what it found to one.
func TestWhatIsStaleIsWrittenToAMajority(t *testing.T) {
	q := answering("a")
	s := &Session{Quorum: q}
	noted(&s.token, "k", wrote, held(0, false, "b"))
	q.read = func(quorum.ReadOptions) (quorum.ReadResult, error) {
		return quorum.ReadResult{State: []byte{1}, Found: true, Stale: true, Holders: &quorum.Holders{Nodes: []nodeID{"b"}}}, nil
	}
	_, err := s.Write(t.Context(), "l", nil, writes(quorum.One))
	require.NoError(t, err)
	require.Equal(t, []string{"k", "k", "l"}, q.keys)
	require.Equal(t, quorum.Majority, q.writes[0].Level)
	require.True(t, s.token.of(hashOf("k"))[0].held.Majority)
}

// A key that nobody can be asked for any more is given up, and only that.
func TestForget(t *testing.T) {
	s := &Session{Quorum: answering("a")}
	noted(&s.token, "k", wrote|read, held(0, false, "gone"))
	noted(&s.token, "l", wrote|read, held(0, true, "a", "b"))
	s.Forget("k")
	s.Forget("never used")
	require.Empty(t, s.seen("k", wrote|read))
	require.Len(t, s.seen("l", wrote|read), 1)
	s.token.rest = true
	require.Equal(t, []*piece{anything}, s.seen("k", wrote|read))
}
