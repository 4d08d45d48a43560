package antientropy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A disk is a Store that waits for its disk once for each Merge, and once for each MergeAll.
type disk struct {
	*sets
	merging func(keys []string) // before a MergeAll has any effect
	between func()              // two of the states of a MergeAll
	stop    func(key string) context.Context

	mu   sync.Mutex
	lots []int // states of each wait
	size int   // bytes of the largest
}

func newDisk() *disk { return &disk{sets: newSets()} }

func (d *disk) wait(states, bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lots = append(d.lots, states)
	d.size = max(d.size, bytes)
}

func (d *disk) waits() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.lots)
}

func (d *disk) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	defer d.wait(1, len(key)+len(state))
	return d.sets.Merge(ctx, key, state)
}

func (d *disk) MergeAll(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error) {
	if d.merging != nil {
		d.merging(keys)
	}
	bytes := 0
	for i, key := range keys {
		if d.between != nil && i > 0 {
			d.between()
		}
		if d.stop != nil {
			ctx = d.stop(key)
		}
		n, err := d.sets.Merge(ctx, key, states[i])
		novel, errs = append(novel, n), append(errs, err)
		bytes += len(key) + len(states[i])
	}
	d.wait(len(keys), bytes)
	return novel, errs
}

// many are states under so many keys, with something of the kind that is given.
func many(n int, with string) (all []*entry) {
	for i := range n {
		all = append(all, &entry{fmt.Sprint(with, i), encodeSet(uint64(i))})
	}
	return all
}

// asDeltas are entries in a message of an Outbox.
func asDeltas(all []*entry) []byte {
	var deltas []*delta
	for _, e := range all {
		deltas = append(deltas, &delta{entry: *e})
	}
	return encodeDeltas(deltas, 0, 0)
}

// asTree are entries in a message of a Broadcast, by turns of so many origins.
func asTree(all []*entry, origins int) []byte {
	b := new(Broadcast)
	sends := make([]sending, origins)
	for i := range sends {
		sends[i].stream = &stream{id: uint64(100 + i)}
	}
	for i, e := range all {
		s := &sends[i%origins]
		s.parcels = append(s.parcels, &parcel{delta: delta{entry: *e}, seq: uint64(len(s.parcels) + 1)})
	}
	return b.encode(&link{id: "to"}, new(treeMessage), sends, 0)
}

// ways are all those by which many states come in one message. Each brings what from has to a
// Store, through a Loop of its own.
var ways = []struct {
	name string
	take func(t *testing.T, to Store, from *sets)
}{
	{"push", pushing(Eager, methodPush, encodePush)},
	{"deltas", pushing(Eager, methodDeltas, asDeltas)},
	{"tree to an eager node", pushing(Eager, methodTree, func(all []*entry) []byte { return asTree(all, 7) })},
	{"tree, one origin", pushing(Lazy, methodTree, func(all []*entry) []byte { return asTree(all, 1) })},
	{"tree, many origins", pushing(Lazy, methodTree, func(all []*entry) []byte { return asTree(all, 100) })},
	{"deltas to a lazy node", pushing(Lazy, methodDeltas, asDeltas)},
	{"stream", func(t *testing.T, to Store, from *sets) {
		x := run(t, NewRound(to, RoundConfig{}), &Responder{Store: from}, 1<<20)
		require.Equal(t, FullState, x.Strategy)
	}},
	{"round that pulls", func(t *testing.T, to Store, from *sets) {
		to.(sharing).common(from)
		x := run(t, NewRound(to, RoundConfig{}), &Responder{Store: from}, 1<<20)
		require.Equal(t, Reconciliation, x.Strategy)
	}},
	{"round that sends", func(t *testing.T, to Store, from *sets) {
		to.(sharing).common(from)
		run(t, NewRound(from, RoundConfig{}), &Responder{Store: to}, 1<<20)
	}},
}

// common has another have the same under many keys, beside what it has.
func (s *sets) common(from *sets) {
	for i := range 5000 {
		s.add(fmt.Sprint("common ", i), 1)
		from.add(fmt.Sprint("common ", i), 1)
	}
}

