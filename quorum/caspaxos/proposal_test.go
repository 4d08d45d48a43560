package caspaxos

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
)

var seeds = flag.Int("seeds", 300, "how many histories of each plan")

var plans = []plan{
	{name: "three", places: []string{"abc"}},
	{name: "five", places: []string{"abcde"}},
	{name: "ahead", places: []string{"abc"}, ahead: true},
	{name: "three to four", places: []string{"abc", "abc>abcd", "abcd"}},
	{name: "three to five", places: []string{"abc", "abc>abcde", "abcde"}},
	{name: "all others", places: []string{"abc", "abc>def", "def"}},
	{name: "there and back", places: []string{"abc", "abc>cde", "cde", "cde>abc", "abc"}, ahead: true},
}

// steps is how long a history of a plan is.
func (p *plan) steps() int { return 400 + 200*len(p.places) }

// search runs histories until one is wrong.
func search(p plan, from, n int) (seed int, err error) {
	for seed = from; seed < from+n; seed++ {
		if err := newWorld(uint64(seed), p).run(p.steps()); err != nil {
			return seed, err
		}
	}
	return seed, nil
}

func TestCallsAreLinearizable(t *testing.T) {
	for _, p := range plans {
		t.Run(p.name, func(t *testing.T) {
			seed, err := search(p, 1, *seeds)
			require.NoError(t, err, "seed %d", seed)
		})
	}
}

// The histories are such that something happens in them.
func TestHistoriesAreWorthJudging(t *testing.T) {
	for _, p := range plans {
		ok, maybe, conflicts, ended := 0, 0, 0, 0
		for seed := range uint64(100) {
			w := newWorld(seed, p)
			require.NoError(t, w.run(p.steps()))
			for _, e := range w.past {
				switch {
				case e.maybe:
					maybe++
				case e.conflict:
					conflicts++
				default:
					ok++
				}
			}
			if w.stage == len(w.rings)-1 {
				ended++
			}
		}
		t.Logf("%s: %d made, %d unknown, %d in conflict; %d rings at their end", p.name, ok, maybe, conflicts, ended)
		require.Greater(t, ok, 200, p.name)
		require.Greater(t, maybe, 20, p.name)
		require.Greater(t, conflicts, 20, p.name)
		require.Greater(t, ended, 10, p.name)
	}
}

// A ring that changes without handing over what was promised is found out.
func TestHandingOverIsNeeded(t *testing.T) {
	p := plans[5]
	p.hasty, p.careful = true, true
	_, err := search(p, 1, 2000)
	require.ErrorContains(t, err, "linearizable")
}

// A call that proposed something, and finds nothing, has to see to it that what it proposed comes to nothing before it
// says so: somebody who was not heard may hold it.
func TestWhatWasProposedIsPutToRest(t *testing.T) {
	tries := 0
	o := &proposal{key: "k", decide: func(Value) ([]byte, bool, error) {
		tries++
		return []byte("x"), tries == 1, errDown
	}}
	var held [3]State
	tell := func(asks []send, i int) []send {
		p, add := held[i].answer(&asks[i].request)
		if add != nil {
			held[i].Merge(add)
		}
		return o.answer(&asks[i], &p, nil)
	}
	asks := o.prepare(modelled, Ballot{1, 1}, condition{})
	tell(asks, 0)
	asks = tell(asks, 1)
	tell(asks, 0) // accepted by one, which is not heard again

	asks = o.prepare(modelled, Ballot{2, 1}, condition{})
	tell(asks, 1)
	asks = tell(asks, 2)
	require.Equal(t, undecided, o.outcome, "the others hold nothing")
	require.Len(t, asks, 3)
	tell(asks, 1)
	tell(asks, 2)
	require.Equal(t, decided, o.outcome)
	require.Equal(t, errDown, o.err)

	o = &proposal{key: "k", decide: func(Value) ([]byte, bool, error) { return nil, false, nil }}
	asks = o.prepare(modelled, Ballot{3, 1}, condition{})
	tell(asks, 0)
	tell(asks, 1)
	require.False(t, o.record.found, "what is read later")
}

// The ring changes, and the next owners reconcile with this node, while it stores what it was asked to accept by the old
// one: they missed that, so it must not count.
func TestARingThatComesMeanwhileRefuses(t *testing.T) {
	w := newWorld(1, plans[5])
	for _, s := range w.shelf {
		s.meanwhile = nil
	}
	o := &proposal{key: "k", decide: func(Value) ([]byte, bool, error) { return []byte("x"), true, nil }}
	tell := func(asks []send, i int) []send {
		p, err := w.server[asks[i].to].serve(t.Context(), &asks[i].request)
		return o.answer(&asks[i], &p, err)
	}
	asks := o.prepare(w.rings[0], Ballot{1, 1}, condition{})
	tell(asks, 0)
	asks = tell(asks, 1)
	tell(asks, 1)
	w.shelf["a"].meanwhile = func() {
		w.shelf["a"].meanwhile = nil
		for _, id := range w.ids {
			w.known[id] = 1
		}
		for _, id := range []node{"d", "e", "f"} {
			w.give("a", id)
			w.give("c", id)
		}
		w.stage = 2
	}
	tell(asks, 0)
	require.NoError(t, w.fault)
	require.Equal(t, undecided, o.outcome, "two have it, and one that counts")
	w.known["d"], w.known["e"] = 2, 2
	o = &proposal{key: "k", decide: read}
	asks = o.look(w.rings[2])
	tell(asks, 0)
	tell(asks, 1)
	require.Equal(t, decided, o.outcome)
	require.False(t, o.result.Found, "those who hold the key now know nothing of it")
}

