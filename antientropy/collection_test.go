package antientropy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// a council is the members of one epoch; the first one proposes.
type council struct {
	stores map[transport.NodeID]*chain
	places map[transport.NodeID]*Membership
	epochs map[transport.NodeID]Epoch
	away   map[transport.NodeID]bool
	calls  []string
}

func newCouncil(at string, ids ...transport.NodeID) *council {
	c := &council{map[transport.NodeID]*chain{}, map[transport.NodeID]*Membership{}, map[transport.NodeID]Epoch{}, map[transport.NodeID]bool{}, nil}
	for _, id := range ids {
		c.stores[id] = &chain{name: string(id), at: at, most: 1}
		c.epochs[id] = Epoch{Number: 1, Members: ids}
		c.places[id] = &Membership{Self: id, Epoch: func() Epoch { return c.epochs[id] }}
	}
	return c
}

func (c *council) start(t *testing.T) *Collection {
	l, err := NewCollection(t.Context(), c.stores["a"], c.places["a"], CollectionConfig{})
	require.NoError(t, err)
	return l
}

// go on until it is over, or stop says so.
func (c *council) drive(t *testing.T, l *Collection, stop func() bool) error {
	for range 500 {
		peer, method, req, more := l.Next()
		if !more || stop != nil && stop() {
			return nil
		}
		again, _, req2, _ := l.Next()
		require.Equal(t, peer, again)
		require.Equal(t, req, req2)
		_, name, _ := strings.Cut(method, "/")
		c.calls = append(c.calls, name+" "+string(peer))
		var resp []byte
		err := error(transport.ErrUnreachable)
		if !c.away[peer] {
			s := &Responder{Store: c.stores[peer], Membership: c.places[peer]}
			resp, err = s.ServeCall(t.Context(), "a", method, slices.Clone(req))
			require.NoError(t, err)
		}
		if err == nil {
			err = l.Step(t.Context(), resp)
		} else {
			err = l.Failed(t.Context(), err)
		}
		if err != nil {
			return err
		}
	}
	t.Fatal("does not end")
	return nil
}

func (c *council) collect(t *testing.T) Collected {
	l := c.start(t)
	require.NoError(t, c.drive(t, l, nil))
	return l.Result()
}

func (c *council) at(t *testing.T, generation string, ids ...transport.NodeID) {
	t.Helper()
	for _, id := range ids {
		require.Equal(t, generation, c.stores[id].at, id)
	}
}

func TestACollectionAsksAllThenDecides(t *testing.T) {
	c := newCouncil(first, "a", "b", "c")
	x := c.collect(t)
	require.Equal(t, []string{"prepare b", "prepare c", "prepare b", "prepare c", "settle b", "settle c"}, c.calls)
	require.Equal(t, Collected{Epoch: 1, Generation: "/a1", Records: 1}, x)
	c.at(t, "/a1", "a", "b", "c")
	for _, m := range c.places {
		require.Equal(t, rank(2), m.at.rank)
	}
	c.calls = nil
	require.Empty(t, c.collect(t).HeldUp, "with nothing to propose they are asked all the same, so that it is known who is away")
	require.Equal(t, []string{"prepare b", "prepare c"}, c.calls)
}

func TestWhoProposes(t *testing.T) {
	config := CollectionConfig{}
	for name, start := range map[string]func() (*Collection, error){
		"no epoch": func() (*Collection, error) {
			return NewCollection(t.Context(), chainAt(first, 0), new(Membership), config)
		},
		"not the least": func() (*Collection, error) {
			return NewCollection(t.Context(), chainAt(first, 0), inEpoch("b", epochs("a b")[0]), config)
		},
		"no member": func() (*Collection, error) {
			return NewCollection(t.Context(), chainAt(first, 0), inEpoch("a", epochs("b c")[0]), config)
		},
		"has met nobody": func() (*Collection, error) {
			return NewCollection(t.Context(), chainAt("", 0), inEpoch("a", epochs("a b")[0]), config)
		},
		"a plain store": func() (*Collection, error) {
			return NewCollection(t.Context(), newSets(), inEpoch("a", epochs("a b")[0]), config)
		},
		"does not collect": func() (*Collection, error) {
			return NewCollection(t.Context(), struct {
				Store
				Follower
			}{newSets(), chainAt(first, 0)}, inEpoch("a", epochs("a b")[0]), config)
		},
	} {
		l, err := start()
		require.Nil(t, l, name)
		require.ErrorIs(t, err, ErrNotProposing, name)
	}
	c := newCouncil(first, "a")
	require.Equal(t, 1, c.collect(t).Records, "alone is enough")
	c.at(t, "/a1", "a")
}

