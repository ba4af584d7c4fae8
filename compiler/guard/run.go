// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mpol/lang/check"
	"mpol/lang/diag"
)

// Options say which guardrails run and for how long.
type Options struct {
	// Guardrails run in this order; nil stands for Builtin.
	Guardrails []Guardrail
	// Deadline ends the evaluation of one guardrail, which then counts as failed. Zero is ten seconds,
	// two milliseconds more for each policy and half a millisecond for each rule: a hundred times what
	// a built-in one takes, so that a busy machine does not refuse a good policy.
	Deadline time.Duration
}

// Run is Run of a Memory that remembers nothing.
func Run(ctx context.Context, m *check.Module, opt Options) (diag.List, error) {
	return new(Memory).Run(ctx, m, opt)
}

// Memory makes a second Run cheap where few policies have changed: what a guardrail of single
// policies says of one holds as long as the policy is the very same, as check.Memory has it.
//
// The zero value remembers nothing and is ready; one goroutine at a time uses it.
type Memory struct {
	guardrails []Guardrail
	compiled   []compiled
	said       map[*check.Policy]remembered
}

// Run evaluates guardrails over module. The list holds what they deny and warn of, exceptions that
// lack a reason or name none, and every guardrail that failed; module may be used when it has no errors. The error
// is for an evaluation that could not be made at all: ctx ended, or module cannot be shown to a
// guardrail.
func (m *Memory) Run(ctx context.Context, module *check.Module, opt Options) (diag.List, error) {
	gs := opt.Guardrails
	if gs == nil {
		var err error
		if gs, err = Builtin(); err != nil {
			return nil, err
		}
	}
	if opt.Deadline == 0 {
		opt.Deadline = deadline(module)
	}
	for i, g := range gs {
		if slices.ContainsFunc(gs[:i], func(o Guardrail) bool { return o.Name == g.Name || o.File == g.File }) {
			return nil, fmt.Errorf("run guardrails: %s (%s) is there twice", g.Name, g.File)
		}
	}
	if !slices.Equal(gs, m.guardrails) {
		*m = Memory{guardrails: slices.Clone(gs), compiled: compile(gs)}
	}
	var found diag.List
	var ofModule, ofItems []*compiled
	for i := range m.compiled {
		switch g := &m.compiled[i]; {
		case g.failed != nil:
			found = append(found, g.failed...)
		case g.form.items:
			ofItems = append(ofItems, g)
		default:
			ofModule = append(ofModule, g)
		}
	}
	about, err := runModule(ctx, ofModule, module, opt.Deadline)
	if err != nil {
		return nil, err
	}
	each, err := m.runItems(ctx, ofItems, module, opt.Deadline)
	if err != nil {
		return nil, err
	}
	found = slices.Concat(found, about, each)
	excepted := exceptions(module)
	list := wrongExceptions(excepted, gs)
	granted := grant(excepted)
	for _, d := range found {
		if !granted.cover(d) {
			list = append(list, d)
		}
	}
	list.Sort(module.Files)
	return list, nil
}

// deadline is long enough for a busy machine not to refuse a good policy.
func deadline(m *check.Module) time.Duration {
	rules := 0
	for _, p := range m.Policies {
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b != nil {
				rules += len(b.Rules)
			}
		}
	}
	return 10*time.Second + time.Duration(len(m.Policies))*2*time.Millisecond + time.Duration(rules)*time.Millisecond/2
}

// runModule evaluates guardrails that read the module, beside each other.
func runModule(ctx context.Context, gs []*compiled, m *check.Module, deadline time.Duration) (diag.List, error) {
	input, all := reflect.ValueOf(whole{Version: inputVersion, Module: m}), new(reads)
	gs = slices.DeleteFunc(gs, func(g *compiled) bool { return !g.minds(input) })
	for _, g := range gs {
		all.join(g.reads)
	}
	q, err := newEncoder(form{}).question(input, all)
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(gs))
	beside(len(gs), func(next func() (int, bool)) {
		for i, ok := next(); ok; i, ok = next() {
			within, cancel := context.WithTimeout(ctx, deadline)
			answers[i] = gs[i].ask(within, q)
			if answers[i].failed != nil && within.Err() != nil {
				answers[i].failed = tooSlow(gs[i].Guardrail, deadline)
			}
			cancel()
		}
	})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run guardrails: %w", ctx.Err())
	}
	var list diag.List
	for _, a := range answers {
		list = slices.Concat(list, a.said, a.failed)
	}
	return list, nil
}

// beside runs work on all processors and returns when every goroutine has ended. What next returns
// ascends from 0 to n-1.
func beside(n int, work func(next func() (int, bool))) {
	var taken atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			work(func() (int, bool) {
				i := int(taken.Add(1)) - 1
				return i, i < n
			})
		})
	}
	workers.Wait()
}
