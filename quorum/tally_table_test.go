package quorum

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// placed reads a placement as the tables of these tests write it: "a@paris b -> c | d"
// has the owners a, in the zone paris, and b, in the one without a name, the owner to
// come c, and the fallback d.
func placed(text string) (p Placement) {
	into := &p.Owners
	for word := range strings.FieldsSeq(text) {
		switch word {
		case "->":
			into = &p.Next
		case "|":
			into = &p.Fallbacks
		default:
			*into = append(*into, p.locate(word))
		}
	}
	return p
}

// locate reads a node with its zone, and notes that.
func (p *Placement) locate(word string) nodeID {
	name, zone, found := strings.Cut(word, "@")
	if found {
		if p.Zones == nil {
			p.Zones = make(map[nodeID]string)
		}
		p.Zones[nodeID(name)] = zone
	}
	return nodeID(name)
}

// A layout is a placement, and a node that asks.
type layout struct {
	name, place, self string
}

func (l layout) read() (Placement, nodeID) {
	p := placed(l.place)
	return p, p.locate(l.self)
}

var layouts = []layout{
	{"nobody", "", "z"},
	{"one", "a", "a"},
	{"no zones", "a b c", "z"},
	{"one zone", "a@p b@p c@p", "b"},
	{"three zones", "a@p b@q c@r", "b"},
	{"two and one", "a@p b@p c@q", "c"},
	{"no owner here", "a@p b@p c@q", "z@s"},
	{"some in no zone", "a b c@q", "b"},
	{"asked from no zone", "a@p b@p c@q", "z"},
	{"listed twice", "a@p b@q a@p", "a"},
	{"overlapping", "a@p b@q -> b@q c@p", "z@p"},
	{"disjoint", "a@p -> b@q c@q", "a"},
	{"larger", "a -> a b c", "z"},
	{"smaller", "a@p b@q c@q -> b@q", "b"},
	{"the same", "a@p b@q -> b@q a@p", "a"},
	{"nobody yet", "-> a b", "a"},

	{"three and three", "a@p b@p c@p d@q e@q f@q", "z@q"},
	{"pairs", "a@p b@p c@q d@q e@r f@r", "a"},
	{"another zone comes", "a@p b@p c@p -> a@p b@p d@q", "a"},
	{"a zone goes", "a@p b@p c@q d@q -> a@p b@p", "d"},
	{"all others", "a b c -> d e f", "z"},
	{"five of three", "a b c -> a b c d e", "z"},
	{"one of six", "a@p b@p c@p d@q e@q f@q -> f@q", "f"},
}

var everyLevel = []Level{
	Default, One, Two, Three, 4, 5, Majority, All, Any, LocalOne, LocalMajority, EachMajority, -9,
}

