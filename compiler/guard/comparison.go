// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"
)

// source is where the values of an operand come from: constants, or a way through the input.
type source struct {
	constants []value
	way       []step
	text      bool // what the way leads to shows itself as text
}

// mostValues bounds how many values of an operand are compared, since long lists make too many pairs.
const mostValues = 32

// values appends what the operand may be for an input. It is not ok where that is too much or cannot
// be known.
func (s *source) values(input reflect.Value, list []value) (_ []value, ok bool) {
	if s.way == nil {
		return append(list, s.constants...), true
	}
	strange := reaches(input, s.way, func(v reflect.Value) bool {
		got, known := valueOf(v, s.text)
		list = append(list, got)
		return !known || len(list) > mostValues
	})
	return list, !strange
}

// comparison returns the premise of an expression that compares what can be read off the input and
// constants: some value of the one operand compares so with one of the other. It is nil for any other
// expression.
func (p *premises) comparison(b bindings, e *ast.Expr) premise {
	operands := e.Operands()
	if _, _, binds := bound(e); binds || len(operands) != 2 {
		return nil
	}
	holds := comparator(e.Operator().String())
	if holds == nil {
		return nil
	}
	left, right := p.source(b, operands[0]), p.source(b, operands[1])
	if e.Operator().Equal(ast.Member.Ref()) {
		right = p.elements(b, operands[1])
	}
	if left == nil || right == nil {
		return nil
	}
	return func(input reflect.Value) bool {
		var some, others [mostValues]value
		ls, known := left.values(input, some[:0])
		rs, knownToo := right.values(input, others[:0])
		if !known || !knownToo {
			return true
		}
		for i := range ls {
			for k := range rs {
				if holds(ls[i].compare(&rs[k])) {
					return true
				}
			}
		}
		return false
	}
}

// comparator returns what an operator asks of the order of its operands, nil for other operators.
func comparator(operator string) func(order int) bool {
	switch operator {
	case ast.Equality.Name, ast.Equal.Name, ast.Member.Name:
		return func(order int) bool { return order == 0 }
	case ast.NotEqual.Name:
		return func(order int) bool { return order != 0 }
	case ast.LessThan.Name:
		return func(order int) bool { return order < 0 }
	case ast.LessThanEq.Name:
		return func(order int) bool { return order <= 0 }
	case ast.GreaterThan.Name:
		return func(order int) bool { return order > 0 }
	case ast.GreaterThanEq.Name:
		return func(order int) bool { return order >= 0 }
	}
	return nil
}

// source returns where the values of an operand come from, nil when that cannot be said.
func (p *premises) source(b bindings, operand *ast.Term) *source {
	var ref ast.Ref
	switch v := operand.Value.(type) {
	case ast.Var:
		ref = ast.Ref{operand}
	case ast.Ref:
		ref = v
	default:
		return constants(operand, nil)
	}
	switch ref = b.full(ref); {
	case ref[0].Equal(ast.DefaultRootDocument):
		return p.table(ref)
	case !ref[0].Equal(ast.InputRootDocument):
		return nil
	}
	way, exact := p.form.steps(names(ref[1:]))
	if !exact || len(way) == 0 {
		return nil
	}
	t := way[len(way)-1].typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if asJSON(t) {
		return nil
	}
	return &source{way: way, text: asText(t)}
}

// elements is source of each element of an operand.
func (p *premises) elements(b bindings, operand *ast.Term) *source {
	switch v := operand.Value.(type) {
	case ast.Var:
		return p.source(b, ast.NewTerm(ast.Ref{operand, ast.VarTerm("_")}))
	case ast.Ref:
		return p.source(b, ast.NewTerm(v.Append(ast.VarTerm("_"))))
	}
	return constants(operand, trail{""})
}

// table returns the values to which a reference to a constant of the guardrail leads.
func (p *premises) table(r ast.Ref) *source {
	rules := p.compiler.GetRulesDynamicWithOpts(r, ast.RulesOptions{})
	if len(rules) != 1 {
		return nil
	}
	rule := rules[0]
	if rule.Head.RuleKind() != ast.SingleValue || len(rule.Head.Args) > 0 || rule.Else != nil || len(r) < len(rule.Ref()) {
		return nil
	}
	return constants(rule.Head.Value, names(r[len(rule.Ref()):]))
}

// constants returns the scalars to which a trail leads in a constant as a source, nil where there
// are other values at its end.
func constants(t *ast.Term, rest trail) *source {
	var s source
	if !leaves(t, rest, func(t *ast.Term) bool {
		v, ok := constant(t)
		s.constants = append(s.constants, v)
		return ok
	}) {
		return nil
	}
	return &s
}

// leaves calls leaf with what a trail leads to in a constant until it returns false, which it then
// returns too.
func leaves(t *ast.Term, rest trail, leaf func(*ast.Term) bool) bool {
	if len(rest) == 0 {
		return leaf(t)
	}
	below := func(t *ast.Term) bool { return !leaves(t, rest[1:], leaf) }
	switch v := t.Value.(type) {
	case *ast.Array:
		return !v.Until(below)
	case ast.Set:
		return !v.Until(below)
	case ast.Object:
		return !v.Until(func(key, value *ast.Term) bool {
			return (rest[0] == "" || key.Equal(ast.StringTerm(rest[0]))) && below(value)
		})
	case ast.Ref, ast.Var, ast.Call, *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
		return false
	}
	return true
}
