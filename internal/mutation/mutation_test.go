package main

import (
	"flag"
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write the sample's list anew")

// sample makes a module of the sample package and goes there.
func sample(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	copied := func(name string) {
		text, err := os.ReadFile(filepath.Join("testdata", "sample", name+".txt"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	copied("sample.go")
	copied("sample_test.go")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module sample\n\ngo 1.26\n"), 0o600))
	t.Setenv("GOWORK", "off")
	t.Chdir(dir)
	return dir
}

// The sample's list is read by people: it says what mutants there are, and what becomes of them.
func TestSample(t *testing.T) {
	golden, err := filepath.Abs(filepath.Join("testdata", "sample", "mutants.txt"))
	require.NoError(t, err)
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	dir := sample(t)

	err = (&job{pkg: ".", patterns: []string{"sample.go"}, tests: "."}).run()
	require.ErrorContains(t, err, "2 mutants need a test or a reason")
	require.ErrorContains(t, err, "bound: len(r.writes) >= 2\tsurvived")
	list := listFile(dir)
	got, err := os.ReadFile(list)
	require.NoError(t, err)
	if *rewrite {
		require.NoError(t, os.WriteFile(golden, got, 0o600))
		want = got
	}
	require.Equal(t, string(want), string(got))

	name := "sample.go register.kind: "
	why := name + "bound: len(r.writes) >= 2\n" + name + "true: len(r.writes) <= 0\n  Nobody asks.\n"
	require.NoError(t, os.WriteFile(reasonsFile(dir), []byte(why), 0o600))
	require.NoError(t, (&job{pkg: ".", tests: "none", stale: true}).run(), "nothing has changed but the reasons")
	again, err := os.ReadFile(list)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(again), equivalent+survived))
	require.Equal(t, string(want), strings.NewReplacer(equivalent, "", "2 equivalent", "0 equivalent").Replace(string(again)))

	// Without patterns: what the list has. No test is asked, so all survive.
	require.Error(t, (&job{pkg: ".", tests: "none"}).run())
	again, err = os.ReadFile(list)
	require.NoError(t, err)
	require.Equal(t, strings.Count(string(want), "\t")/3, strings.Count(string(again), survived))
}

func TestScopes(t *testing.T) {
	sample(t)
	p, err := load(".")
	require.NoError(t, err)
	functions := func(patterns ...string) (names []string) {
		t.Helper()
		scopes, err := scopesOf(new(mutantList), patterns)
		require.NoError(t, err)
		mutants, _, err := p.mutate(scopes)
		require.NoError(t, err)
		for _, m := range mutants {
			if len(names) == 0 || names[len(names)-1] != m.fn {
				names = append(names, m.fn)
			}
		}
		return names
	}
	require.Equal(t, []string{"register.Merge", "register.has", "register.spread", "register.kind"}, functions("sample.go"))
	require.Equal(t, []string{"register.has"}, functions("sample.go:has$"))
	require.Equal(t, []string{"register.Merge", "register.spread"}, functions("sample.go:!has$|kind"))

	_, _, err = p.mutate([]scope{{file: "none.go"}})
	require.ErrorContains(t, err, "no file none.go")
	_, err = scopesOf(new(mutantList), nil)
	require.ErrorContains(t, err, "name files")
	_, err = scopesOf(new(mutantList), []string{"a.go:X", "a.go:Y"})
	require.ErrorContains(t, err, "named twice")
}

func TestFaults(t *testing.T) {
	at := func(change string) mutant { return mutant{file: "a.go", line: 1, fn: "f", change: change} }
	l := new(mutantList)
	l.put(section{scope: scope{file: "a.go"}, digest: "00", results: []result{
		{at("dies"), "TestA"},
		{at("means the same"), survived},
		{at("lives"), survived},
		{at("dies by luck"), sometimes + "TestB"},
	}})
	why := reasons{"a.go f: means the same": "so", "a.go f: dies": "so", "a.go f: gone": "so"}
	require.Equal(t, []string{
		"a reason for what is gone or dies: a.go f: dies",
		"a reason for what is gone or dies: a.go f: gone",
		"a.go:1\tf\tdies by luck\tsometimes: TestB",
		"a.go:1\tf\tlives\tsurvived",
	}, l.faults(why))
}

func TestFunctionsAreReplacedInTheirPart(t *testing.T) {
	at := func(fn, change, verdict string) result {
		return result{mutant{file: "a.go", line: 1, fn: fn, change: change}, verdict}
	}
	part := section{scope: scope{file: "a.go", functions: "!h"}, digest: "00"}
	part.results = []result{at("f", "x", "TestA"), at("g", "x", survived), at("g", "y", "TestA"), at("i", "x", "TestA")}
	l := &mutantList{sections: []section{part}}
	l.put(section{scope: scope{file: "a.go", functions: "g|h"}, digest: "11", results: []result{
		at("g", "x", "TestB"), at("g", "z", "TestB"), at("h", "x", survived),
	}})
	part.results = []result{at("f", "x", "TestA"), at("g", "x", "TestB"), at("g", "z", "TestB"), at("i", "x", "TestA")}
	require.Equal(t, []section{part}, l.sections)
	part.digest = "22"
	l.put(part)
	require.Equal(t, []section{part}, l.sections)
}

func TestPartsOfFilesThatAreGoneGoToo(t *testing.T) {
	l := &mutantList{sections: []section{{scope: scope{file: "a.go"}}, {scope: scope{file: "b.go"}}}}
	l.forget(&pack{files: map[string]*ast.File{"b.go": {}}})
	require.Equal(t, []section{{scope: scope{file: "b.go"}}}, l.sections)
}

func TestChanges(t *testing.T) {
	at := func(line int, change string) mutant { return mutant{file: "a.go", line: line, fn: "f", change: change} }
	s := &section{results: []result{{at(1, "stays"), "TestA"}, {at(2, "goes"), survived}}}
	require.Equal(t, []string{"gone: a.go f: goes", "new: a.go f: comes"}, s.changes([]mutant{at(7, "comes"), at(8, "stays")}))
	require.Empty(t, s.changes([]mutant{at(2, "goes"), at(9, "stays")}), "lines may move")
}

func TestReasonsAreStrict(t *testing.T) {
	file := filepath.Join(t.TempDir(), "reasons.txt")
	read := func(text string) (reasons, error) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return readReasons(file)
	}
	why, err := read("# comment\na\nb\n\tone\n  reason\n\nc\n\tanother\n")
	require.NoError(t, err)
	require.Equal(t, reasons{"a": "one reason", "b": "one reason", "c": "another"}, why)
	_, err = read("a\n\tso\na\n\tso\n")
	require.ErrorContains(t, err, "twice: a")
	_, err = read("a\n\tso\nb\n")
	require.ErrorContains(t, err, "no reason: b")
}