// A told is acceptors that are asked step by step.
type told struct{ held [3]State }

// tell has an acceptor answer a request, and a call hear it.
func (w *told) tell(o *proposal, asks []send, i int) []send {
	p, add := w.held[i].answer(&asks[i].request)
	if add != nil {
		w.held[i].Merge(add)
	}
	return o.answer(&asks[i], &p, nil)
}

// propose has two of three promise and accept.
func (w *told) propose(t *testing.T, text string, by Ballot, i, j int) {
	o := &proposal{key: "k", decide: func(Value) ([]byte, bool, error) { return []byte(text), true, nil }}
	asks := o.prepare(modelled, by, condition{})
	w.tell(o, asks, i)
	asks = w.tell(o, asks, j)
	w.tell(o, asks, i)
	w.tell(o, asks, j)
	require.Equal(t, decided, o.outcome)
}

func TestReadsBesideWhatOthersLeaveBehind(t *testing.T) {
	w := new(told)
	w.propose(t, "x", Ballot{1, 1}, 0, 1)
	look := func(i, j int) *proposal {
		o := &proposal{key: "k", decide: read}
		asks := o.look(modelled)
		w.tell(o, asks, i)
		w.tell(o, asks, j)
		return o
	}
	require.Equal(t, decided, look(0, 1).outcome)
	require.True(t, look(0, 2).stuck(), "one of them knows nothing")

	failed := &proposal{key: "k", decide: func(Value) ([]byte, bool, error) { return []byte("y"), true, nil }}
	asks := failed.prepare(modelled, Ballot{2, 2}, condition{})
	w.tell(failed, asks, 0)
	accepts := w.tell(failed, asks, 1)
	require.Equal(t, decided, look(0, 1).outcome, "promises of those who have told what they hold disturb nobody")

	w.tell(failed, accepts, 1)
	require.True(t, look(0, 1).stuck())
	w.propose(t, "z", Ballot{3, 1}, 0, 2)
	w.held[1].Merge(&w.held[2])
	o := look(1, 2)
	require.Equal(t, decided, o.outcome, "a copy to who has promised to nobody else is as good as a vote")
	require.Equal(t, "z", string(o.result.Data))
}

// A majority that agrees settles a read, whoever else has gone on by then.
func TestReadsHearMoreThanAMajority(t *testing.T) {
	w := new(told)
	w.propose(t, "x", Ballot{1, 1}, 0, 1)
	w.held[2].Merge(&w.held[1])
	next := &proposal{key: "k", decide: func(Value) ([]byte, bool, error) { return []byte("y"), true, nil }}
	asks := next.prepare(modelled, Ballot{2, 2}, condition{})
	w.tell(next, asks, 0)
	w.tell(next, w.tell(next, asks, 2), 2)
	o := &proposal{key: "k", decide: read}
	asks = o.look(modelled)
	w.tell(o, asks, 2)
	w.tell(o, asks, 0)
	require.True(t, o.stuck())
	w.tell(o, asks, 1)
	require.Equal(t, decided, o.outcome)
	require.Equal(t, "x", string(o.result.Data))
}

// Who holds a copy of what it did not know when it promised to somebody else does not count.
func TestCopiesThatComeTooLateDoNotCount(t *testing.T) {
	w := new(told)
	later := &proposal{key: "k", decide: func(Value) ([]byte, bool, error) { return []byte("y"), true, nil }}
	asks := later.prepare(modelled, Ballot{2, 2}, condition{})
	w.tell(later, asks, 1)
	w.tell(later, asks, 2)
	first := (&record{}).with([]byte("x"), Ballot{1, 1})
	w.held[0].Merge(&State{pledge: pledge{promised: Ballot{1, 1}, known: Ballot{1, 1}}, accepted: Ballot{1, 1}, record: first.encode()})
	w.held[1].Merge(&w.held[0])
	o := &proposal{key: "k", decide: read}
	asks = o.look(modelled)
	w.tell(o, asks, 0)
	w.tell(o, asks, 1)
	require.Equal(t, undecided, o.outcome, "what is proposed by the later ballot does not follow from it")
}

// What a call has proposed may still follow from what a majority holds: it is not to say that it was not made.
func TestWhatWasProposedMayFollow(t *testing.T) {
	w := new(told)
	w.propose(t, "x", Ballot{1, 1}, 0, 1)
	w.held[2].Merge(&w.held[1])
	tries := 0
	o := &proposal{key: "k", decide: func(Value) ([]byte, bool, error) {
		tries++
		return []byte("y"), tries == 1, errDown
	}}
	asks := o.prepare(modelled, Ballot{2, 2}, condition{})
	w.tell(o, asks, 0)
	w.tell(o, w.tell(o, asks, 1), 0) // accepted by one, which is not heard again
	asks = o.prepare(modelled, Ballot{3, 2}, condition{})
	w.tell(o, asks, 1)
	asks = w.tell(o, asks, 2)
	require.Equal(t, undecided, o.outcome)
	w.tell(o, asks, 1)
	w.tell(o, asks, 2)
	require.Equal(t, errDown, o.err)
}