// What is asked, of whom, what they say, and what comes of it. A node that says nothing
// but its name has answered; "b!" has failed, "b*" has it on disk, "x@q>b" is an answer of x
// in zone q in the place of b, and "hint" is one that somebody keeps. The others are silent.
var tallyTable = []struct {
	name, demand, place, self, said, outcome string
}{
	{"one is any owner", "one", "a b c", "z", "c", "reached"},
	{"one of those that are left", "one", "a b c", "z", "a! b!", "waits: 0 of 1 owners"},
	{"one of nobody", "one", "a b c", "z", "a! b! c!", "impossible: 0 of 1 owners"},
	{"two", "two", "a b c", "z", "a c", "reached"},
	{"two of one", "two", "a", "z", "", "quorum: level two cannot be asked of 1 owner"},
	{"three of four", "three", "a b c d", "z", "a b d!", "waits: 2 of 3 owners"},
	{"five of four", "5", "a b c d", "z", "", "quorum: level 5 cannot be asked of 4 owners"},
	{"the default is a majority", "default", "a b c", "z", "a b", "reached"},
	{"a majority of three", "majority", "a b c", "z", "a c!", "waits: 1 of 2 owners"},
	{"a majority of four is three", "majority", "a b c d", "z", "a b c! d!", "impossible: 2 of 3 owners"},
	{"all", "all", "a b c", "z", "a b c", "reached"},
	{"all but one", "all", "a b c", "z", "a b!", "impossible: 1 of 3 owners"},
	{"an owner that is listed twice", "all", "a b a", "z", "a b", "reached"},
	{"of nobody", "majority", "", "z", "", "quorum: level majority cannot be asked of 0 owners"},

	{"any: an owner will do", "any", "a b c", "z", "a! b", "reached"},
	{"any: or a hint", "any", "a b c", "z", "a! b! c! hint", "reached"},
	{"any: or nothing", "any", "a b c", "z", "a! b! c!", "impossible: 0 of 1 owners or hints"},
	{"a hint is no answer", "one", "a b c", "z", "a! b! c! hint", "impossible: 0 of 1 owners"},

	{"local one", "local one", "a@p b@q c@q", "a", "a", "reached"},
	{"local one, not of another zone", "local one", "a@p b@q c@q", "a", "a! b c", `impossible: 0 of 1 owners in zone "p"`},
	{"local one, where nobody is", "local one", "a@p b@q", "z@r", "", `quorum: level local one cannot be asked of 0 owners in zone "r"`},
	{"local majority", "local majority", "a@p b@p c@p d@q", "z@p", "a c", "reached"},
	{"local majority, not of another zone", "local majority", "a@p b@p c@p d@q", "z@p", "a d", `waits: 1 of 2 owners in zone "p"`},
	{"local majority of those in no zone", "local majority", "a b c@q", "z", "a b", "reached"},
	{"each majority", "each majority", "a@p b@p c@p d@q e@q f@q", "z", "a b e f", "reached"},
	{"each majority, not of one zone alone", "each majority", "a@p b@p c@p d@q e@q f@q", "z", "a b c d", `waits: 1 of 2 owners in zone "q"`},
	{"each majority, the zone that failed", "each majority", "a@p b@p c@p d@q e@q f@q", "z", "a d! e!", `impossible: 0 of 2 owners in zone "q"`},
	{"each majority of single nodes is all", "each majority", "a@p b@q c@r", "z", "a b c!", `impossible: 0 of 1 owners in zone "r"`},
	{"without zones each majority is a majority", "each majority", "a b c", "z", "a c", "reached"},

	{"who stands in counts", "two", "a b c", "z", "a b! x>b", "reached"},
	{"until the owner has answered itself, and then once", "two", "a b c", "z", "b x>b", "waits: 1 of 2 owners"},
	{"who stands in is no owner", "two primary two", "a b c", "z", "a b! x>b", "waits: 1 of 2 owners themselves"},
	{"one owner itself", "two primary one", "a b c", "z", "a b! x>b", "reached"},
	{"owners themselves that are gone", "two primary two", "a b c", "z", "a b! c! x>b", "impossible: 1 of 2 owners themselves"},
	{"of its zone", "each majority", "a@p b@q", "z", "a b! x@q>b", "reached"},
	{"of another zone", "each majority", "a@p b@q", "z", "a b! x@p>b", `impossible: 0 of 1 owners in zone "q"`},
	{"of another zone, where zones say nothing", "all", "a@p b@q", "z", "a b! x@p>b", "reached"},

	{"on disk", "two durable two", "a b c", "z", "a* b*", "reached"},
	{"not on disk", "two durable two", "a b c", "z", "a* b", "waits: 1 of 2 durable owners"},
	{"never on disk", "one durable two", "a b c", "z", "a b", "impossible: 0 of 2 durable owners"},
	{"on the disk of who stands in", "two durable one", "a b c", "z", "a b! x*>b", "reached"},
	{"on a disk of each zone", "majority durable each majority", "a@p b@p c@q", "z", "a* b* c", `impossible: 0 of 1 durable owners in zone "q"`},
	{"a hint is on no disk", "any durable any", "a", "z", "", "quorum: level any cannot be asked: a hint is neither an owner nor durable there"},

	{"while the ring changes, both", "majority", "a b c -> b c d", "z", "b c", "reached"},
	{"the new owners lack one", "majority", "a b c -> c d e", "z", "a b c", "waits: 1 of 2 next owners"},
	{"the new owners lack two", "majority", "a b c -> c d e", "z", "a b c d! e!", "impossible: 1 of 2 next owners"},
	{"the old owners lack one", "majority", "a b c -> c d e", "z", "c d e", "waits: 1 of 2 owners"},
	{"all, and more of them", "all", "a b -> a b c", "z", "a b", "waits: 2 of 3 next owners"},
	{"too few to come", "two", "a b -> a", "z", "", "quorum: level two cannot be asked of 1 owner"},
	{"each zone to come", "each majority", "a@p b@p -> a@p c@q", "z", "a b", `waits: 0 of 1 next owners in zone "q"`},
	{"no longer here", "local one", "a@p b@q -> b@q", "a", "", `quorum: level local one cannot be asked of 0 owners in zone "p"`},
	{"owners to come themselves", "majority primary one", "a -> b", "z", "a b! x>b", "impossible: 0 of 1 next owners themselves"},
	{"the first of two that fail", "majority primary two", "a b c -> d e", "z", "a! b! d!", "impossible: 0 of 2 owners"},
	{"what fails before what waits", "majority", "a b c -> d", "z", "d!", "impossible: 0 of 1 next owners"},
}