// One that is away holds up everything, and all that do are named.
func TestTrap26_NothingIsForgottenWhileAMemberIsAway(t *testing.T) {
	c := newCouncil(first, "a", "b", "c", "d")
	c.away["b"], c.epochs["c"] = true, Epoch{Number: 7, Members: []transport.NodeID{"a", "c"}}
	x := c.collect(t)
	require.Zero(t, x.Records)
	require.Equal(t, []HeldUp{{"b", transport.ErrUnreachable}, {"c", &EpochError{Peer: "c", Own: 1, Theirs: 7}}}, x.HeldUp)
	require.Contains(t, x.HeldUp[1].Err.Error(), "c has epoch 7, not 1")
	require.Equal(t, []string{"prepare b", "prepare c", "prepare d"}, c.calls)
	c.at(t, first, "a", "b", "c", "d")
	for _, s := range c.stores {
		require.Empty(t, s.promised)
	}
	c.away["b"], c.epochs["c"] = false, c.epochs["a"]
	x = c.collect(t)
	require.Equal(t, []HeldUp{{"c", &EpochError{Peer: "c", Own: 1, Theirs: 7}}}, x.HeldUp, "no epoch becomes an earlier one")
	for id := range c.epochs {
		c.epochs[id] = Epoch{Number: 8, Members: []transport.NodeID{"a", "b", "d"}}
	}
	require.Empty(t, c.collect(t).HeldUp)
	c.at(t, "/a1", "a", "b", "d")
	c.at(t, first, "c")
}

// Who lacks records is sent them, and who has more has them taken.
func TestACollectionBringsMembersTogether(t *testing.T) {
	c := newCouncil("/1/2", "a", "b", "c", "d")
	for _, s := range c.stores {
		s.known = 2
	}
	c.stores["b"].at, c.stores["b"].known = "/1", 1
	c.stores["c"].at, c.stores["c"].known = "/1/2/3", 3
	c.stores["d"].at, c.stores["d"].known = "", 0
	x := c.collect(t)
	require.Empty(t, x.HeldUp)
	c.at(t, "/1/2/3/a1", "a", "b", "c", "d")
	require.Equal(t, "prepare b settle b prepare b prepare c prepare b settle b prepare b prepare c prepare d settle d prepare d "+
		"prepare b prepare c prepare d settle b settle c settle d", strings.Join(c.calls, " "))
}

func TestACollectionWaitsForWhoWentAnotherWay(t *testing.T) {
	c := newCouncil("/1/2", "a", "b")
	c.stores["b"].at = "/1/3"
	x := c.collect(t)
	require.Equal(t, []HeldUp{{"b", &GenerationError{Peer: "b", Own: "/1/2", Theirs: "/1/3"}}}, x.HeldUp)
	require.Zero(t, c.stores["a"].emptied+c.stores["b"].emptied, "that is for a round")
}

