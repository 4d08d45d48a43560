package simulation

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func at(wall int64) vclock.Timestamp { return vclock.Timestamp{Wall: wall} }

func only(id int) shadow { return shadow{seen: bit(id)} }

// joined is the join of several shadows, the same in either order.
func joined(t *testing.T, l *ledger, parts ...shadow) (s shadow) {
	var back shadow
	for i := range parts {
		s, back = l.join(s, parts[i]), l.join(back, parts[len(parts)-1-i])
	}
	require.Equal(t, s.word(), back.word())
	for _, p := range parts {
		require.True(t, l.covers(s, p))
		require.True(t, l.novel(p, s).empty())
	}
	return s
}

// A counter's delta stands for all that its writer counted before.
func TestModelOfCounters(t *testing.T) {
	l, paris := newLedger(0), vclock.Named("paris")
	count := func(n int64) int {
		return l.chain(chain{paris, pncounter, n < 0}, mark{component: pncounter, amount: n})
	}
	one, two, down := count(1), count(2), count(-4)
	second := shadow{seen: l.withEarlier(bit(two))}
	require.Equal(t, bit(one).with(two), second.seen)
	require.Equal(t, "3", l.view(second)[pncounter])
	reset := removal(second.seen)
	all := joined(t, l, reset, second, only(down))
	require.Equal(t, "-4", l.view(all)[pncounter])
	require.Equal(t, removal(second.seen), l.novel(reset, second))
}

// Of two writes to a last-write-wins register only the later one is remembered.
func TestModelOfRegisters(t *testing.T) {
	l := newLedger(0)
	early := only(l.rank(mark{component: lww, text: "early", stamp: at(1)}))
	late := only(l.rank(mark{component: lww, text: "late", stamp: at(2)}))
	require.Equal(t, late, joined(t, l, early, late))
	require.True(t, l.novel(early, late).empty())
	require.Equal(t, late, l.novel(late, early))
	gone := joined(t, l, late, removal(late.seen))
	require.Empty(t, l.view(gone)[lww])
	require.True(t, l.novel(late, gone).empty())
	require.True(t, l.covers(gone, early))
}

// What was written last to an element or a key decides, each by itself.
func TestModelOfLastWritesByPlace(t *testing.T) {
	l := newLedger(0)
	added := only(l.rank(mark{component: lwwset, place: "a", text: "a", stamp: at(1)}))
	other := only(l.rank(mark{component: lwwset, place: "b", text: "b", stamp: at(2)}))
	removed := only(l.rank(mark{component: lwwset, place: "a", text: "a", removal: true, stamp: at(3)}))
	all := joined(t, l, added, removed, other)
	require.Equal(t, "b", l.view(all)[lwwset])
	require.Equal(t, removal(other.seen), takeAwayAdded(l, all.live()), "a removal is not reset")

	set := only(l.rank(mark{component: lwwmap, place: "k", text: "v", stamp: at(5)}))
	stale := only(l.rank(mark{component: lwwmap, place: "k", removal: true, stamp: at(4)}))
	require.Equal(t, "k:v", l.view(joined(t, l, stale, set))[lwwmap])
}

func TestModelOfExtremes(t *testing.T) {
	l := newLedger(0)
	for k, want := range map[component]string{maxRegister: "7", minRegister: "3"} {
		three, seven := only(l.rank(mark{component: k, amount: 3})), only(l.rank(mark{component: k, amount: 7}))
		require.Equal(t, want, l.view(joined(t, l, three, seven))[k])
	}
}

func TestModelOfTwoPhaseSets(t *testing.T) {
	l := newLedger(0)
	out, in, other := only(l.phase("a", true)), only(l.phase("a", false)), only(l.phase("b", false))
	require.Equal(t, out, joined(t, l, in, out), "whether it was in makes no difference")
	require.True(t, l.news(out, l.phase("a", false)).empty(), "it never comes back")
	require.Equal(t, "b", l.view(joined(t, l, in, out, other))[twoPhase])
	require.Equal(t, only(l.phase("b", true)), removeForGood(l, joined(t, l, out, other).live()))
}

