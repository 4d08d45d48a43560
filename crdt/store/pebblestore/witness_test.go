package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

var secret = []byte("secret")

func inMemory() *store.Store { return store.New(store.Config{Secret: secret}) }

// A witness knows what a store has to hold over many lives: what was there at the end of the last one, and what the
// present one has told of. It is also the peer that was given all that the store ever handed out.
type witness struct {
	tester
	peer   *store.Store
	here   map[string]map[string]bool // elements that are there for sure, by key
	counts map[string]*bounds
	dots   map[event]string // what is numbered how: never two elements alike
	latest vclock.Timestamp // that was seen

	adds  map[string]map[string]*span // of the present life, by key and element
	takes map[string][]taking         // likewise, by key
}

type event struct {
	key string
	dot vclock.Dot
}

// bounds of a counter: how often it was increased for sure, and at most.
type bounds struct{ least, most int64 }

// A span is when a step was taken: between two lines, if it was taken at all.
type span struct {
	from, to int
	sure     bool
}

const never = math.MaxInt

// A taking is a step that takes an element out, or all of them.
type taking struct {
	*span
	element string
}

func newWitness(t tester) *witness {
	return &witness{
		tester: t,
		peer:   inMemory(),
		here:   map[string]map[string]bool{},
		counts: map[string]*bounds{},
		dots:   map[event]string{},
	}
}

// A life is what was told until the end, which came between two lines, if that can be said.
type life struct {
	lines   []line
	least   int // so many lines were told before the end
	most    int // and so many at most
	durable int // what was done before this line is durable
}

// synced is how far a life is durable that does not wait for each write: what was done before a call began that waits.
func synced(lines []line) (durable int) {
	begun := 0
	for i, l := range lines {
		switch l.Is {
		case "forgetting", "closing":
			begun = i
		case "durable", "closed":
			durable = begun
		}
	}
	return durable
}

// told reports whether there is such a line.
func told(lines []line, is string) bool {
	return slices.ContainsFunc(lines, func(l line) bool { return l.Is == is })
}

// judge checks a store that was opened again after a life. Then it has the store write, before it and the peer are
// given what was handed out: so what is lost, and others have, comes back beside what was written in its place.
func (w *witness) judge(s *store.Store, b *Backend, rotated []store.Rotation, l *life, n int) {
	w.Helper()
	w.identity(rotated, l, b.Place() != "")
	spans := w.hear(l)
	w.content(s, "as it was opened")
	w.clock(s, l)
	w.rebuilt(s)
	w.complete(s, l)

	for _, sp := range spans { // what is under way still does nothing to what comes now
		sp.to = min(sp.to, l.most)
	}
	for _, d := range l.handed() {
		if sp := spans[d.Step.N]; sp != nil {
			w.count(d.Step, sp)
			sp.sure = true
		}
	}
	w.exchange(s, append(w.goOn(s, l, n), l.handed()...))
	w.content(s, "with what was handed out")
	w.rebuilt(s)
	w.remember(s)
}

// identity: a store that was not closed never goes on under the name that it had, and one that was closed does where it
// can tell its place.
func (w *witness) identity(rotated []store.Rotation, l *life, placed bool) {
	w.Helper()
	switch {
	case told(l.lines[:l.least], "closed") && placed:
		require.Empty(w, rotated, "it was closed")
	case told(l.lines[:l.least], "closed"):
		require.Len(w, rotated, 1)
		require.Equal(w, store.Moved, rotated[0].Reason)
	case told(l.lines[:l.least], "opened") && !told(l.lines[:l.most], "closing"):
		require.Len(w, rotated, 1)
		require.Equal(w, store.Unclean, rotated[0].Reason)
	}
}

// handed is what the peer may have got.
func (l *life) handed() (all []line) {
	for _, line := range l.lines[:l.least] {
		if (line.Is == "done" || line.Is == "out") && len(line.Delta) > 0 {
			all = append(all, line)
		}
	}
	return all
}

// hear notes which steps were taken when. Places of lines begin at 1: what was there before was put there at 0.
func (w *witness) hear(l *life) map[int]*span {
	w.adds, w.takes = map[string]map[string]*span{}, map[string][]taking{}
	spans := make(map[int]*span)
	for i, line := range l.lines[:l.most] {
		st := line.Step
		switch line.Is {
		case "tried":
			sp := &span{from: i + 1, to: never}
			spans[st.N] = sp
			w.tried(st, sp)
		case "done":
			if i < l.least {
				sp := spans[st.N]
				sp.to = i + 1
				if i < l.durable {
					w.count(st, sp)
					sp.sure = true
				}
			}
		}
	}
	return spans
}

