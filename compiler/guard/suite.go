// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/tester"

	"mpol/lang/diag"
)

// Suite is what the Rego tests of one guardrail did.
type Suite struct {
	Guardrail Guardrail
	// TestFile is the path of TestText, NAME_test.rego; it is empty where there is none.
	TestFile, TestText string
	// Passed, Failed and Skipped count tests; a test named todo_test_... is skipped.
	Passed, Failed, Skipped int
	// Lines of the guardrail that do something, and how many of them some test reached.
	Lines, Covered int
	// Diagnostics are sorted: a guardrail that does not compile, a test that failed or lacks, and as
	// warnings the lines that no test reached.
	Diagnostics diag.List
}

// testDeadline ends one Rego test.
const testDeadline = 10 * time.Second

// Test runs the tests of the guardrails of a folder, with the built-in functions that guardrails
// have; root and folder are those of Load. Each guardrail has a NAME_test.rego in the package
// mpol.guardrails["NAME_test"], with one test_allows_... and one test_denies_... or test_warns_... at
// least. The error is for what could not be run at all: the folder cannot be read or ctx ended.
func Test(ctx context.Context, root string, folder fs.FS) ([]Suite, error) {
	gs, err := Load(root, folder)
	if err != nil {
		return nil, err
	}
	var suites []Suite
	for _, g := range gs {
		s := Suite{Guardrail: g}
		file := path.Join(g.Name, g.Name+testTail)
		text, err := fs.ReadFile(folder, file)
		switch {
		case err == nil:
			s.TestFile, s.TestText = path.Join(root, file), string(text)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("read tests of guardrail %s: %w", g.File, err)
		}
		if err := s.run(ctx); err != nil {
			return nil, err
		}
		s.Diagnostics.Sort([]string{g.File, s.TestFile})
		suites = append(suites, s)
	}
	return suites, nil
}

func (s *Suite) run(ctx context.Context) error {
	if s.Diagnostics = compile([]Guardrail{s.Guardrail})[0].failed; s.Diagnostics != nil {
		return nil
	}
	if s.TestFile == "" {
		s.fail(s.Guardrail.File, nil, fmt.Sprintf("guardrail %s has no %[1]s_test.rego beside it", s.Guardrail.Name))
		return nil
	}
	rule, err := ast.ParseModule(s.Guardrail.File, s.Guardrail.Text)
	if err != nil {
		return fmt.Errorf("parse guardrail that compiles: %w", err)
	}
	tests, err := ast.ParseModuleWithOpts(s.TestFile, s.TestText, ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities()})
	if err != nil {
		s.Diagnostics = compilationFailure(s.tests(), err)
		return nil
	}
	modules := map[string]*ast.Module{s.Guardrail.File: rule, s.TestFile: tests}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true)
	if compiler.Compile(map[string]*ast.Module{s.Guardrail.File: rule.Copy(), s.TestFile: tests.Copy()}); compiler.Failed() {
		s.Diagnostics = compilationFailure(s.tests(), compiler.Errors)
		return nil
	}
	coverage := cover.New()
	results, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true)).
		SetCoverageQueryTracer(coverage).
		SetCoverageRuns(nil).
		RaiseBuiltinErrors(true).
		SetTimeout(testDeadline).
		SetModules(modules).
		RunTests(ctx, nil)
	if err != nil {
		return fmt.Errorf("run tests of guardrail %s: %w", s.Guardrail.Name, err)
	}
	s.judge(results)
	if ctx.Err() != nil {
		return fmt.Errorf("run tests of guardrail %s: %w", s.Guardrail.Name, ctx.Err())
	}
	s.measure(coverage.Report(map[string]*ast.Module{s.Guardrail.File: rule}).Files[s.Guardrail.File])
	return nil
}

// tests returns the test file in the shape that the reports of broken guardrails take.
func (s *Suite) tests() Guardrail {
	return Guardrail{Name: s.Guardrail.Name + "_test", File: s.TestFile, Text: s.TestText}
}

// judge counts results and reports the tests that did not pass, and those that lack.
func (s *Suite) judge(results <-chan *tester.Result) {
	allows, refuses := false, false
	for r := range results {
		allows = allows || strings.HasPrefix(r.Name, "test_allows_")
		refuses = refuses || strings.HasPrefix(r.Name, "test_denies_") || strings.HasPrefix(r.Name, "test_warns_")
		switch {
		case r.Skip:
			s.Skipped++
		case r.Pass():
			s.Passed++
		case r.Error != nil:
			s.Failed++
			s.fail(s.TestFile, r.Location, fmt.Sprintf("%s cannot be judged: %v", r.Name, r.Error))
		default:
			s.Failed++
			s.fail(s.TestFile, r.Location, r.Name+" does not hold")
		}
	}
	if !allows {
		s.fail(s.TestFile, nil, fmt.Sprintf("no test_allows_... shows what guardrail %s lets through", s.Guardrail.Name))
	}
	if !refuses {
		s.fail(s.TestFile, nil, fmt.Sprintf("no test_denies_... or test_warns_... shows what guardrail %s stops", s.Guardrail.Name))
	}
}

func (s *Suite) fail(file string, where *ast.Location, what string) {
	at := diag.Pos{Line: 1, Column: 1}
	if where != nil {
		at = diag.Pos{Line: where.Row, Column: where.Col, Offset: where.Offset}
	}
	s.Diagnostics.Add(diag.Diagnostic{
		Code:    CodeTestFailed,
		Span:    diag.Span{File: file, Start: at, End: at},
		Summary: what,
		Help:    "mend the guardrail or its test: what no test shows is only believed",
	})
}

// measure counts lines and reports each run of lines that no test reached.
func (s *Suite) measure(f *cover.FileReport) {
	s.Covered, s.Lines = f.CoveredLines, f.CoveredLines+f.NotCoveredLines
	missed := map[int]bool{}
	for _, r := range f.NotCovered {
		for row := r.Start.Row; row <= r.End.Row; row++ {
			missed[row] = !f.IsCovered(row)
		}
	}
	rows := make([]int, 0, len(missed))
	for row, really := range missed {
		if really {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n] == rows[n-1]+1 {
			n++
		}
		s.uncovered(rows[0], rows[n-1])
		rows = rows[n:]
	}
}

func (s *Suite) uncovered(first, last int) {
	lines := strings.SplitAfter(s.Guardrail.Text, "\n")
	offset := func(row int) int { return len(strings.Join(lines[:row-1], "")) }
	text := strings.TrimRight(lines[last-1], "\r\n")
	what := fmt.Sprintf("line %d", first)
	if last > first {
		what = fmt.Sprintf("lines %d to %d", first, last)
	}
	s.Diagnostics.Add(diag.Diagnostic{
		Code:     CodeUncovered,
		Severity: diag.Warning,
		Span: diag.Span{
			File:  s.Guardrail.File,
			Start: diag.Pos{Line: first, Column: 1, Offset: offset(first)},
			End:   diag.Pos{Line: last, Column: len([]rune(text)) + 1, Offset: offset(last) + len(text)},
		},
		Summary: fmt.Sprintf("no test of guardrail %s reaches %s", s.Guardrail.Name, what),
		Help:    "add a test that does, or remove what nobody needs",
	})
}