func pushing(p Propagation, method string, encode func([]*entry) []byte) func(*testing.T, Store, *sets) {
	return func(t *testing.T, to Store, from *sets) {
		var all []*entry
		for key, set := range from.content() {
			all = append(all, &entry{key, encodeSet(set...)})
		}
		h := (&Loop{Store: to, Propagation: p}).Handler()
		_, err := h.ServeCall(t.Context(), "b", method, encode(all))
		require.NoError(t, err)
	}
}

func holdsMany(n int) *sets {
	s := newSets()
	for i := range n {
		s.add(fmt.Sprint("k", i), uint64(i))
	}
	return s
}

// A message of a thousand keys is waited for a few times, on whatever way it comes.
func TestAMessageOfManyKeysCostsFewWaits(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			from, to := holdsMany(1000), newDisk()
			way.take(t, to, from)
			require.Equal(t, from.root(), to.root())
			require.Equal(t, []int{256, 256, 256, 232}, to.lots)

			single := newDisk() // the same, one by one
			from = holdsMany(1000)
			way.take(t, onlyOne{single, single.sets}, from)
			require.Equal(t, from.root(), single.root())
			require.Equal(t, 1000, single.waits())
		})
	}
}

// onlyOne hides that a store merges many.
type onlyOne struct {
	Store
	sharing
}

type sharing interface{ common(from *sets) }

// What a store refuses concerns that key alone, and the one that is told of it is the right one,
// on whatever way it came.
func TestWhatIsRefusedAmongManyIsToldByItsKey(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			from, to, single := holdsMany(600), newDisk(), newSets()
			for _, s := range []*sets{to.sets, single} {
				s.refuse = func(key string) error {
					if len(key) == 3 {
						return errRefused
					}
					return nil
				}
			}
			way.take(t, to, from)
			way.take(t, single, holdsMany(600))
			require.Equal(t, single.root(), to.root())
			require.Less(t, to.waits(), 20)
			for i := range 600 {
				key := fmt.Sprint("k", i)
				require.Equal(t, len(key) != 3, len(to.get(key)) > 0, key)
			}
		})
	}
}

// The answer to a push names those that were refused by their place in it.
func TestRefusedOnesAreNamedByTheirPlace(t *testing.T) {
	bad := func(key string) error {
		if key == "k3" || key == "k400" {
			return errRefused
		}
		return nil
	}
	all := many(500, "k")
	empty := slices.Insert(slices.Clone(all), 2, &entry{}) // what the one who gets it has already
	for _, kind := range []Propagation{Eager, Lazy} {
		for method, req := range map[string][]byte{methodPush: encodePush(all), methodDeltas: asDeltas(all), methodTree: asTree(empty, 1)} {
			s, told := newDisk(), new(refusals)
			s.refuse = bad
			l := &Loop{Store: s, Propagation: kind, Events: Events{OnRefused: told.add}}
			resp, err := l.Handler().ServeCall(t.Context(), "b", method, req)
			require.NoError(t, err)
			var p *pushed
			places := []refusal{{3, errRefused.Error()}, {400, errRefused.Error()}}
			if method == methodTree {
				p, _, err = decodeReceipt(resp, 501, 1)
				places = []refusal{{4, errRefused.Error()}, {401, errRefused.Error()}}
			} else {
				p, err = decodePushed(resp, 500)
			}
			require.NoError(t, err)
			require.Equal(t, &pushed{merged: 498, novel: 498, refused: 2, told: places}, p, method)
			require.Equal(t, []Refused{{"b", "k3", errRefused}, {"b", "k400", errRefused}}, told.all)
		}
	}
}

func TestLotsAreBounded(t *testing.T) {
	d, large := newDisk(), make([]uint64, 40_000)
	for i := range large {
		large[i] = uint64(i)
	}
	state := encodeSet(large...) // 320 kB
	l := newLot(d)
	for range 2 {
		for !l.full() {
			l.add("k", state)
		}
		require.Equal(t, 4, l.len())
		l.reset()
		require.Zero(t, l.len())
	}
	var sizes []int
	for first, l := range lots(d, 520, func(int) (string, []byte) { return "k", nil }) {
		require.Zero(t, first%256)
		sizes = append(sizes, l.len())
	}
	require.Equal(t, []int{256, 256, 8}, sizes)
	for _, l := range lots(plain{d}, 3, func(int) (string, []byte) { return "k", nil }) {
		require.Equal(t, 1, l.len())
	}
	for range lots(d, 0, nil) {
		t.Error("a lot of nothing")
	}
}

