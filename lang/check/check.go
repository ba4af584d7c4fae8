// SPDX-License-Identifier: Apache-2.0

package check

import (
	"time"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// Options of Check. The zero value is that of the compiler and the agent.
type Options struct {
	// Today is the UTC day that @expires is compared with; the zero time compares nothing, which is
	// right wherever a date must not decide.
	Today time.Time
}

// Check resolves files, the whole program, in their order. The Module is nil when a file is broken
// or when one of the diagnostics, which are in file order, is an error. A second Check of the same
// files gives the same.
func Check(files []*lang.File, opt Options) (*Module, diag.List) {
	c := &checker{
		opt: opt, files: files, order: map[string]int{},
		sets: map[string]*symbol{}, services: map[string]*symbol{}, policies: map[string]*symbol{}, tests: map[string]*symbol{}, unread: map[string]bool{}, public: public(),
	}
	m := c.module()
	names := make([]string, len(files))
	broken := false
	for i, f := range files {
		names[i] = f.Name
		broken = broken || f.Broken
	}
	c.diags.Sort(names)
	if broken || c.diags.HasErrors() {
		return nil, c.diags
	}
	return m, c.diags
}

// checker is the state of one Check.
type checker struct {
	opt      Options
	files    []*lang.File
	order    map[string]int // of files
	pkg      string
	sets     map[string]*symbol // workloads, cidrs and domains share their names
	services map[string]*symbol
	policies map[string]*symbol
	tests    map[string]*symbol
	unread   map[string]bool // names of declarations whose kind could not be read
	symbols  []*symbol       // in file order
	public   prefixes        // what internet covers of world
	diags    diag.List
}

func (c *checker) errorAt(code diag.Code, span diag.Span, summary, help string, related ...diag.Related) {
	c.diags.Add(diag.Diagnostic{Code: code, Span: span, Summary: summary, Help: help, Related: related})
}

func (c *checker) warnAt(code diag.Code, span diag.Span, summary, help string) {
	c.diags.Add(diag.Diagnostic{Code: code, Severity: diag.Warning, Span: span, Summary: summary, Help: help})
}

// tiers are those that exist without a declaration, ascending by order.
func tiers() []program.Tier {
	return []program.Tier{
		{Name: "admin", Order: 100, Default: program.Pass},
		{Name: "app", Order: 200, Default: program.Deny},
		{Name: "baseline", Order: 300, Default: program.Pass},
	}
}

// appTier is the index of the tier that a policy belongs to unless it says otherwise.
const appTier = 1

func (c *checker) module() *Module {
	m := &Module{
		Files: []string{}, Packages: []Package{}, Tiers: tiers(), TierPlaces: []TierPlace{}, Resolvers: []*Resolver{},
		Policies: []*Policy{}, Tests: []*Test{}, Proofs: []*Proof{},
	}
	for i, f := range c.files {
		c.order[f.Name] = i
		m.Files = append(m.Files, f.Name)
		c.packageOf(f)
	}
	c.declare()
	c.cycles()
	c.resolveAll()
	m.Default = c.defaultOf()
	for _, f := range c.files {
		if f.Package != nil {
			c.annotations(f.Package.Annotations)
		}
		for _, d := range f.Decls {
			if p, ok := d.(*lang.Policy); ok {
				m.Policies = append(m.Policies, c.policy(p))
				continue
			}
			c.annotations(d.Common().Annotations)
		}
	}
	if !c.diags.HasErrors() {
		c.mixed(m)
	}
	for _, f := range c.files {
		for _, d := range f.Decls {
			if t, ok := d.(*lang.Test); ok {
				m.Tests = append(m.Tests, c.test(t))
			}
		}
	}
	return m
}

// packageOf checks that all files belong to one package.
func (c *checker) packageOf(f *lang.File) {
	switch {
	case f.Package == nil:
	case c.pkg == "":
		c.pkg = f.Package.Name.Value
	case c.pkg != f.Package.Name.Value:
		c.errorAt(diag.NotSupported, lang.SpanOf(f.Package.Name), "several packages are not supported yet", "write package "+c.pkg)
	}
}

// defaultOf returns the program's default, which is stated once.
func (c *checker) defaultOf() *Default {
	var found *Default
	var firstPolicy *lang.Policy
	broken := false
	for _, f := range c.files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *lang.Default:
				if found != nil {
					c.errorAt(diag.DuplicateName, d.Span(), "the default is stated twice", "remove one", diag.Related{Span: found.Span, Summary: "the first"})
					continue
				}
				found = &Default{Action: action(d.Action.Value), Span: d.Span()}
			case *lang.Other:
				broken = broken || d.Kind == "default"
			case *lang.Policy:
				if firstPolicy == nil {
					firstPolicy = d
				}
			}
		}
	}
	if found == nil && firstPolicy != nil && !broken {
		c.errorAt(diag.MissingDefault, lang.SpanOf(firstPolicy.Name), "the program has policies and no default", "write default deny behind the package of one file")
	}
	return found
}

func action(word string) program.Action {
	if word == "allow" {
		return program.Allow
	}
	return program.Deny
}
