package backendtest

import (
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// together checks that two stores have the same elements, after they have exchanged.
func (r *rig) together(a, b *store.Store, key string, want ...[]string) {
	r.Helper()
	r.exchange(a, b)
	var all []string
	for _, part := range want {
		all = append(all, part...)
	}
	require.ElementsMatch(r, all, r.elements(a, key), "nothing that anybody wrote is lost")
	require.ElementsMatch(r, all, r.elements(b, key))
}

// A store that has lost its disk, and is opened by its old name, numbers nothing as it did before.
func testTrap13LostDisk(r *rig) {
	peer, place := inMemory(), r.place()
	n := r.node(place, named("a"))
	before := numbers("before", 1, 6)
	r.merge(peer, "k", r.add(n.Store, "k", before...))
	n.close()
	require.NoError(r, r.Remove(place))

	n = r.node(place, named("a"))
	require.Empty(r, r.load(n.Store, "k"))
	after := numbers("after", 1, 6)
	r.add(n.Store, "k", after...)
	r.together(n.Store, peer, "k", before, after)
	n.reopen()
	more := numbers("more", 1, 3)
	r.add(n.Store, "k", more...)
	r.together(n.Store, peer, "k", before, after, more)
	n.close()
}

// What others had before a crash took it away comes back from them, beside what was written since.
func testTrap13Crash(r *rig) {
	for _, sync := range []store.Config{{Sync: -1}, {}} {
		cfg := named("a")
		cfg.Sync = sync.Sync
		peer, n := inMemory(), r.node(r.place(), cfg)
		var all []string
		for range 6 {
			before := numbers("e", len(all), len(all)+3)
			for _, element := range before {
				r.merge(peer, "k", r.add(n.Store, "k", element))
			}
			id, rotated := n.Replica(), len(n.rotations())
			n.crash()
			require.NotEqual(r, id, n.Replica())
			require.Len(r, n.rotations(), rotated+1)
			require.Equal(r, store.Unclean, n.rotations()[rotated].Reason)
			after := numbers("e", len(all)+3, len(all)+6)
			r.add(n.Store, "k", after...)
			all = append(append(all, before...), after...)
			r.together(n.Store, peer, "k", all)
		}
		n.close()
	}
}

// An older copy that was put back does not number again what was numbered since.
func testTrap13RestoredBackup(r *rig) {
	peer, place, backup := inMemory(), r.place(), r.place()
	n := r.node(place, named("a"))
	first := numbers("first", 1, 4)
	r.add(n.Store, "k", first...)
	n.close()
	require.NoError(r, r.Copy(place, backup))
	n.open()
	second := numbers("second", 1, 4)
	r.merge(peer, "k", r.add(n.Store, "k", second...))
	n.close()
	require.NoError(r, r.Remove(place))
	require.NoError(r, r.Copy(backup, place))

	id := n.Replica()
	n.open()
	require.Equal(r, first, r.elements(n.Store, "k"))
	require.NotEqual(r, id, n.Replica())
	require.Equal(r, store.Moved, n.rotations()[len(n.rotations())-1].Reason)
	third := numbers("third", 1, 4)
	r.add(n.Store, "k", third...)
	r.together(n.Store, peer, "k", first, second, third)
	n.close()
}

// Two stores that go on from one folder have no event in common that they number.
func testTrap14ClonedFolder(r *rig) {
	place, clone := r.place(), r.place()
	n := r.node(place, named("a"))
	first := numbers("first", 1, 4)
	r.add(n.Store, "k", first...)
	n.close()
	require.NoError(r, r.Copy(place, clone))
	n.open()
	twin := r.node(clone, named("a"))
	require.NotEqual(r, n.Replica(), twin.Replica())
	require.Len(r, twin.rotations(), 1)
	require.Equal(r, store.Moved, twin.rotations()[0].Reason)
	require.Equal(r, twin.Replica(), twin.rotations()[0].To)
	here, there := numbers("here", 1, 6), numbers("there", 1, 4)
	r.add(n.Store, "k", here...)
	r.add(twin.Store, "k", there...)
	r.together(n.Store, twin.Store, "k", first, here, there)
	id := twin.Replica()
	twin.kept()
	if len(twin.rotations()) == 1 {
		require.Equal(r, id, twin.Replica(), "once is enough")
	}
	n.close()
	twin.close()
}

// Two stores, one of them in memory, write under one name. The one that meets what it has not written takes another,
// and says so.
func testTrap14TwoWriters(r *rig) {
	n := r.node(r.place(), named("a"))
	var met []store.Rotation
	other := store.New(store.Config{
		Replica: n.Replica(),
		Secret:  []byte("secret"),
		Events:  store.Events{Rotated: func(t store.Rotation) { met = append(met, t) }},
	})
	id, first, second := n.Replica(), numbers("first", 1, 4), numbers("second", 1, 4)

	r.add(n.Store, "k", first...)
	r.merge(other, "k", r.load(n.Store, "k"))
	require.Len(r, met, 1)
	require.Equal(r, store.Rotation{From: id, To: other.Replica(), Reason: store.Seen, Key: "k"}, met[0])
	require.NotEqual(r, id, other.Replica())
	r.add(other, "k", second...)
	r.together(n.Store, other, "k", first, second)
	require.Empty(r, n.rotations(), "one of them is enough")

	r.add(store.New(store.Config{Replica: id}), "unrelated", "x")
	third := store.New(store.Config{Replica: id, Secret: []byte("secret")})
	r.add(third, "l", first...)
	r.merge(n.Store, "l", r.load(third, "l"))
	require.Len(r, n.rotations(), 1)
	require.Equal(r, store.Rotation{From: id, To: n.Replica(), Reason: store.Seen, Key: "l"}, n.rotations()[0])
	r.add(n.Store, "l", second...)
	r.add(n.Store, "k", "third")
	r.together(n.Store, other, "k", first, second, []string{"third"})
	require.ElementsMatch(r, append(first, second...), r.elements(n.Store, "l"))
	now := n.Replica()
	n.kept()
	if len(n.rotations()) == 1 {
		require.Equal(r, now, n.Replica(), "the name that it took is kept")
	}
	n.close()
}
