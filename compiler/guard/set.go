// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"mpol/lang/diag"
)

// compiledSet is one of the sets that a guardrail defines.
type compiledSet struct {
	set
	query   ast.Body
	premise premise
}

// prepare compiles the query of each set of g and finds out what g reads.
func (g *compiled) prepare() diag.List {
	g.reads = new(reads)
	for _, r := range g.module().Rules {
		g.reads.note(r)
	}
	ps := premises{compiler: g.compiler, form: g.form, made: map[*ast.Rule]premise{}}
	for _, s := range sets() {
		ref := packageOf(g.Guardrail).Append(ast.StringTerm(s.name))
		rules := g.compiler.GetRules(ref)
		if len(rules) == 0 {
			continue
		}
		query, err := g.compiler.QueryCompiler().Compile(ast.NewBody(ast.Equality.Expr(ast.VarTerm(variable), ast.NewTerm(ref))))
		if err != nil {
			return compilationFailure(g.Guardrail, err)
		}
		holds := premise(always)
		if rules[0].Head.RuleKind() == ast.MultiValue { // else it must be there
			holds = ps.of(rules)
		}
		g.sets = append(g.sets, compiledSet{set: s, query: query, premise: holds})
	}
	return nil
}

// variable is that of a query which takes the value of a set.
const variable = "set"

// question is what guardrails are asked: an input as it is in Go, in Rego, and its places.
type question struct {
	input  reflect.Value
	term   *ast.Term
	places func() map[string]diag.Span
}

// question writes an input for guardrails that read n of it.
func (e *encoder) question(input reflect.Value, n *reads) (question, error) {
	term, err := e.encode(input, n)
	if err != nil {
		return question{}, fmt.Errorf("write input of guardrails: %w", err)
	}
	return question{input, term, sync.OnceValue(func() map[string]diag.Span {
		spans := map[string]diag.Span{}
		e.places(input, spans)
		return spans
	})}, nil
}

// minds reports whether a guardrail may have something to say of an input.
func (g *compiled) minds(input reflect.Value) bool {
	return slices.ContainsFunc(g.sets, func(s compiledSet) bool { return s.premise(input) })
}

// answer is what a guardrail says of an input, or why it failed.
type answer struct{ said, failed diag.List }

// ask asks a guardrail.
func (g *compiled) ask(ctx context.Context, q question) answer {
	var a answer
	for _, s := range g.sets {
		if !s.premise(q.input) {
			continue
		}
		value, err := g.evaluate(ctx, s, q.term)
		if err != nil {
			return answer{failed: evaluationFailure(g.Guardrail, err)}
		}
		found, err := s.decode(g.Guardrail, value, q.places)
		if err != nil {
			return answer{failed: failure(g.Guardrail, nil, err.Error())}
		}
		a.said = append(a.said, found...)
	}
	return a
}

// evaluate returns the value of a set, nil when it has none.
func (g *compiled) evaluate(ctx context.Context, s compiledSet, input *ast.Term) (any, error) {
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	var value any
	err := topdown.NewQuery(s.query).
		WithCompiler(g.compiler).
		WithInput(input).
		WithCancel(cancel).
		WithStrictBuiltinErrors(true). // else a failing call is undefined, and denies nothing
		Iter(ctx, func(r topdown.QueryResult) (err error) {
			value, err = ast.JSON(r[variable].Value)
			return err
		})
	return value, err
}

// violation is one element of a guardrail's sets.
type violation struct {
	Span    string `json:"span"` // as place writes it
	Message string `json:"message"`
	Help    string `json:"help"`
}

// decode turns the value of a set into diagnostics; places are those of the input. An error says
// in which way the value is not as the package comment demands.
func (s set) decode(g Guardrail, value any, places func() map[string]diag.Span) (diag.List, error) {
	if none, ok := value.([]any); ok && len(none) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("answered what is not JSON: %w", err)
	}
	var vs []violation
	r := json.NewDecoder(bytes.NewReader(text))
	r.DisallowUnknownFields()
	if err := r.Decode(&vs); err != nil || vs == nil {
		return nil, fmt.Errorf("%s is not a set of objects with span, message and help", s.name)
	}
	var list diag.List
	for _, v := range vs {
		at, known := places()[v.Span]
		switch {
		case v.Message == "" || v.Help == "":
			return nil, fmt.Errorf("an element of %s lacks its message or its help", s.name)
		case !known:
			return nil, fmt.Errorf("the span of %q is none of the input's", v.Message)
		}
		list = append(list, diag.Diagnostic{
			Code:     diag.Code(codeHead + g.Name),
			Severity: s.severity,
			Span:     at,
			Summary:  v.Message,
			Help:     v.Help,
		})
	}
	return list, nil
}
