package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	var job job
	flag.StringVar(&job.tests, "tests", ".", "ask only the tests that match")
	flag.BoolVar(&job.stale, "stale", false, "leave files alone that are as they were")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: mutation [flags] package [file.go[:functions]]...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	job.pkg, job.patterns = flag.Arg(0), flag.Args()[1:]
	if err := job.run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

// job is what is asked for: the parts of the package's list that the patterns name, or all of it without patterns.
type job struct {
	pkg      string
	patterns []string
	tests    string
	stale    bool
}

func (j *job) run() error {
	pkg, err := load(j.pkg)
	if err != nil {
		return err
	}
	list, err := readList(listFile(pkg.Dir))
	if err != nil {
		return err
	}
	list.forget(pkg)
	why, err := readReasons(reasonsFile(pkg.Dir))
	if err != nil {
		return err
	}
	scopes, err := scopesOf(list, j.patterns)
	if err != nil {
		return err
	}
	if j.stale {
		scopes = list.stale(pkg, scopes)
	}
	if err := j.remake(pkg, list, why, scopes); err != nil {
		return err
	}
	if err := list.write(pkg, why); err != nil { // also where only a reason is new
		return err
	}
	if faults := list.faults(why); len(faults) > 0 {
		return fmt.Errorf("%d mutants need a test or a reason:\n%s", len(faults), strings.Join(faults, "\n"))
	}
	return nil
}

// remake makes the parts of the list anew. It writes the list after each file.
func (j *job) remake(pkg *pack, list *mutantList, why reasons, scopes []scope) error {
	if len(scopes) == 0 {
		return nil
	}
	mutants, rewritten, err := pkg.mutate(scopes)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	bin, err := build(pkg, rewritten, len(mutants), work)
	if err != nil {
		return err
	}
	r := &runner{bin: bin, dir: pkg.Dir, work: work, known: list.killers()}
	if err := r.measure(j.tests); err != nil {
		return err
	}
	for _, s := range scopes {
		part := section{scope: s, digest: digest(pkg.source[s.file])}
		for _, m := range mutants {
			if m.file == s.file {
				verdict := r.verdict(m)
				fmt.Fprintf(os.Stderr, "%s\t%s\n", m, verdict)
				part.results = append(part.results, result{mutant: m, verdict: verdict})
			}
		}
		list.put(part)
		if err := list.write(pkg, why); err != nil {
			return err
		}
	}
	return nil
}

func listFile(dir string) string    { return filepath.Join(dir, "testdata", "mutants.txt") }
func reasonsFile(dir string) string { return filepath.Join(dir, "testdata", "mutants_equivalent.txt") }