func TestTallyTable(t *testing.T) {
	for _, c := range tallyTable {
		t.Run(c.name, func(t *testing.T) {
			p, self := layout{place: c.place, self: c.self}.read()
			tally, err := NewTally(p, self, demanded(t, c.demand))
			if err != nil {
				require.EqualError(t, err, c.outcome)
				return
			}
			for word := range strings.FieldsSeq(c.said) {
				hear(tally, word)
			}
			require.Equal(t, c.outcome, describe(tally))
		})
	}
}

// demanded reads a level, followed by those for owners themselves and for disks.
func demanded(t *testing.T, text string) (d Demand) {
	level, durable, _ := strings.Cut(text, " durable ")
	level, primary, _ := strings.Cut(level, " primary ")
	for into, name := range map[*Level]string{&d.Level: level, &d.Primary: primary, &d.Durable: durable} {
		if name == "" {
			continue
		}
		i := slices.IndexFunc(everyLevel, func(l Level) bool { return l.String() == name })
		require.GreaterOrEqual(t, i, 0, name)
		*into = everyLevel[i]
	}
	return d
}

func hear(t *Tally, word string) {
	who, owner, stands := strings.Cut(word, ">")
	name, durable := strings.CutSuffix(who, "*")
	name, fails := strings.CutSuffix(name, "!")
	switch {
	case word == "hint":
		t.Hinted()
	case stands:
		var p Placement
		id := p.locate(name)
		t.StandIn(nodeID(owner), p.Zones[id], durable)
	case fails:
		t.Fail(nodeID(name), errDown)
	default:
		t.Answer(nodeID(name), durable)
	}
}

func describe(t *Tally) string {
	r := t.refusal(OpRead, "k")
	lacks := fmt.Sprintf("%d of %d %s", r.Answered, r.Needed, r.Condition)
	switch {
	case t.Reached():
		return "reached"
	case t.Impossible():
		return "impossible: " + lacks
	}
	return "waits: " + lacks
}

// demands is every level alone, and with each of some for owners themselves and disks.
func demands() (all []Demand) {
	for _, l := range everyLevel {
		for _, more := range everyLevel {
			all = append(all, Demand{Level: l, Primary: more})
			if more != 0 {
				all = append(all, Demand{Level: l, Durable: more})
			}
		}
		all = append(all, Demand{Level: l, Primary: One, Durable: LocalMajority}, Demand{Level: l, Primary: LocalOne, Durable: Majority})
	}
	return all
}

// What cannot be asked is refused with its reason: every layout × every demand, levels
// for owners themselves and for disks in all combinations.
func TestTallyRefusesWhatCannotBeAsked(t *testing.T) {
	refusals := 0
	for _, l := range layouts {
		p, self := l.read()
		for i := range power(len(everyLevel), 3) {
			n := len(everyLevel)
			d := Demand{everyLevel[i%n], everyLevel[i/n%n], everyLevel[i/n/n]}
			_, want := reckoning(p, self, d)
			_, err := NewTally(p, self, d)
			if want == nil {
				require.NoError(t, err, "%s, %+v", l.name, d)
				continue
			}
			require.Equal(t, want, err, "%s, %+v", l.name, d)
			refusals++
		}
	}
	require.Positive(t, refusals)
}

