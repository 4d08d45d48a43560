package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

func TestWhatIsLifted(t *testing.T) {
	all := cluster(t, 0, "a", "b")
	a, b := all[0], all[1]
	insert(t, a, "x", "1", "2")
	assign(t, a, "y", "kept")
	spread(t, "x", a, b)
	spread(t, "y", a, b)
	x, y := load(t, a, "x"), load(t, a, "y")
	require.Empty(t, a.GenerationOf(nil), "nothing is forgotten")
	lifted := func(key string, state []byte) []byte {
		out, err := a.Lift(key, state)
		require.NoError(t, err)
		return out
	}
	require.Equal(t, x, lifted("x", x))

	remove(t, a, "x")
	gone := load(t, a, "x")
	spread(t, "x", a, b)
	collect(t, a, b)
	require.Equal(t, a.Generation(), a.GenerationOf(nil))
	require.Empty(t, a.GenerationOf(x))
	require.Equal(t, a.Generation(), a.GenerationOf(load(t, a, "y")))
	require.Less(t, a.GenerationOf(x), a.GenerationOf(load(t, a, "y")))

	require.Empty(t, lifted("x", x), "all of it is forgotten")
	require.Empty(t, lifted("x", gone))
	require.Empty(t, lifted("x", nil))
	require.Equal(t, load(t, a, "y"), lifted("y", y))
	require.Equal(t, load(t, a, "y"), lifted("y", load(t, a, "y")))
	require.Nil(t, load(t, a, "x"), "nothing is merged")

	insert(t, b, "x", "3")
	anew := load(t, b, "x")
	require.Equal(t, anew, lifted("x", anew))

	var stale *store.StaleError
	_, err := a.Lift("x", []byte("\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc4\x01x"))
	require.Error(t, err)
	_, err = a.Lift("x", append([]byte("\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc4"), append([]byte{byte(len(x))}, x...)...))
	require.ErrorAs(t, err, &stale)
	var corrupt *crdt.CorruptError
	_, err = a.Lift("x", []byte("\x93\x01"))
	require.ErrorAs(t, err, &corrupt)
}
