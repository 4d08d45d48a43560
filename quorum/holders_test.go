package quorum

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// heldBy reads holders as the tables write them: "a b @3 most" are a and b, by version 3, among a
// majority. Without a version it is 7, that of the placements of these tests.
func heldBy(text string) (h Holders) {
	h.Version = 7
	for word := range strings.FieldsSeq(text) {
		switch {
		case word == "most":
			h.Majority = true
		case word[0] == '@':
			h.Version = uint64(word[1] - '0')
		default:
			h.Nodes = append(h.Nodes, nodeID(word))
		}
	}
	return h
}

func allHeldBy(text string) (all []Holders) {
	for part := range strings.SplitSeq(text, ",") {
		if part != "" {
			all = append(all, heldBy(part))
		}
	}
	return all
}

var afterTable = []struct {
	name, demand, place, after, said, outcome string
}{
	{"nothing seen", "one", "a b c", "", "c", "reached"},
	{"a holder answers", "one", "a b c", "a", "a", "reached"},
	{"another does", "one", "a b c", "a", "b c", "waits: 0 of 1 owners that have what was seen"},
	{"any of the holders", "one", "a b c", "a b", "b", "reached"},
	{"the holder has failed", "one", "a b c", "a", "a! b c", "impossible: 0 of 1 owners that have what was seen"},
	{"who stands in for it has not seen it", "one", "a b c", "a", "a! b c x>a", "impossible: 0 of 1 owners that have what was seen"},
	{"no holder is an owner", "one", "a b c", "x", "a b c", "impossible: 0 of 1 owners that have what was seen"},
	{"nobody is known, and not a majority", "one", "a b c", "@7", "a b c", "impossible: 0 of 1 owners that have what was seen"},
	{"each of several", "one", "a b c", "a,b", "a", "waits: 0 of 1 owners that have what was seen"},
	{"each of several, at once", "one", "a b c", "a b,b c", "b", "reached"},
	{"more is asked for than holders", "two", "a b c", "a", "a", "waits: 1 of 2 owners"},

	{"a majority has it: a holder will do", "one", "a b c", "a b most", "b", "reached"},
	{"a majority has it: one other will not do", "one", "a b c", "a most", "b", "waits: 0 of 1 owners that have what was seen"},
	{"a majority has it: a majority will do", "one", "a b c", "a most", "b c", "reached"},
	{"a majority has it, and holders are gone", "one", "a b c", "a most", "a! b", "waits: 0 of 1 owners that have what was seen"},
	{"a majority has it, and is gone", "one", "a b c", "a b most", "a! b! c", "impossible: 0 of 1 owners that have what was seen"},
	{"a majority has it, whoever that is", "one", "a b c", "most @1", "a", "waits: 0 of 1 owners that have what was seen"},
	{"a majority has it, and answers", "one", "a b c", "most @1", "a c", "reached"},
	{"a majority has it, of nobody", "one", "a", "most", "a!", "impossible: 0 of 1 owners"},

	{"by an older placement: an owner still", "one", "a b c", "c d @3", "c", "reached"},
	{"by an older placement: no owner any more", "one", "a b c", "d @3", "a b c", "impossible: 0 of 1 owners that have what was seen"},
	{"by an older placement: a majority", "one", "a b c", "d e most @3", "a b", "reached"},
	{"by an older placement: one to come does not count", "one", "a b -> c", "c @3", "a b c", "impossible: 0 of 1 owners that have what was seen"},
	{"by this placement: it does not, either", "one", "a b -> c", "c", "a c", "impossible: 0 of 1 owners that have what was seen"},
	{"a majority of those to come, too", "one", "a b c -> b c d e f", "most @3", "b c", "waits: 0 of 1 owners that have what was seen"},
	{"a majority of both", "one", "a b c -> b c d e f", "most @3", "b c d", "reached"},
}

func TestAfterTable(t *testing.T) {
	for _, c := range afterTable {
		t.Run(c.name, func(t *testing.T) {
			p := placed(c.place)
			p.Version = 7
			tally, err := NewTally(p, "z", demanded(t, c.demand))
			require.NoError(t, err)
			require.NoError(t, tally.after(allHeldBy(c.after)))
			for word := range strings.FieldsSeq(c.said) {
				hear(tally, word)
			}
			require.Equal(t, c.outcome, describe(tally))
		})
	}
}

