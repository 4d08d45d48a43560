package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mutantList is the content of mutants.txt.
type mutantList struct {
	sections []section // by file name
}

// section is what became of the mutants of one file.
type section struct {
	scope   scope
	digest  string
	results []result
}

type result struct {
	mutant  mutant
	verdict string
}

const head = `# What became of each mutant of this package, and the test that fails on it. Made by
#   go run ./internal/mutation %s
# A digest tells for which text of a file its part was made.
`

func digest(source []byte) string {
	sum := sha256.Sum256(source)
	return fmt.Sprintf("%x", sum[:8])
}

// readList reads a list; one that does not exist is empty.
func readList(file string) (*mutantList, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &mutantList{}, nil
	}
	if err != nil {
		return nil, err
	}
	l := new(mutantList)
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if err := l.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return l, nil
}

func (l *mutantList) line(text string) error {
	if rest, ok := strings.CutPrefix(text, "## "); ok {
		words := strings.Fields(rest)
		if len(words) < 2 {
			return fmt.Errorf("no digest in %q", text)
		}
		l.sections = append(l.sections, section{scope: parseScope(words[0]), digest: strings.TrimSuffix(words[1], ":")})
		return nil
	}
	if text == "" || strings.HasPrefix(text, "#") {
		return nil
	}
	fields := strings.Split(text, "\t")
	if len(fields) != 4 || len(l.sections) == 0 {
		return fmt.Errorf("not a mutant: %q", text)
	}
	file, number, _ := strings.Cut(fields[0], ":")
	line, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	s := &l.sections[len(l.sections)-1]
	m := mutant{file: file, line: line, fn: fields[1], change: fields[2]}
	s.results = append(s.results, result{mutant: m, verdict: strings.TrimPrefix(fields[3], equivalent)})
	return nil
}

// put replaces the section of the same file, or if that is about other functions, what it has of those in s.
func (l *mutantList) put(s section) {
	i, found := slices.BinarySearchFunc(l.sections, s.scope.file, func(s section, file string) int {
		return cmp.Compare(s.scope.file, file)
	})
	switch {
	case !found:
		l.sections = slices.Insert(l.sections, i, s)
	case l.sections[i].scope == s.scope:
		l.sections[i] = s
	default:
		l.sections[i].update(s.results)
	}
}

// update replaces the results of the functions that are in news. The digest stays, since the others were not asked.
func (s *section) update(news []result) {
	asked := make(map[string][]result)
	for _, r := range news {
		asked[r.mutant.fn] = append(asked[r.mutant.fn], r)
	}
	var all []result
	for _, r := range s.results {
		if of, ok := asked[r.mutant.fn]; ok {
			all, asked[r.mutant.fn] = append(all, of...), nil
		} else {
			all = append(all, r)
		}
	}
	s.results = all
}

// forget drops the parts of files that are gone.
func (l *mutantList) forget(p *pack) {
	l.sections = slices.DeleteFunc(l.sections, func(s section) bool { return p.files[s.scope.file] == nil })
}

// killers returns by which test each mutant died.
func (l *mutantList) killers() map[string]string {
	known := make(map[string]string)
	for _, s := range l.sections {
		for _, r := range s.results {
			known[r.mutant.name()] = strings.TrimPrefix(r.verdict, sometimes)
		}
	}
	return known
}

// equivalent marks a survivor with a reason.
const equivalent = "equivalent, "

func (l *mutantList) write(p *pack, why reasons) error {
	file := listFile(p.Dir)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, l.format(p.path, why), 0o644)
}

func (l *mutantList) format(path string, why reasons) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, head, path)
	for _, s := range l.sections {
		alike := 0
		for _, r := range s.results {
			if r.verdict == survived && why.of(r.mutant) != "" {
				alike++
			}
		}
		fmt.Fprintf(&b, "\n## %s %s: %d mutants, %d equivalent\n", s.scope, s.digest, len(s.results), alike)
		for _, r := range s.results {
			verdict := r.verdict
			if verdict == survived && why.of(r.mutant) != "" {
				verdict = equivalent + verdict
			}
			fmt.Fprintf(&b, "%s\t%s\n", r.mutant, verdict)
		}
	}
	return b.Bytes()
}

// faults returns what keeps the list from showing what it should.
func (l *mutantList) faults(why reasons) []string {
	var all []string
	unused := make(map[string]bool)
	for name := range why {
		unused[name] = true
	}
	for _, s := range l.sections {
		for _, r := range s.results {
			alive := r.verdict == survived
			switch {
			case alive && why.of(r.mutant) == "", strings.HasPrefix(r.verdict, sometimes):
				all = append(all, r.mutant.String()+"\t"+r.verdict)
			case alive:
				delete(unused, r.mutant.name())
			}
		}
	}
	for name := range unused {
		all = append(all, "a reason for what is gone or dies: "+name)
	}
	slices.Sort(all)
	return all
}

// changes names the mutants that only the list has, or only the code. That there are none does not say that the
// code is as it was: comments are no mutants.
func (s *section) changes(there []mutant) []string {
	listed := make(map[string]bool)
	for _, r := range s.results {
		listed[r.mutant.name()] = true
	}
	var all []string
	for _, m := range there {
		if !listed[m.name()] {
			all = append(all, "new: "+m.name())
		}
		delete(listed, m.name())
	}
	for name := range listed {
		all = append(all, "gone: "+name)
	}
	slices.Sort(all)
	return all
}

// stale returns those of the scopes whose files have changed since.
func (l *mutantList) stale(p *pack, scopes []scope) []scope {
	return slices.DeleteFunc(scopes, func(s scope) bool {
		return slices.ContainsFunc(l.sections, func(part section) bool {
			return part.scope == s && part.digest == digest(p.source[s.file])
		})
	})
}

// scopesOf returns what the patterns name, by file; without patterns, what the list has.
func scopesOf(l *mutantList, patterns []string) ([]scope, error) {
	var all []scope
	for _, p := range patterns {
		all = append(all, parseScope(p))
	}
	if len(patterns) == 0 {
		for _, s := range l.sections {
			all = append(all, s.scope)
		}
	}
	slices.SortFunc(all, func(a, b scope) int { return cmp.Compare(a.file, b.file) })
	for i := range all[min(1, len(all)):] {
		if all[i].file == all[i+1].file {
			return nil, fmt.Errorf("%s is named twice: join the functions by |", all[i].file)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the package has no list yet: name files")
	}
	return all, nil
}
