package backendtest

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// What was applied is there after Close, also what nobody has waited for.
func testReopened(r *rig) {
	b, place := r.fresh()
	r.apply(b, set("a", "1"), set("gone", "x"), set("p1", "x"))
	r.write(b, join("j", delta("a", 1, "one")), del("gone"), delPrefix("p"))
	c, err := b.Apply([]store.Op{set("b", "2"), join("j", delta("b", 1, "two"))}, true)
	require.NoError(r, err)
	require.NoError(r, c.Wait())
	r.write(b, set("c", "3"))
	want := r.all(b, "", "")
	require.Len(r, want, 4)
	r.close(b)
	for range 2 {
		b = r.open(place)
		require.Equal(r, want, r.all(b, "", ""))
		r.close(b)
	}
	require.NoError(r, r.Remove(place))
	b = r.open(place)
	require.Empty(r, r.all(b, "", ""), "nothing is left after Remove")
	r.close(b)
}

// A place is the same one as long as its bytes stay there, or is never told.
func testPlace(r *rig) {
	at := func(place string) string {
		b := r.open(place)
		defer r.close(b)
		r.apply(b, set("a", "1"))
		return b.Place()
	}
	here, there := r.place(), r.place()
	first := at(here)
	if first == "" {
		return
	}
	require.Equal(r, first, at(here))
	require.NoError(r, r.Copy(here, there))
	require.Equal(r, []string{"a=1"}, func() []string {
		b := r.open(there)
		defer r.close(b)
		return r.all(b, "", "")
	}(), "a copy has what was copied")
	require.NotEqual(r, first, at(there), "a copy is somewhere else")
	require.Equal(r, first, at(here), "what was copied is where it was")
	require.NoError(r, r.Remove(here))
	require.NoError(r, r.Copy(there, here))
	require.NotEqual(r, first, at(here), "what was copied back is somewhere else, too")
}

// Writes survive a crash in their order, and those that were waited for do.
func testCrashed(r *rig) {
	const writes = 12
	for waited := range writes {
		b, place := r.fresh()
		for i := range writes {
			ops := []store.Op{set(fmt.Sprintf("%02d", i), "."), join("j", delta("a", uint64(i+1), fmt.Sprint(i)))}
			if i == waited && i%2 == 0 {
				r.apply(b, ops...)
				continue
			}
			r.write(b, ops...)
			if i == waited {
				r.apply(b) // all before is durable by it
			}
		}
		require.NoError(r, r.Crash(place))
		b = r.open(place)
		left := r.all(b, "", "")
		require.Greater(r, len(left), waited+1, "what was waited for is there")
		var operands [][]byte
		for i := range len(left) - 1 {
			require.Equal(r, fmt.Sprintf("%02d=.", i), left[i], "nothing is there without what was before it")
			operands = append(operands, delta("a", uint64(i+1), fmt.Sprint(i)))
		}
		require.Equal(r, "j="+string(store.Joined(standard, operands...)), left[len(left)-1], "each step is whole, or not there")
		require.True(r, slices.IsSorted(left))
		r.close(b)
	}
}
