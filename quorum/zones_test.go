package quorum

import (
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// What follows is Demand and Level once more, from their documentation alone, in terms
// of sets: a rule says which nodes it speaks of and which sets of those are enough. How
// many that takes is found by trying all sets.

// A mask is a set of members, by their places.
type mask uint

func (m mask) has(i int) bool { return m>>i&1 == 1 }
func (m mask) len() int       { return bits.OnesCount(uint(m)) }

type rule struct {
	words  string // as Refusal.Condition has them
	aspect string // "answers", "owners", "disk" or "hint"
	zone   string
	zoned  bool
	of     mask
	enough func(mask) bool
	needed int // the size of the smallest set that is enough
}

// A reference is what a Tally should know.
type reference struct {
	members []nodeID
	zones   []string
	owners  int
	rules   []rule
}

// reckoning returns the reference for a demand; refused if a level cannot be asked,
// which it is of owners of whom all together are not enough.
func reckoning(p Placement, self nodeID, d Demand) (ref *reference, refused *LevelError) {
	ref = new(reference)
	now, next := ref.enlist(p, p.Owners), mask(0)
	ref.owners = now.len()
	next = ref.enlist(p, p.Next)
	for _, g := range []struct {
		of    mask
		words string
	}{{now, ""}, {next, "next "}} {
		if g.words != "" && g.of == 0 {
			break
		}
		for _, part := range []struct {
			level         Level
			words, aspect string
		}{{d.Level, "owners", "answers"}, {d.Primary, "owners themselves", "owners"}, {d.Durable, "durable owners", "disk"}} {
			if part.level == 0 && part.aspect != "answers" {
				continue
			}
			words := g.words + part.words
			if part.level == Any {
				words, part.aspect = g.words+"owners or hints", map[bool]string{true: "hint"}[part.aspect == "answers"]
			}
			if refused := ref.rule(rule{words: words, aspect: part.aspect}, part.level, g.of, p.Zones[self]); refused != nil {
				return nil, refused
			}
		}
	}
	return ref, nil
}

// enlist makes members of nodes, each once.
func (ref *reference) enlist(p Placement, list []nodeID) (set mask) {
	for _, id := range list {
		i := slices.Index(ref.members, id)
		if i < 0 {
			i = len(ref.members)
			ref.members, ref.zones = append(ref.members, id), append(ref.zones, p.Zones[id])
		}
		set |= 1 << i
	}
	return set
}

// rule adds what one level asks of a set of nodes.
func (ref *reference) rule(r rule, l Level, of mask, home string) *LevelError {
	switch l {
	case EachMajority:
		for _, zone := range ref.zonesOf(of) {
			if refused := ref.add(r.in(zone), l, of&ref.within(zone)); refused != nil {
				return refused
			}
		}
		if of == 0 {
			return &LevelError{Level: l}
		}
		return nil
	case LocalOne, LocalMajority:
		return ref.add(r.in(home), l, of&ref.within(home))
	}
	if r.aspect == "" {
		return &LevelError{Level: l, Reason: "a hint is neither an owner nor durable there"}
	}
	return ref.add(r, l, of)
}

func (r rule) in(zone string) rule {
	r.zone, r.zoned = zone, true
	r.words += fmt.Sprintf(" in zone %q", zone)
	return r
}

func (ref *reference) within(zone string) (set mask) {
	for i, z := range ref.zones {
		if z == zone {
			set |= 1 << i
		}
	}
	return set
}

func (ref *reference) zonesOf(of mask) (all []string) {
	for i, z := range ref.zones {
		if of.has(i) && !slices.Contains(all, z) {
			all = append(all, z)
		}
	}
	return all
}

func (ref *reference) add(r rule, l Level, of mask) *LevelError {
	r.of = of
	switch l {
	case Default, Majority, LocalMajority, EachMajority:
		r.enough = func(set mask) bool { return set.len() > (of &^ set).len() }
	case All:
		r.enough = func(set mask) bool { return set == of && of != 0 }
	case Any, LocalOne:
		r.enough = func(set mask) bool { return set != 0 }
	default:
		r.enough = func(set mask) bool { return l > 0 && set.len() >= int(l) }
	}
	if !r.enough(of) {
		return &LevelError{Level: l, Owners: of.len(), Zone: r.zone}
	}
	r.needed = of.len()
	for set := range of + 1 {
		if set&^of == 0 && r.enough(set) {
			r.needed = min(r.needed, set.len())
		}
	}
	ref.rules = append(ref.rules, r)
	return nil
}

// What a member said, and who answered in its place.
type said struct {
	word  verdict
	disk  bool
	stand byte // 0: nobody; 'h': a node of its zone; 't': one of another
	hard  bool // who stands in has it on disk
}

// everySaid is all that may be, of one member.
var everySaid = func() (all []said) {
	words := []said{{word: silent}, {word: failed}, {word: answered}, {word: answered, disk: true}}
	stands := []said{{}, {stand: 'h'}, {stand: 't'}, {stand: 'h', hard: true}, {stand: 't', hard: true}}
	for _, w := range words {
		for _, s := range stands {
			all = append(all, said{w.word, w.disk, s.stand, s.hard})
		}
	}
	return all
}()

// counted returns the set of members that count for a rule; with hope, if all who are
// silent answered yet, and had it on disk.
func (r *rule) counted(all []said, hope bool) (set mask) {
	for i, s := range all {
		if r.of.has(i) && r.counts(s, hope && s.word == silent) {
			set |= 1 << i
		}
	}
	return set
}

// counts is what the documentation says of one member. A node that stands in for an
// owner of a zone without being there says nothing about that zone. Whose place was
// taken by one that has it on disk counts as on disk also after an answer of its own:
// what is reached stays reached.
func (r *rule) counts(s said, hope bool) bool {
	stood := s.stand == 'h' || s.stand == 't' && !r.zoned
	switch r.aspect {
	case "owners":
		return hope || s.word == answered
	case "disk":
		return hope || s.word == answered && s.disk || stood && s.hard
	}
	return hope || s.word == answered || stood
}

func (r *rule) holds(all []said, hints int, hope bool) bool {
	return r.enough(r.counted(all, hope)) || r.aspect == "hint" && hints > 0
}

// outcome is what should be told of what was said: whether it is reached, whether that
// is impossible, and the rule that a refusal names.
func (ref *reference) outcome(all []said, hints int) (reached, impossible bool, named *rule) {
	var open, broken *rule
	for i := range slices.Backward(ref.rules) {
		r := &ref.rules[i]
		if !r.holds(all, hints, false) {
			open = r
		}
		if !r.holds(all, hints, true) {
			broken = r
		}
	}
	named = &ref.rules[0]
	for _, r := range []*rule{open, broken} {
		if r != nil {
			named = r
		}
	}
	return open == nil, broken != nil, named
}

// tell tells a Tally what a member said.
func (ref *reference) tell(t *Tally, i int, s said) {
	switch s.word {
	case failed:
		t.Fail(ref.members[i], errDown)
	case answered:
		t.Answer(ref.members[i], s.disk)
	}
	switch s.stand {
	case 'h':
		t.StandIn(ref.members[i], ref.zones[i], s.hard)
	case 't':
		t.StandIn(ref.members[i], "elsewhere", s.hard)
	}
}

// differs compares a Tally with the reference: empty if they agree.
func (ref *reference) differs(t *Tally, all []said, hints int) string {
	reached, impossible, named := ref.outcome(all, hints)
	got := named.counted(all, false).len()
	if named.aspect == "hint" && hints > 0 {
		got = max(got, 1)
	}
	r := t.refusal(OpRead, "k")
	switch {
	case t.Reached() != reached:
		return fmt.Sprintf("reached: %v", !reached)
	case t.Impossible() != impossible:
		return fmt.Sprintf("impossible: %v", !impossible)
	case r.Condition != named.words || r.Needed != named.needed || r.Answered != got:
		return fmt.Sprintf("refused for %d of %d %s, not %d of %d %s", r.Answered, r.Needed, r.Condition, got, named.needed, named.words)
	case r.Owners != ref.owners || t.Owners() != ref.owners:
		return fmt.Sprintf("%d owners, not %d", r.Owners, ref.owners)
	}
	return ref.roll(t, &r, all)
}

// roll compares who is said to have said what.
func (ref *reference) roll(t *Tally, r *Refusal, all []said) string {
	var n [3]int
	same := true
	for i, s := range all {
		k := n[s.word]
		n[s.word]++
		switch s.word {
		case silent:
			same = same && k < len(r.Silent) && r.Silent[k] == ref.members[i]
		case failed:
			same = same && k < len(r.Failures) && r.Failures[k] == Failure{ref.members[i], errDown}
		case answered:
			same = same && k < len(r.Answers) && r.Answers[k] == ref.members[i]
		}
	}
	if !same || n != [3]int{len(r.Silent), len(r.Failures), len(r.Answers)} || t.Answered() != n[answered] {
		return fmt.Sprintf("silent %v, failed %v, answered %v", r.Silent, r.Failures, r.Answers)
	}
	return ""
}

// quorums returns the smallest sets of nodes of which the answers are enough. They are
// sets of a, b, c, ... h.
func quorums(p Placement, self nodeID, d Demand) (least []mask, err error) {
	tally, err := NewTally(p, self, d)
	if err != nil {
		return nil, err
	}
	universe, own := nodes(8), mask(0)
	for i, id := range universe {
		if tally.index(id) >= 0 {
			own |= 1 << i
		}
	}
	for set := range own + 1 {
		if set&^own != 0 || slices.ContainsFunc(least, func(other mask) bool { return other&^set == 0 }) {
			continue // what is within a set comes before it
		}
		if err := tally.init(p, self, d); err != nil {
			return nil, err
		}
		for i, id := range universe {
			if set.has(i) {
				tally.Answer(id, true)
			}
		}
		if tally.Reached() {
			least = append(least, set)
		}
	}
	return least, nil
}

// meet reports whether every two sets share a node.
func meet(a, b []mask) bool {
	for _, x := range a {
		for _, y := range b {
			if x&y == 0 {
				return false
			}
		}
	}
	return true
}

func meetAs(t *testing.T, p Placement, read, write Demand, reader, writer nodeID) bool {
	t.Helper()
	r, err := quorums(p, reader, read)
	require.NoError(t, err)
	w, err := quorums(p, writer, write)
	require.NoError(t, err)
	return meet(r, w)
}

// A read of R and a write of W share an owner if, and only if, R+W > N, at any levels
// that count owners wherever they are.
func TestQuorumsMeet(t *testing.T) {
	levels := []Level{One, Two, Three, 4, 5, Majority, All}
	for n := 1; n <= 5; n++ {
		for _, r := range levels {
			for _, w := range levels {
				if r.of(n) > n || w.of(n) > n {
					continue
				}
				p := Placement{Owners: nodes(n)}
				require.Equal(t, r.of(n)+w.of(n) > n, meetAs(t, p, Demand{Level: r}, Demand{Level: w}, "z", "z"), "%v and %v of %d", r, w, n)
			}
		}
	}
}

// What the levels that speak of zones promise, whoever asks.
func TestQuorumsOfZonesMeet(t *testing.T) {
	always := [][2]Level{
		{Majority, Majority}, {LocalMajority, EachMajority}, {EachMajority, LocalMajority},
		{EachMajority, EachMajority}, {Majority, EachMajority}, {LocalOne, All}, {All, LocalOne},
	}
	for _, l := range layouts {
		p, _ := l.read()
		if len(p.Owners) == 0 {
			continue
		}
		for _, pair := range always {
			for _, reader := range p.Owners {
				for _, writer := range p.Owners {
					if len(p.Next) > 0 && (speaksOfHere(pair[0]) && !covers(p, reader) || speaksOfHere(pair[1]) && !covers(p, writer)) {
						continue
					}
					require.True(t, meetAs(t, p, Demand{Level: pair[0]}, Demand{Level: pair[1]}, reader, writer), "%s: %v by %s and %v by %s", l.name, pair[0], reader, pair[1], writer)
				}
			}
		}
	}
	split := placed("a@p b@p c@p d@q e@q f@q")
	local := Demand{Level: LocalMajority}
	require.True(t, meetAs(t, split, local, local, "a", "b"), "of one zone")
	require.False(t, meetAs(t, split, local, local, "a", "d"), "of two")
	require.False(t, meetAs(t, split, local, Demand{Level: Majority}, "a", "a"), "a majority may be mostly elsewhere")
	require.False(t, meetAs(t, split, Demand{Level: LocalOne}, Demand{Level: EachMajority}, "a", "a"))
}

// speaksOfHere reports whether a level speaks of the zone of the node that asks.
func speaksOfHere(l Level) bool { return l == LocalOne || l == LocalMajority }

// covers reports whether the zone of a node has owners now and to come.
func covers(p Placement, id nodeID) bool {
	here := func(o nodeID) bool { return p.Zones[o] == p.Zones[id] }
	return slices.ContainsFunc(p.Owners, here) && slices.ContainsFunc(p.Next, here)
}

// Trap 19: while the ring changes from one set of owners to another, and they may be
// any, what was written by the old ring is met by reads of both, and what is written
// to both by reads of the old ring and of the new one.
func TestTrap19_QuorumsMeetAcrossAChange(t *testing.T) {
	pairs := [][2]Level{{Majority, Majority}, {One, All}, {All, One}, {Default, Majority}}
	for x := mask(1); x < 1<<5; x++ {
		for y := mask(1); y < 1<<5; y++ {
			before, after := Placement{Owners: named(x)}, Placement{Owners: named(y)}
			both := Placement{Owners: named(x), Next: named(y)}
			for _, l := range pairs {
				r, w := Demand{Level: l[0]}, Demand{Level: l[1]}
				for _, step := range [][2]Placement{{before, both}, {both, before}, {both, both}, {both, after}, {after, both}} {
					require.True(t, meet(least(t, step[0], w), least(t, step[1], r)), "%v and %v: %+v, then %+v", l[0], l[1], step[0], step[1])
				}
			}
		}
	}
	old, fresh := Placement{Owners: named(0b00111)}, Placement{Owners: named(0b11100)}
	require.False(t, meet(least(t, old, Demand{}), least(t, fresh, Demand{})), "without both in between it would not")
}

func named(set mask) (list []nodeID) {
	for i, id := range nodes(8) {
		if set.has(i) {
			list = append(list, id)
		}
	}
	return list
}

var leastKnown = make(map[string][]mask)

// least is quorums, remembered.
func least(t *testing.T, p Placement, d Demand) []mask {
	key := fmt.Sprint(p.Owners, p.Next, d)
	if _, ok := leastKnown[key]; !ok {
		all, err := quorums(p, "z", d)
		require.NoError(t, err)
		leastKnown[key] = all
	}
	return leastKnown[key]
}

// Quorums of which a majority has to be owners themselves share an owner, whoever
// else stood in; without that they may have none in common.
func TestSloppyQuorumsMeetByTheirOwners(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for _, strict := range []bool{true, false} {
			d := Demand{Level: Majority}
			if strict {
				d.Primary = Majority
			}
			all := sloppy(t, n, d)
			require.Equal(t, strict, meet(all, all), "%d owners", n)
		}
	}
}

// sloppy returns the sets of owners that answered themselves when a demand was met
// with the help of others.
func sloppy(t *testing.T, n int, d Demand) (all []mask) {
	for pattern := range power(3, n) {
		tally, err := NewTally(Placement{Owners: nodes(n)}, "z", d)
		require.NoError(t, err)
		set := mask(0)
		for i, id := range nodes(n) {
			switch pattern % 3 {
			case 1:
				tally.Answer(id, false)
				set |= 1 << i
			case 2:
				tally.StandIn(id, "", false)
			}
			pattern /= 3
		}
		if tally.Reached() {
			all = append(all, set)
		}
	}
	return all
}
