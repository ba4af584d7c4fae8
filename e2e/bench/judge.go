// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// compile compares compiling for all workloads with writing down what came of it.
func (a *author) compile() *comparison {
	what := fmt.Sprintf("compile %d policies for %d workloads", len(a.module.Policies), len(a.inventory.Workloads))
	var p *program.Program
	all := func() ([]float64, error) {
		start := time.Now()
		compiled, diags := compiler.Compile(a.module, a.inventory)
		if compiled == nil {
			return nil, fmt.Errorf("compile: %v", diags)
		}
		p = compiled
		return []float64{ms(time.Since(start))}, nil
	}
	return &comparison{
		metrics: []metric{{what, "ms"}},
		ours:    side{name: "mpol", measure: all},
		beside: side{name: "writing its dump", measure: func() ([]float64, error) {
			if p == nil {
				if _, err := all(); err != nil {
					return nil, err
				}
			}
			start := time.Now()
			_, err := p.JSON()
			return []float64{ms(time.Since(start))}, err
		}},
	}
}

// tried is one of the flows that are judged: from the app beside app i, allowed or not.
type tried struct {
	app     int
	port    int
	request bool
	allowed bool
}

// flows are drawn over all apps; every other one is denied.
func (a *author) flows(n int, requests bool) []tried {
	out := make([]tried, n)
	for i := range out {
		f := tried{app: i * 7919 % a.apps, port: firstPort + i%policiesAFile, allowed: i%2 == 0}
		if requests {
			f.request, f.port = true, portOfRequests
		} else if !f.allowed {
			f.port += policiesAFile + i%1000
		}
		out[i] = f
	}
	return out
}

// verdicts compares the judging of flows and of requests on one processor with OPA, which finds the
// rules of an app by its name.
func (a *author) verdicts(ctx context.Context) ([]*comparison, error) {
	const ours, theirs = 200_000, 2_000
	rules := compiler.Resolve(a.module, a.inventory)
	evaluator := verdict.New(&rules)
	opa, err := a.judging(ctx)
	if err != nil {
		return nil, err
	}
	var all []*comparison
	for _, what := range []string{"flows judged, on one processor", "requests judged, on one processor"} {
		requests := len(all) == 1
		few, many := a.flows(theirs, requests), a.flows(ours, requests)
		all = append(all, &comparison{
			metrics: []metric{{what, "a second"}},
			beside: side{name: "OPA, prepared", measure: rateOf(few, func(f tried) (bool, error) {
				return judgeByOPA(ctx, opa, a.input(f))
			})},
			ours: side{name: "mpol", measure: rateOf(many, func(f tried) (bool, error) {
				return evaluator.Decide(a.flow(f)).Action != verdict.Deny, nil
			})},
		})
	}
	return all, nil
}

// rateOf judges flows and returns how many a second; each verdict must be right.
func rateOf(flows []tried, judge func(tried) (bool, error)) func() ([]float64, error) {
	return func() ([]float64, error) {
		start := time.Now()
		for _, f := range flows {
			allowed, err := judge(f)
			switch {
			case err != nil:
				return nil, err
			case allowed != f.allowed:
				return nil, fmt.Errorf("the verdict on %+v is wrong", f)
			}
		}
		return []float64{float64(len(flows)) / time.Since(start).Seconds()}, nil
	}
}

// path is the request that a flow makes.
func (f tried) path() string {
	if f.allowed {
		return fmt.Sprintf("/cart/%d", f.app)
	}
	return fmt.Sprintf("/cart/%d/admin", f.app)
}

func (a *author) flow(f tried) verdict.Flow {
	v := verdict.Flow{
		From: verdict.End{Addr: a.address((f.app + 1) % a.apps)}, To: verdict.End{Addr: a.address(f.app)},
		Proto: program.ProtoTCP, Port: uint16(f.port),
	}
	if f.request {
		v.HTTP = &verdict.HTTP{Method: "GET", Path: f.path(), Host: "app:8080"}
	}
	return v
}

func (a *author) input(f tried) map[string]any {
	in := map[string]any{"from": a.app(f.app + 1), "to": a.app(f.app), "port": f.port}
	if f.request {
		in["method"], in["path"] = "GET", f.path()
	}
	return in
}

func judgeByOPA(ctx context.Context, opa rego.PreparedEvalQuery, input map[string]any) (bool, error) {
	results, err := opa.Eval(ctx, rego.EvalInput(input))
	if err != nil {
		return false, err
	}
	if len(results) != 1 {
		return false, errors.New("OPA says nothing")
	}
	return results.Allowed(), nil
}