// answersEnough is what Holders promise, from their documentation, in terms of sets: whoever
// answers must have met all sets of nodes that may have what was seen.
func answersEnough(p Placement, h Holders, set mask, member func(nodeID) int) bool {
	for _, id := range h.Nodes {
		i := member(id)
		if i >= 0 && set.has(i) && slices.Contains(p.Owners, id) {
			return true
		}
	}
	most := func(ids []nodeID) bool {
		var all, got mask
		for _, id := range ids {
			all |= 1 << member(id)
		}
		got = all & set
		return len(ids) == 0 || got.len() > (all&^got).len()
	}
	return h.Majority && most(p.Owners) && most(p.Next)
}

// Every layout × every subset of holders of some × everything that each owner may have said.
func TestAfterEveryLayoutAndFailure(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	for _, l := range layouts {
		p, self := l.read()
		if p.Version = 7; len(p.Owners) == 0 {
			continue
		}
		for range 3000 {
			d := Demand{Level: One}
			ref, _ := reckoning(p, self, d)
			var h Holders
			h.Majority, h.Version = random.IntN(2) == 0, 6+uint64(random.IntN(3))
			for _, id := range nodes(8) {
				if random.IntN(4) == 0 {
					h.Nodes = append(h.Nodes, id)
				}
			}
			var tally Tally
			require.NoError(t, tally.init(p, self, d))
			require.NoError(t, tally.after([]Holders{h}))
			var yes, hope mask
			all := make([]said, len(ref.members))
			for i := range ref.members {
				s := everySaid[random.IntN(len(everySaid))]
				all[i] = s
				ref.tell(&tally, i, s)
				if s.word == answered {
					yes |= 1 << i
				}
				if s.word != failed {
					hope |= 1 << i
				}
			}
			member := func(id nodeID) int { return slices.Index(ref.members, id) }
			reached, impossible, _ := ref.outcome(all, 0)
			reached = reached && answersEnough(p, h, yes, member)
			impossible = impossible || !answersEnough(p, h, hope, member)
			require.Equal(t, reached, tally.Reached(), "%s: %+v by %b", l.name, h, yes)
			require.Equal(t, impossible, tally.Impossible(), "%s: %+v with %b", l.name, h, hope)
		}
	}
}

func TestTooManyHolders(t *testing.T) {
	_, err := NewReadOp(ReadConfig{
		Key: "k", Placement: Placement{Owners: nodes(3)}, Join: union,
		Options: ReadOptions{After: make([]Holders, maxAfter+1)},
	})
	require.EqualError(t, err, "quorum: level majority cannot be asked: it comes after too many")
}

func followed(l Level, after string) ReadOptions {
	return ReadOptions{Level: l, After: allHeldBy(after), Holders: true}
}

// followedBy is a read of a, b and c, who are preferred in this order.
func followedBy(t *testing.T, self nodeID, opts ReadOptions) (*script, []nodeID) {
	p := placed("a b c")
	p.Version = 7
	return scriptedAs(t, ReadConfig{Key: "k", Placement: p, Self: self, Options: opts, Join: union})
}

func TestReadAsksAHolderFirst(t *testing.T) {
	s, asked := followedBy(t, "z", followed(One, "c"))
	assert.Equal(t, ids("c"), asked)
	s.answer("c", 1)
	assert.Equal(t, &Holders{Version: 7, Nodes: ids("c")}, s.result().Holders)

	_, asked = followedBy(t, "z", followed(One, "b c"))
	assert.Equal(t, ids("b"), asked, "the preferred of them")
	_, asked = followedBy(t, "a", followed(One, "c"))
	assert.Equal(t, ids("c"), asked, "not this node, which need not have it")
	_, asked = followedBy(t, "a", followed(One, "a c"))
	assert.Equal(t, ids("a"), asked, "this node, which has it")
	s, asked = followedBy(t, "a", followed(Majority, "c"))
	assert.Equal(t, ids("a"), asked, "this node, since two are needed anyhow")
	assert.Equal(t, ids("c"), s.answer("a", 1), "and then the one that has it")
}

