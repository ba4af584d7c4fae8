// SPDX-License-Identifier: Apache-2.0

package check

import (
	"maps"
	"slices"
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
	// Dates is the severity of a date that is past and of a value that is no date: Warning for who reports
	// them and loads the policy all the same.
	Dates diag.Severity
	// Inventory, unless nil, is the workloads that selectors are tried on: one that none of them
	// meets is a warning.
	Inventory []program.Workload
}

// Check resolves files, the whole program, in their order. The Module is nil when a file is broken
// or when one of the diagnostics, which are in file order, is an error. A second Check of the same
// files gives the same.
func Check(files []*lang.File, opt Options) (*Module, diag.List) {
	return check(files, opt, new(Memory))
}

func check(files []*lang.File, opt Options, memory *Memory) (*Module, diag.List) {
	memory.begin(files, opt)
	c := newChecker(files, opt, memory)
	m := c.module()
	memory.end(c, m)
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

// newChecker returns a checker of files with a memory that has begun with them.
func newChecker(files []*lang.File, opt Options, memory *Memory) *checker {
	return &checker{
		opt: opt, files: files, order: map[string]int{}, scopes: map[*lang.File]*scope{}, byName: map[string]*pkg{},
		public: public(), registrable: map[program.NamePattern]string{}, memory: memory,
		nothing: new(meaning), facts: map[peersText]*peerFacts{},
	}
}

// checker is the state of one Check.
type checker struct {
	opt      Options
	files    []*lang.File
	order    map[string]int // of files
	packages []*pkg         // by first file
	byName   map[string]*pkg
	scopes   map[*lang.File]*scope
	at       *scope    // of the file that is being checked
	symbols  []*symbol // in file order
	spare    []symbol  // room for further ones
	tiers    []tier
	tierAt   map[string]int  // index by name
	rules    map[string]bool // the full names of all rules, for by
	public   prefixes        // what internet covers of world
	// registrable holds what has been looked up in the list of public suffixes.
	registrable map[program.NamePattern]string
	placed      []*placed // every rule without an error, in file order
	facts       map[peersText]*peerFacts
	nearby      int // how many names have been compared with unknown ones
	compared    int // how often two rules, or their subjects, have been compared
	// sound says that every policy was read and is without an error, so that what is in none of them is
	// nowhere.
	sound   bool
	memory  *Memory
	uses    *uses    // of what is being checked, nil when nobody asks
	nothing *meaning // of a name that is not resolved
	diags   diag.List
}

func (c *checker) errorAt(code diag.Code, span diag.Span, summary, help string, related ...diag.Related) {
	c.diags.Add(diag.Diagnostic{Code: code, Span: span, Summary: summary, Help: help, Related: related})
}

func (c *checker) warnAt(code diag.Code, span diag.Span, summary, help string, related ...diag.Related) {
	c.diags.Add(diag.Diagnostic{Code: code, Severity: diag.Warning, Span: span, Summary: summary, Help: help, Related: related})
}

func (c *checker) module() *Module {
	m := &Module{
		Files: []string{}, Packages: []Package{}, TierPlaces: []TierPlace{}, Resolvers: []*Resolver{},
		Policies: make([]*Policy, 0, c.memory.policies), Tests: []*Test{}, Proofs: []*Proof{},
	}
	for i, f := range c.files {
		c.order[f.Name] = i
		m.Files = append(m.Files, f.Name)
	}
	c.openScopes()
	for _, p := range c.packages {
		m.Packages = append(m.Packages, Package{Name: p.name, Imports: slices.AppendSeq([]string{}, maps.Keys(p.imports)), Span: p.span})
	}
	for i := range m.Packages {
		slices.Sort(m.Packages[i].Imports)
	}
	c.declare()
	c.cycles()
	c.resolveTiers(m)
	c.resolveAll()
	m.Default = c.defaultOf()
	c.placed = make([]*placed, 0, c.memory.rules)
	for _, f := range c.files {
		c.at = c.scopes[f]
		if f.Package != nil {
			c.annotations(f.Package.Annotations)
		}
		for _, d := range f.Decls {
			c.declaration(m, d)
		}
		c.filePolicies(m, f)
	}
	for i, n := range c.placed {
		n.place, n.last = i, c.memory.run
		if n.first == 0 {
			n.first = n.last
		}
	}
	before := len(c.diags)
	c.mixed()
	c.sound = c.allSound(m) && len(c.diags) == before
	c.warnings(m)
	c.unmet(m)
	for _, f := range c.files {
		c.at = c.scopes[f]
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *lang.Test:
				m.Tests = append(m.Tests, c.test(d))
			case *lang.Prove:
				m.Proofs = append(m.Proofs, c.proof(d))
			}
		}
	}
	return m
}

// declaration adds what a declaration is to the Module, policies, tests and proofs left for later.
func (c *checker) declaration(m *Module, d lang.Decl) {
	switch d := d.(type) {
	case *lang.Policy:
		return
	case *lang.Resolver:
		if s := c.at.pkg.names[resolvers][d.Name.Value]; s != nil && s.resolver != nil && s.decl == lang.Decl(d) {
			m.Resolvers = append(m.Resolvers, s.resolver)
		}
	case *lang.Domains:
		for _, t := range lang.Items(d.Items) {
			if lang.IsString(t) {
				c.quotedName(t)
			}
		}
	}
	c.annotations(d.Common().Annotations)
}

// defaultOf returns the program's default, which is stated once.
func (c *checker) defaultOf() *Default {
	var found *Default
	var firstPolicy *lang.Policy
	for _, f := range c.files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *lang.Default:
				if found != nil {
					c.errorAt(diag.DuplicateName, d.Span(), "the default is stated twice", "remove one", diag.Related{Span: found.Span, Summary: "the first"})
					continue
				}
				found = &Default{Action: action(d.Action.Value), Span: d.Span()}
			case *lang.Policy:
				if firstPolicy == nil {
					firstPolicy = d
				}
			}
		}
	}
	if found == nil && firstPolicy != nil && !c.mayHave("default") {
		c.errorAt(diag.MissingDefault, lang.SpanOf(firstPolicy.Name), "the program has policies and no default", "write default deny behind the package of one file")
	}
	return found
}

func action(word string) program.Action {
	switch word {
	case "allow":
		return program.Allow
	case "pass":
		return program.Pass
	}
	return program.Deny
}
