// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"mpol/lang/diag"
)

// packageOf returns data.mpol.guardrails.NAME.
func packageOf(g Guardrail) ast.Ref {
	return ast.Ref{
		ast.DefaultRootDocument, ast.StringTerm("mpol"), ast.StringTerm("guardrails"), ast.StringTerm(g.Name),
	}
}

// compile parses and checks a guardrail; a list that is not empty says what is wrong with it.
func compile(g Guardrail) (*ast.Compiler, diag.List) {
	caps := capabilities()
	module, err := ast.ParseModuleWithOpts(g.File, g.Text, ast.ParserOptions{
		RegoVersion:  ast.RegoV1,
		Capabilities: caps,
	})
	if err != nil {
		return nil, compilationFailure(g, err)
	}
	if want := packageOf(g); !module.Package.Path.Equal(want) {
		return nil, failure(g, module.Package.Location, fmt.Sprintf("has the package %s, not %s", module.Package.Path, want))
	}
	c := ast.NewCompiler().WithCapabilities(caps).WithSchemas(schemas()).WithStrict(true)
	if c.Compile(map[string]*ast.Module{g.File: module}); c.Failed() {
		return nil, compilationFailure(g, c.Errors)
	}
	return c, slices.Concat(strangeReferences(g, c), unused(g, c))
}

// set is one of the sets of a guardrail: what it says of a policy, and how hard.
type set struct {
	name     string
	severity diag.Severity
}

// sets are those that a guardrail may define, at least one of them.
func sets() []set { return []set{{"deny", diag.Error}, {"warn", diag.Warning}} }

// definedBy reports whether the compiled guardrail has a rule for s.
func (s set) definedBy(c *ast.Compiler) bool {
	for _, m := range c.Modules {
		for _, r := range m.Rules {
			if r.Head.Ref()[0].Value.Compare(ast.Var(s.name)) == 0 {
				return true
			}
		}
	}
	return false
}

// unused reports rules that neither are one of the sets nor help one: a misspelt deny would else
// be a guardrail that refuses nothing. A guardrail without any of the sets is reported too.
func unused(g Guardrail, c *ast.Compiler) diag.List {
	var list diag.List
	found := false
	for _, r := range c.Modules[g.File].Rules {
		name := r.Head.Ref()[0].Value
		if slices.ContainsFunc(sets(), func(s set) bool { return name.Compare(ast.Var(s.name)) == 0 }) {
			found = true
		} else if len(c.Graph.Dependents(r)) == 0 {
			list = append(list, failure(g, r.Location, fmt.Sprintf("has the rule %s, which neither deny nor warn uses", name))...)
		}
	}
	if !found {
		list = append(list, failure(g, nil, "defines neither deny nor warn")...)
	}
	return list
}

// strangeReferences reports references to data that no rule of g defines: there is no other data,
// so they would be undefined, and what depends on them would never deny.
func strangeReferences(g Guardrail, c *ast.Compiler) diag.List {
	var list diag.List
	for _, rule := range c.Modules[g.File].Rules {
		ast.WalkRefs(rule, func(r ast.Ref) bool {
			if r.HasPrefix(ast.DefaultRootRef) && len(c.GetRulesDynamicWithOpts(r, ast.RulesOptions{})) == 0 {
				what := fmt.Sprintf("reads %s, which it does not define", r.GroundPrefix())
				list = append(list, failure(g, r[0].Location, what)...)
			}
			return false
		})
	}
	return list
}

// evaluate returns the value of a set, nil when it has none.
func evaluate(ctx context.Context, g Guardrail, s set, c *ast.Compiler, doc *document) (any, error) {
	value := ast.NewTerm(packageOf(g).Append(ast.StringTerm(s.name)))
	results, err := rego.New(
		rego.ParsedQuery(ast.NewBody(ast.NewExpr(value))),
		rego.Compiler(c),
		rego.ParsedInput(doc.value),
		rego.StrictBuiltinErrors(true), // else a failing call is undefined, and denies nothing
	).Eval(ctx)
	if err != nil || len(results) != 1 || len(results[0].Expressions) != 1 {
		return nil, err
	}
	return results[0].Expressions[0].Value, nil
}

// failure reports a guardrail that cannot do its work; where may be nil.
func failure(g Guardrail, where *ast.Location, what string) diag.List {
	at := diag.Pos{Line: 1, Column: 1}
	if where != nil {
		at = diag.Pos{Line: where.Row, Column: where.Col, Offset: where.Offset}
	}
	return diag.List{{
		Code:     CodeFailed,
		Severity: diag.Error,
		Span:     diag.Span{File: g.File, Start: at, End: at},
		Summary:  fmt.Sprintf("guardrail %s %s", g.Name, what),
		Help:     "mend the guardrail: while it cannot be evaluated nothing passes",
	}}
}

func compilationFailure(g Guardrail, err error) diag.List {
	var all ast.Errors
	if !errors.As(err, &all) {
		return failure(g, nil, "cannot be read: "+err.Error())
	}
	var list diag.List
	for _, e := range all {
		list = append(list, failure(g, e.Location, "does not compile: "+e.Message)...)
	}
	return list
}

func evaluationFailure(g Guardrail, err error) diag.List {
	var e *topdown.Error
	if errors.As(err, &e) {
		return failure(g, e.Location, "failed: "+e.Message)
	}
	return failure(g, nil, "failed: "+err.Error())
}