func TestReadAsksAMajorityWhereHoldersFail(t *testing.T) {
	s, asked := followedBy(t, "z", followed(One, "c most"))
	assert.Equal(t, ids("c"), asked)
	assert.Equal(t, ids("a", "b"), s.fail("c"))
	s.answer("a", 1)
	require.False(t, s.op.Done())
	s.answer("b", 1)
	assert.Equal(t, &Holders{Version: 7, Nodes: ids("a", "b"), Majority: true}, s.result().Holders)

	s, _ = followedBy(t, "z", followed(One, "c"))
	s.fail("c")
	s.answer("a", 1)
	require.EqualError(t, s.refusal(), `quorum: read "k": 0 of 1 needed owners that have what was seen `+
		`answered (level one, 3 owners): c: node is down`)
}

// An owner that is slow is waited for, others are asked for it in vain, and time runs out.
func TestReadDoesNotGoOnWithoutAHolder(t *testing.T) {
	o := followed(Majority, "c")
	o.Least = One
	s, _ := followedBy(t, "z", o)
	s.hedge()
	s.answer("a", 1)
	s.answer("b", 1)
	require.False(t, s.op.Done())
	s.op.Timeout()
	require.ErrorContains(t, s.refusal(), "owners that have what was seen")

	s, _ = followedBy(t, "z", o)
	s.answer("c", 1)
	s.op.Timeout()
	require.True(t, s.result().Stale, "a holder is enough for a lower level")
	assert.Equal(t, ids("c"), s.result().Holders.Nodes)
}

func TestHoldersOfWhatNobodyHolds(t *testing.T) {
	o := ReadOptions{Level: Majority, Repair: RepairOff, Holders: true}
	s, _ := followedBy(t, "z", o)
	s.answer("a", 1)
	s.answer("b", 2)
	s.answer("b", 2)
	assert.Equal(t, &Holders{Version: 7}, s.result().Holders)
	o.Repair = RepairBlocking
	s, _ = followedBy(t, "z", o)
	s.answer("a", 1)
	s.answer("b", 2)
	s.answer("b", 2)
	s.answer("a")
	s.answer("b")
	assert.Equal(t, &Holders{Version: 7, Nodes: ids("a", "b"), Majority: true}, s.result().Holders)
}

func TestHoldersOfAWrite(t *testing.T) {
	p := placed("a b c -> b c d")
	op, err := NewWriteOp(WriteConfig{Key: "k", Delta: set(1), Placement: p, Self: "a", Options: WriteOptions{Holders: true, Level: Two}})
	require.NoError(t, err)
	for _, s := range op.Start() {
		if s.To != "a" {
			op.Answer(s, reply(), nil)
		}
	}
	res, err := op.Result()
	require.NoError(t, err)
	require.Equal(t, &Holders{Nodes: ids("b", "c"), Majority: true}, res.Holders)

	c, _ := cluster(3)
	wrote, err := c.Write(t.Context(), "k", set(1), WriteOptions{})
	require.NoError(t, err)
	require.Nil(t, wrote.Holders, "nobody asked")
}

// A coordinator that knows of an older ring than the one by which something was seen learns of it.
func TestReadLearnsOfTheRingOfHolders(t *testing.T) {
	c, _ := cluster(3)
	r := &refreshed{now: Placement{Owners: nodes(2), Version: 1}, next: Placement{Owners: nodes(3), Version: 2}}
	c.Ring = r
	_, err := c.Read(t.Context(), "k", ReadOptions{Level: One, After: []Holders{{Version: 2, Nodes: ids("c")}}})
	require.NoError(t, err)
	require.Equal(t, nodeID("b"), r.asked, "the other one that holds the key by the ring that is known")
}

// What clients bring does not say whom a node talks to, nor is there anything to learn of a version that nobody has.
func TestHoldersDoNotChooseWhoIsAsked(t *testing.T) {
	for version, asked := range map[uint64]nodeID{2: "b", math.MaxUint64: ""} {
		c, _ := cluster(2)
		r := &refreshed{now: Placement{Owners: nodes(2), Version: 1}, next: Placement{Owners: nodes(2), Version: 2}}
		c.Ring = r
		_, err := c.Read(t.Context(), "k", ReadOptions{Level: One, After: []Holders{{Version: version, Nodes: ids("evil.example:666")}}})
		_, unavailable := errors.AsType[*UnavailableError](err)
		require.True(t, unavailable, "%v", err)
		require.Equal(t, asked, r.asked)
	}
}

// refreshed is a ring that is refreshed once.
type refreshed struct {
	now, next Placement
	asked     nodeID
}

func (m *refreshed) Place(string) Placement { return m.now }

