package store_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/vclock"
)

// The model of a key is a history: events, each of which may cover earlier ones.
// What a store holds is the set of events that reached it; each type is a function
// from such a set to a value. It shares no code with the types.

type kind int

const (
	counter kind = iota
	set
	register
	siblings
	grow
)

type event struct {
	kind    kind
	amount  int64            // counter
	element string           // sets and registers
	stamp   vclock.Timestamp // register
	remove  bool             // it only covers
	covers  map[int]bool     // events that it takes away
}

// A history is every event of one key, wherever it happened.
type history []event

type seen map[int]bool

// standing yields the events of a kind that were seen and that no seen event covers.
func (h history) standing(s seen, k kind) []int {
	covered := make(map[int]bool)
	for id := range s {
		maps.Copy(covered, h[id].covers)
	}
	var ids []int
	for id := range s {
		if e := h[id]; e.kind == k && !e.remove && !covered[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (h history) total(s seen) (n int64) {
	for _, id := range h.standing(s, counter) {
		n += h[id].amount
	}
	return n
}

func (h history) elements(s seen, k kind) []string {
	all := make(map[string]bool)
	for _, id := range h.standing(s, k) {
		all[h[id].element] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// winner is the write with the highest timestamp, unless it was covered: a reset
// of a register takes away what it saw and whatever is older.
func (h history) winner(s seen) (string, bool) {
	best := -1
	for id := range s {
		if e := h[id]; e.kind == register && !e.remove && (best < 0 || e.stamp.Compare(h[best].stamp) > 0) {
			best = id
		}
	}
	if best < 0 || !slices.Contains(h.standing(s, register), best) {
		return "", false
	}
	return h[best].element, true
}

func (h history) alive(s seen) bool {
	_, won := h.winner(s)
	return won || len(h.standing(s, counter))+len(h.standing(s, set))+
		len(h.standing(s, siblings))+len(h.standing(s, grow)) > 0
}

// A view is what one store knows of one key. A bare delta may tell less than all
// that its sender knew; once one is merged, seen is only an upper bound, until a
// whole state arrives that includes it.
type view struct {
	seen    seen
	inexact bool
}

func (v view) includes(o view) bool {
	for id := range o.seen {
		if !v.seen[id] {
			return false
		}
	}
	return true
}

// merge is what becomes of v by p.
func (v *view) merge(p view) {
	switch {
	case !p.inexact && p.includes(*v):
		v.inexact = false
	case !v.inexact && v.includes(p):
	default:
		v.inexact = v.inexact || p.inexact
	}
	maps.Copy(v.seen, p.seen)
}

func (v *view) copy(inexact bool) view { return view{maps.Clone(v.seen), inexact} }

type parcel struct {
	key   string
	state []byte
	view  view
}

type machine struct {
	stores    []*store.Store
	histories map[string]*history
	views     []map[string]*view // per store
	mail      []parcel
}

func newMachine() *machine {
	m := &machine{histories: make(map[string]*history)}
	for _, name := range []string{"a", "b", "c"} {
		m.stores = append(m.stores, named(name))
		m.views = append(m.views, make(map[string]*view))
	}
	return m
}

func (m *machine) at(i int, key string) (*history, *view) {
	if m.histories[key] == nil {
		m.histories[key] = new(history)
	}
	if m.views[i][key] == nil {
		m.views[i][key] = &view{seen: make(seen)}
	}
	return m.histories[key], m.views[i][key]
}

// record adds an event at store i, and posts the delta it led to.
func (m *machine) record(i int, key string, e event, delta []byte) {
	h, v := m.at(i, key)
	id := len(*h)
	*h = append(*h, e)
	v.seen[id] = true
	if delta != nil {
		m.mail = append(m.mail, parcel{key, delta, v.copy(true)})
	}
}

// covering is the set of what stands at store i under key, as far as match.
func (m *machine) covering(i int, key string, k kind, match func(event) bool) map[int]bool {
	h, v := m.at(i, key)
	ids := make(map[int]bool)
	for _, id := range h.standing(v.seen, k) {
		if match((*h)[id]) {
			ids[id] = true
		}
	}
	return ids
}

func all(event) bool { return true }

var (
	anyKey     = rapid.SampledFrom([]string{"mixed", "counter", "set", "register", "siblings"})
	anyElement = rapid.SampledFrom([]string{"x", "y", "z"})
	anyStore   = rapid.IntRange(0, 2)
)

func (m *machine) add(t *rapid.T) {
	i, key := anyStore.Draw(t, "store"), anyKey.Draw(t, "key")
	n := rapid.SampledFrom([]int64{-2, -1, 1, 3}).Draw(t, "n")
	delta, err := sent(store.Update(m.stores[i], key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
		return c.Add(by.Replica, n)
	}))
	require.NoError(t, err)
	m.record(i, key, event{kind: counter, amount: n}, delta)
}

func (m *machine) insert(t *rapid.T) {
	i, key, x := anyStore.Draw(t, "store"), anyKey.Draw(t, "key"), anyElement.Draw(t, "element")
	delta, err := sent(store.Update(m.stores[i], key, func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return c.Add(by.Replica, x)
	}))
	require.NoError(t, err)
	m.record(i, key, event{kind: set, element: x}, delta)
}

func (m *machine) erase(t *rapid.T) {
	i, key, x := anyStore.Draw(t, "store"), anyKey.Draw(t, "key"), anyElement.Draw(t, "element")
	if _, v := m.at(i, key); v.inexact {
		return // what the removal covers is not known to the model
	}
	delta, err := sent(store.Update(m.stores[i], key, func(c *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] {
		return c.Remove(x)
	}))
	require.NoError(t, err)
	m.record(i, key, event{kind: set, remove: true,
		covers: m.covering(i, key, set, func(e event) bool { return e.element == x })}, delta)
}

func (m *machine) assign(t *rapid.T) {
	i, key, x := anyStore.Draw(t, "store"), anyKey.Draw(t, "key"), anyElement.Draw(t, "value")
	var stamp vclock.Timestamp
	delta, err := sent(store.Update(m.stores[i], key,
		func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
			stamp = by.Stamp()
			return r.Set(stamp, x)
		}))
	require.NoError(t, err)
	m.record(i, key, event{kind: register, element: x, stamp: stamp}, delta)
	got, found := text(t, m.stores[i], key)
	require.True(t, found && got == x, "a local write is later than all that was seen")
}

func (m *machine) overwrite(t *rapid.T) {
	i, key, x := anyStore.Draw(t, "store"), anyKey.Draw(t, "key"), anyElement.Draw(t, "value")
	if _, v := m.at(i, key); v.inexact {
		return
	}
	delta, err := sent(store.Update(m.stores[i], key,
		func(r *crdt.MVRegister[string], by store.Writer) *crdt.MVRegister[string] {
			return r.Set(by.Replica, x)
		}))
	require.NoError(t, err)
	m.record(i, key, event{kind: siblings, element: x, covers: m.covering(i, key, siblings, all)}, delta)
}

func (m *machine) grow(t *rapid.T) {
	i, x := anyStore.Draw(t, "store"), anyElement.Draw(t, "element")
	delta, err := sent(store.Update(m.stores[i], "grow", func(c *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] {
		return c.Add(x)
	}))
	require.NoError(t, err)
	m.record(i, "grow", event{kind: grow, element: x}, delta)
}

func (m *machine) remove(t *rapid.T) {
	i, key := anyStore.Draw(t, "store"), anyKey.Draw(t, "key")
	if _, v := m.at(i, key); v.inexact {
		return
	}
	delta, err := sent(m.stores[i].Delete(key))
	require.NoError(t, err)
	for _, k := range []kind{counter, set, register, siblings} {
		m.record(i, key, event{kind: k, remove: true, covers: m.covering(i, key, k, all)}, nil)
	}
	if delta != nil {
		_, v := m.at(i, key)
		m.mail = append(m.mail, parcel{key, delta, v.copy(true)})
	}
}

func (m *machine) refuseToRemove(t *rapid.T) {
	i := anyStore.Draw(t, "store")
	before := load(t, m.stores[i], "grow")
	_, err := m.stores[i].Delete("grow")
	if before != nil {
		require.ErrorIs(t, err, crdt.ErrGrowOnly)
	}
	require.Equal(t, before, load(t, m.stores[i], "grow"))
}

// post sends the whole state of a key as it is now.
func (m *machine) post(t *rapid.T) {
	i, key := anyStore.Draw(t, "store"), anyKey.Draw(t, "key")
	_, v := m.at(i, key)
	m.mail = append(m.mail, parcel{key, load(t, m.stores[i], key), v.copy(v.inexact)})
}

// deliver merges any parcel into any store. It stays in the mail, to be repeated.
func (m *machine) deliver(t *rapid.T) {
	if len(m.mail) == 0 {
		return
	}
	i, p := anyStore.Draw(t, "store"), m.mail[rapid.IntRange(0, len(m.mail)-1).Draw(t, "parcel")]
	s := m.stores[i]
	before := load(t, s, p.key)
	novel := merge(t, s, p.key, p.state)
	require.Equal(t, len(novel) > 0, string(before) != string(load(t, s, p.key)))

	_, v := m.at(i, p.key)
	if len(novel) > 0 {
		require.False(t, !v.inexact && v.includes(p.view), "news where all was known")
		v.merge(p.view)
	} else if !p.view.inexact && p.view.includes(*v) {
		v.merge(p.view)
	}
	require.Empty(t, merge(t, s, p.key, p.state), "a second time nothing is new")
}

func (m *machine) check(t *rapid.T) {
	for i, s := range m.stores {
		live := slices.Collect(s.Keys(""))
		require.Equal(t, len(live), s.Len())
		require.True(t, slices.IsSorted(live))
		for key, v := range m.views[i] {
			if !v.inexact {
				h, _ := m.at(i, key)
				m.checkKey(t, s, key, *h, v.seen)
				require.Equal(t, h.alive(v.seen), slices.Contains(live, key), key)
			}
		}
	}
}

func (m *machine) checkKey(t *rapid.T, s *store.Store, key string, h history, seen seen) {
	where := fmt.Sprint(s.Replica(), " ", key)
	require.Equal(t, h.total(seen), total(t, s, key), where)
	require.Equal(t, h.elements(seen, set), slices.Sorted(slices.Values(members(t, s, key))), where)
	want, won := h.winner(seen)
	got, found := text(t, s, key)
	require.Equal(t, won, found, where)
	require.Equal(t, want, got, where)
	require.Equal(t, h.elements(seen, siblings), distinct(values(t, s, key)), where)
	require.Equal(t, h.elements(seen, grow), slices.Sorted(slices.Values(grown(t, s, key))), where)
}

func distinct(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }

// settle carries everything everywhere, after which every store knows every event.
func (m *machine) settle(t *rapid.T) {
	exchange(t, m.stores...)
	exchange(t, m.stores...)
	for i := range m.stores {
		for key, h := range m.histories {
			_, v := m.at(i, key)
			v.inexact = false
			for id := range *h {
				v.seen[id] = true
			}
		}
	}
	m.check(t)
	for _, s := range m.stores[1:] {
		for key := range m.histories {
			require.Equal(t, load(t, m.stores[0], key), load(t, s, key), key)
		}
		require.Equal(t, m.stores[0].Index().Root(), s.Index().Root())
	}
	for _, s := range m.stores {
		requireRebuilt(t, s, slices.Sorted(maps.Keys(m.histories)))
	}
}

// requireRebuilt compares the index with that of values decoded from the states alone.
func requireRebuilt(t tester, s *store.Store, keys []string) {
	t.Helper()
	hasher := merkle.NewHasher([]byte("secret"))
	want := merkle.New(hasher)
	for _, key := range keys {
		if state := load(t, s, key); state != nil {
			want.Set(key, fingerprint(t, hasher, state))
		}
	}
	got := s.Index()
	require.Equal(t, want.Len(), got.Len())
	require.Equal(t, want.Root(), got.Root())
	require.Equal(t, maps.Collect(want.All()), maps.Collect(got.All()))
}

func fingerprint(t tester, hasher *merkle.Hasher, state []byte) merkle.Fingerprint {
	t.Helper()
	v, err := probingKinds().Decode(state)
	require.NoError(t, err)
	hi, lo, err := v.Fingerprint(func(part []byte) (hi, lo uint64) {
		sum := hasher.Sum(part)
		return sum.Hi, sum.Lo
	})
	require.NoError(t, err)
	return merkle.Fingerprint{Hi: hi, Lo: lo}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine()
		t.Repeat(map[string]func(*rapid.T){
			"":               m.check,
			"add":            m.add,
			"insert":         m.insert,
			"erase":          m.erase,
			"assign":         m.assign,
			"overwrite":      m.overwrite,
			"grow":           m.grow,
			"remove":         m.remove,
			"refuseToRemove": m.refuseToRemove,
			"post":           m.post,
			"deliver":        m.deliver,
			"index":          func(t *rapid.T) { m.stores[anyStore.Draw(t, "store")].Index() },
		})
		m.settle(t)
	})
}

func values(t tester, s *store.Store, key string) (all []string) {
	t.Helper()
	_, err := store.View(s, key, func(r *crdt.MVRegister[string]) { all = r.Values() })
	require.NoError(t, err)
	return all
}

func grown(t tester, s *store.Store, key string) (all []string) {
	t.Helper()
	_, err := store.View(s, key, func(c *crdt.GSet[string]) { all = slices.Collect(c.All()) })
	require.NoError(t, err)
	return all
}
