package main

import (
	"go/ast"
	"go/token"
	"go/types"
)

// force takes the value of a condition as true, and as false.
func (v *visitor) force(e ast.Expr) {
	if !v.isBool(e) {
		v.expression(e)
		return
	}
	yes, no := 0, 0
	text := v.text(e)
	if text != "true" {
		yes = v.add(e, "true: "+text)
	}
	if text != "false" {
		no = v.add(e, "false: "+text)
	}
	v.wrap(e, call("mutationForce", yes, no)+", ", ")")
	v.operands(e)
}

// operands changes parts of a condition. An operand of && is not taken as false, nor one of || as true: that
// would force the whole.
func (v *visitor) operands(e ast.Expr) {
	switch x := ast.Unparen(e).(type) {
	case *ast.BinaryExpr:
		if x.Op == token.LAND || x.Op == token.LOR {
			v.operand(x.X, x.Op)
			v.operand(x.Y, x.Op)
			return
		}
		v.expression(x)
	case ast.Expr:
		v.expression(x)
	}
}

func (v *visitor) operand(e ast.Expr, op token.Token) {
	b, same := ast.Unparen(e).(*ast.BinaryExpr)
	if same && b.Op == op { // a && b && c has three operands
		v.operands(e)
		return
	}
	if v.isBool(e) && !v.isConstant(e) {
		yes, no := 0, 0
		if op == token.LAND {
			yes = v.add(e, "true: "+v.text(e))
		} else {
			no = v.add(e, "false: "+v.text(e))
		}
		v.wrap(e, call("mutationForce", yes, no)+", ", ")")
	}
	v.operands(e)
}

// expression visits e and what is in it, without forcing e itself.
func (v *visitor) expression(e ast.Expr) {
	if v.isConstant(e) {
		return
	}
	switch x := e.(type) {
	case *ast.BinaryExpr:
		v.binary(x)
	case *ast.UnaryExpr:
		if x.Op == token.NOT && v.isBool(x) {
			id := v.add(x, "drop !: "+v.text(x))
			v.replace(x.OpPos, x.X.Pos(), call("mutationNot", id)+", ")
			v.after(x, ")")
			v.operands(x.X)
			return
		}
		v.expression(x.X)
	case *ast.CallExpr:
		v.callExpression(x)
	case *ast.FuncLit:
		v.body(x.Type, x.Body)
	default:
		v.inside(e)
	}
}

// inside visits the expressions and functions directly within n.
func (v *visitor) inside(n ast.Node) {
	ast.Inspect(n, func(child ast.Node) bool {
		e, ok := child.(ast.Expr)
		if child == n || child == nil || !ok {
			return true
		}
		if t := v.pack.info.Types[e]; !t.IsType() {
			v.expression(e)
		}
		return false
	})
}

var bounds = map[token.Token]string{
	token.LSS: "mutationLess", token.LEQ: "mutationAtMost", token.GTR: "mutationMore", token.GEQ: "mutationAtLeast",
}

var sums = map[token.Token]string{token.ADD: "mutationPlus", token.SUB: "mutationMinus"}

func (v *visitor) binary(x *ast.BinaryExpr) {
	switch {
	case x.Op == token.LAND || x.Op == token.LOR:
		v.operands(x)
		return
	case bounds[x.Op] != "":
		v.operator(x, bounds[x.Op], "bound: ")
	case sums[x.Op] != "" && v.isNumber(x):
		v.operator(x, sums[x.Op], "sign: ")
	}
	v.expression(x.X)
	v.expression(x.Y)
}

func (v *visitor) operator(x *ast.BinaryExpr, helper, change string) {
	id := v.add(x, change+v.text(x))
	v.wrap(x, call(helper, id)+", ", ")")
	v.replace(x.OpPos, x.OpPos+token.Pos(len(x.Op.String())), ",")
}

func (v *visitor) callExpression(x *ast.CallExpr) {
	name, ok := x.Fun.(*ast.Ident)
	_, builtin := v.pack.info.Uses[name].(*types.Builtin)
	switch {
	case ok && builtin && (name.Name == "min" || name.Name == "max"):
		helper := map[string]string{"min": "mutationMin", "max": "mutationMax"}[name.Name]
		id := v.add(x, "swap: "+v.text(x))
		v.replace(x.Fun.Pos(), x.Lparen+1, call(helper, id)+", ")
	case !ok || !builtin:
		v.expression(x.Fun)
	}
	for _, e := range x.Args {
		t := v.pack.info.Types[e]
		switch {
		case t.IsType():
		case v.isConstant(e) && v.isBool(e):
			v.force(e)
		default:
			v.expression(e)
		}
	}
}

func (v *visitor) isNumber(e ast.Expr) bool {
	t, ok := v.typeOf(e).Underlying().(*types.Basic)
	return ok && t.Info()&types.IsNumeric != 0 && t.Info()&types.IsComplex == 0
}
