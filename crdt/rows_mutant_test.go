package crdt_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
)

// Rows are a map, whatever is put in and taken out, up to four of six changes one after the other.
func TestRowsAreAMap(t *testing.T) {
	type table = crdt.Rows[string, int]
	var follow func(got *table, want map[string]int, n int)
	check := func(got *table, want map[string]int) {
		t.Helper()
		require.Equal(t, want, maps.Collect(got.All()))
		require.Equal(t, len(want), got.Len())
		for _, k := range []string{"a", "b", "c"} {
			r, ok := got.Row(k)
			wanted, there := want[k]
			require.Equal(t, there, ok)
			require.Equal(t, wanted, r)
		}
	}
	follow = func(got *table, want map[string]int, n int) {
		check(got, want)
		if n == 4 {
			return
		}
		for _, k := range []string{"a", "b", "c"} {
			next, also := got.Clone(), maps.Clone(want)
			next.Put(k, n)
			also[k] = n
			follow(next, also, n+1)
			next, also = got.Clone(), maps.Clone(want)
			next.Delete(k)
			delete(also, k)
			follow(next, also, n+1)
		}
		check(got, want) // the clones are others
	}
	follow(new(table), make(map[string]int), 0)
}

// A single row that changes stays where it is.
func TestASingleRowTakesNoTable(t *testing.T) {
	var rows crdt.Rows[string, int]
	putting := func(times int) float64 {
		return testing.AllocsPerRun(10, func() {
			rows = crdt.Rows[string, int]{}
			for n := range times {
				rows.Put("a", n)
			}
		})
	}
	require.Equal(t, putting(1), putting(2))
}
