// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// trail leads from the input to a part of it: names of fields, and "" for each element.
type trail []string

// bindings are the variables of a rule that stand for a part of the input.
type bindings map[ast.Var]ast.Ref

// reads is a part of the input that a guardrail reads: all of it, or else some of what is in it.
type reads struct {
	all   bool
	parts map[string]*reads
}

// field returns what is read of a field, nil when it is left out. To read any field is to read each.
func (n *reads) field(name string) *reads {
	switch {
	case n.all:
		return n
	case n.parts[""] != nil:
		return &reads{all: true}
	}
	return n.parts[name]
}

// element returns what is read of each element.
func (n *reads) element() *reads {
	switch part := n.parts[""]; {
	case n.all:
		return n
	case part != nil:
		return part
	}
	return new(reads)
}

// bound returns the variable and the reference of an expression that binds one to the other, such as
// what "some rule in input.rules" is compiled to.
func bound(e *ast.Expr) (ast.Var, ast.Ref, bool) {
	if e.Negated || len(e.With) > 0 || !e.IsEquality() {
		return "", nil, false
	}
	for _, i := range []int{0, 1} {
		v, isVar := e.Operand(i).Value.(ast.Var)
		r, isRef := e.Operand(1 - i).Value.(ast.Ref)
		if isVar && isRef {
			return v, r, true
		}
	}
	return "", nil, false
}

// bindingsOf returns what is bound exactly once in a rule.
func bindingsOf(r *ast.Rule) bindings {
	b, twice := bindings{}, []ast.Var(nil)
	ast.WalkExprs(r, func(e *ast.Expr) bool {
		if v, ref, ok := bound(e); ok {
			if _, known := b[v]; known {
				twice = append(twice, v)
			}
			b[v] = ref
		}
		return false
	})
	for _, v := range twice {
		delete(b, v)
	}
	return b
}

// full returns r with each bound variable replaced by what it stands for.
func (b bindings) full(r ast.Ref) ast.Ref {
	for range b { // at most as many as there are
		head, _ := r[0].Value.(ast.Var)
		from, known := b[head]
		if !known {
			break
		}
		r = append(from[:len(from):len(from)], r[1:]...)
	}
	return r
}

// trail returns where a reference leads in the input, if it does.
func (b bindings) trail(r ast.Ref) (trail, bool) {
	if r = b.full(r); !r[0].Equal(ast.InputRootDocument) {
		return nil, false
	}
	return names(r[1:]), true
}

func names(r ast.Ref) trail {
	var t trail
	for _, part := range r {
		name, _ := part.Value.(ast.String)
		t = append(t, string(name))
	}
	return t
}

// note adds what rule reads.
func (n *reads) note(rule *ast.Rule) {
	b := bindingsOf(rule)
	var visit *ast.GenericVisitor
	visit = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			v, r, ok := bound(x)
			if _, once := b[v]; !ok || !once {
				return false
			}
			if p, ok := b.trail(r); ok {
				n.at(p)
			}
			for _, t := range r[1:] {
				visit.Walk(t)
			}
			return true
		case ast.Ref:
			if p, ok := b.trail(x); ok {
				n.at(p).all = true
			}
			for _, t := range x[1:] {
				visit.Walk(t)
			}
			return true
		case ast.Var:
			if p, ok := b.trail(ast.Ref{ast.NewTerm(x)}); ok {
				n.at(p).all = true
			}
		}
		return false
	})
	visit.Walk(rule)
}

// rules reports whether the rules of an item are read.
func (n *reads) rules() bool { return n.all || n.parts["rule"] != nil || n.parts["direction"] != nil }

// join adds what m reads.
func (n *reads) join(m *reads) {
	n.all = n.all || m.all
	for name, part := range m.parts {
		n.at(trail{name}).join(part)
	}
}

// at returns the part of n at the end of a trail.
func (n *reads) at(p trail) *reads {
	for _, name := range p {
		next := n.parts[name]
		if next == nil {
			if next = new(reads); n.parts == nil {
				n.parts = map[string]*reads{}
			}
			n.parts[name] = next
		}
		n = next
	}
	return n
}
