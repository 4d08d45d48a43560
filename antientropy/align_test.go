package antientropy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

func inEpoch(self transport.NodeID, e Epoch) *Membership {
	return &Membership{Self: self, Epoch: func() Epoch { return e }}
}

// Of two that cannot lead one another, wherever they stand, never do both give way; and
// one does, unless each waits for what a third one has to tell.
func TestNeverDoBothGiveWay(t *testing.T) {
	var all []position
	for _, g := range []string{"/a", "/b"} {
		for r := range rank(4) {
			for _, least := range []rank{r, r + 1, never} {
				all = append(all, position{generation: g, rank: r, least: least})
			}
		}
	}
	for _, p := range all {
		require.False(t, p.yields(p) && p.takes(), "%+v", p)
		for _, o := range all {
			if p.generation == o.generation {
				continue
			}
			require.False(t, p.yields(o) && o.yields(p), "%+v %+v", p, o)
			if p.takes() && o.takes() {
				require.True(t, p.yields(o) || o.yields(p), "%+v %+v", p, o)
			}
			if p.yields(o) {
				require.True(t, p.takes())
			}
		}
	}
}

// Of one that knows of no epoch records are taken; of one that knows of an earlier one than
// this node does they are not, and of whom a later epoch has left out neither.
func TestWhomRecordsAreTakenFrom(t *testing.T) {
	for _, c := range []struct {
		p     position
		takes []rank
	}{
		{position{rank: unvouched, least: unvouched}, []rank{1, 2, 3, 4}},
		{position{rank: 3, least: 3}, []rank{1, 3, 4}},
		{position{rank: 2, least: 3}, []rank{3, 4}},
		{position{rank: borrowed, least: borrowed}, []rank{0, 1, 2, 3, 4}},
		{position{rank: 2, least: never}, nil},
	} {
		var takes []rank
		for r := range rank(5) {
			if c.p.follows(r) {
				takes = append(takes, r)
			}
		}
		require.Equal(t, c.takes, takes, "%+v", c.p)
	}
}

// meeting is two nodes, one of which starts a round.
type meeting struct {
	a, b   *chain
	of, to *Membership // of a and of b; "a" and "b" are their names

	told []transport.NodeID
}

func (m *meeting) round(t *testing.T, limit int) (Exchange, error) {
	s := &Responder{Store: m.b, MaxMessage: limit, Membership: m.to, Outdated: func(id transport.NodeID) { m.told = append(m.told, id) }}
	r := NewRound(m.a, RoundConfig{Peer: "b", MaxMessage: limit, Membership: m.of, Ranges: nowhere})
	for n := 0; ; n++ {
		require.Less(t, n, 100, "does not end")
		method, req, more := r.Next()
		if !more {
			return r.Result(), nil
		}
		require.LessOrEqual(t, len(req), maxMessage(limit))
		resp, err := s.ServeCall(t.Context(), "a", method, slices.Clone(req))
		require.LessOrEqual(t, len(resp), maxMessage(limit))
		if err == nil {
			err = r.Step(t.Context(), resp)
		}
		if err != nil {
			return r.Result(), err
		}
	}
}

func chainAt(generation string, known int) *chain {
	return &chain{name: "x", at: generation, known: known}
}