// A member that is lost while it prepares, or before it hears what was decided.
func TestACollectionThatLosesAMember(t *testing.T) {
	for _, at := range []stage{preparing, telling} {
		c := newCouncil(first, "a", "b", "c")
		c.stores["a"].most = 9
		l := c.start(t)
		require.NoError(t, c.drive(t, l, func() bool { return l.stage == at && l.at == 0 }))
		c.away["b"] = true
		require.NoError(t, c.drive(t, l, nil))
		x := l.Result()
		require.Equal(t, []HeldUp{{"b", transport.ErrUnreachable}}, x.HeldUp)
		if at == preparing {
			require.Zero(t, x.Records)
			c.at(t, first, "a", "b", "c")
			continue
		}
		require.Equal(t, 1, x.Records)
		c.at(t, "/a1", "a", "c")
		c.at(t, first, "b")
		c.away["b"] = false
		require.Empty(t, c.collect(t).HeldUp)
		require.Equal(t, c.stores["a"].at, c.stores["b"].at)
	}
}

func TestABacklogDrainsInParts(t *testing.T) {
	c := newCouncil(first, "a", "b")
	c.stores["a"].most = 1000
	x := c.collect(t)
	require.Equal(t, maxCollected, x.Records)
	require.Len(t, c.calls, 1+2*maxCollected, "all are asked once whether they are there")
	require.Equal(t, c.stores["a"].at, c.stores["b"].at)
}

func TestPreparingIsForWhoProposesAndForStoresThatCollect(t *testing.T) {
	e := epochs("a b c")[0]
	ask := func(store Store, from transport.NodeID) *prepared {
		s := &Responder{Store: store, Membership: inEpoch("b", e)}
		resp, err := s.ServeCall(t.Context(), from, methodPrepare, encodePrepare(&asking{epoch: 1, generation: "/1", proposal: []byte("/1/2")}))
		require.NoError(t, err)
		a, err := decodePrepared(resp)
		require.NoError(t, err)
		return a
	}
	c := chainAt("/1", 1)
	require.Equal(t, statusReady, ask(c, "a").status)
	require.Equal(t, "/1/2", c.promised)
	c = chainAt("/1", 1)
	a := ask(c, "c")
	require.Equal(t, statusRefused, a.status)
	require.ErrorContains(t, a.err("b", 1, "/1"), "of the members of epoch 1 a proposes")
	require.Empty(t, c.promised)
	a = ask(newSets(), "a")
	require.ErrorContains(t, a.err("b", 1, "/1"), "does not collect")
	a = ask(struct {
		*growing
		refusing
	}{newGrowing("/1"), refusing{}}, "a")
	require.ErrorContains(t, a.err("b", 1, "/1"), "antientropy: peer refused: disk full")
}

type refusing struct{}

func (refusing) Propose(int, time.Duration) []byte { return nil }
func (refusing) Prepare(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("disk full")
}
func (refusing) Conclude(context.Context, []byte, [][]byte) ([]byte, error) { return nil, nil }

// Whatever members answer, a collection ends, and nothing is decided unless all say that
// they are ready.
func TestNoMemberKeepsACollectionForEver(t *testing.T) {
	for name, answer := range map[string]func(n int, method string) []byte{
		"nothing":       func(int, string) []byte { return nil },
		"another thing": func(int, string) []byte { return encodeReconciled(1, []byte("x")) },
		"always behind": func(_ int, method string) []byte {
			if method == methodSettle {
				return encodeSettled(&position{generation: first})
			}
			return encodePrepared(&prepared{status: statusElsewhere, position: position{generation: first}})
		},
		"now here, now there": func(n int, method string) []byte {
			if method == methodSettle {
				return encodeSettled(&position{generation: "/1"})
			}
			return encodePrepared(&prepared{status: statusElsewhere, position: position{generation: first}})
		},
		"has met nobody, ever": func(n int, method string) []byte {
			if method == methodSettle {
				return encodeSettled(&position{generation: "/1"})
			}
			return encodePrepared(&prepared{status: statusElsewhere})
		},
		"records without end": func(n int, _ string) []byte {
			at := "/1" + strings.Repeat("/1", n)
			return encodePrepared(&prepared{status: statusElsewhere, position: position{generation: "/9", rank: 9}, way: way{at, [][]byte{[]byte(at + "/1")}}})
		},
		"records that lead nowhere": func(n int, _ string) []byte {
			return encodePrepared(&prepared{status: statusElsewhere, position: position{generation: "/9", rank: 9}, way: way{"/1", [][]byte{[]byte("/1")}}})
		},
		"refuses": func(int, string) []byte {
			return encodePrepared(&prepared{status: statusRefused, reply: []byte("\xff no")})
		},
	} {
		c := newCouncil("/1", "a", "b")
		c.stores["a"].known = 1
		l, n := c.start(t), 0
		for ; ; n++ {
			require.LessOrEqual(t, n, 2*maxMoves+2, name)
			_, method, _, more := l.Next()
			if !more {
				break
			}
			require.NoError(t, l.Step(t.Context(), answer(n, method)), name)
		}
		x := l.Result()
		require.Len(t, x.HeldUp, 1, name)
		require.Zero(t, x.Records, name)
		require.Zero(t, c.stores["a"].emptied)
		t.Log(name, n, "answers:", x.HeldUp[0].Err)
		require.Error(t, l.Step(t.Context(), nil))
		require.NoError(t, l.Failed(t.Context(), errBusy), "it is over")
	}
}

