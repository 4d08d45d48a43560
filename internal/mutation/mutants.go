package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
)

// mutant is one change. Its id counts from 1 through all that are compiled into the same binary.
type mutant struct {
	id         int
	file       string
	line       int
	fn, change string
}

// name stays when the lines around it move.
func (m mutant) name() string { return m.file + " " + m.fn + ": " + m.change }

func (m mutant) String() string { return fmt.Sprintf("%s:%d\t%s\t%s", m.file, m.line, m.fn, m.change) }

// scope is what of a file is changed: the functions whose name, as in Clock.Merge, matches; or does not, if
// the expression begins with a !.
type scope struct {
	file, functions string
}

func (s scope) String() string {
	if s.functions == "" {
		return s.file
	}
	return s.file + ":" + s.functions
}

func parseScope(pattern string) scope {
	file, functions, _ := strings.Cut(pattern, ":")
	return scope{file, functions}
}

// mutate returns the mutants of the scopes, in order, and the text of each file with all of them in it.
func (p *pack) mutate(scopes []scope) ([]mutant, map[string][]byte, error) {
	var all []mutant
	texts := make(map[string][]byte)
	for _, s := range scopes {
		f, ok := p.files[s.file]
		if !ok {
			return nil, nil, fmt.Errorf("%s has no file %s", p.ImportPath, s.file)
		}
		expression, not := strings.CutPrefix(s.functions, "!")
		match, err := regexp.Compile(expression)
		if err != nil {
			return nil, nil, err
		}
		v := &visitor{pack: p, file: s.file, source: p.source[s.file], next: len(all) + 1}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && match.MatchString(functionName(fn)) != not {
				v.function(fn)
			}
		}
		all = append(all, v.found...)
		texts[s.file] = v.rewrite()
	}
	return all, texts, nil
}

// functionName is the name with the receiver's type, without pointer and type parameters.
func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}

// visitor walks through the functions of one file.
type visitor struct {
	pack   *pack
	file   string
	source []byte
	next   int // id of the next mutant
	found  []mutant
	edits  []edit

	fn      string
	results *ast.FieldList // of the innermost function
	last    ast.Stmt       // its last statement
}

func (v *visitor) function(fn *ast.FuncDecl) {
	v.fn = functionName(fn)
	v.body(fn.Type, fn.Body)
}

func (v *visitor) body(t *ast.FuncType, b *ast.BlockStmt) {
	results, last := v.results, v.last
	defer func() { v.results, v.last = results, last }()
	v.results, v.last = t.Results, nil
	if len(b.List) > 0 {
		v.last = b.List[len(b.List)-1]
	}
	v.list(b.List, false)
}

// add makes a mutant at n and returns its id. A second one that reads the same gets a number.
func (v *visitor) add(n ast.Node, change string) int {
	same := func(m mutant) bool { return m.fn == v.fn && strings.TrimRight(m.change, "0123456789") == change+" #" }
	if i := slices.IndexFunc(v.found, func(m mutant) bool { return m.fn == v.fn && m.change == change }); i >= 0 {
		count := 2
		for _, m := range v.found {
			if same(m) {
				count++
			}
		}
		change = fmt.Sprintf("%s #%d", change, count)
	}
	id := v.next
	v.next++
	v.found = append(v.found, mutant{
		id: id, file: v.file, line: v.pack.fset.Position(n.Pos()).Line, fn: v.fn, change: change,
	})
	return id
}

func (v *visitor) offset(pos token.Pos) int { return v.pack.fset.Position(pos).Offset }

// text is the source of n in one line, shortened.
func (v *visitor) text(n ast.Node) string {
	full := strings.Join(strings.Fields(string(v.source[v.offset(n.Pos()):v.offset(n.End())])), " ")
	if r := []rune(full); len(r) > 100 {
		return string(r[:99]) + "…"
	}
	return full
}

func (v *visitor) typeOf(e ast.Expr) types.Type { return v.pack.info.Types[e].Type }

func (v *visitor) isConstant(e ast.Expr) bool { return v.pack.info.Types[e].Value != nil }

func (v *visitor) isBool(e ast.Expr) bool {
	t := v.typeOf(e)
	return t == types.Typ[types.Bool] || t == types.Typ[types.UntypedBool]
}