// Wherever two nodes that are no members stand, a round brings them together if one
// knows the way, or has met nobody; else the lesser generation goes.
func TestARoundBringsBothToOneGeneration(t *testing.T) {
	for _, c := range []struct {
		name    string
		a, b    *chain
		end     string
		emptied string // who is
		trips   int
	}{
		{"together", chainAt("/1/2", 2), chainAt("/1/2", 2), "/1/2", "", 1},
		{"behind", chainAt("/1", 1), chainAt("/1/2/3", 3), "/1/2/3", "", 2},
		{"ahead", chainAt("/1/2/3", 3), chainAt("/1", 1), "/1/2/3", "", 3},
		{"both have met nobody", chainAt("", 0), chainAt("", 0), first, "", 2},
		{"here nobody", chainAt("", 0), chainAt("/1/2", 2), "/1/2", "", 2},
		{"there nobody", chainAt("/1/2", 2), chainAt("", 0), "/1/2", "", 3},
		{"too long away", chainAt("/1", 1), chainAt("/1/2/3", 1), "/1/2/3", "a", 2},
		{"another way, and lesser", chainAt("/1/2", 1), chainAt("/1/3", 2), "/1/3", "a", 2},
	} {
		for _, members := range []bool{false, true} {
			a, b := *c.a, *c.b
			m := &meeting{a: &a, b: &b, of: new(Membership), to: new(Membership)}
			if members {
				e := epochs("a b")[0]
				m.of, m.to = inEpoch("a", e), inEpoch("b", e)
			}
			x, err := m.round(t, 0)
			require.NoError(t, err, c.name)
			require.Equal(t, c.end, m.a.at, c.name)
			require.Equal(t, c.end, m.b.at, c.name)
			require.Equal(t, c.emptied == "a", m.a.emptied == 1, c.name)
			require.Equal(t, c.emptied == "a", x.Readmitted, c.name)
			require.Zero(t, m.b.emptied, "only a round of one's own empties a store")
			require.Equal(t, c.trips, x.RoundTrips, c.name)
		}
	}
}

// The other way round it is the peer that has to go, which it is told.
func TestWhoPrevailsHasThePeerComeByItself(t *testing.T) {
	for _, c := range [][2]*chain{{chainAt("/1/3", 2), chainAt("/1/2", 2)}, {chainAt("/1/2/3", 1), chainAt("/1", 1)}} {
		m := &meeting{a: c[0], b: c[1], of: new(Membership), to: new(Membership)}
		own, theirs := m.a.at, m.b.at
		_, err := m.round(t, 0)
		apart, ok := errors.AsType[*GenerationError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, GenerationError{Peer: "b", Own: own, Theirs: theirs}, *apart)
		require.Contains(t, err.Error(), "neither follows")
		require.Equal(t, []transport.NodeID{"a"}, m.told)
		require.Zero(t, m.a.emptied+m.b.emptied)

		back := &meeting{a: m.b, b: m.a, of: new(Membership), to: new(Membership)}
		x, err := back.round(t, 0)
		require.NoError(t, err)
		require.True(t, x.Readmitted)
		require.Equal(t, own, m.b.at)
	}
}

// A member is led and emptied by members alone; who is none comes to it, whatever the
// order of their generations.
func TestTrap26_WhoIsNoMemberYields(t *testing.T) {
	e := epochs("b c")[0]
	for _, guest := range []string{"/1/1", "/1/3"} {
		m := &meeting{a: chainAt(guest, 2), b: chainAt("/1/2", 2), of: new(Membership), to: inEpoch("b", e)}
		x, err := m.round(t, 0)
		require.NoError(t, err)
		require.True(t, x.Readmitted)
		require.Equal(t, "/1/2", m.a.at)

		m = &meeting{a: chainAt("/1/2", 2), b: chainAt(guest, 2), of: inEpoch("a", epochs("a c")[0]), to: new(Membership)}
		_, err = m.round(t, 0)
		require.True(t, isApart(err))
		require.Equal(t, []transport.NodeID{"a"}, m.told, "so it comes")
		require.Equal(t, "/1/2", m.a.at)
		require.Zero(t, m.b.emptied)
	}
}