// A removal wins over an addition that has not seen it, and one that has brings the
// element back.
func TestModelOfRemoveWins(t *testing.T) {
	l := newLedger(0)
	added := only(l.add(mark{component: rwset, text: "a"}))
	removed := only(l.add(mark{component: rwset, text: "a", removal: true}))
	raced := joined(t, l, added, removed)
	require.Empty(t, l.view(raced)[rwset])
	require.NotEmpty(t, remarkContested(l, raced))
	again := removal(raced.seen)
	again.seen = again.seen.with(l.add(mark{component: rwset, text: "a"}))
	require.Equal(t, "a", l.view(joined(t, l, raced, again))[rwset])
}

func TestModelOfFlags(t *testing.T) {
	l := newLedger(0)
	on := only(l.add(mark{component: dwflag}))
	off := only(l.add(mark{component: dwflag, removal: true}))
	raced := joined(t, l, on, off)
	require.Equal(t, "off", l.view(raced)[dwflag], "a disabling wins over an enabling that has not seen it")
	again := removal(raced.seen)
	again.seen = again.seen.with(l.add(mark{component: dwflag}))
	require.Equal(t, "on", l.view(joined(t, l, raced, again))[dwflag])

	first, second := only(l.add(mark{component: ewflag})), only(l.add(mark{component: ewflag}))
	require.Equal(t, "on", l.view(joined(t, l, first, second, removal(first.seen)))[ewflag])
	require.Empty(t, l.view(removal(first.seen))[ewflag])
}

func TestModelOfLogs(t *testing.T) {
	l := newLedger(0)
	second := only(l.add(mark{component: log, text: "second", stamp: at(2)}))
	first := only(l.add(mark{component: log, text: "first", stamp: at(1)}))
	require.Equal(t, "first second", l.view(joined(t, l, second, first))[log])
}

// Rights are conserved in every state, also in one that tells of a transfer which it
// has not seen.
func TestModelOfBoundedCounters(t *testing.T) {
	l, paris, tokyo := newLedger(0), vclock.Named("paris"), vclock.Named("tokyo")
	l.meet(tokyo, paris)
	do := func(d deed) shadow {
		id := l.chain(chain{replica: d.by, component: bounded}, mark{component: bounded, deed: d})
		return shadow{seen: l.withEarlier(bit(id))}
	}
	show := func(s shadow) string { return l.view(s)[bounded] }

	asked := do(deed{verb: request, n: 6, by: tokyo})
	require.Equal(t, "0 tokyo:0+6", show(asked))
	do(deed{verb: increment, n: 10, by: paris})
	given := do(deed{verb: transfer, n: 4, by: paris, to: tokyo})
	require.Equal(t, "10 paris:6 tokyo:4", show(given))
	require.Equal(t, "10 paris:6 tokyo:4+2", show(joined(t, l, asked, given)))

	spent := do(deed{verb: spend, n: 3, by: tokyo, known: given.seen.intersect(l.proven(given.seen))})
	require.Equal(t, "1 tokyo:1+2", show(spent), "the transfer is proven by what was spent of it")
	require.NotEmpty(t, remarkBounded(l, spent))
	require.Equal(t, "7 paris:6 tokyo:1+2", show(joined(t, l, given, spent)))
}

// Fields are told apart by their place and kind.
func TestModelOfMaps(t *testing.T) {
	l := newLedger(0)
	add := func(place string, kind crdt.FieldKind, m mark) shadow {
		m.component, m.place, m.field = ormap, place, kind
		return only(l.add(m))
	}
	s := joined(t, l,
		add("a", crdt.FieldCounter, mark{amount: 2}), add("a", crdt.FieldCounter, mark{amount: -2}),
		add("a", crdt.FieldFlag, mark{}), add("ab", crdt.FieldSet, mark{text: "x"}), add("a/b", crdt.FieldSet, mark{text: "x"}),
		add("a/b", crdt.FieldLWWRegister, mark{text: "early", stamp: at(1)}),
		add("a/b", crdt.FieldLWWRegister, mark{text: "late", stamp: at(2)}))
	require.Equal(t, "a counter 0 a flag on a/b lwwregister late a/b set x ab set x", l.view(s)[ormap])
	require.NotEmpty(t, remarkMap(l, s))
	m := mark{place: "a/b"}
	require.True(t, m.within("a/b") && m.within("a") && m.below("a"))
	require.False(t, m.below("a/b") || (&mark{place: "ab"}).within("a"))
}
