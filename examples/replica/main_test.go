package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

func Example() {
	main()
	// Output: likes: 3
}

// A replica is assembled in at most 40 lines. Should that not suffice one day,
// the interfaces are wrong, not the number.
func TestWiringIsShort(t *testing.T) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "replica.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			lines += fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1
		}
	}
	t.Logf("%d lines of wiring", lines)
	if lines == 0 || lines > 40 {
		t.Errorf("%d lines of wiring, at most 40 are meant to suffice", lines)
	}
}