func (m *refreshed) Refresh(_ context.Context, from nodeID) error {
	m.asked, m.now = from, m.next
	return nil
}

// Clients that read after what they have seen, one operation after the other, by any node: no read
// goes back behind it, at whatever level. Nodes that do not hold the key any more drop it.
var clientPlans = map[string]plan{
	"one and one":        {stages: []string{"a b c"}, reads: readsAt(0, One), writes: levels(One)},
	"levels":             {stages: []string{"a b c d"}, reads: readsAt(0, numbers...), writes: levels(numbers...)},
	"no repair":          {stages: []string{"a b c"}, reads: readsAt(RepairOff, One, Two), writes: levels(One)},
	"least":              {stages: []string{"a b c"}, reads: []ReadOptions{{Level: All, Least: One}}, writes: levels(One, Majority)},
	"others stand in":    {stages: spare, reads: []ReadOptions{{Level: One, Fallbacks: FallbacksCount}}, writes: sloppyAt(One, Majority, Any)},
	"the ring changes":   {stages: thereAndBack, reads: readsAt(0, numbers...), writes: levels(Majority, One)},
	"it changes, by one": {stages: thereAndBack, reads: readsAt(0, One), writes: levels(One)},
}

var thereAndBack = []string{
	"a b c", "a b c -> c d e", "c d e", "c d e -> a b c", "a b c", "a b c -> b d e", "b d e",
}

func TestClientsReadAfterWhatTheyHaveSeen(t *testing.T) {
	for name, p := range clientPlans {
		t.Run(name, func(t *testing.T) {
			p.clients = 3
			for seed := range uint64(150) {
				if fault := live(p, seed, 600); fault != "" {
					t.Fatalf("seed %d: %s", seed, fault)
				}
			}
		})
	}
}

// The same, where what was seen is forgotten.
func TestClientsThatForgetGoBack(t *testing.T) {
	for name, p := range clientPlans {
		t.Run(name, func(t *testing.T) {
			p.clients, p.forgetful = 3, true
			for seed := range uint64(300) {
				if fault := live(p, seed, 400); fault != "" {
					t.Logf("seed %d: %s", seed, fault)
					return
				}
			}
			t.Fatal("nothing was noticed")
		})
	}
}

// A client of a history has seen some of the key, and knows who holds that.
type client struct {
	busy  bool
	seen  []byte
	after []Holders
}

// follow has a client do an operation that begins.
func (h *history) follow(a *act) *client {
	if h.clients == 0 {
		return &client{}
	}
	for len(h.served) < h.clients {
		h.served = append(h.served, new(client))
	}
	c := h.served[h.pick(h.clients)]
	if c.busy {
		return &client{}
	}
	a.client = c
	return c
}

// note has a client remember what it has seen by an operation that is over.
func (h *history) note(a *act, by *Holders) {
	c := a.client
	if c == nil {
		return
	}
	c.busy = false
	if by == nil || len(by.Nodes) == 0 {
		return // it failed, or nobody is known to hold it
	}
	if a.read != nil {
		c.after = nil
	}
	c.seen, _ = union(c.seen, a.state)
	c.after = append(c.after, *by)
	if len(c.after) > maxAfter || h.forgetful {
		c.after = nil
	}
	if !h.forgetful && len(c.after) == 0 {
		c.seen = nil
	}
}

// learnAll tells some nodes, so that the ring changes several times in a history.
func (h *history) learnAll() {
	for _, id := range h.ids {
		if h.pick(2) == 0 {
			h.known[id] = min(h.known[id]+1, h.stage)
		}
	}
}

// drop has nodes that do not hold the key any more hand it to owners who know that, if they are a
// majority, and forget it.
func (h *history) drop() {
	for _, id := range h.ids {
		place := h.places[h.known[id]]
		if h.clients == 0 || slices.Contains(placedOwners(place), id) || len(place.Fallbacks) > 0 {
			continue
		}
		var to []nodeID
		for _, owner := range place.Owners {
			if h.known[owner] == h.known[id] {
				to = append(to, owner)
			}
		}
		if 2*len(to) > len(place.Owners) {
			for len(to) > len(place.Owners)/2+1 {
				i := h.pick(len(to))
				to = slices.Delete(to, i, i+1)
			}
			for _, owner := range to {
				h.give(owner, h.replicas[id].at("k"))
			}
			h.replicas[id].put("k")
		}
	}
}