// Every level × every layout of up to three nodes × everything that each of them, or
// who stands in for it, may have said; and of larger layouts as much as there is time
// for. With two demands at once: some of it.
func TestTallyEveryLevelLayoutAndFailure(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			p, self := l.read()
			for _, d := range demands() {
				ref, refused := reckoning(p, self, d)
				if refused != nil {
					continue
				}
				n := power(len(everySaid), len(ref.members))
				tries, hint := n, 1
				if alone := d.Primary == 0 && d.Durable == 0; !alone {
					tries = min(tries, 40)
				} else if len(ref.members) > 3 {
					tries = 1000
				}
				if d.Level == Any {
					hint = 2
				}
				for k := range tries * hint {
					pattern := k / hint
					if tries < n {
						pattern = random.IntN(n)
					}
					checkSaid(t, ref, p, self, d, pattern, k%hint)
				}
			}
		})
	}
}

func checkSaid(t *testing.T, ref *reference, p Placement, self nodeID, d Demand, pattern, hints int) {
	var tally Tally
	require.NoError(t, tally.init(p, self, d))
	all := make([]said, len(ref.members))
	for i := range all {
		all[i] = everySaid[pattern%len(everySaid)]
		ref.tell(&tally, i, all[i])
		pattern /= len(everySaid)
	}
	for range hints {
		tally.Hinted()
	}
	if fault := ref.differs(&tally, all, hints); fault != "" {
		t.Fatalf("%+v, said %+v, %d hints: %s", d, all, hints, fault)
	}
}

// In whatever order it is told, with repetitions, and with what others say between:
// the last word of each member is the greatest of nothing, failure and answer.
func TestTallyWhateverTheOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	all := demands()
	for seed := range 20000 {
		l := layouts[random.IntN(len(layouts))]
		p, self := l.read()
		d := all[random.IntN(len(all))]
		ref, refused := reckoning(p, self, d)
		if refused != nil {
			continue
		}
		tally, err := NewTally(p, self, d)
		require.NoError(t, err)
		final, reached := make([]said, len(ref.members)), false
		for range random.IntN(4 * len(final)) {
			i, s := random.IntN(len(final)), everySaid[random.IntN(len(everySaid))]
			if final[i].stand != 0 {
				s.stand, s.hard = final[i].stand, final[i].hard
			}
			ref.tell(tally, i, s)
			final[i] = final[i].then(s)
			tally.Answer("stranger", true)
			tally.Fail("stranger", errDown)
			tally.StandIn("stranger", "p", true)
			require.True(t, tally.Reached() || !reached, "%s, %+v", l.name, d)
			reached = tally.Reached()
		}
		require.Empty(t, ref.differs(tally, final, 0), "%d: %s, %+v, said %+v", seed, l.name, d, final)
	}
}

// then is what is known of a member of which s is told, too.
func (old said) then(s said) said {
	if old.word >= s.word {
		s.word, s.disk = old.word, old.disk
	}
	return s
}

// What is known of an owner only grows, also if several stand in for it: what is
// reached stays reached.
func TestTallyStandInsOnlyAdd(t *testing.T) {
	p := placed("a@p b@q c@r")
	for _, d := range []Demand{{Level: All}, {Level: EachMajority}, {Level: One, Durable: All}} {
		for i := range power(4, 2) {
			tally, err := NewTally(p, "a", d)
			require.NoError(t, err)
			tally.Answer("a", true)
			tally.Answer("b", true)
			tell := func(k int) { tally.StandIn("c", []string{"r", "p"}[k%2], k/2 == 1) }
			tell(i % 4)
			reached := tally.Reached()
			tell(i / 4)
			require.True(t, tally.Reached() || !reached, "%+v: %d, then %d", d, i%4, i/4)
		}
	}
}