func (w *witness) tried(st step, sp *span) {
	keys := []string{st.Key}
	if st.Do == "batch" || st.Do == "wipe" {
		keys = batchKeys
	}
	for _, key := range keys {
		switch st.Do {
		case "add", "batch":
			if w.adds[key] == nil {
				w.adds[key] = map[string]*span{}
			}
			w.adds[key][st.Element] = sp
		case "remove":
			w.takes[key] = append(w.takes[key], taking{sp, st.Element})
		case "delete", "wipe":
			w.takes[key] = append(w.takes[key], taking{sp, ""})
		case "count":
			if w.counts[key] == nil {
				w.counts[key] = new(bounds)
			}
			w.counts[key].most++
		}
	}
}

// count notes that a step was taken for sure, if it counts.
func (w *witness) count(st step, sp *span) {
	if st.Do == "count" && !sp.sure {
		w.counts[st.Key].least++
	}
}

// content checks what the sets and counters of a store are.
func (w *witness) content(s *store.Store, when string) {
	w.Helper()
	for _, key := range []string{"s0", "s1", "s2", "s3", "b0", "b1", "b2"} {
		w.elements(key, elementsOf(w, s, key), when)
	}
	for _, key := range batchKeys[1:] {
		require.Equal(w, elementsOf(w, s, batchKeys[0]), elementsOf(w, s, key), "%s: a batch in part", when)
	}
	for key, b := range w.counts {
		var n int64
		_, err := store.View(s, key, func(c *crdt.PNCounter) { n = c.Value() })
		require.NoError(w, err)
		require.GreaterOrEqual(w, n, b.least, "%s: %s", when, key)
		require.LessOrEqual(w, n, b.most, "%s: %s", when, key)
	}
}

func elementsOf(t tester, s *store.Store, key string) (all []string) {
	t.Helper()
	_, err := store.View(s, key, func(c *crdt.ORSet[string]) { all = slices.Sorted(c.All()) })
	require.NoError(t, err)
	return all
}

// elements checks those of one set.
func (w *witness) elements(key string, present []string, when string) {
	w.Helper()
	for _, e := range present {
		sp := w.added(key, e)
		require.NotNil(w, sp, "%s: %s has %s, which nobody has added, or which was gone", when, key, e)
		for _, t := range w.takes[key] {
			gone := t.sure && t.takes(e) && t.from > sp.to
			require.False(w, gone, "%s: %s has %s, which was taken out after it was added", when, key, e)
		}
	}
	missing := func(e string, sp *span) {
		if _, found := slices.BinarySearch(present, e); found || !sp.sure {
			return
		}
		taken := slices.ContainsFunc(w.takes[key], func(t taking) bool { return t.takes(e) && t.to > sp.from })
		require.True(w, taken, "%s: %s has lost %s", when, key, e)
	}
	for e := range w.here[key] {
		missing(e, &span{sure: true})
	}
	for e, sp := range w.adds[key] {
		missing(e, sp)
	}
}

func (t taking) takes(element string) bool { return t.element == "" || t.element == element }

// added is when an element was added that may be there.
func (w *witness) added(key, element string) *span {
	if w.here[key][element] {
		return &span{sure: true}
	}
	return w.adds[key][element]
}

// clock: a store stamps later than all that it has, and than all that is durable.
func (w *witness) clock(s *store.Store, l *life) {
	w.Helper()
	for _, line := range l.lines[:min(l.least, l.durable)] {
		if line.Is == "done" && line.Step.Do == "assign" {
			w.see(s, line.Delta)
		}
	}
	for key := range s.Index().All() {
		w.see(s, w.load(s, key))
	}
	last := s.Clock().Last()
	last.Replica = w.latest.Replica
	require.GreaterOrEqual(w, last.Compare(w.latest), 0, "the clock is behind what was stamped")
}

func (w *witness) see(s *store.Store, state []byte) {
	w.Helper()
	v, err := s.Decode(state)
	require.NoError(w, err)
	if at := v.Latest(); w.latest.Compare(at) < 0 {
		w.latest = at
	}
}

func (w *witness) load(s *store.Store, key string) []byte {
	w.Helper()
	state, err := s.Load(context.Background(), key)
	require.NoError(w, err)
	return state
}

// rebuilt checks the index of a store, and what is on its disk, against the values alone.
func (w *witness) rebuilt(s *store.Store) {
	w.Helper()
	fresh := inMemory()
	for key := range s.Index().All() {
		v, err := s.Decode(w.load(s, key))
		require.NoError(w, err)
		plain, err := v.AppendBinary(nil)
		require.NoError(w, err)
		_, err = fresh.Merge(context.Background(), key, plain)
		require.NoError(w, err)
	}
	require.Equal(w, fresh.Index().Root(), s.Index().Root(), "the index is not that of the values")
	require.Equal(w, slices.Collect(fresh.Keys("")), slices.Collect(s.Keys("")))
	report, err := s.Check(context.Background())
	require.NoError(w, err)
	require.False(w, report.Rebuilding)
	require.Zero(w, report.Faults, "%+v", report)
	require.Zero(w, s.Stats().Damages)
}