// What nobody could be told of is not agreed on.
func TestTrap28_AProposalThatDoesNotFitIsAnError(t *testing.T) {
	c := newCouncil(first, "a", "b")
	c.stores["a"].name = strings.Repeat("x", small)
	l, err := NewCollection(t.Context(), c.stores["a"], c.places["a"], CollectionConfig{MaxMessage: small})
	require.NoError(t, err)
	err = c.drive(t, l, nil)
	require.True(t, isTooLarge(err), "%v", err)
	require.Equal(t, err, l.Result().Err)
	c.at(t, first, "a", "b")
	require.Empty(t, c.stores["a"].promised+c.stores["b"].promised)
}

func TestACollectionEndsWithItsContextAndItsStore(t *testing.T) {
	c := newCouncil(first, "a", "b")
	l := c.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for l.Result().Err == nil {
		_, method, req, more := l.Next()
		require.True(t, more)
		resp, err := (&Responder{Store: c.stores["b"], Membership: c.places["b"]}).ServeCall(t.Context(), "a", method, req)
		require.NoError(t, err)
		if err := l.Step(ctx, resp); err != nil {
			require.Equal(t, context.Canceled, err)
		}
	}
	_, _, _, more := l.Next()
	require.False(t, more)
	c.at(t, first, "a", "b")

	c = newCouncil(first, "a", "b")
	l = c.start(t)
	require.NoError(t, c.drive(t, l, func() bool { return l.stage == preparing }))
	c.stores["a"].promised = "/another"
	require.ErrorIs(t, c.drive(t, l, nil), errChain)
	c.at(t, first, "a", "b")
}

// A node that is about to take back what it has promised, since it is no member any more, may be made one at that moment,
// and promise something: that stands.
func TestTrap26_WhoResignsAndIsAMemberAgainKeepsItsWord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		all := epochs("a c", "a b", "a c")
		store := &chain{name: "c", at: first}
		var told, asked int
		var m *Membership
		prepare := func(epoch uint64, proposal string) *prepared {
			q := &asking{epoch: epoch, generation: first, rank: unvouched, promised: pledgeOf([]byte(store.promised)), proposal: []byte(proposal)}
			a, err := m.prepare(t.Context(), store, "a", q, 1<<20)
			require.NoError(t, err)
			return a
		}
		m = &Membership{Self: "c", Epoch: func() Epoch {
			if asked++; asked == 2 && told == 1 {
				told = 2
				go prepare(3, "/a2")
				synctest.Wait() // until it has, or waits for its turn
			}
			return all[told]
		}}
		require.Equal(t, statusReady, prepare(1, "/a1").status)
		told, asked = 1, 0
		m.resign(t.Context(), store)
		synctest.Wait()
		require.Equal(t, 2, told)
		require.Equal(t, pledgeOf([]byte(store.promised)), m.standpoint(first).promised)
		require.NotContains(t, store.broken, "/a2")
	})
}
