// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"mpol/lang/diag"
)

// packageOf returns data.mpol.guardrails.NAME.
func packageOf(g Guardrail) ast.Ref {
	return ast.Ref{
		ast.DefaultRootDocument, ast.StringTerm("mpol"), ast.StringTerm("guardrails"), ast.StringTerm(g.Name),
	}
}

// compiled is a guardrail ready to be evaluated, or what is wrong with it.
type compiled struct {
	Guardrail
	form     form
	compiler *ast.Compiler
	reads    *reads
	sets     []compiledSet
	failed   diag.List
}

// compile parses and checks guardrails.
func compile(gs []Guardrail) []compiled {
	list := make([]compiled, len(gs))
	modules := map[form]map[string]*ast.Module{{}: {}, {items: true}: {}}
	for i, g := range gs {
		module, failed := parse(g)
		if list[i] = (compiled{Guardrail: g, failed: failed}); failed == nil {
			list[i].form = formOf(module)
			modules[list[i].form][g.File] = module
		}
	}
	for form, some := range modules {
		form.compile(list, some)
	}
	return list
}

// compile compiles the guardrails of a form. All of them share a compiler, since most of its work is
// to read the schema; where they do not compile together each gets its own, so that every one is
// reported by itself.
func (f form) compile(list []compiled, modules map[string]*ast.Module) {
	c := f.compiler()
	if c.Compile(modules); c.Failed() {
		c = nil
	}
	for i := range list {
		g := &list[i]
		if g.failed != nil || g.form != f {
			continue
		}
		if g.compiler = c; c == nil {
			g.compiler = f.compiler()
			module, failed := parse(g.Guardrail) // a compiler changes what it compiles
			if failed != nil {
				g.failed = failed
				continue
			}
			if g.compiler.Compile(map[string]*ast.Module{g.File: module}); g.compiler.Failed() {
				g.failed = compilationFailure(g.Guardrail, g.compiler.Errors)
				continue
			}
		}
		if g.failed = slices.Concat(strangeReferences(g), unused(g)); g.failed == nil {
			g.failed = g.prepare()
		}
	}
}

func (f form) compiler() *ast.Compiler {
	return ast.NewCompiler().WithCapabilities(capabilities()).WithSchemas(f.schemas()).WithStrict(true)
}

func parse(g Guardrail) (*ast.Module, diag.List) {
	module, err := ast.ParseModuleWithOpts(g.File, g.Text, ast.ParserOptions{
		RegoVersion:  ast.RegoV1,
		Capabilities: capabilities(),
	})
	if err != nil {
		return nil, compilationFailure(g, err)
	}
	if want := packageOf(g); !module.Package.Path.Equal(want) {
		return nil, failure(g, module.Package.Location, fmt.Sprintf("has the package %s, not %s", module.Package.Path, want))
	}
	return module, nil
}

// module returns the guardrail's own module.
func (g *compiled) module() *ast.Module { return g.compiler.Modules[g.File] }

// strangeReferences reports references to data that no rule of g defines, another guardrail's among
// them: there is no other data, so they would be undefined, and what depends on them would never
// deny.
func strangeReferences(g *compiled) diag.List {
	var list diag.List
	foreign := func(r *ast.Rule) bool { return r.Module != g.module() }
	for _, rule := range g.module().Rules {
		ast.WalkRefs(rule, func(r ast.Ref) bool {
			if !r.HasPrefix(ast.DefaultRootRef) {
				return false
			}
			rules := g.compiler.GetRulesDynamicWithOpts(r, ast.RulesOptions{})
			if len(rules) == 0 || slices.ContainsFunc(rules, foreign) {
				what := fmt.Sprintf("reads %s, which it does not define", r.GroundPrefix())
				list = append(list, failure(g.Guardrail, r[0].Location, what)...)
			}
			return false
		})
	}
	return list
}

// set is one of the sets of a guardrail: what it says of a policy, and how hard.
type set struct {
	name     string
	severity diag.Severity
}

// sets are those that a guardrail may define, at least one of them.
func sets() []set { return []set{{"deny", diag.Error}, {"warn", diag.Warning}} }

// is reports whether r is a rule of s.
func (s set) is(r *ast.Rule) bool { return r.Head.Ref()[0].Value.Compare(ast.Var(s.name)) == 0 }

// unused reports rules that neither are one of the sets nor help one: a misspelt deny would else
// be a guardrail that refuses nothing. A guardrail without any of the sets is reported too.
func unused(g *compiled) diag.List {
	var list diag.List
	found := false
	for _, r := range g.module().Rules {
		switch {
		case slices.ContainsFunc(sets(), func(s set) bool { return s.is(r) }):
			found = true
		case len(g.compiler.Graph.Dependents(r)) == 0:
			what := fmt.Sprintf("has the rule %s, which neither deny nor warn uses", r.Head.Ref()[0].Value)
			list = append(list, failure(g.Guardrail, r.Location, what)...)
		}
	}
	if !found {
		list = append(list, failure(g.Guardrail, nil, "defines neither deny nor warn")...)
	}
	return list
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

func tooSlow(g Guardrail, deadline time.Duration) diag.List {
	return failure(g, nil, fmt.Sprintf("did not finish within %s", deadline.Round(time.Millisecond)))
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
