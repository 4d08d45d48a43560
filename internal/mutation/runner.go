package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What became of a mutant, where no test is named.
const (
	survived  = "survived"
	sometimes = "sometimes: " // and the test that fails now and then
)

// limit is what a run may take at least.
const limit = 5 * time.Second

// memory bounds what a mutant that runs away may take, in KiB.
const memory = 8 << 20

// build compiles the tests of p with the rewritten files in place of its own.
func build(p *pack, rewritten map[string][]byte, count int, work string) (string, error) {
	replace := make(map[string]string)
	put := func(name string, text []byte) error {
		replace[filepath.Join(p.Dir, name)] = filepath.Join(work, name)
		return os.WriteFile(filepath.Join(work, name), text, 0o600)
	}
	for name, text := range rewritten {
		if err := put(name, text); err != nil {
			return "", err
		}
	}
	helpers := strings.NewReplacer("PACKAGE", p.Name, "COUNT", strconv.Itoa(count)).Replace(switches)
	if err := put("mutation_switches.go", []byte(helpers)); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlayFile, bin := filepath.Join(work, "overlay.json"), filepath.Join(work, "mutants.test")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "test", "-c", "-overlay", overlayFile, "-o", bin, p.ImportPath).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("the mutants of %s do not compile: %w\n%s", p.ImportPath, err, out)
	}
	return bin, nil
}

// runner asks the tests of one binary.
type runner struct {
	bin, dir, work string
	flags          []string
	tests          []test            // quick ones first
	known          map[string]string // the test that a mutant died by before
}

// repeats is how often t must fail to count: chance plays in the quick ones, which are many, and not in those that
// go through all cases.
func (t test) repeats() int {
	if t.took > time.Second {
		return 2
	}
	return 5
}

type test struct {
	name string
	took time.Duration
	sees map[int]bool // the mutants that make a difference where they stand
}

// measure runs each test once with no mutant on.
func (r *runner) measure(match string) error {
	names, err := r.names(match)
	if err != nil {
		return err
	}
	for _, name := range names {
		trace := filepath.Join(r.work, "trace")
		begin := time.Now()
		if out, _, failed := r.run(name, 10*time.Minute, "MUTATION_TRACE="+trace); failed {
			return fmt.Errorf("%s fails without a mutant:\n%s", name, out)
		}
		t := test{name: name, took: time.Since(begin), sees: make(map[int]bool)}
		ids, err := os.ReadFile(trace)
		if err != nil {
			return err
		}
		for id := range strings.FieldsSeq(string(ids)) {
			n, err := strconv.Atoi(id)
			if err != nil {
				return err
			}
			t.sees[n] = true
		}
		if err := os.Remove(trace); err != nil {
			return err
		}
		r.tests = append(r.tests, t)
	}
	slices.SortStableFunc(r.tests, func(a, b test) int { return cmp.Compare(a.took, b.took) })
	return nil
}

func (r *runner) names(match string) ([]string, error) {
	list := exec.Command(r.bin, "-test.list", match)
	list.Dir = r.dir
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("no list of tests: %w", err)
	}
	help, _ := exec.Command(r.bin, "-help").CombinedOutput() // exits with 2
	if bytes.Contains(help, []byte("-rapid.nofailfile")) {
		r.flags = []string{"-rapid.nofailfile", "-rapid.shrinktime=1ms"}
	}
	var names []string
	for name := range strings.FieldsSeq(string(out)) {
		if !strings.HasPrefix(name, "Benchmark") {
			names = append(names, name)
		}
	}
	return names, nil
}

// verdict is the name of the test that m dies by, or what else became of it.
func (r *runner) verdict(m mutant) string {
	tests := slices.Clone(r.tests)
	if i := slices.IndexFunc(tests, func(t test) bool { return t.name == r.known[m.name()] }); i >= 0 {
		known := tests[i]
		tests = slices.Insert(slices.Delete(tests, i, i+1), 0, known)
	}
	result := survived
	for _, t := range tests {
		if !t.sees[m.id] {
			continue
		}
		switch n := r.fails(t, m); {
		case n == t.repeats():
			return t.name
		case n > 0:
			result = sometimes + t.name
		}
	}
	return result
}

// fails counts how often t fails on m, up to the first time that it does not. Once is enough where it does not end,
// unless it hardly came to run: then the machine was busy.
func (r *runner) fails(t test, m mutant) int {
	most := limit + 10*t.took
	for n := range t.repeats() {
		_, busy, failed := r.run(t.name, most, "MUTATION_ACTIVE="+strconv.Itoa(m.id))
		switch {
		case !failed:
			return n
		case busy >= most/2:
			return t.repeats()
		}
	}
	return t.repeats()
}

// run runs one test, and reports how long it computed and whether it failed.
func (r *runner) run(name string, most time.Duration, env string) (out []byte, busy time.Duration, failed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	script := fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, memory)
	args := append([]string{"-c", script, r.bin, "-test.failfast", "-test.run", "^" + regexp.QuoteMeta(name) + "$"}, r.flags...)
	cmd := exec.CommandContext(ctx, "sh", args...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), "GOMAXPROCS=1", env)
	out, err := cmd.CombinedOutput()
	if s := cmd.ProcessState; s != nil {
		busy = s.UserTime() + s.SystemTime()
	}
	return out, busy, err != nil || errors.Is(ctx.Err(), context.DeadlineExceeded)
}