// One that is no member may have heard of a record before a member does. It loses nothing
// by that: the member hears of it from another. Unless a later epoch has gone on.
func TestAQuickGuestWaits(t *testing.T) {
	e := epochs("b c")[0]
	guest := &meeting{a: chainAt("/1/2", 2), b: chainAt("/1", 1), of: new(Membership), to: inEpoch("b", e)}
	_, err := guest.round(t, 0)
	require.True(t, isApart(err), "%v", err)
	require.Equal(t, []string{"/1/2", "/1"}, []string{guest.a.at, guest.b.at})
	require.Empty(t, guest.told)

	member := &meeting{a: guest.b, b: guest.a, of: inEpoch("a", epochs("a c")[0]), to: new(Membership)}
	_, err = member.round(t, 0)
	require.True(t, isApart(err), "%v", err)
	require.Empty(t, member.told)

	guest.to.at = standpoint{generation: "/1", rank: 8}
	x, err := guest.round(t, 0)
	require.True(t, x.Readmitted)
	require.NoError(t, err)
	require.Equal(t, "/1", guest.a.at)
}

// More records than a message holds go on in the next one.
func TestTrap28_RecordsInParts(t *testing.T) {
	var long strings.Builder
	for i := range 40 {
		fmt.Fprintf(&long, "/%d", i)
	}
	for name, m := range map[string]*meeting{
		"behind": {a: chainAt("/0", 1), b: chainAt(long.String(), 40)},
		"ahead":  {a: chainAt(long.String(), 40), b: chainAt("/0", 1)},
		"joins":  {a: chainAt("", 0), b: chainAt(long.String(), 40)},
	} {
		m.of, m.to = new(Membership), new(Membership)
		for _, s := range []struct {
			c *chain
			m *Membership
		}{{m.a, m.of}, {m.b, m.to}} {
			if s.c.known == 40 { // so it is known which generations there were
				for g := s.c.at; g != first; g = parent(g) {
					s.m.at.passed = append(s.m.at.passed, parent(g))
				}
				slices.Reverse(s.m.at.passed)
				s.m.at.generation, s.m.at.rank = s.c.at, unvouched
			}
		}
		x, err := m.round(t, small)
		require.NoError(t, err, name)
		require.Equal(t, long.String(), m.a.at, name)
		require.Equal(t, long.String(), m.b.at, name)
		if name == "joins" {
			require.Equal(t, 40, m.a.known, "it can lead others now")
		} else {
			require.Equal(t, 39, x.Records)
		}
		require.Greater(t, x.RoundTrips, 4)
	}
}

func TestTrap28_ARecordThatDoesNotFitIsReported(t *testing.T) {
	long := "/1/" + strings.Repeat("x", small)
	for _, m := range []*meeting{
		{a: chainAt("/1", 1), b: chainAt(long, 2)},
		{a: chainAt(long, 2), b: chainAt("/1", 1)},
	} {
		m.a.at, m.b.at = shorten(m.a.at), shorten(m.b.at)
		m.of, m.to = new(Membership), new(Membership)
		_, err := (&meeting{a: m.a, b: m.b, of: m.of, to: m.to}).round(t, 0)
		require.NoError(t, err)
	}
	_, err := wayFrom(chainAt("/1/2", 2), "/1", epochOverhead)
	require.True(t, isTooLarge(err))
}

func shorten(s string) string { return s[:min(len(s), 64)] }