// complete checks that a store has all of each change that is durable.
func (w *witness) complete(s *store.Store, l *life) {
	w.Helper()
	for _, line := range l.lines[:min(l.least, l.durable)] {
		if line.Is != "done" {
			continue
		}
		novel, err := s.Merge(context.Background(), line.Key, line.Delta)
		require.NoError(w, err)
		require.Empty(w, novel, "%+v is not there in whole", line.Step)
	}
}

// exchange gives the store what was handed out and may be lost, and the peer all. Then they are equal, or something
// was lost that no one told of, or two events have one name.
func (w *witness) exchange(s *store.Store, handed []line) {
	w.Helper()
	require.NoError(w, follow(w.peer, s))
	for _, d := range handed {
		for _, to := range []*store.Store{s, w.peer} {
			_, err := to.Merge(context.Background(), d.Key, d.Delta)
			require.NoError(w, err, "%s of %s", d.Is, d.Key)
		}
		w.number(s, d)
	}
	for key := range s.Index().All() {
		_, err := w.peer.Merge(context.Background(), key, w.load(s, key))
		require.NoError(w, err)
	}
	if s.Index().Root() != w.peer.Index().Root() {
		require.Fail(w, "the peer has something else", "%s", difference(w, s, w.peer))
	}
}

func difference(t tester, a, b *store.Store) string {
	t.Helper()
	var out strings.Builder
	for _, key := range slices.Sorted(func(yield func(string) bool) {
		for _, s := range []*store.Store{a, b} {
			for key := range s.Index().All() {
				if !yield(key) {
					return
				}
			}
		}
	}) {
		here, _ := a.Load(context.Background(), key)
		there, _ := b.Load(context.Background(), key)
		if string(here) != string(there) {
			fmt.Fprintf(&out, "%s: %x\n%s: %x\n", key, here, key, there)
		}
	}
	return out.String()
}

// follow has a store settle what another one has.
func follow(peer, s *store.Store) error {
	if s.Generation() == "" {
		return nil
	}
	if err := meets(peer); err != nil {
		return err
	}
	for peer.Generation() != s.Generation() {
		records, ok := s.Since(peer.Generation(), 1<<20)
		if !ok || len(records) == 0 {
			return errors.New("no way from one generation to the other")
		}
		for _, r := range records {
			if err := peer.Settle(context.Background(), r); err != nil {
				return err
			}
		}
	}
	return nil
}

// number notes how the elements in a delta are numbered.
func (w *witness) number(s *store.Store, d line) {
	w.Helper()
	if v, err := s.Decode(d.Delta); err == nil { // the delta of a batch is something else
		set, _ := crdt.Component[*crdt.ORSet[string]](crdt.Standard(), v)
		w.numbered(d.Key, set)
	}
}

func (w *witness) numbered(key string, set *crdt.ORSet[string]) {
	w.Helper()
	for e := range set.All() {
		for _, d := range set.Explain(e).For {
			at := event{key, d}
			if before, found := w.dots[at]; found && before != e {
				require.Fail(w, "an event was numbered twice", "%s of %s: %s and %s", d, key, before, e)
			}
			w.dots[at] = e
		}
	}
}

// remember notes what is there now for the next life.
func (w *witness) remember(s *store.Store) {
	w.Helper()
	clear(w.here)
	for key := range s.Keys("") {
		w.see(s, w.load(s, key))
		_, err := store.View(s, key, func(c *crdt.ORSet[string]) {
			w.numbered(key, c)
			w.here[key] = map[string]bool{}
			for e := range c.All() {
				w.here[key][e] = true
			}
		})
		require.NoError(w, err)
	}
	for key, b := range w.counts {
		_, err := store.View(s, key, func(c *crdt.PNCounter) { b.least, b.most = c.Value(), c.Value() })
		require.NoError(w, err)
	}
}

// goOn has a store write that was opened again, and returns what it hands out. What is stamped now is later than all
// before.
func (w *witness) goOn(s *store.Store, l *life, n int) (out []line) {
	w.Helper()
	h := &hand{tell: func(l line) {
		if l.Is == "done" {
			out = append(out, l)
		}
	}}
	steps := []step{{Do: "batch"}, {Do: "assign", Key: "r0"}, {Do: "count", Key: "n0"}}
	for i := range 4 {
		steps = append(steps, step{Do: "add", Key: fmt.Sprint("s", i)})
	}
	for i, st := range steps {
		st.N, st.Element = n+i, fmt.Sprint("on", n+i)
		require.NoError(w, h.take(s, st))
		sp := &span{from: l.most + 1, to: l.most + 1}
		w.tried(st, sp)
		w.count(st, sp)
		sp.sure = true
	}
	v, err := s.Decode(w.load(s, "r0"))
	require.NoError(w, err)
	require.Negative(w, w.latest.Compare(v.Latest()))
	return out
}
