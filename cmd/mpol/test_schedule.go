// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"mpol/compiler/policytest"
	"mpol/lang/check"
)

// plan says which tests run and how.
type plan struct {
	run      string
	tags     []string
	files    []string
	shuffle  string
	parallel int
	failFast bool

	name *regexp.Regexp
	seed uint64
}

func addPlan(c *cobra.Command) *plan {
	p := &plan{}
	f := c.Flags()
	f.StringVar(&p.run, "run", "", "run only the tests whose name the regular expression matches")
	f.StringArrayVar(&p.tags, "tag", nil, "run only the tests with this @tag (repeatable: any of them)")
	f.StringArrayVar(&p.files, "path", nil, "run only the tests in this file, in files below this folder, or in files that this pattern matches (repeatable)")
	f.StringVar(&p.shuffle, "shuffle", "", "run the tests in random order: on, or the seed of an earlier run")
	f.Lookup("shuffle").NoOptDefVal = "on"
	f.IntVar(&p.parallel, "parallel", runtime.GOMAXPROCS(0), "how many tests run at once")
	f.BoolVar(&p.failFast, "fail-fast", false, "stop at the first test that fails")
	return p
}

// prepare checks the flags; now seeds the order where no seed is stated.
func (p *plan) prepare(now time.Time) error {
	var err error
	if p.name, err = regexp.Compile(p.run); err != nil {
		return usageError{fmt.Errorf("--run: %w", err)}
	}
	if p.parallel < 1 {
		return usageError{fmt.Errorf("--parallel: write a number from 1")}
	}
	for _, f := range p.files {
		if _, err := path.Match(f, ""); err != nil {
			return usageError{fmt.Errorf("--path %s: %w", f, err)}
		}
	}
	switch p.shuffle {
	case "", "off":
	case "on":
		p.seed = max(1, uint64(now.UnixNano())%1_000_000)
	default:
		if p.seed, err = strconv.ParseUint(p.shuffle, 10, 64); err != nil || p.seed == 0 {
			return usageError{fmt.Errorf("--shuffle: write on, off, or a seed from 1")}
		}
	}
	return nil
}

// pick returns the tests of m that the plan asks for, in the order in which they run.
func (p *plan) pick(m *check.Module) ([]*check.Test, error) {
	var tests []*check.Test
	for _, t := range m.Tests {
		if p.name.MatchString(t.Name) && p.tagged(t) && p.within(t.Span.File) {
			tests = append(tests, t)
		}
	}
	var asked []string
	if p.run != "" {
		asked = append(asked, "--run "+p.run)
	}
	for _, tag := range p.tags {
		asked = append(asked, "--tag "+tag)
	}
	for _, f := range p.files {
		asked = append(asked, "--path "+f)
	}
	if len(asked) > 0 && len(tests) == 0 {
		return nil, usageError{fmt.Errorf("no test matches %s", strings.Join(asked, " "))}
	}
	if p.seed != 0 {
		order := rand.New(rand.NewPCG(p.seed, 0))
		order.Shuffle(len(tests), func(i, j int) { tests[i], tests[j] = tests[j], tests[i] })
	}
	return tests, nil
}

func (p *plan) tagged(t *check.Test) bool {
	return len(p.tags) == 0 || slices.ContainsFunc(t.Annotations, func(a check.Annotation) bool {
		return a.Key == "tag" && slices.ContainsFunc(a.Values, func(v string) bool { return slices.Contains(p.tags, v) })
	})
}

func (p *plan) within(file string) bool {
	return len(p.files) == 0 || slices.ContainsFunc(p.files, func(f string) bool {
		clean := filepath.Clean(f)
		matches, err := path.Match(f, file)
		return err == nil && matches || clean == "." || filepath.Clean(file) == clean ||
			strings.HasPrefix(filepath.Clean(file), clean+string(filepath.Separator))
	})
}

// perform runs tests and gives the report what became of them. With fail-fast it ends with the first
// test in the order that fails.
func (p *plan) perform(ctx context.Context, m *check.Module, tests []*check.Test, r *policytest.Report, now func() time.Time) error {
	begin := now()
	blocks := make([]*policytest.Block, len(tests))
	var next, failed atomic.Int64
	failed.Store(int64(len(tests)))
	var wait sync.WaitGroup
	base := policytest.New(m)
	for range min(p.parallel, len(tests)) {
		wait.Go(func() {
			suite := base.Clone()
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(tests)) || p.failFast && i > failed.Load() {
					return
				}
				start := now()
				b := r.NewBlock(tests[i], suite.Run(tests[i]), now().Sub(start))
				blocks[i] = &b
				for f := failed.Load(); b.Failed() && i < f && !failed.CompareAndSwap(f, i); f = failed.Load() {
				}
			}
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("run tests: %w", err)
	}
	for i, b := range blocks {
		if p.failFast && int64(i) > failed.Load() {
			r.NotRun++
		} else {
			r.Blocks = append(r.Blocks, *b)
		}
	}
	r.Seed, r.Elapsed = p.seed, now().Sub(begin)
	return nil
}
