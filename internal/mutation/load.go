package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// pack is a package with its types.
type pack struct {
	Dir, ImportPath, Name string
	GoFiles               []string
	Export                string
	DepOnly               bool

	path   string // as it was named
	fset   *token.FileSet
	files  map[string]*ast.File
	source map[string][]byte
	info   *types.Info
}

// load parses and checks the package. What it imports comes as export data from the build cache.
func load(path string) (*pack, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=Dir,ImportPath,Name,GoFiles,Export,DepOnly", path)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", path, err)
	}
	exports := make(map[string]string)
	var p *pack
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var next pack
		if err := dec.Decode(&next); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[next.ImportPath] = next.Export
		if !next.DepOnly {
			p = &next
			p.path = path
		}
	}
	return p, p.check(exports)
}

func (p *pack) check(exports map[string]string) error {
	p.fset, p.files, p.source = token.NewFileSet(), make(map[string]*ast.File), make(map[string][]byte)
	p.info = &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object)}
	var all []*ast.File
	for _, name := range p.GoFiles {
		src, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(p.fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p.files[name], p.source[name] = f, src
		all = append(all, f)
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(p.fset, "gc", lookup)}
	_, err := config.Check(p.ImportPath, p.fset, all, p.info)
	return err
}
