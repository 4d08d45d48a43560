package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The lists that are kept speak of the code that there is, and each mutant dies or has a reason not to. Whether
// it still does is what remaking a list shows.
func TestListsAreWhole(t *testing.T) {
	for _, path := range []string{"vclock"} {
		t.Run(path, func(t *testing.T) {
			p, err := load("../../" + path)
			require.NoError(t, err)
			list, err := readList(listFile(p.Dir))
			require.NoError(t, err)
			why, err := readReasons(reasonsFile(p.Dir))
			require.NoError(t, err)
			require.NotEmpty(t, list.sections)
			require.Empty(t, list.faults(why))
			for _, s := range list.sections {
				requireFunctions(t, p, s)
			}
		})
	}
}

// requireFunctions checks that each function of the list exists. That the file has changed since is no fault, but
// worth to be told.
func requireFunctions(t *testing.T, p *pack, s section) {
	t.Helper()
	mutants, _, err := p.mutate([]scope{s.scope})
	require.NoError(t, err)
	exists := make(map[string]bool)
	for _, m := range mutants {
		exists[m.fn] = true
	}
	for _, r := range s.results {
		require.True(t, exists[r.mutant.fn], "%s has no function %s: remake its part of the list", s.scope.file, r.mutant.fn)
	}
	if digest(p.source[s.scope.file]) != s.digest {
		t.Logf("out of date: %s", filepath.Join(p.Dir, s.scope.file))
	}
}
