// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"mpol/lang/check"
	"mpol/lang/diag"
)

// Options say which guardrails run and for how long.
type Options struct {
	// Guardrails run in this order; nil stands for Builtin.
	Guardrails []Guardrail
	// Deadline ends the evaluation of one guardrail, which then counts as failed. Zero is five
	// seconds.
	Deadline time.Duration
}

// Run evaluates guardrails over m. The list holds what they deny, exceptions that lack a reason,
// and every guardrail that failed; it is empty when m may be used. The error is for an evaluation
// that could not be made at all: ctx ended, or m cannot be written as JSON.
func Run(ctx context.Context, m *check.Module, opt Options) (diag.List, error) {
	gs := opt.Guardrails
	if gs == nil {
		var err error
		if gs, err = Builtin(); err != nil {
			return nil, err
		}
	}
	if opt.Deadline == 0 {
		opt.Deadline = 5 * time.Second
	}
	doc, err := newDocument(m)
	if err != nil {
		return nil, err
	}
	list := blankExceptions(m, gs)
	for _, g := range gs {
		found, err := runOne(ctx, g, doc, opt.Deadline)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			if !excepted(m, g, d.Span) {
				list = append(list, d)
			}
		}
	}
	list.Sort(m.Files)
	return list, nil
}

// runOne returns the diagnostics of one guardrail. The error is that of ctx.
func runOne(ctx context.Context, g Guardrail, doc *document, deadline time.Duration) (diag.List, error) {
	compiled, failed := compile(g)
	if failed != nil {
		return failed, nil
	}
	within, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	answer, err := evaluate(within, g, compiled, doc)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("run guardrail %s: %w", g.Name, ctx.Err())
	case within.Err() != nil:
		return failure(g, nil, fmt.Sprintf("did not finish within %s", deadline)), nil
	case err != nil:
		return evaluationFailure(g, err), nil
	}
	list, err := doc.decode(g, answer)
	if err != nil {
		return failure(g, nil, err.Error()), nil
	}
	return list, nil
}

// document is the input of all guardrails of a run, and its places.
type document struct {
	value ast.Value
	spans map[diag.Span]bool
}

func newDocument(m *check.Module) (*document, error) {
	text, err := json.Marshal(input{Version: inputVersion, Module: m})
	if err != nil {
		return nil, fmt.Errorf("write module for guardrails: %w", err)
	}
	value, err := ast.ValueFromReader(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read module for guardrails: %w", err)
	}
	d := &document{value: value, spans: map[diag.Span]bool{}}
	return d, d.collect(value)
}

// collect notes every span below v.
func (d *document) collect(v ast.Value) error {
	var failed error
	ast.WalkTerms(ast.NewTerm(v), func(t *ast.Term) bool {
		o, ok := t.Value.(ast.Object)
		if !ok || o.Get(ast.StringTerm("file")) == nil || o.Get(ast.StringTerm("start")) == nil {
			return false
		}
		var s diag.Span
		if err := json.Unmarshal([]byte(o.String()), &s); err != nil {
			failed = fmt.Errorf("read span of module: %w", err)
		}
		d.spans[s] = true
		return true
	})
	return failed
}

// violation is one element of a guardrail's set deny.
type violation struct {
	Span    diag.Span `json:"span"`
	Message string    `json:"message"`
	Help    string    `json:"help"`
}

// decode turns the value of a guardrail's deny into diagnostics. An error says in which way the
// value is not as the package comment demands.
func (d *document) decode(g Guardrail, answer any) (diag.List, error) {
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("answered what is not JSON: %w", err)
	}
	var vs []violation
	r := json.NewDecoder(bytes.NewReader(text))
	r.DisallowUnknownFields()
	if err := r.Decode(&vs); err != nil || vs == nil {
		return nil, fmt.Errorf("deny is not a set of objects with span, message and help")
	}
	var list diag.List
	for _, v := range vs {
		switch {
		case v.Message == "" || v.Help == "":
			return nil, fmt.Errorf("an element of deny lacks its message or its help")
		case !d.spans[v.Span]:
			return nil, fmt.Errorf("the span of %q is none of the input's", v.Message)
		}
		list = append(list, diag.Diagnostic{
			Code:     diag.Code("guard/" + g.Name),
			Severity: diag.Error,
			Span:     v.Span,
			Summary:  v.Message,
			Help:     v.Help,
		})
	}
	return list, nil
}