// Whatever a peer answers, a round ends, and what it is told by one that is no member
// neither leads a member astray nor empties it.
func TestNoPeerKeepsARoundFromItsGeneration(t *testing.T) {
	answers := map[string]func(n int, method string) []byte{
		"always elsewhere": func(n int, _ string) []byte {
			return encodeElsewhere(&elsewhere{position: position{generation: fmt.Sprint("/9/", n), rank: never - 1}})
		},
		"records that lead nowhere": func(n int, _ string) []byte {
			return encodeElsewhere(&elsewhere{position{generation: "/9", rank: 7}, way{"/1", [][]byte{[]byte("/1")}}})
		},
		"no records": func(n int, _ string) []byte {
			return encodeElsewhere(&elsewhere{position{generation: "/9", rank: 7}, way{from: "/1"}})
		},
		"records without end": func(n int, _ string) []byte {
			return encodeElsewhere(&elsewhere{position{generation: "/9", rank: 7}, way{"/1", [][]byte{[]byte("/1/1")}}})
		},
		"always behind": func(n int, method string) []byte {
			if method == methodSettle {
				return encodeSettled(&position{generation: first})
			}
			return encodeElsewhere(&elsewhere{position: position{generation: first}})
		},
		"settles and does not": func(n int, method string) []byte {
			if method == methodSettle {
				return encodeSettled(&position{generation: "/1"})
			}
			return encodeElsewhere(&elsewhere{position: position{generation: first}})
		},
		"has met nobody, ever": func(n int, method string) []byte {
			if method == methodSettle {
				return encodeSettled(&position{generation: "/1"})
			}
			return encodeElsewhere(&elsewhere{position: position{}})
		},
		"the same, elsewhere": func(n int, _ string) []byte {
			return encodeElsewhere(&elsewhere{position: position{generation: "/1"}})
		},
	}
	for name, answer := range answers {
		for _, member := range []bool{false, true} {
			c, m := chainAt("/1", 1), new(Membership)
			if member {
				m = inEpoch("a", epochs("a c")[0])
			}
			r, n := NewRound(c, RoundConfig{Peer: "b", Membership: m}), 0
			var err error
			for ; err == nil; n++ {
				method, _, more := r.Next()
				require.True(t, more, name)
				require.LessOrEqual(t, n, 2*maxAlignments+2, name)
				err = r.Step(context.Background(), answer(n, method))
			}
			_, corrupt := errors.AsType[*CorruptError](err)
			require.True(t, isApart(err) || corrupt || errors.Is(err, errChain), "%s: %v", name, err)
			require.LessOrEqual(t, c.emptied, 1)
			if member {
				require.Zero(t, c.emptied, name)
				require.Equal(t, "/1", c.at, name)
			}
			t.Log(name, n, "answers:", err)
		}
	}
}

// In the middle of a round the peer goes on to another generation. It says so, and none of
// what it would have sent has to be refused.
func TestTheGenerationChangesInTheMiddleOfARound(t *testing.T) {
	for _, of := range []string{methodReconcile, methodPull, methodStream} {
		for _, where := range []string{"here", "there"} {
			a, b := newGrowing("/1"), newGrowing("/1")
			for i := range 600 {
				b.add(fmt.Sprint("b", i), 1)
				if of != methodStream {
					a.add(fmt.Sprint("b", i), uint64(i%2+1))
				}
			}
			round, s := NewRound(a, RoundConfig{MaxMessage: small}), &Responder{Store: b, MaxMessage: small}
			seen := 0
			for n := 0; ; n++ {
				method, req, more := round.Next()
				if !more {
					break
				}
				if method == of {
					if seen++; seen == 2 || of == methodReconcile && seen == 1 {
						c := b.chain
						if where == "here" {
							c = a.chain
						}
						require.NoError(t, c.Settle(t.Context(), []byte("/1/2")))
					}
				}
				resp, err := s.ServeCall(t.Context(), "a", method, req)
				require.NoError(t, err)
				require.NoError(t, round.Step(t.Context(), resp))
			}
			require.GreaterOrEqual(t, seen, 1, of)
			if where == "there" {
				require.Equal(t, "/1/2", a.at, of)
			}
			require.Equal(t, a.root(), b.root())
			if of == methodStream {
				require.Equal(t, 600, round.Result().KeysReceived, "the stream goes on from where it was")
			}
		}
	}
}

// growing is a chain that has keys as well.
type growing struct {
	*sets
	*chain
}

func newGrowing(at string) *growing { return &growing{newSets(), &chain{name: "x", at: at, known: 9}} }

func (g *growing) Index() *merkle.Tree                                  { return g.sets.Index() }
func (g *growing) Load(ctx context.Context, key string) ([]byte, error) { return g.sets.Load(ctx, key) }
func (g *growing) Merge(ctx context.Context, key string, s []byte) ([]byte, error) {
	return g.sets.Merge(ctx, key, s)
}
