package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// reasons is the content of mutants_equivalent.txt: why mutants mean the same as the original, by name.
type reasons map[string]string

func (r reasons) of(m mutant) string { return r[m.name()] }

// readReasons reads lines that name mutants, each group followed by an indented reason. Lines that begin
// with # are comments.
func readReasons(file string) (reasons, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := make(reasons)
	var group []string
	given := false // the group has its reason, or a part of it
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		reason := strings.TrimSpace(line)
		switch {
		case reason == "" || strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			for _, name := range group {
				all[name] = strings.TrimSpace(all[name] + " " + reason)
			}
			given = true
		default:
			if given {
				group, given = nil, false
			}
			if _, twice := all[line]; twice {
				return nil, fmt.Errorf("%s: twice: %s", file, line)
			}
			group = append(group, line)
			all[line] = ""
		}
	}
	for name, reason := range all {
		if reason == "" {
			return nil, fmt.Errorf("%s: no reason: %s", file, name)
		}
	}
	return all, nil
}
