// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"mpol/internal/policyset"
	"mpol/internal/source"
	"mpol/lang"
	"mpol/lang/check"
)

// author is what is measured of the author's verbs: no root, no kernel.
type author struct {
	*estate
	mpol   string
	set    policyset.Set
	module *check.Module
}

// newAuthor makes an estate of some apps in a folder of its own; close removes it.
func newAuthor(ctx context.Context, mpol string, apps, tests int) (_ *author, err error) {
	dir, err := os.MkdirTemp("", "mpol-bench-")
	if err != nil {
		return nil, err
	}
	a := &author{mpol: mpol}
	if a.estate, err = newEstate(dir, apps, tests); err == nil {
		a.module, err = readModule(ctx, &a.set, a.files)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return a, nil
}

func (a *author) close() error { return os.RemoveAll(a.dir) }

// readModule is the way of every verb from text to a Module.
func readModule(ctx context.Context, set *policyset.Set, files []source.File) (*check.Module, error) {
	m, diags, err := set.Read(ctx, files, policyset.Options{})
	if err != nil {
		return nil, err
	}
	if len(diags) > 0 {
		return nil, fmt.Errorf("policies of the benchmark: %v", diags[0])
	}
	return m, nil
}

func (a *author) comparisons(ctx context.Context) ([]*comparison, error) {
	again, err := a.checkAgain(ctx)
	if err != nil {
		return nil, err
	}
	verdicts, err := a.verdicts(ctx)
	if err != nil {
		return nil, err
	}
	compileAgain, err := a.compileAgain(ctx)
	if err != nil {
		return nil, err
	}
	all := []*comparison{a.parse(), a.check(ctx), again, a.compile(), compileAgain}
	all = append(all, verdicts...)
	return append(all, a.assertions(ctx)), nil
}

// parse compares reading of text alone, on one processor, with that of Rego.
func (a *author) parse() *comparison {
	const some = 50 // files
	rate := func(files []source.File, parse func(f source.File) error) func() ([]float64, error) {
		return func() ([]float64, error) {
			files := files[:min(some, len(files))]
			start := time.Now()
			for _, f := range files {
				if err := parse(f); err != nil {
					return nil, err
				}
			}
			s := time.Since(start).Seconds()
			return []float64{float64(size(files)) / 1e6 / s, float64(len(files)*policiesAFile) / s}, nil
		}
	}
	return &comparison{
		metrics: []metric{{"text parsed, on one processor", "MB a second"}, {"policies parsed, on one processor", "a second"}},
		beside: side{name: "OPA's parser", measure: rate(a.rego, func(f source.File) error {
			_, err := ast.ParseModule(f.Name, string(f.Text))
			return err
		})},
		ours: side{name: "mpol", measure: rate(a.files, func(f source.File) error {
			if tree, diags := lang.Parse(f.Name, f.Text); tree.Broken {
				return fmt.Errorf("parse: %v", diags[0])
			}
			return nil
		})},
	}
}

// check compares mpol check, guardrails included, with OPA's check of as many rules.
func (a *author) check(ctx context.Context) *comparison {
	what := fmt.Sprintf("check of %d files, %d policies", a.apps, a.apps*policiesAFile)
	return &comparison{
		metrics: []metric{{what, "ms"}, {what + ", CPU", "ms"}, {what + ", memory", "MB"}},
		beside: side{name: "OPA's check", measure: func() ([]float64, error) {
			return command(ctx, os.Args[0], "opa", "check", filepath.Join(a.dir, "rego"))
		}},
		ours: side{name: "mpol", measure: func() ([]float64, error) { return command(ctx, a.mpol, "check", filepath.Join(a.dir, "mpol")) }},
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// checkAgain compares the way to a Module when a port in one file has changed with the way from nothing.
func (a *author) checkAgain(ctx context.Context) (*comparison, error) {
	set := new(policyset.Set)
	if _, err := readModule(ctx, set, a.files); err != nil {
		return nil, err
	}
	changed := append([]source.File(nil), a.files...)
	at, turn := len(changed)/2, 0
	return &comparison{
		metrics: []metric{{"check again when a port in one file has changed", "ms"}},
		beside: side{name: "from nothing", measure: func() ([]float64, error) {
			start := time.Now()
			_, err := readModule(ctx, new(policyset.Set), a.files)
			return []float64{ms(time.Since(start))}, err
		}},
		ours: side{name: "mpol", measure: func() ([]float64, error) {
			turn++
			changed[at].Text = bytes.ReplaceAll(a.files[at].Text, fmt.Appendf(nil, "tcp/%d\n", firstPort), fmt.Appendf(nil, "tcp/%d\n", 20000+turn))
			start := time.Now()
			_, err := readModule(ctx, set, changed)
			return []float64{ms(time.Since(start))}, err
		}},
	}, nil
}

// assertions compares mpol test with OPA's tests, each in a process of its own, by lines a second.
func (a *author) assertions(ctx context.Context) *comparison {
	rate := func(lines int, name string, args ...string) func() ([]float64, error) {
		return func() ([]float64, error) {
			used, err := command(ctx, name, args...)
			if err != nil {
				return nil, err
			}
			return []float64{float64(lines) / (used[0] / 1e3), used[0]}, nil
		}
	}
	lines := max(1, a.tests/linesATest) * linesATest
	fewer := max(1, a.tests/regoTestsByLine)
	return &comparison{
		metrics: []metric{
			{"lines of tests, policies read and judged", "a second"},
			{fmt.Sprintf("all of %d lines (beside: %d)", lines, fewer), "ms"},
		},
		beside: side{name: "OPA's test", measure: rate(fewer, os.Args[0], "opa", "test", filepath.Join(a.dir, "rego-tests"))},
		ours:   side{name: "mpol", measure: rate(lines, a.mpol, "test", filepath.Join(a.dir, "tests"))},
	}
}
