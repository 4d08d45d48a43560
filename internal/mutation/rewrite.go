package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// edit replaces source[from:to]. Of the insertions at one place, those that close come before those that
// open; what was made first is outermost.
type edit struct {
	from, to int
	text     string
	closes   bool
}

// wrap puts text around n. A node is wrapped before what is in it.
func (v *visitor) wrap(n ast.Node, before, after string) {
	at := v.offset(n.Pos())
	v.edits = append(v.edits, edit{from: at, to: at, text: before})
	v.after(n, after)
}

func (v *visitor) after(n ast.Node, text string) {
	at := v.offset(n.End())
	v.edits = append(v.edits, edit{from: at, to: at, text: text, closes: true})
}

func (v *visitor) replace(from, to token.Pos, text string) {
	v.edits = append(v.edits, edit{from: v.offset(from), to: v.offset(to), text: text})
}

// rewrite returns the file with all mutants in it. Lines stay where they are.
func (v *visitor) rewrite() []byte {
	var opens, closes []edit
	for _, e := range v.edits {
		if e.closes {
			closes = append(closes, e)
		} else {
			opens = append(opens, e)
		}
	}
	slices.Reverse(closes)
	edits := append(closes, opens...)
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(v.source[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(v.source[at:])
	return out.Bytes()
}

// call is the beginning of a call of a helper, with the ids as its first arguments.
func call(helper string, ids ...int) string {
	var b strings.Builder
	b.WriteString(helper)
	for i, id := range ids {
		fmt.Fprintf(&b, "%c%d", "(,"[min(i, 1)], id)
	}
	if helper == "if !mutationOn" {
		b.WriteByte(')')
	}
	return b.String()
}

// switches is the file that is added to the package: the helpers that the mutants are made of.
//
//go:embed switches.go.txt
var switches string