// miscounting is a Merger that returns too few results.
type miscounting struct{ *sets }

func (miscounting) MergeAll(context.Context, []string, [][]byte) ([][]byte, []error) {
	return nil, []error{nil}
}

func TestAMergerThatMiscountsIsAnErrorOfAllKeys(t *testing.T) {
	told := new(refusals)
	l := &Loop{Store: miscounting{newSets()}, Events: Events{OnRefused: told.add}}
	_, err := l.Handler().ServeCall(t.Context(), "b", methodPush, encodePush(many(3, "k")))
	require.NoError(t, err)
	require.Len(t, told.all, 3)
	require.EqualError(t, told.all[0].Err, "antientropy: store returned 0 results and 1 errors for 3 states")
}

// What was merged before a call was given up is passed on, since a store tells it once.
func TestWhatWasMergedBeforeACallEndedIsPassedOn(t *testing.T) {
	kinds(t, func(t *testing.T, kind Propagation) {
		bubble(t, func(t *testing.T) {
			var s *disk
			r := newRig(t, func(l *Loop) {
				l.Propagation = kind
				s = &disk{sets: l.Store.(*sets)}
				l.Store = s
			}, "x", "z")
			r.run()
			ctx, cancel := context.WithCancel(t.Context())
			s.stop = func(key string) context.Context {
				if key == "k100" {
					cancel()
				}
				return ctx
			}
			method, req := methodDeltas, asDeltas(many(300, "k"))
			if kind == Lazy {
				method, req = methodTree, asTree(many(300, "k"), 3)
			}
			_, err := r.loop.Handler().ServeCall(ctx, "x", method, req)
			require.ErrorIs(t, err, context.Canceled)
			before := len(s.content())
			require.Greater(t, before, 90)
			require.Less(t, before, 300)
			r.agree("z", r.loop.PushDelay+leastPause*10)

			s.stop = nil
			_, err = r.loop.Handler().ServeCall(t.Context(), "x", method, req)
			require.NoError(t, err)
			r.agree("z", r.loop.PushDelay+leastPause*10)
			require.Len(t, r.peer("z").content(), 300)
			require.Zero(t, r.stats("z").KeysRefused)
			require.Equal(t, uint64(1), r.stats("z").Reconciliations, "deltas brought all of it")
		})
	})
}

// A round that is given up in the middle of a lot has passed on what was merged.
func TestARoundThatIsGivenUpHasPassedOnWhatWasMerged(t *testing.T) {
	from, to := holdsMany(300), newDisk()
	to.common(from)
	learned := map[string]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	to.stop = func(key string) context.Context {
		if key == "k100" {
			cancel()
		}
		return ctx
	}
	round, s := NewRound(to, RoundConfig{Learned: func(key string, _ []byte) { learned[key] = true }}), &Responder{Store: from}
	for {
		method, req, more := round.Next()
		require.True(t, more)
		resp, err := s.ServeCall(t.Context(), "a", method, req)
		require.NoError(t, err)
		if err = round.Step(ctx, resp); err != nil {
			require.ErrorIs(t, err, context.Canceled)
			break
		}
	}
	require.NotEmpty(t, learned)
	require.Len(t, to.content(), 5000+len(learned))
	require.Zero(t, round.Result().KeysRefused)
	require.Equal(t, len(learned), round.Result().KeysNovel)
}

// An error of the whole, as of a disk, is one of each key: nothing of it is taken for merged.
func TestAnErrorOfTheWholeIsOneOfEachKey(t *testing.T) {
	failure := errors.New("input/output error")
	s, told := newDisk(), new(refusals)
	s.refuse = func(string) error { return failure }
	l := &Loop{Store: s, Events: Events{OnRefused: told.add}}
	resp, err := l.Handler().ServeCall(t.Context(), "b", methodDeltas, asDeltas(many(300, "k")))
	require.NoError(t, err)
	p, err := decodePushed(resp, 300)
	require.NoError(t, err)
	require.Equal(t, []int{0, 300}, []int{p.merged, p.refused})
	require.Len(t, told.all, 300)
}
