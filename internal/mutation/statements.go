package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
)

// list visits statements in a row. Where they are all that an if guards, a single one is not deleted.
func (v *visitor) list(stmts []ast.Stmt, guarded bool) {
	for _, s := range stmts {
		if !(guarded && len(stmts) == 1) {
			v.maybeDelete(s)
		}
		v.statement(s)
	}
}

func (v *visitor) maybeDelete(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		if s.Tok == token.DEFINE {
			return
		}
	case *ast.ReturnStmt:
		if v.results != nil && v.endsInside(s) {
			return // the function would lack a return
		}
		if s == v.last {
			return
		}
	case *ast.BranchStmt:
		if s.Tok == token.FALLTHROUGH || s.Tok == token.GOTO {
			return
		}
	case *ast.ForStmt:
		if s.Cond == nil {
			return
		}
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.RangeStmt, *ast.DeferStmt, *ast.GoStmt:
	default:
		return
	}
	id := v.add(s, "delete: "+v.headline(s))
	v.wrap(s, call("if !mutationOn", id)+" { ", " }")
}

// endsInside reports whether s is the end of the function, or within the statement that is.
func (v *visitor) endsInside(s ast.Stmt) bool {
	return v.last != nil && v.last.Pos() <= s.Pos() && s.End() <= v.last.End()
}

// headline is the text of s; of a loop only what stands before its body.
func (v *visitor) headline(s ast.Stmt) string {
	switch s := s.(type) {
	case *ast.ForStmt:
		return v.text(&span{s.Pos(), s.Body.Lbrace + 1}) + "…}"
	case *ast.RangeStmt:
		return v.text(&span{s.Pos(), s.Body.Lbrace + 1}) + "…}"
	}
	return v.text(s)
}

type span struct{ pos, end token.Pos }

func (s *span) Pos() token.Pos { return s.pos }
func (s *span) End() token.Pos { return s.end }

func (v *visitor) statement(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.BlockStmt:
		v.list(s.List, false)
	case *ast.LabeledStmt:
		v.statement(s.Stmt)
	case *ast.IfStmt:
		v.ifStatement(s)
	case *ast.ForStmt:
		v.optional(s.Init)
		v.operands(s.Cond)
		v.optional(s.Post)
		v.list(s.Body.List, false)
	case *ast.RangeStmt:
		v.expression(s.X)
		v.list(s.Body.List, false)
	case *ast.SwitchStmt:
		v.switchStatement(s)
	case *ast.TypeSwitchStmt:
		v.optional(s.Init)
		for _, c := range s.Body.List {
			v.list(c.(*ast.CaseClause).Body, false)
		}
	case *ast.SelectStmt:
		for _, c := range s.Body.List {
			v.list(c.(*ast.CommClause).Body, false)
		}
	case *ast.ReturnStmt:
		v.returns(s)
	case *ast.AssignStmt:
		v.assignment(s)
	default:
		v.inside(s)
	}
}

func (v *visitor) optional(s ast.Stmt) {
	if s != nil {
		v.statement(s)
	}
}

func (v *visitor) ifStatement(s *ast.IfStmt) {
	v.optional(s.Init)
	if known := v.pack.info.Types[s.Cond].Value; known != nil {
		if constant.BoolVal(known) {
			v.list(s.Body.List, false)
		} else {
			v.optional(s.Else)
		}
		return
	}
	v.force(s.Cond)
	v.list(s.Body.List, s.Else == nil)
	v.optional(s.Else)
}

func (v *visitor) switchStatement(s *ast.SwitchStmt) {
	v.optional(s.Init)
	if s.Tag != nil {
		v.expression(s.Tag)
	}
	for _, c := range s.Body.List {
		clause := c.(*ast.CaseClause)
		for _, e := range clause.List {
			if s.Tag == nil {
				v.force(e)
			} else {
				v.expression(e)
			}
		}
		v.list(clause.Body, false)
	}
}

func (v *visitor) assignment(s *ast.AssignStmt) {
	for _, e := range s.Lhs {
		v.expression(e)
	}
	if (s.Tok == token.ADD_ASSIGN || s.Tok == token.SUB_ASSIGN) && v.isNumber(s.Lhs[0]) {
		if v.isConstant(s.Rhs[0]) {
			return // of an unsigned type there is no negative constant; deleting it says as much
		}
		id := v.add(s, "negate: "+v.text(s))
		v.wrap(s.Rhs[0], call("mutationNegate", id)+", ", ")")
	}
	for _, e := range s.Rhs {
		v.expression(e)
	}
}

// returns changes each result by itself.
func (v *visitor) returns(s *ast.ReturnStmt) {
	for i, e := range s.Results {
		t := v.typeOf(e)
		switch {
		case v.isBool(e):
			v.force(e)
			continue
		case len(s.Results) == v.results.NumFields() && v.sameType(i, t) && !v.isConstant(e) && !isZero(e):
			id := v.add(e, "zero: return "+v.text(e))
			v.wrap(e, call("mutationZero", id)+", ", ")")
		}
		v.expression(e)
	}
}

// isZero reports whether e is a literal like Dot{}.
func isZero(e ast.Expr) bool {
	lit, ok := e.(*ast.CompositeLit)
	return ok && len(lit.Elts) == 0
}

// sameType reports whether t is the type of result i: not something that becomes an interface on the way.
func (v *visitor) sameType(i int, t types.Type) bool {
	for _, f := range v.results.List {
		n := max(1, len(f.Names))
		if i < n {
			return types.Identical(t, v.typeOf(f.Type))
		}
		i -= n
	}
	return false
}
