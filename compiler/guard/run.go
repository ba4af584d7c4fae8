// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"mpol/lang/check"
	"mpol/lang/diag"
)

// Options say which guardrails run and for how long.
type Options struct {
	// Guardrails run in this order; nil stands for Builtin.
	Guardrails []Guardrail
	// Deadline ends the evaluation of one guardrail, which then counts as failed. Zero is ten seconds
	// and two milliseconds more for each policy: a hundred times what a built-in one takes, so that
	// a busy machine does not refuse a good policy.
	Deadline time.Duration
}

// Run evaluates guardrails over m. The list holds what they deny and warn of, exceptions that lack a
// reason, and every guardrail that failed; m may be used when it has no errors. The error is for an
// evaluation that could not be made at all: ctx ended, or m cannot be shown to a guardrail.
func Run(ctx context.Context, m *check.Module, opt Options) (diag.List, error) {
	gs := opt.Guardrails
	if gs == nil {
		var err error
		if gs, err = Builtin(); err != nil {
			return nil, err
		}
	}
	if opt.Deadline == 0 {
		opt.Deadline = 10*time.Second + time.Duration(len(m.Policies))*2*time.Millisecond
	}
	for i, g := range gs {
		if slices.ContainsFunc(gs[:i], func(o Guardrail) bool { return o.Name == g.Name || o.File == g.File }) {
			return nil, fmt.Errorf("run guardrails: %s (%s) is there twice", g.Name, g.File)
		}
	}
	doc, err := newDocument(m)
	if err != nil {
		return nil, err
	}
	granted := exceptions(m)
	list := blankExceptions(granted, gs)
	for _, found := range runAll(ctx, compile(gs), doc, opt.Deadline) {
		if found.err != nil {
			return nil, found.err
		}
		for _, d := range found.list {
			if !slices.ContainsFunc(granted, func(e annotated) bool { return e.excepts(found.guardrail, d.Span) }) {
				list = append(list, d)
			}
		}
	}
	list.Sort(m.Files)
	return list, nil
}

// finding is what a guardrail says.
type finding struct {
	guardrail Guardrail
	list      diag.List
	err       error // that of ctx
}

// runAll evaluates guardrails beside each other, as many as there are processors, and returns what
// they say in their order.
func runAll(ctx context.Context, gs []compiled, doc *document, deadline time.Duration) []finding {
	findings := make([]finding, len(gs))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(gs)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(gs)); i = next.Add(1) - 1 {
				list, err := gs[i].run(ctx, doc, deadline)
				findings[i] = finding{gs[i].Guardrail, list, err}
			}
		})
	}
	workers.Wait()
	return findings
}

// run returns the diagnostics of one guardrail. The error is that of ctx.
func (g *compiled) run(ctx context.Context, doc *document, deadline time.Duration) (diag.List, error) {
	if g.failed != nil {
		return g.failed, nil
	}
	within, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var list diag.List
	for _, s := range sets() {
		if !slices.ContainsFunc(g.module().Rules, s.is) {
			continue
		}
		answer, err := g.evaluate(within, s, doc)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("run guardrail %s: %w", g.Name, ctx.Err())
		case within.Err() != nil:
			return failure(g.Guardrail, nil, fmt.Sprintf("did not finish within %s", deadline)), nil
		case err != nil:
			return evaluationFailure(g.Guardrail, err), nil
		}
		found, err := doc.decode(g.Guardrail, s, answer)
		if err != nil {
			return failure(g.Guardrail, nil, err.Error()), nil
		}
		list = append(list, found...)
	}
	return list, nil
}

// document is the input of all guardrails of a run.
type document struct {
	input input
	value ast.Value
	// spans are the places of the input, made at the first one that a guardrail names.
	spans func() map[string]diag.Span
}

func newDocument(m *check.Module) (*document, error) {
	d := &document{input: input{Version: inputVersion, Module: m}}
	term, err := d.encode(nil)
	if err != nil {
		return nil, fmt.Errorf("write module for guardrails: %w", err)
	}
	d.value = term.Value
	d.spans = sync.OnceValue(func() map[string]diag.Span {
		spans := map[string]diag.Span{}
		_, _ = d.encode(spans) // went well before
		return spans
	})
	return d, nil
}

// encode returns the input as a term and notes its places in spans, unless that is nil.
func (d *document) encode(spans map[string]diag.Span) (*ast.Term, error) {
	e := encoder{shapes: map[reflect.Type]*shape{}, spans: spans}
	return e.encode(reflect.ValueOf(d.input))
}

// violation is one element of a guardrail's sets.
type violation struct {
	Span    string `json:"span"` // as place writes it
	Message string `json:"message"`
	Help    string `json:"help"`
}

// decode turns the value of one of a guardrail's sets into diagnostics. An error says in which way
// the value is not as the package comment demands.
func (d *document) decode(g Guardrail, s set, answer any) (diag.List, error) {
	text, err := json.Marshal(answer)
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
		at, known := d.spans()[v.Span]
		switch {
		case v.Message == "" || v.Help == "":
			return nil, fmt.Errorf("an element of %s lacks its message or its help", s.name)
		case !known:
			return nil, fmt.Errorf("the span of %q is none of the input's", v.Message)
		}
		list = append(list, diag.Diagnostic{
			Code:     diag.Code("guard/" + g.Name),
			Severity: s.severity,
			Span:     at,
			Summary:  v.Message,
			Help:     v.Help,
		})
	}
	return list, nil
}
