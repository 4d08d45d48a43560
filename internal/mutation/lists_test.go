package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The lists that are kept have the mutants of the code that there is, and each dies or has a reason not to. Whether
// it still does is what remaking a list shows.
func TestListsAreWhole(t *testing.T) {
	for _, path := range []string{"vclock", "crdt"} {
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
				requireMutants(t, p, &s)
			}
		})
	}
}

// requireMutants checks that a part of the list has the mutants of its file. That the file has changed otherwise, as by
// a comment, is no fault, but worth to be told.
func requireMutants(t *testing.T, p *pack, s *section) {
	t.Helper()
	mutants, _, err := p.mutate([]scope{s.scope})
	require.NoError(t, err)
	require.Empty(t, s.changes(mutants), "remake what changed: go run ./internal/mutation -stale ./%s", filepath.Base(p.Dir))
	if digest(p.source[s.scope.file]) != s.digest {
		t.Logf("out of date, but for its mutants: %s", filepath.Join(p.Dir, s.scope.file))
	}
}
