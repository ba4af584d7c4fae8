// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"reflect"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// premise reports whether a rule of a guardrail may hold for an input. It reads off the Go value
// what it can of the rule's body, so that the input need not be written as Rego and evaluated when a
// plain condition fails, such as input.rule.action == "allow". True means that Rego must decide.
type premise func(input reflect.Value) bool

func always(reflect.Value) bool { return true }

// anyOf and allOf combine premises.
func anyOf(ps []premise) premise {
	return func(input reflect.Value) bool {
		for _, p := range ps {
			if p(input) {
				return true
			}
		}
		return false
	}
}

func allOf(ps []premise) premise {
	return func(input reflect.Value) bool {
		for _, p := range ps {
			if !p(input) {
				return false
			}
		}
		return true
	}
}

// premises makes the premises of a guardrail's rules.
type premises struct {
	compiler *ast.Compiler
	form     form
	made     map[*ast.Rule]premise
}

// of returns the premise of some rules, one of which must hold.
func (p *premises) of(rules []*ast.Rule) premise {
	var list []premise
	for _, r := range rules {
		for ; r != nil; r = r.Else {
			list = append(list, p.rule(r))
		}
	}
	return anyOf(list)
}

func (p *premises) rule(r *ast.Rule) premise {
	if made := p.made[r]; made != nil {
		return made
	}
	b := topBindings(r)
	var list []premise
	for _, e := range r.Body {
		list = append(list, p.expr(b, e)...)
	}
	made := allOf(list)
	p.made[r] = made
	return made
}

// topBindings returns what the body of a rule binds, closures apart: there a name may mean another.
func topBindings(r *ast.Rule) bindings {
	b := bindings{}
	for _, e := range r.Body {
		if v, ref, ok := bound(e); ok {
			b[v] = ref
		}
	}
	return b
}

// expr returns what must hold for an expression to hold, as far as it can be said.
func (p *premises) expr(b bindings, e *ast.Expr) []premise {
	if len(e.With) > 0 {
		return nil
	}
	if term, ok := e.Terms.(*ast.Term); ok {
		ref, isRef := term.Value.(ast.Ref)
		switch {
		case !isRef:
			return nil
		case e.Negated:
			return p.lacks(b, ref)
		}
		return p.refers(b, ref, truthy)
	}
	if e.Negated || !e.IsCall() {
		return nil
	}
	// A call of something undefined is undefined.
	var list []premise
	if c := p.comparison(b, e); c != nil {
		list = append(list, c)
	}
	for _, t := range e.Operands() {
		if ref, ok := t.Value.(ast.Ref); ok {
			list = append(list, p.refers(b, ref, exists)...)
		}
	}
	return list
}

// refers returns that a reference leads to something that passes the test: in the input, or by rules
// of the guardrail, of which one must hold.
func (p *premises) refers(b bindings, r ast.Ref, passes test) []premise {
	if r.HasPrefix(ast.DefaultRootRef) {
		rules := p.compiler.GetRulesDynamicWithOpts(r, ast.RulesOptions{})
		if slices.ContainsFunc(rules, func(rule *ast.Rule) bool { return !needs(r, rule) }) {
			return nil
		}
		return []premise{p.of(rules)}
	}
	t, ok := b.trail(r)
	if !ok {
		return nil
	}
	steps, exact := p.form.steps(t)
	if steps == nil {
		return nil
	}
	if !exact {
		passes = exists
	}
	return []premise{func(input reflect.Value) bool { return reaches(input, steps, passes) }}
}

// needs reports whether rule must hold for r to be defined, unless another rule of the name does: a
// set or an object by itself is there without any of its elements.
func needs(r ast.Ref, rule *ast.Rule) bool {
	if rule.Head.RuleKind() == ast.MultiValue {
		return len(r) > len(rule.Ref())
	}
	return len(r) >= len(rule.Ref())
}

// lacks returns that a reference leads to nothing, or to false.
func (p *premises) lacks(b bindings, r ast.Ref) []premise {
	t, ok := b.trail(r)
	if !ok {
		return nil
	}
	steps, exact := p.form.steps(t)
	for _, s := range steps {
		exact = exact && !s.each
	}
	if steps == nil || !exact {
		return nil
	}
	return []premise{func(input reflect.Value) bool { return !reaches(input, steps, truthy) }}
}
